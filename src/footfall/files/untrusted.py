"""Find and open files below a directory that somebody else may write to, without following links. Pure file work.

A run may put links into its output directory and its project's storage at any moment, also between a look at a path and its
opening. So every step of a path is opened on its own, relative to the one before, and no step may be a link; a file with a
second name is refused too, for that name may stand where its reader must not look.
"""

import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from footfall.errors import NotFoundError
from footfall.files.directories import DIRECTORY, open_directory

_NOT_THERE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.ENXIO, errno.EISDIR, errno.EINVAL})
MAX_DEPTH = 64


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A regular file below a directory; ``path`` is relative, with slashes."""

    path: str
    size_bytes: int
    modified_at: datetime


def open_file(root: Path, path: str, kind: str = "file") -> int:
    """Return a descriptor, for reading, of a regular file below a directory; the caller closes it.

    Raises:
        NotFoundError: there is none by this path: nothing, a directory, a link, a device, or a file with several names.
    """
    *steps, name = path.split("/")
    try:
        directory = open_directory(root, steps)
        try:
            file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=directory)
        finally:
            os.close(directory)
    except (OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno not in _NOT_THERE:
            raise
        raise NotFoundError(kind, path) from error
    status = os.fstat(file)
    if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1:
        os.close(file)
        raise NotFoundError(kind, path)
    return file


def find_files(
    root: Path, below: str = "", *, after: str = "", limit: int, unlisted: list[str] | None = None
) -> Iterator[FoundFile]:
    """Yield the regular files below a directory, or below one in it, by path; at most ``limit``. Links are left out.

    Args:
        after: begin behind this path.
        unlisted: gets the names that no URL and no JSON can hold, those that are not UTF-8 or have control characters.
    """
    steps = below.split("/") if below else []
    try:
        start = open_directory(root, steps)
    except OSError as error:
        if error.errno not in _NOT_THERE:
            raise
        return
    walk = _Walk(limit, [] if unlisted is None else unlisted)
    try:
        yield from walk.files(start, "".join(f"{step}/" for step in steps), MAX_DEPTH, _behind(steps, after))
    finally:
        os.close(start)


def _behind(steps: list[str], after: str) -> list[str]:
    """Return the rest of ``after`` within a directory; nothing when all of the directory comes after it, or before."""
    after_steps = after.split("/") if after else []
    return after_steps[len(steps) :] if after_steps[: len(steps)] == steps else []


class _Walk:
    """One pass over a tree, with what may still be yielded."""

    def __init__(self, limit: int, unlisted: list[str]) -> None:
        self._left, self._unlisted = limit, unlisted

    def files(self, directory: int, prefix: str, depth: int, after: list[str]) -> Iterator[FoundFile]:
        first = after[0] if after else ""
        with os.scandir(directory) as entries:
            names = sorted(entry.name for entry in entries if entry.name >= first)
        for name in names:
            if self._left <= 0:
                return
            if not name.isprintable():
                self._unlisted.append(name)
                continue
            try:
                yield from self._entry(directory, prefix, name, depth, after if name == first else [])
            except OSError as error:
                if error.errno not in _NOT_THERE:
                    raise

    def _entry(self, directory: int, prefix: str, name: str, depth: int, after: list[str]) -> Iterator[FoundFile]:
        status = os.stat(name, dir_fd=directory, follow_symlinks=False)
        if stat.S_ISDIR(status.st_mode) and depth:
            inside = os.open(name, DIRECTORY, dir_fd=directory)
            try:
                yield from self.files(inside, f"{prefix}{name}/", depth - 1, after[1:])
            finally:
                os.close(inside)
        elif stat.S_ISREG(status.st_mode) and status.st_nlink == 1 and not after:
            self._left -= 1
            yield FoundFile(prefix + name, status.st_size, datetime.fromtimestamp(status.st_mtime, UTC))
