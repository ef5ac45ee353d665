"""Read sequence and label files: bytes to checked blocks of lines, in order, in bounded memory.

Knows the file format and its refusals; nothing of vocabularies, stores or URLs. A line is
``{user_id}<TAB>{text}``. Blocks are cut at fixed byte counts, so they do not depend on how the bytes arrived.
Source: the contract's sections 5 and 9 (rows 12, 13, 14, 18, 24).

Shapes: B bytes of a block, N users (lines).
"""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from footfall.errors import DataError
from footfall.modeling.dtypes import I64, U8, U64
from footfall.modeling.reading.compression import decompress
from footfall.modeling.reading.source import PersonalData, Progress, Source, keep_quiet
from footfall.modeling.reading.user_ids import UserIds
from footfall.modeling.text import scanner
from footfall.modeling.text.personal_data import find_suspects
from footfall.modeling.threads import map_ordered
from footfall.personal_data import ALLOWING, Bare, Finding, find

Out = TypeVar("Out")

BLOCK_BYTES = 4 << 20
MAX_LINE_BYTES = 64 << 20
_BOM = b"\xef\xbb\xbf"

_FORMAT = "UNEXPECTED_TXT_FORMAT"
_SENTENCES = {
    scanner.NO_TAB: (_FORMAT, "there is no tab; a line is the user id, one tab, and the rest"),
    scanner.MANY_TABS: (_FORMAT, "there is more than one tab; a line is the user id, one tab, and the rest"),
    scanner.CONTROL: (_FORMAT, "there is a NUL or another control character; remove it"),
    scanner.BAD_UTF8: (_FORMAT, "the bytes are not UTF-8; save the file as UTF-8"),
    scanner.BLANK_LINE: (_FORMAT, "the line is blank; remove it"),
    scanner.BLANK_ID: (_FORMAT, "the user id is blank; give every user an id"),
    scanner.LONG_ID: ("LIMIT_ERROR_MID_LENGTH", f"the user id is longer than {scanner.MAX_ID_CHARS} characters; shorten it"),
}


@dataclass(frozen=True)
class Block:
    """Whole, checked lines: ids are ``data_B[start:tab]``, texts ``data_B[tab + 1:end]``."""

    source: Source
    first_line: int
    """1 for the first line of the source."""
    data_B: U8
    start_N: I64
    tab_N: I64
    end_N: I64
    id_hash_N: U64
    bare: list[tuple[int, Finding]] = field(default_factory=list)
    """(line number, what) of bare digits that may be personal data, or other numbers."""
    personal: list[tuple[int, str]] = field(default_factory=list)
    """(line number, kind) of what looks like personal data, if ``personal_data`` is "warn"."""


def map_blocks(
    sources: Sequence[Source],
    work: Callable[[Block], Out],
    *,
    personal_data: PersonalData = "off",
    unique_ids: bool = True,
    stage: str = "read",
    progress: Progress = keep_quiet,
    block_bytes: int = BLOCK_BYTES,
) -> Iterator[tuple[Block, Out]]:
    """Yield each checked block of ``sources`` with ``work(block)``, in order; ``work`` runs on several threads.

    Raises:
        DataError: by the contract's names: NOT_EXIST_FILE when there is not one byte, UNEXPECTED_FILE_TYPE,
            UNEXPECTED_TXT_FORMAT, LIMIT_ERROR_MID_LENGTH, DUPLICATE_USERID (when ``unique_ids``),
            PERSONAL_DATA_NOT_ALLOWED (when ``personal_data`` is "refuse"), with file and line.
    """
    seed = np.uint64(int.from_bytes(os.urandom(8), "little"))  # secret, so that no ids are made to collide
    users = UserIds(read_id) if unique_ids else None
    total = sum(source.size_bytes for source in sources)

    def run(raw: _RawBlock) -> tuple[int, Block, Out]:
        block = _check(raw, seed, personal_data)
        return raw.bytes_read, block, work(block)

    is_empty = True
    bare = BareLines(refuse=personal_data == "refuse")
    for bytes_read, block, out in map_ordered(run, _cut(sources, block_bytes)):
        is_empty = False
        bare.add(block)
        if users is not None:
            users.add(block.source, block.first_line, block.id_hash_N)
        progress(stage, bytes_read, total)
        yield block, out
    bare.close()
    if is_empty:
        names = ", ".join(source.name for source in sources) or "the data set"
        raise DataError("NOT_EXIST_FILE", "the file is empty. Check the path and write the file again.", path=names)


def read_ids(block: Block) -> list[bytes]:
    """Return the user ids of a block, in order."""
    data = block.data_B.tobytes()
    return [data[s:t] for s, t in zip(block.start_N.tolist(), block.tab_N.tolist(), strict=True)]


def read_id(source: Source, line: int) -> bytes:
    """Return the user id in a line of a source, by reading it again up to there."""
    for raw in _cut([source], BLOCK_BYTES):
        if raw.first_line + raw.n_newlines >= line:
            return raw.data.split(b"\n")[line - raw.first_line].split(b"\t")[0]
    return b""


@dataclass(frozen=True)
class _RawBlock:
    source: Source
    first_line: int
    n_newlines: int
    data: bytes
    bytes_read: int


def _cut(sources: Sequence[Source], block_bytes: int) -> Iterator[_RawBlock]:
    """Yield whole lines, about ``block_bytes`` at a time; one longer line is a block of its own."""
    bytes_read = 0
    for source in sources:
        meter = _ByteCounter(bytes_read)
        for line, n_newlines, data in _cut_lines(source, meter, block_bytes):
            yield _RawBlock(source, line, n_newlines, data, meter.bytes_read)
        bytes_read = meter.bytes_read


class _ByteCounter:
    """Counts the stored bytes that pass."""

    def __init__(self, bytes_read: int) -> None:
        self.bytes_read = bytes_read

    def watch(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            self.bytes_read += len(chunk)
            yield bytes(chunk)


def _cut_lines(source: Source, meter: _ByteCounter, block_bytes: int) -> Iterator[tuple[int, int, bytes]]:
    """Yield (number of the first line, newlines, lines)."""
    buffer = bytearray()
    is_first, line, scanned = True, 1, 0
    for piece in decompress(source.name, meter.watch(source.open())):
        buffer += piece
        if is_first and len(buffer) >= len(_BOM):
            is_first = False
            if buffer.startswith(_BOM):
                del buffer[: len(_BOM)]
        done = 0
        while len(buffer) - done >= block_bytes:
            cut = buffer.rfind(b"\n", done, done + block_bytes) + 1
            if cut <= done:
                cut = buffer.find(b"\n", max(done + block_bytes, scanned)) + 1
                scanned = len(buffer)
            if cut <= done:
                break
            _check_line_length(source, line, buffer, done, cut)
            data = bytes(memoryview(buffer)[done:cut])
            n_newlines = scanner.count_newlines(np.frombuffer(data, np.uint8))
            yield line, n_newlines, data
            line += n_newlines
            done, scanned = cut, 0
        scanned = max(0, scanned - done)
        del buffer[:done]
        _check_line_length(source, line, buffer, 0, 0)
    if is_first and buffer.startswith(_BOM):
        del buffer[: len(_BOM)]
    if buffer:
        yield line, buffer.count(b"\n"), bytes(buffer)


def _check_line_length(source: Source, line: int, buffer: bytearray, start: int, end: int) -> None:
    """Refuse a first line over the limit: the one in ``buffer[start:end]``, or with ``end`` 0 one without an end."""
    length = (end or len(buffer)) - start
    if length <= MAX_LINE_BYTES:
        return
    newline = buffer.find(b"\n", start)
    if newline < 0 or newline - start > MAX_LINE_BYTES:
        raise DataError(
            _FORMAT,
            f"the line is longer than {MAX_LINE_BYTES >> 20} MiB; check that lines end in a newline, or shorten it.",
            path=source.name,
            line=line,
        )


def _check(raw: _RawBlock, seed: np.uint64, personal_data: PersonalData) -> Block:
    data_B = np.frombuffer(raw.data, np.uint8)
    n = raw.n_newlines + 1
    start_N, tab_N, end_N = np.empty(n, np.int64), np.empty(n, np.int64), np.empty(n, np.int64)
    id_hash_N = np.empty(n, np.uint64)
    n, error = scanner.scan_lines(data_B, seed, start_N, tab_N, end_N, id_hash_N)
    if error != scanner.OK:
        name, sentence = _SENTENCES[error]
        raise DataError(name, f"{sentence}.", path=raw.source.name, line=raw.first_line + n)
    block = Block(raw.source, raw.first_line, data_B, start_N[:n], tab_N[:n], end_N[:n], id_hash_N[:n])
    if personal_data != "off":
        _check_personal_data(block, raw.data, refuse=personal_data == "refuse")
    return block


def _check_personal_data(block: Block, data: bytes, *, refuse: bool) -> None:
    for n in find_suspects(block.data_B, block.start_N, block.tab_N, block.end_N).tolist():
        finding = find(data[block.start_N[n] : block.end_N[n]], allowed=block.source.allowed)
        if finding is None:
            continue
        line = block.first_line + n
        if not finding.is_sure:
            block.bare.append((line, finding))
        elif refuse:
            raise _personal_data(block.source, line, finding, "")
        else:
            block.personal.append((line, finding.kind))


def _personal_data(source: Source, line: int, finding: Finding, count: str) -> DataError:
    rule = f"{finding.rule}; {count}" if count else finding.rule
    return DataError(
        "PERSONAL_DATA_NOT_ALLOWED",
        f"the line holds what looks like {finding.kind} (by {rule}). Remove personal data, "
        f"or replace it by a made-up id. {ALLOWING}",
        path=source.name,
        line=line,
    )


class BareLines:
    """Judges bare digits in all lines of a data set, when the last one was read."""

    def __init__(self, *, refuse: bool) -> None:
        self._refuse, self._bare = refuse, Bare()
        self._first: dict[str, tuple[Source, int, Finding]] = {}

    def add(self, block: Block) -> None:
        """Count a block's; when they are only noted, each is noted that is of a kind which most so far are."""
        if not block.bare:
            return
        self._bare.count(block.data_B.tobytes())
        for line, finding in block.bare:
            self._first.setdefault(finding.kind, (block.source, line, finding))
            if not self._refuse and self._bare.verdict(finding.kind):
                block.personal.append((line, finding.kind))

    def close(self) -> None:
        """Raise the error for the first of a kind which most are, if they are refused."""
        for kind, (source, line, finding) in self._first.items():
            count = self._bare.verdict(kind)
            if count and self._refuse:
                raise _personal_data(source, line, finding, count)
