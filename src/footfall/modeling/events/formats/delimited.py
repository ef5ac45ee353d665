"""CSV and its like as batches of columns, with a header line, where ``, ; | tab`` may separate. Source: RFC 4180.

Knows lines of values and where a row stands; nothing of users.

Shapes: N rows of a batch.
"""

import csv
import io
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.csv

from footfall.errors import DataError
from footfall.modeling.events.formats.json_lines import refuse_array
from footfall.modeling.events.formats.location import (
    BLOCK_BYTES,
    PEEK_BYTES,
    PEEK_ROWS,
    EventFile,
    Location,
    find_line,
    peek,
    without_rows,
)
from footfall.modeling.events.formats.parquet import two_columns
from footfall.modeling.events.names import has_no_name, means_something, names_user
from footfall.modeling.events.profiles import EMPTY, NUMBER, TEXT, TIME, Profile, profile_of
from footfall.modeling.reading.compression import decompress
from footfall.modeling.reading.source import Source

_MIN_ROWS = 5
"""With fewer lines a value that comes again under its own column says nothing of a header."""
_JUDGED_ROWS = 100
"""Lines by which it is judged whether the first one is a header."""
Rows = list[list[str]]


class _Stream(io.RawIOBase):
    """Pieces of bytes as a file to read."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces, self._left = pieces, memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not len(self._left):
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._left = memoryview(piece)
        n = min(len(buffer), len(self._left))
        buffer[:n] = self._left[:n]
        self._left = self._left[n:]
        return n


def open_csv(source: Source, header: Sequence[str] = ()) -> EventFile:
    """Open a file of lines; ``header`` are the columns of the first file of the log, for one that has no header of its own.

    Raises:
        DataError: UNEXPECTED_TXT_FORMAT: there is no header line, two columns have one name, or it is JSON.
    """
    head = peek(source)
    if not head.strip():
        return without_rows(source)
    refuse_array(source.name, head)
    text = head.decode("utf-8", "replace")
    first = text.split("\n", 1)[0]
    separator = max(",\t;|", key=first.count)
    lines = text.splitlines()
    if len(head) >= PEEK_BYTES and len(lines) > 1:
        lines = lines[:-1]
    csv.field_size_limit(PEEK_BYTES)
    rows = [row for row in csv.reader(lines[: PEEK_ROWS + 1], delimiter=separator) if row]
    names, has_header = rows[0], True
    if _is_row(rows) and list(header) != names:
        names, has_header = _names_without_header(source, rows, header, separator), False
    elif len(rows) == 1:
        return without_rows(source, names)
    twice = sorted({name for name in names if names.count(name) > 1 and name.strip()})
    if twice:
        raise two_columns(source.name, twice[0])
    profiles = _profile_rows(names, rows[has_header:])
    if any(profile.kind == EMPTY for profile in profiles.values()):
        profiles = _profile_rows(names, [row for row in csv.reader(lines, delimiter=separator) if row][has_header:])
    remark = "" if has_header else f"{source.name} has no header line; the first file's is taken for it"
    column_names = None if has_header else names
    return EventFile(
        source.name, profiles, lambda wanted: _read_csv(source, wanted, separator, len(names), column_names), remark=remark
    )


def _profile_rows(names: list[str], rows: Rows) -> dict[str, Profile]:
    """Return what the columns hold by the lines behind the header."""
    columns: list[Any] = list(zip(*(row for row in rows if len(row) == len(names)), strict=True))
    return {
        name: profile_of(pa.array([value.encode() for value in column], pa.binary()), is_typed=False)
        for name, column in zip(names, columns or [[]] * len(names), strict=True)
    }


def _is_row(rows: Rows) -> bool:
    """Return whether the first line looks like the lines below it, and not like their header.

    A number above numbers or a date above dates is a value; so is a word that comes again below. A word above numbers is a name.
    """
    first, below = rows[0], [row for row in rows[1:_JUDGED_ROWS] if len(row) == len(rows[0])]
    n_names = sum(means_something(word) or has_no_name(word) for word in first)
    if names_user(first) or 2 * n_names > len(first) or not below:
        return False
    is_value = False
    for word, column in zip(first, zip(*below, strict=True), strict=True):
        own, others = _kind(word), profile_of(pa.array([value.encode() for value in column], pa.binary()), is_typed=False).kind
        if others in (NUMBER, TIME) and own not in (others, EMPTY):
            return False
        is_value |= own in (NUMBER, TIME) and own == others
        is_value |= own == TEXT and len(below) >= _MIN_ROWS and word in column
    return is_value


def _kind(word: str) -> str:
    return profile_of(pa.array([word.encode()], pa.binary()), is_typed=False).kind


def _names_without_header(source: Source, rows: Rows, header: Sequence[str], separator: str) -> list[str]:
    """Return the first file's names for the columns of a file that has none.

    Raises:
        DataError: it is the first file, or has another number of columns. No value is quoted: the first may be a person's id.
    """
    if len(header) == len(rows[0]):
        return list(header)
    kinds = [_kind(word) for word in rows[0]]
    names = [f"column_{i + 1}" for i in range(len(kinds))]
    names[0] = "user_id"
    spare = range(1, len(kinds))
    time = next((i for i in spare if kinds[i] == TIME or (kinds[i] == NUMBER and _is_epoch(rows[0][i]))), None)
    what = next((i for i in spare if kinds[i] == TEXT and i != time), None)
    for i, name in ((time, "timestamp"), (what, "event")):
        if i is not None:
            names[i] = name
    line = ("\\t" if separator == "\t" else separator).join(names)
    ours = f"{len(kinds)} columns ({', '.join(kinds)})"
    first = " The header stands in the first file alone, and has another number of columns." if header else ""
    raise DataError(
        "UNEXPECTED_TXT_FORMAT",
        f"the file has no header line: its first line looks like the rows below it, {ours}.{first} Write one above it that names "
        f"the columns as they are, such as by `printf '{line}\\n' | cat - FILE > NEW`.",
        path=source.name,
    )


def _is_epoch(word: str) -> bool:
    try:
        value = float(word)
    except ValueError:
        return False
    return any(9e8 * scale <= value < 2.2e9 * scale for scale in (1, 1e3, 1e6, 1e9))


def _read_csv(
    source: Source, names_to_read: list[str], separator: str, n_columns: int, column_names: list[str] | None
) -> Iterator[tuple[Location, dict[str, pa.Array]]]:
    bad: list[int] = []

    def judge(row: Any) -> str:
        bad.append(row.number)
        return "error"

    stream = io.BufferedReader(_Stream(decompress(source.name, source.open())), BLOCK_BYTES)
    line = 2 if column_names is None else 1
    try:
        reader = pa.csv.open_csv(
            stream,
            read_options=pa.csv.ReadOptions(block_size=BLOCK_BYTES, use_threads=False, column_names=column_names),
            parse_options=pa.csv.ParseOptions(
                delimiter=separator, ignore_empty_lines=True, invalid_row_handler=judge
            ),
            convert_options=pa.csv.ConvertOptions(
                column_types=dict.fromkeys(names_to_read, pa.large_binary()), include_columns=names_to_read, check_utf8=False,
                strings_can_be_null=False,
            ),
        )  # fmt: skip
        for batch in reader:
            yield Location(source.name, line, None, source), {name: batch.column(name) for name in names_to_read}
            line += batch.num_rows
    except pa.ArrowInvalid as cause:
        raise DataError(
            "UNEXPECTED_TXT_FORMAT",
            f"the CSV cannot be read ({cause}). Every row has the {n_columns} columns of the header line; a value with "
            f"{separator!r} or a line end stands in double quotes, and no value runs over several lines.",
            path=source.name,
            line=find_line(source, bad[0]) if bad else None,
        ) from cause
