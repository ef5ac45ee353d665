"""What processes hold of the machine's memory. Knows no runs.

Anonymous and shared memory, not mapped files: what the kernel can get back only by ending somebody. Two sums: of what each
process has resident, which is cheap and counts a page once for every process that has it, and of what the kernel calls
proportional, which divides a page among those that share it and costs a walk over the page tables.

Source: proc(5), ``status`` and ``smaps_rollup``.
"""

from __future__ import annotations

import time

_STATUS, _ROLLUP = "/proc/{}/status", "/proc/{}/smaps_rollup"
_REST_FACTOR = 20
_MAX_REST_S = 10.0


class MemoryWatch:
    """Tells when processes hold more than ``limit_mib``; looks closely where the cheap sum is over the limit alone."""

    def __init__(self, limit_mib: int) -> None:
        self._limit_mib = limit_mib
        self._rest_until = 0.0
        self._rest_below_mib = 0

    def is_over(self, pids: list[int]) -> bool:
        """Whether these hold more than the limit, as of the last close look that was due."""
        resident = resident_mib(pids)
        started = time.monotonic()
        if resident <= self._limit_mib or (started < self._rest_until and resident <= self._rest_below_mib):
            return False
        held = held_mib(pids)
        now = time.monotonic()
        # Processes that are given their own copy of a shared page do not show in the cheap sum, so the rest is short.
        self._rest_until = now + min(_MAX_REST_S, _REST_FACTOR * (now - started))
        self._rest_below_mib = resident + max(0, self._limit_mib - held)
        # A process that ended between two reads has left its share of a page to one that is read later: so look twice.
        return held > self._limit_mib and held_mib(pids) > self._limit_mib


def resident_mib(pids: list[int]) -> int:
    """Return what these processes have resident; a page counts for each process that shares it."""
    return sum(_read_kib(_STATUS, pid, (b"RssAnon:", b"RssShmem:")) or 0 for pid in pids) >> 10


def held_mib(pids: list[int]) -> int:
    """Return what these processes hold; a shared page counts once. Where the kernel does not tell, it counts for each."""
    kib = 0
    for pid in pids:
        held = _read_kib(_ROLLUP, pid, (b"Pss_Anon:", b"Pss_Shmem:"))
        kib += (_read_kib(_STATUS, pid, (b"RssAnon:", b"RssShmem:")) or 0) if held is None else held
    return kib >> 10


def _read_kib(path: str, pid: int, names: tuple[bytes, ...]) -> int | None:
    """Return the sum of these fields of a process; None where it has none of them, or has ended."""
    try:
        with open(path.format(pid), "rb") as file:
            values = [int(line.split()[1]) for line in file if line.startswith(names)]
    except OSError:
        return None
    return sum(values) if values else None
