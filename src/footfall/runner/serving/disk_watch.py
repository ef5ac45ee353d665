"""What a command takes of the disk, and of memory that no process has mapped. Knows no runs.

A walk over directories that their owner changes meanwhile, and may have made so that nobody can walk them. What cannot be
read counts as ``UNMEASURABLE``, never as nothing. Files without a name are found as long as a process of the run holds them open;
one that is on its way through a socket is not.
"""

from __future__ import annotations

import errno
import os
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

UNMEASURABLE = 1 << 62
ENTRY_BYTES = 1024
"""What each file counts besides its blocks: without, nothing would bound how many empty ones there are."""
_MAX_LINKED_FILES = 1_000_000
_HIDES = (errno.ENAMETOOLONG, errno.EACCES)


def measure_directories(directories: Iterable[str]) -> int:
    """Return what the files below some directories take. Links are not followed; a file with two names counts once."""
    walk = _Walk()
    for directory in directories:
        walk.count(directory)
    return walk.size


def measure_unlinked(pids: Iterable[int]) -> tuple[int, int]:
    """Return what files without a name take, which these processes hold open: bytes of the disk, and of memory."""
    disk, memory = 0, 0
    seen: set[tuple[int, int]] = set()
    for pid in pids:
        directory = f"/proc/{pid}/fd"
        try:
            names = os.listdir(directory)
        except OSError:
            continue  # it has ended
        for name in names:
            try:
                facts = os.stat(f"{directory}/{name}")
                if facts.st_nlink or not stat.S_ISREG(facts.st_mode) or (facts.st_dev, facts.st_ino) in seen:
                    continue
                is_memory = os.readlink(f"{directory}/{name}").startswith("/memfd:")
            except OSError:
                continue
            seen.add((facts.st_dev, facts.st_ino))
            disk += 0 if is_memory else facts.st_blocks * 512
            memory += facts.st_blocks * 512 if is_memory else 0
    return disk, memory


class _Walk:
    """One walk; ``size`` is what it has found."""

    def __init__(self) -> None:
        self.size = 0
        self._seen: set[tuple[int, int]] = set()
        self._waiting: list[str] = []

    def count(self, directory: str) -> None:
        self._waiting.append(directory)
        while self._waiting and self.size < UNMEASURABLE:
            try:
                with os.scandir(self._waiting.pop()) as entries:
                    for entry in entries:
                        self._count_entry(entry)
            except OSError as error:
                if error.errno in _HIDES:
                    self.size = UNMEASURABLE

    def _count_entry(self, entry: os.DirEntry[str]) -> None:
        try:
            facts = entry.stat(follow_symlinks=False)
        except OSError as error:
            if error.errno in _HIDES:
                self.size = UNMEASURABLE
            return  # it was removed meanwhile; what lies beside it counts all the same
        self.size += ENTRY_BYTES
        if stat.S_ISDIR(facts.st_mode):
            self._waiting.append(entry.path)
        elif facts.st_nlink > 1:
            if (facts.st_dev, facts.st_ino) in self._seen:
                return
            if len(self._seen) < _MAX_LINKED_FILES:  # behind so many, a second name may count again
                self._seen.add((facts.st_dev, facts.st_ino))
        self.size += facts.st_blocks * 512
