"""Labels in tables, as event logs may be: CSV and the like with a header, Parquet, JSON Lines.

Shapes: N rows, B bytes of their ids.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from footfall.errors import DataError
from footfall.label_rules import FORMS, ONES, ZEROS, find_label_columns, is_header, is_user_name, label_of, separator_of
from footfall.modeling.dtypes import I64, U8
from footfall.modeling.events.arrays import read_ids, read_texts
from footfall.modeling.events.formats.files import open_file
from footfall.modeling.events.formats.location import EventFile, Location, peek
from footfall.modeling.events.names import Names
from footfall.modeling.reading.source import PersonalData, Source
from footfall.modeling.text.scanner import MAX_ID_CHARS
from footfall.personal_data import find

_HEADERLESS = ("user_id", "label")
_PEEKED = 1_000


def is_table(source: Source) -> bool:
    """Return whether a label file is a table, and not lines of an id, one tab and a label."""
    head = peek(source)
    line = head.split(b"\n", 1)[0].rstrip(b"\r").decode("utf-8", "replace")
    if head.startswith(b"PAR1") or line.lstrip().startswith(("{", "[")):
        return True
    if "\t" in line:
        return line.count("\t") > 1 or is_header(line.split("\t"))
    return any(separator in line for separator in ",;|")


def read_tables(
    sources: Sequence[Source], scratch: Path | None, personal_data: PersonalData
) -> Iterator[tuple[Location, tuple[U8, I64, U8], list[str]]]:
    """Yield (place, (bytes of ids, their lengths, labels), what looks like personal data) of the batches of tables.

    Raises:
        DataError: UNEXPECTED_TXT_FORMAT: it cannot be told which column is the user or the label; UNEXPECTED_LABEL, with the
            place: a value that is no label, or none; otherwise as the readers of event logs do.
    """
    words = pa.array(sorted(ZEROS) + sorted(ONES), pa.large_string())
    for source in sources:
        file = open_file(source, _format_of(source), scratch or Path(), _HEADERLESS if _has_two_columns(source) else ())
        if not file.has_rows:
            continue
        user, label = _find_columns(file)
        for location, batch in file.read([user, label]):
            with location.reading():
                data_B, offset_N1 = read_ids(batch[user], user, location)
                texts = pc.utf8_lower(pc.utf8_trim_whitespace(_as_array(*read_texts(batch[label], location))))
                at_N = pc.fill_null(pc.index_in(texts, words), -1).to_numpy(zero_copy_only=False)
            if (at_N < 0).any():
                row = int((at_N < 0).argmax())
                sentence = f"the label in the column {label!r} is not {FORMS}. Correct it, or leave the user out."
                raise location.error(row, sentence, "UNEXPECTED_LABEL")
            _check_ids(data_B, offset_N1, location)
            suspects = [] if personal_data == "off" else _find_addresses(data_B, offset_N1, location, source, personal_data)
            part = data_B[offset_N1[0] : offset_N1[-1]], np.diff(offset_N1), (at_N >= len(ZEROS)).astype(np.uint8)
            yield location, part, suspects


def _has_two_columns(source: Source) -> bool:
    line = peek(source).split(b"\n", 1)[0].decode("utf-8", "replace")
    return line.count(separator_of(line)) == 1


def _format_of(source: Source) -> str:
    head = peek(source)
    return "parquet" if head.startswith(b"PAR1") else "jsonl" if head.lstrip().startswith((b"{", b"[")) else "csv"


def _find_columns(file: EventFile) -> tuple[str, str]:
    names = list(file.profiles)
    rows = next(iter(file.read(names)))[1] if names else {}
    shown = [_texts_of(rows[name]) for name in names]
    fit = [names[i] for i in find_label_columns(names, shown)]
    users = [name for name in Names(names).users() if name not in fit] or [name for name in names if is_user_name(name)]
    if not users and len(names) == 2 and len(fit) == 1:
        users = [name for name in names if name not in fit]
    labels = [name for name in fit if name != (users or [""])[0]]
    listed = f"The columns are: {', '.join(names[:40])}."
    if not users:
        raise _refuse(file, f"no column is the user id. {listed} Call it user_id.")
    if not labels:
        raise _refuse(file, f"no column holds labels alone, which are {FORMS}. {listed} Write them as one, called label.")
    if len(labels) > 1:
        raise _refuse(file, f"the columns {labels[0]!r} and {labels[1]!r} could both be the label. Call the right one label.")
    return users[0], labels[0]


def _texts_of(column: pa.Array) -> list[str]:
    """Return some of a column's values as texts; a few odd ones do not make it another one, they are refused by their row."""
    values = column.slice(0, _PEEKED).to_pylist()
    texts = [
        "" if value is None else value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value) for value in values
    ]
    odd = sum(label_of(text) is None for text in texts if text.strip())
    return [text for text in texts if label_of(text) is not None] if odd <= 0.05 * len(texts) else texts


def _check_ids(data_B: U8, offset_N1: I64, location: Location) -> None:
    length_N = np.diff(offset_N1)
    if (length_N == 0).any():
        raise location.error(int((length_N == 0).argmax()), "the user id is blank; give every user an id.")
    for row in np.flatnonzero(length_N > MAX_ID_CHARS).tolist():
        if len(data_B[offset_N1[row] : offset_N1[row + 1]].tobytes().decode("utf-8", "replace")) > MAX_ID_CHARS:
            sentence = f"the user id is longer than {MAX_ID_CHARS} characters; shorten it."
            raise location.error(row, sentence, "LIMIT_ERROR_MID_LENGTH")


def _find_addresses(data_B: U8, offset_N1: I64, location: Location, source: Source, personal_data: PersonalData) -> list[str]:
    found = []
    has_at = pc.match_substring(_as_array(data_B, offset_N1), "@").to_numpy(zero_copy_only=False)
    for row in np.flatnonzero(has_at).tolist():
        finding = find(data_B[offset_N1[row] : offset_N1[row + 1]].tobytes() + b"\t", allowed=source.allowed)
        if finding is None:
            continue
        kind = finding.kind
        if personal_data == "refuse":
            sentence = f"the user id is {kind}. Replace it by a made-up id."
            raise location.error(row, sentence, "PERSONAL_DATA_NOT_ALLOWED")
        found.append(str(location.error(row, kind)))
        if len(found) == 10:
            break
    return found


def _as_array(data_B: U8, offset_N1: I64) -> pa.Array:
    buffers = [None, pa.py_buffer(np.ascontiguousarray(offset_N1)), pa.py_buffer(data_B)]
    return pa.Array.from_buffers(pa.large_string(), offset_N1.size - 1, buffers)


def _refuse(file: EventFile, sentence: str) -> DataError:
    return DataError("UNEXPECTED_TXT_FORMAT", sentence, path=file.name)
