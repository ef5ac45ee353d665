"""How labels may be written: which words are 0 and 1, which column holds them, and whether a file begins as one of labels does.

Knows texts alone: the standard library and msgspec, so that the server, which looks at the beginning of a file, and the job,
which reads all of it, share the rules.
"""

import csv
import re
from collections.abc import Sequence
from itertools import islice
from typing import Final

import msgspec

ONES: Final = frozenset(("1", "1.0", "true", "t", "yes", "y"))
ZEROS: Final = frozenset(("0", "0.0", "false", "f", "no", "n"))
FORMS: Final = "0 or 1, true or false, yes or no"
_NAMES = frozenset((
    "label", "labels", "target", "targets", "y", "class", "churn", "churned", "converted", "conversion", "outcome", "response",
    "responded", "flag", "retained", "purchased", "exited", "value", "truth", "groundtruth", "result", "answer",
))  # fmt: skip
_USER = re.compile(
    "(id)?(user|usr|customer|cust|client|member|account|visitor|subscriber|person|player|buyer|household|card|device|session"
    "|distinct|anonymous|amplitude|userpseudo|fullvisitor)?(id|key|no|nr|num|number|code|hash|name)?|msno|uid|mid"
)
_LINES = 50


def label_of(word: str) -> int | None:
    """Return the label that a word is, None if it is none."""
    word = word.strip().lower()
    return 1 if word in ONES else 0 if word in ZEROS else None


def is_label_name(name: str) -> bool:
    """Return whether a column is called as labels are: ``label``, ``churn``, ``is_active``."""
    short = re.sub(r"[^0-9a-z]+", "", name.lower())
    return (
        short in _NAMES
        or short.endswith(("label", "target", "churn", "flag"))
        or bool(re.match(r"(is|has|did|will)[_A-Z ]", name))
    )


def is_user_name(name: str) -> bool:
    """Return whether a column is called as users are."""
    short = re.sub(r"[^0-9a-z]+", "", name.lower())
    return bool(short) and _USER.fullmatch(short) is not None


def find_label_columns(header: Sequence[str], columns: Sequence[Sequence[str]]) -> list[int]:
    """Return which columns may be the labels: those called so among the ones of which every known value is a label."""
    fit = [i for i, values in enumerate(columns) if any(value.strip() for value in values)
           and all(label_of(value) is not None for value in values if value.strip())]  # fmt: skip
    return [i for i in fit if is_label_name(header[i])] or fit


def separator_of(line: str) -> str:
    """Return what separates the columns of a line: the most frequent of tab, comma, semicolon and bar."""
    return max("\t,;|", key=line.count)


def is_header(row: Sequence[str]) -> bool:
    """Return whether a line names columns: one as users or as labels are called, and none that holds a label or a number."""
    is_value = any(label_of(word) is not None or re.fullmatch(r"[\d.,+-]+", word.strip()) for word in row)
    return not is_value and any(is_label_name(word) or is_user_name(word) for word in row)


def find_fault(beginning: bytes) -> str | None:
    """Return why a file that begins so holds no labels, None if it may; binary formats are left to the job."""
    if not beginning.strip() or beginning.startswith(b"PAR1") or b"\0" in beginning[:512]:
        return None
    lines = beginning.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace").splitlines()
    lines = [line for line in (lines[:-1] if len(lines) > 1 and not beginning.endswith(b"\n") else lines) if line.strip()][
        :_LINES
    ]
    rows = _json_rows(lines) if lines[0].lstrip().startswith("{") else list(csv.reader(lines, delimiter=separator_of(lines[0])))
    if rows is None:
        return None
    rows = [row for row in rows if len(row) == len(rows[0])]
    header = rows[0]
    if len(header) < 2:
        return f"line 1: there is one column; a line is the user id, a tab or a comma, and the label: {FORMS}"
    values = list(islice(rows, int(is_header(header)), None))
    if not values or find_label_columns(header, list(zip(*values, strict=True))):
        return None
    if all(label_of(row[-1]) is None for row in values):
        return f"no column of its first lines holds labels alone; a label is {FORMS}"
    return None  # single lines are named by the job


def _json_rows(lines: list[str]) -> list[list[str]] | None:
    try:
        objects = [msgspec.json.decode(line, type=dict[str, object]) for line in lines]
    except msgspec.DecodeError:
        return None
    names = list(objects[0])
    return [names, *([_text(each.get(name)) for name in names] for each in objects)]


def _text(value: object) -> str:
    return "" if value is None else str(value)
