"""The location of rows in an event log, and an opened file of one.

Knows lines, row groups and the first bytes of a file; nothing of formats, columns or users.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import pyarrow as pa

from footfall.errors import DataError
from footfall.modeling.events.profiles import TEXT, Profile
from footfall.modeling.reading.compression import decompress
from footfall.modeling.reading.source import Source

PEEK_ROWS = 1_000
"""Rows at the beginning of a file by which the kinds of its columns are judged."""
PEEK_BYTES = 1 << 20
BLOCK_BYTES = 4 << 20
_WORKBOOKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
SHORTER = "If values are very long, shorten them or leave their column out; else write the file again."
"""The remedy for what Arrow refuses: mostly values that are repeated, which take little in the file and no array can hold."""
BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Location:
    """The location of the rows of a batch."""

    name: str
    first: int
    """Number of the first row, from 1, within the row group, or among the lines of the file that are not blank."""
    row_group: int | None = None
    source: Source | None = None
    """Files of lines are read again to find the line of a row."""

    def error(self, row: int, sentence: str, name: str = "UNEXPECTED_TXT_FORMAT") -> DataError:
        """Return the error for a row of the batch."""
        if self.source is not None:
            return DataError(name, sentence, path=self.name, line=find_line(self.source, self.first + row))
        return DataError(name, f"row group {self.row_group}, row {self.first + row}: {sentence}", path=self.name)

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Raise what Arrow cannot do with the values of the batch as an error of the data."""
        try:
            yield
        except (pa.ArrowInvalid, pa.ArrowCapacityError) as cause:
            sentence = f"the rows from here on cannot be read ({cause}). {SHORTER}"
            raise self.error(0, sentence) from cause


@dataclass(frozen=True)
class EventFile:
    """One file of a log, opened: its columns by kind, and how its rows are read."""

    name: str
    profiles: dict[str, Profile]
    read: Callable[[list[str]], Iterator[tuple[Location, dict[str, pa.Array]]]]
    """``read(names)`` yields batches of these columns, in order."""
    has_rows: bool = True
    """Writers of many files leave some without rows; the kinds of their columns are not known."""
    remark: str = ""
    """What is to be said of how it is read."""


def find_line(source: Source, ordinal: int) -> int:
    """Return the line number of a line that is counted without blank ones."""
    line = 0
    for block in whole_lines(decompress(source.name, source.open())):
        n_lines = block.count(b"\n")
        if n_lines < ordinal and b"\n\n" not in block and b"\r\n\r" not in block and not block.startswith((b"\n", b"\r")):
            line, ordinal = line + n_lines, ordinal - n_lines
            continue
        for text in block.split(b"\n"):
            line += 1
            ordinal -= bool(text.strip(b"\r"))
            if ordinal == 0:
                return line
        line -= block.endswith(b"\n")
    return line


def peek(source: Source) -> bytes:
    """Return about the first ``PEEK_BYTES`` of what is in a file.

    Raises:
        DataError: UNEXPECTED_TXT_FORMAT or UNEXPECTED_FILE_TYPE: no text of one byte a letter, and no Parquet.
    """
    head = b""
    for piece in decompress(source.name, source.open()):
        head += piece
        if len(head) >= PEEK_BYTES:
            break
    start = head[:4]
    if start.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in start:
        encoding = "UTF-32" if b"\0\0" in start else "UTF-16"
        raise DataError("UNEXPECTED_TXT_FORMAT", f"the file is {encoding}. Save it as UTF-8.", path=source.name)
    if start in _WORKBOOKS:
        sentence = "the file is a ZIP archive or an Excel workbook. Save it as CSV, plain or compressed by gzip or Zstandard."
        raise DataError("UNEXPECTED_FILE_TYPE", sentence, path=source.name)
    return head.removeprefix(BOM)


def without_rows(source: Source, names: Sequence[str] = ()) -> EventFile:
    """Return a file that has columns, if these are known, and no rows."""
    return EventFile(source.name, dict.fromkeys(names, Profile(TEXT)), lambda names: iter(()), has_rows=False)


def whole_lines(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Yield blocks of about ``BLOCK_BYTES`` that end with a line."""
    left = bytearray()
    for piece in pieces:
        left += piece
        if len(left) >= BLOCK_BYTES:
            cut = left.rfind(b"\n") + 1
            if cut:
                yield bytes(memoryview(left)[:cut])
                del left[:cut]
    if left.strip():
        yield bytes(left)
