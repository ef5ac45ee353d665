"""Files of event logs as batches of columns: Parquet and CSV here, JSON Lines in ``json_lines``; plain or compressed.

Knows file formats and where a row stands; nothing of users or features. The rows come in the order of the files.
Sources: Apache Parquet; RFC 4180 for CSV, with a header line, where ``, ; | tab`` may separate.

Shapes: N rows of a batch.
"""

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from footfall.errors import DataError
from footfall.modeling.events.columns import EMPTY, kind_of, names_user
from footfall.modeling.events.json_lines import open_lines
from footfall.modeling.events.location import (
    BLOCK_BYTES,
    PEEK_BYTES,
    PEEK_ROWS,
    EventFile,
    Location,
    find_line,
    peek,
    without_rows,
)
from footfall.modeling.reading.compression import decompress
from footfall.modeling.reading.source import Source

BATCH_ROWS = 131_072
_PARQUET = b"PAR1"


def find_format(source: Source, *, has_columns: bool) -> str:
    """Return the format of a file by its first bytes: ``parquet``, ``jsonl``, ``csv`` or ``sequence``.

    A first line with one tab, with more but no name of a column of users, or with nothing that could separate columns, is a
    sequence file's.
    """
    head = peek(source)
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
    return {"parquet": _open_parquet, "csv": _open_csv, "jsonl": open_lines}[format](source, scratch)


def _open_parquet(source: Source, scratch: Path) -> EventFile:
    path = scratch / f"parquet-{len(list(scratch.glob('parquet-*')))}"
    with path.open("wb") as out:
        for piece in decompress(source.name, source.open()):
            out.write(piece)
    try:
        file = pq.ParquetFile(path, memory_map=True)
        head = next(file.iter_batches(PEEK_ROWS), None)
    except (pa.ArrowException, OSError) as cause:
        raise _no_parquet(source.name, cause) from cause
    if head is None:
        return without_rows(source, file.schema_arrow.names)
    names = file.schema_arrow.names
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise _twice(source.name, twice[0])
    kinds = {name: kind_of(head.column(i), is_typed=True) for i, name in enumerate(head.schema.names)}

    def read(names_to_read: list[str]) -> Iterator[tuple[Location, dict[str, pa.Array]]]:
        for group in range(file.metadata.num_row_groups):
            row = 1
            batches = file.iter_batches(BATCH_ROWS, row_groups=[group], columns=names_to_read)
            while True:
                try:
                    batch = next(batches, None)
                except (pa.ArrowException, OSError) as cause:
                    raise _no_parquet(source.name, cause) from cause
                if batch is None:
                    break
                yield Location(source.name, row, group), {name: batch.column(name) for name in names_to_read}
                row += batch.num_rows

    return EventFile(source.name, kinds, read)


def _no_parquet(path: str, cause: Exception) -> DataError:
    return DataError("UNEXPECTED_FILE_TYPE", f"the file cannot be read as Parquet ({cause}). Write it again.", path=path)


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
    head = peek(source)
    if not head.strip():
        return without_rows(source)
    text = head.decode("utf-8", "replace")
    first = text.split("\n", 1)[0]
    separator = max(",\t;|", key=first.count)
    lines = text.splitlines()
    if len(head) >= PEEK_BYTES and len(lines) > 1:
        lines = lines[:-1]
    csv.field_size_limit(PEEK_BYTES)
    kinds = _kinds_of_lines(source, lines[: PEEK_ROWS + 1], separator)
    if not kinds:
        return without_rows(source, next(row for row in csv.reader(lines, delimiter=separator) if row))
    if EMPTY in kinds.values():
        kinds = _kinds_of_lines(source, lines, separator)
    return EventFile(source.name, kinds, lambda names_to_read: _read_csv(source, names_to_read, separator, len(kinds)))


def _kinds_of_lines(source: Source, lines: list[str], separator: str) -> dict[str, str]:
    """Return the kinds of the columns by the header line and what follows it; nothing if nothing does."""
    rows = [row for row in csv.reader(lines, delimiter=separator) if row]
    if len(rows) == 1:
        return {}
    names = rows[0]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise _twice(source.name, twice[0])
    columns: list[Any] = list(zip(*(row for row in rows[1:] if len(row) == len(names)), strict=True))
    return {
        name: kind_of(pa.array([value.encode() for value in column], pa.binary()), is_typed=False)
        for name, column in zip(names, columns or [[]] * len(names), strict=True)
    }


def _read_csv(
    source: Source, names_to_read: list[str], separator: str, n_columns: int
) -> Iterator[tuple[Location, dict[str, pa.Array]]]:
    bad: list[int] = []

    def judge(row: Any) -> str:
        bad.append(row.number)
        return "error"

    stream = io.BufferedReader(_Stream(decompress(source.name, source.open())), BLOCK_BYTES)
    line = 2
    try:
        reader = pa.csv.open_csv(
            stream,
            read_options=pa.csv.ReadOptions(block_size=BLOCK_BYTES, use_threads=False),
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
