"""Read a node's log by byte offset. The offset counts through all attempts, and is the same for history and following."""

from dataclasses import dataclass
from pathlib import Path

from footfall import layout

PAGE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class LogPage:
    """A piece of a log. ``is_complete``: the offset behind it is the end, and the last attempt has ended."""

    data: bytes
    next_offset: int
    is_complete: bool


def read_log(
    runs_root: Path, run_id: str, attempts: int, rank: int = 0, offset: int = 0, limit: int = PAGE_BYTES
) -> LogPage:
    """Return at most ``limit`` bytes of the concatenated logs of a node's attempts, from ``offset`` on.

    Args:
        attempts: how many attempts there are so far.
    """
    start = offset
    pieces: list[bytes] = []
    passed = 0
    for attempt in range(attempts):
        log = runs_root / layout.node_dir(run_id, attempt, rank) / layout.LOG
        size = log.stat().st_size if log.exists() else 0
        if limit and passed <= offset < passed + size:
            with open(log, "rb") as file:
                file.seek(offset - passed)
                pieces.append(file.read(min(limit, passed + size - offset)))
            offset += len(pieces[-1])
            limit -= len(pieces[-1])
        passed += size
    last = runs_root / layout.node_dir(run_id, max(attempts - 1, 0), rank)
    return LogPage(b"".join(pieces), max(start, offset), offset >= passed and (last / layout.STATUS).exists())
