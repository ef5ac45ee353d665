"""Read a node's log by byte offset. The offset counts through all attempts, and is the same for history and following.

Reads what the runner writes, and nothing but bytes: knows no encoding, states or HTTP.
"""

import os
import struct
from dataclasses import dataclass
from pathlib import Path

from footfall import layout
from footfall.lines import LinePicker

PAGE_BYTES = 1 << 20
SCAN_BYTES = 16 << 20
"""How much of a log one search reads before it hands back the offset to go on from."""
BLOCK_BYTES = 1 << 16
_INDEX_ENTRY = struct.Struct(layout.LOG_INDEX_ENTRY)


@dataclass(frozen=True, slots=True)
class LogPage:
    """A piece of a log. ``is_complete``: the offset behind it is the end, and the last attempt has ended."""

    data: bytes
    next_offset: int
    is_complete: bool


@dataclass(frozen=True, slots=True)
class _Piece:
    """The log of one attempt: where it is, and the offset of its first byte and of the byte behind its last."""

    path: Path
    begin: int
    end: int


class NodeLog:
    """The logs of one node's attempts, one behind the other, as long as they were when this was made.

    Args:
        attempts: how many attempts there are so far.
    """

    def __init__(self, runs_root: Path, run_id: str, attempts: int, rank: int = 0) -> None:
        self._pieces: list[_Piece] = []
        self.size = 0
        for attempt in range(attempts):
            path = runs_root / layout.node_dir(run_id, attempt, rank) / layout.LOG
            size = path.stat().st_size if path.exists() else 0
            self._pieces.append(_Piece(path, self.size, self.size + size))
            self.size += size
        last = runs_root / layout.node_dir(run_id, max(attempts - 1, 0), rank)
        self.has_ended = (last / layout.STATUS).exists()

    def read(self, offset: int, limit: int) -> bytes:
        """Return at most ``limit`` bytes from ``offset`` on."""
        blocks: list[bytes] = []
        for piece in self._pieces:
            if limit and piece.begin <= offset < piece.end:
                with open(piece.path, "rb") as file:
                    file.seek(offset - piece.begin)
                    blocks.append(file.read(min(limit, piece.end - offset)))
                offset += len(blocks[-1])
                limit -= len(blocks[-1])
        return b"".join(blocks)

    def offset_of_tail(self, n_lines: int) -> int:
        """Return where the last ``n_lines`` begin; no further back than ``SCAN_BYTES``."""
        if not n_lines:
            return self.size
        end = self.size
        floor = max(0, end - SCAN_BYTES)
        n_left = n_lines
        while end > floor:
            begin = max(floor, end - BLOCK_BYTES)
            block = self.read(begin, end - begin)
            position = len(block)
            while (position := block.rfind(b"\n", 0, position)) >= 0:
                # the newline that ends the last line begins no line
                if begin + position + 1 < self.size:
                    n_left -= 1
                    if not n_left:
                        return begin + position + 1
            end = begin
        return floor

    def offset_since(self, time_s: float) -> int:
        """Return where what was written at or after a time begins, to the second; the end when nothing was."""
        for piece in self._pieces:
            index = piece.path.with_name(layout.LOG_INDEX)
            content = index.read_bytes() if index.exists() else b""
            whole = content[: len(content) // _INDEX_ENTRY.size * _INDEX_ENTRY.size]
            for second, position in _INDEX_ENTRY.iter_unpack(whole):
                if second >= int(time_s):
                    return min(piece.begin + int(position), piece.end)
        return self.size

    def search(self, needle: bytes, offset: int, limit: int) -> LogPage:
        """Return the lines that hold ``needle``, about ``limit`` bytes of them, from at most ``SCAN_BYTES`` of log.

        A line counts when it has ended; what stands behind the last newline of a log that goes on is for the next call.
        """
        end = min(self.size, offset + SCAN_BYTES)
        picker = LinePicker(needle)
        lines: list[bytes] = []
        size = 0
        position = offset
        while position < end and size < limit:
            block = self.read(position, min(PAGE_BYTES, end - position))
            if not block:
                break
            position += len(block)
            lines.append(picker.take(block))
            size += len(lines[-1])
        is_end = position >= self.size and self.has_ended
        is_one_line = picker.n_held == position - offset >= SCAN_BYTES
        if is_end or is_one_line:
            lines.append(picker.rest())
        return LogPage(b"".join(lines), position - picker.n_held, is_end)


def read_log(runs_root: Path, run_id: str, attempts: int, rank: int = 0, offset: int = 0, limit: int = PAGE_BYTES) -> LogPage:
    """Return at most ``limit`` bytes of the concatenated logs of a node's attempts, from ``offset`` on.

    Args:
        attempts: how many attempts there are so far.
    """
    log = NodeLog(runs_root, run_id, attempts, rank)
    data = log.read(offset, limit)
    return LogPage(data, offset + len(data), offset + len(data) >= log.size and log.has_ended)


class LogTail:
    """The growing end of a node's log, for whoever follows it: cheap to look at again and again."""

    def __init__(self, runs_root: Path, run_id: str, attempt: int, rank: int) -> None:
        self._root, self._run_id, self._rank = runs_root, run_id, rank
        self.attempt = 0
        self.size = 0
        self.has_ended = False
        """Whether the attempt that is looked at writes no more."""
        self._begin = 0
        self._files: dict[int, tuple[int, int]] = {}  # by attempt: the offset of its first byte, a descriptor
        self.poll()
        while self.attempt < attempt:
            self.go_on()

    def poll(self) -> bool:
        """Look how long the log is now; True when it has grown."""
        node = self._root / layout.node_dir(self._run_id, self.attempt, self._rank)
        # Asked before the size, so that what is written before the status is counted.
        has_ended = (node / layout.STATUS).exists()
        if self.attempt not in self._files:
            try:
                file = os.open(node / layout.LOG, os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                self.has_ended = has_ended
                return False
            self._files[self.attempt] = (self._begin, file)
        size = self._begin + os.fstat(self._files[self.attempt][1]).st_size
        has_grown, self.size, self.has_ended = size > self.size, size, has_ended
        return has_grown

    def go_on(self) -> None:
        """Go on to the next attempt."""
        self.attempt += 1
        self._begin = self.size
        self.poll()

    def read(self, offset: int, limit: int = PAGE_BYTES) -> bytes:
        """Return what is there from ``offset`` on, at most ``limit`` bytes, of one attempt."""
        for begin, file in reversed(self._files.values()):
            if begin <= offset:
                return os.pread(file, min(limit, self.size - offset), offset - begin)
        return b""

    def close(self) -> None:
        """Let go of the files."""
        for _, file in self._files.values():
            os.close(file)
        self._files.clear()
