"""Files of event logs as batches of columns: Parquet, CSV and JSON Lines, as they are stored or compressed.

Knows file formats and where a row stands; nothing of users or features. The rows come in the order of the files.
Sources: Apache Parquet; RFC 4180 for CSV, with a header line, where ``, ; | tab`` may separate; jsonlines.org.

Shapes: N rows of a batch.
"""

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from footfall.errors import DataError
from footfall.modeling.compression import decompress
from footfall.modeling.event_columns import NUMBER, OTHER, TEXT, TIME, names_user
from footfall.modeling.event_values import parse_numbers, parse_times
from footfall.modeling.sequences import Source

BATCH_ROWS = 131_072
LOOK_ROWS = 1_000
_LOOK_BYTES = 1 << 20
_MOST = 0.8
"""Of the first values, how many must be dates in a column of times."""
_BLOCK_BYTES = 4 << 20
_PARQUET, _BOM = b"PAR1", b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Place:
    """Where the rows of a batch stand."""

    name: str
    first: int
    """Number of the first row, from 1, within the row group, or among the lines of the file that are not blank."""
    row_group: int | None = None
    source: Source | None = None
    """Files of lines are read again to find the line of a row."""

    def error(self, row: int, sentence: str, name: str = "UNEXPECTED_TXT_FORMAT") -> DataError:
        """Return what says that a row of the batch is wrong."""
        if self.source is not None:
            return DataError(name, sentence, path=self.name, line=_find_line(self.source, self.first + row))
        return DataError(name, f"row group {self.row_group}, row {self.first + row}: {sentence}", path=self.name)


def _find_line(source: Source, ordinal: int) -> int:
    """Return the line number of a line that is counted without blank ones."""
    line = 0
    for block in _whole_lines(decompress(source.name, source.open())):
        n_lines = block.count(b"\n")
        if (
            n_lines < ordinal
            and b"\n\n" not in block
            and b"\r\n\r" not in block
            and not block.startswith((b"\n", b"\r"))
        ):
            line, ordinal = line + n_lines, ordinal - n_lines
            continue
        for text in block.split(b"\n"):
            line += 1
            ordinal -= bool(text.strip(b"\r"))
            if ordinal == 0:
                return line
        line -= block.endswith(b"\n")
    return line


@dataclass(frozen=True)
class EventFile:
    """One file of a log, opened: its columns by kind, and how its rows are read."""

    name: str
    kinds: dict[str, str]
    read: Callable[[list[str]], Iterator[tuple[Place, dict[str, pa.Array]]]]
    """``read(names)`` yields batches of these columns, in order."""
    has_rows: bool = True
    """Writers of many files leave some without; these say nothing of the columns' kinds."""


def find_format(source: Source, *, has_columns: bool) -> str:
    """Return the format of a file by its first bytes: ``parquet``, ``jsonl``, ``csv`` or ``sequence``.

    A first line with one tab, with more but no name of a column of users, or with nothing that could separate columns, is a
    sequence file's.
    """
    head = _peek(source)
    if head.startswith(_PARQUET):
        return "parquet"
    line = head.split(b"\n", 1)[0].rstrip(b"\r")
    if line.lstrip().startswith(b"{"):
        return "jsonl"
    words = line.decode("utf-8", "replace").split("\t")
    if has_columns or (len(words) > 2 and names_user([word.strip('" ') for word in words])):
        return "csv"
    if b"\t" in line or not any(separator in line for separator in (b",", b";", b"|")):
        return "sequence"
    return "csv"


def open_file(source: Source, format: str, scratch: Path) -> EventFile:
    """Open a file of a log; a Parquet file is copied into ``scratch`` first, because it is read from its end.

    Raises:
        DataError: UNEXPECTED_FILE_TYPE or UNEXPECTED_TXT_FORMAT: it is not of this format.
    """
    return {"parquet": _open_parquet, "csv": _open_csv, "jsonl": _open_lines}[format](source, scratch)


def kind_of(values: pa.Array, *, is_typed: bool) -> str:
    """Return the kind of a column by some of its values; the texts of typed files are never numbers."""
    kind = values.type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return TIME
    if (
        pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_boolean(kind)
        or pa.types.is_decimal(kind)
    ):
        return NUMBER
    texts = kind.value_type if pa.types.is_dictionary(kind) else kind
    if not (
        pa.types.is_string(texts) or pa.types.is_large_string(texts) or pa.types.is_binary(texts)
        or pa.types.is_large_binary(texts) or pa.types.is_string_view(texts) or pa.types.is_null(texts)
    ):  # fmt: skip
        return OTHER
    known = [text for text in _decoded(values).to_pylist() if text]
    data_B, offset_N1 = pack_texts(known)
    number_N = np.empty(len(known))
    is_number = bool(known) and parse_numbers(data_B, offset_N1, number_N) < 0 and bool(np.isfinite(number_N).any())
    if not is_number:
        return TIME if known and _count_times(data_B, offset_N1) >= _MOST * len(known) else TEXT
    return TEXT if is_typed else NUMBER


def _count_times(data_B: Any, offset_N1: Any) -> int:
    """Count the texts that are dates; a column of which most are is one of times, and the others are refused later."""
    start, n_bad, n_rows = 0, 0, len(offset_N1) - 1
    while start < n_rows:
        bad = parse_times(data_B, offset_N1[start:], np.nan, np.empty(n_rows - start, np.int64))
        n_bad += int(bad >= 0)
        start = n_rows if bad < 0 else start + bad + 1
    return n_rows - n_bad


def pack_texts(texts: Sequence[bytes]) -> tuple[Any, Any]:
    """Return texts as (bytes, offsets)."""
    offset_N1 = np.cumsum([0, *(len(text) for text in texts)]).astype(np.int64)
    offset_N1.setflags(write=False)  # as the texts of files are, for which the parsers are compiled
    return np.frombuffer(b"".join(texts), np.uint8), offset_N1


def _decoded(values: pa.Array) -> pa.Array:
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    return values.cast(pa.large_string()).cast(pa.large_binary()) if pa.types.is_string_view(values.type) else (
        values.cast(pa.large_binary())
    )  # fmt: skip


def _peek(source: Source) -> bytes:
    head = b""
    for piece in decompress(source.name, source.open()):
        head += piece
        if len(head) >= _LOOK_BYTES:
            break
    return head.removeprefix(_BOM)


def _open_parquet(source: Source, scratch: Path) -> EventFile:
    path = scratch / f"parquet-{len(list(scratch.glob('parquet-*')))}"
    with path.open("wb") as out:
        for piece in decompress(source.name, source.open()):
            out.write(piece)
    try:
        file = pq.ParquetFile(path, memory_map=True)
        head = next(file.iter_batches(LOOK_ROWS), None)
    except (pa.ArrowException, OSError) as cause:
        raise _no_parquet(source.name, cause) from cause
    if head is None:
        return _without_rows(source, file.schema_arrow.names)
    names = file.schema_arrow.names
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise _twice(source.name, twice[0])
    kinds = {name: kind_of(head.column(i), is_typed=True) for i, name in enumerate(head.schema.names)}

    def read(wanted: list[str]) -> Iterator[tuple[Place, dict[str, pa.Array]]]:
        for group in range(file.metadata.num_row_groups):
            row = 1
            batches = file.iter_batches(BATCH_ROWS, row_groups=[group], columns=wanted)
            while True:
                try:
                    batch = next(batches, None)
                except (pa.ArrowException, OSError) as cause:
                    raise _no_parquet(source.name, cause) from cause
                if batch is None:
                    break
                yield Place(source.name, row, group), {name: batch.column(name) for name in wanted}
                row += batch.num_rows

    return EventFile(source.name, kinds, read)


def _without_rows(source: Source, names: Sequence[str] = ()) -> EventFile:
    return EventFile(source.name, dict.fromkeys(names, TEXT), lambda wanted: iter(()), has_rows=False)


def _no_parquet(path: str, cause: Exception) -> DataError:
    return DataError(
        "UNEXPECTED_FILE_TYPE", f"the file cannot be read as Parquet ({cause}). Write it again.", path=path
    )


def _twice(path: str, name: str) -> DataError:
    return DataError("UNEXPECTED_TXT_FORMAT", f"two columns are called {name!r}. Rename one.", path=path)


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


def _open_csv(source: Source, scratch: Path) -> EventFile:
    del scratch
    head = _peek(source)
    if not head.strip():
        return _without_rows(source)
    text = head.decode("utf-8", "replace")
    first = text.split("\n", 1)[0]
    separator = max(",\t;|", key=first.count)
    lines = text.splitlines()
    if len(head) >= _LOOK_BYTES and len(lines) > 1:
        lines = lines[:-1]
    csv.field_size_limit(_LOOK_BYTES)
    rows = [row for row in csv.reader(lines[: LOOK_ROWS + 1], delimiter=separator) if row]
    if len(rows) == 1:
        return _without_rows(source, rows[0])
    names = rows[0]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise _twice(source.name, twice[0])
    columns: list[Any] = list(zip(*(row for row in rows[1:] if len(row) == len(names)), strict=True))
    kinds = {
        name: kind_of(pa.array([value.encode() for value in column], pa.binary()), is_typed=False)
        for name, column in zip(names, columns or [[]] * len(names), strict=True)
    }
    return EventFile(source.name, kinds, lambda wanted: _read_csv(source, wanted, separator, len(names)))


def _read_csv(
    source: Source, wanted: list[str], separator: str, n_columns: int
) -> Iterator[tuple[Place, dict[str, pa.Array]]]:
    bad: list[int] = []

    def judge(row: Any) -> str:
        bad.append(row.number)
        return "error"

    stream = io.BufferedReader(_Stream(decompress(source.name, source.open())), _BLOCK_BYTES)
    line = 2
    try:
        reader = pa.csv.open_csv(
            stream,
            read_options=pa.csv.ReadOptions(block_size=_BLOCK_BYTES, use_threads=False),
            parse_options=pa.csv.ParseOptions(
                delimiter=separator, ignore_empty_lines=True, invalid_row_handler=judge
            ),
            convert_options=pa.csv.ConvertOptions(
                column_types=dict.fromkeys(wanted, pa.large_binary()), include_columns=wanted, check_utf8=False,
                strings_can_be_null=False,
            ),
        )  # fmt: skip
        for batch in reader:
            yield Place(source.name, line, None, source), {name: batch.column(name) for name in wanted}
            line += batch.num_rows
    except pa.ArrowInvalid as cause:
        raise DataError(
            "UNEXPECTED_TXT_FORMAT",
            f"the CSV cannot be read ({cause}). Every row has the {n_columns} columns of the header line; a value with "
            f"{separator!r} or a line end stands in double quotes, and no value runs over several lines.",
            path=source.name,
            line=_find_line(source, bad[0]) if bad else None,
        ) from cause


def _open_lines(source: Source, scratch: Path) -> EventFile:
    del scratch
    lines = [line for line in _peek(source).split(b"\n")[: LOOK_ROWS + 1] if line.strip()]
    if not lines:
        return _without_rows(source)
    place = Place(source.name, 1, None, source)
    rows = [_decode_line(place, n, line) for n, line in enumerate(lines[:-1] or lines)]
    names = list(dict.fromkeys(name for row in rows for name in row))
    kinds = {name: _kind_of_values([row.get(name) for row in rows]) for name in names}
    return EventFile(source.name, kinds, lambda wanted: _read_lines(source, wanted))


def _kind_of_values(values: list[Any]) -> str:
    known = [value for value in values if value is not None]
    if any(isinstance(value, dict | list) for value in known):
        return OTHER
    if known and all(isinstance(value, int | float) for value in known):
        return NUMBER
    return kind_of(pa.array([str(value).encode() for value in known], pa.binary()), is_typed=True)


def _decode_line(place: Place, row: int, text: bytes) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError) as cause:
        raise place.error(row, f"the line is no JSON ({cause}). Write one object a line.") from cause
    if not isinstance(found, dict):
        raise place.error(row, "the line is no JSON object. Write one a line.")
    return found


def _read_lines(source: Source, wanted: list[str]) -> Iterator[tuple[Place, dict[str, pa.Array]]]:
    row_type = msgspec.defstruct(
        "Row", [(f"field_{i}", Any, None) for i in range(len(wanted))],
        rename={f"field_{i}": name for i, name in enumerate(wanted)}, gc=False,
    )  # fmt: skip
    decoder = msgspec.json.Decoder(type=row_type)
    first, row = True, 1
    for block in _whole_lines(decompress(source.name, source.open())):
        if first:
            block, first = block.removeprefix(_BOM), False
        place = Place(source.name, row, None, source)
        try:
            rows = decoder.decode_lines(block)
        except (msgspec.MsgspecError, UnicodeDecodeError) as cause:
            texts = [text for text in block.split(b"\n") if text.strip()]
            for i, text in enumerate(texts):
                _decode_line(place, i, text)
            raise place.error(0, f"there is no JSON ({cause}). Write one object a line.") from cause
        found = {name: [getattr(one, f"field_{i}") for one in rows] for i, name in enumerate(wanted)}
        yield place, {name: _pack_values(values, name, place) for name, values in found.items()}
        row += len(rows)


def _pack_values(values: list[Any], name: str, place: Place) -> pa.Array:
    """Return values of one JSON field as texts or as numbers."""
    try:
        return pa.array(values, pa.large_string())
    except (pa.ArrowInvalid, pa.ArrowTypeError, TypeError):
        pass
    if all(value is None or isinstance(value, int | float) for value in values):
        values = [int(value) if isinstance(value, bool) else value for value in values]
        is_whole = all(value is None or isinstance(value, int) for value in values)
        try:
            return pa.array(values, pa.int64() if is_whole else pa.float64())
        except (pa.ArrowInvalid, OverflowError):
            pass
    for row, value in enumerate(values):
        if isinstance(value, dict | list):
            raise place.error(row, f"the column {name!r} is nested. Write a text or a number.")
    return pa.array([None if value is None else str(value) for value in values], pa.large_string())


def _whole_lines(pieces: Iterator[bytes]) -> Iterator[bytes]:
    left = bytearray()
    for piece in pieces:
        left += piece
        if len(left) >= _BLOCK_BYTES:
            cut = left.rfind(b"\n") + 1
            if cut:
                yield bytes(memoryview(left)[:cut])
                del left[:cut]
    if left.strip():
        yield bytes(left)
