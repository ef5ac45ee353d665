"""Find and open files below a directory that somebody else may write to, and nothing outside of it. Pure file work.

A run may put links into its output directory and its project's storage at any moment, also between a look at a path and its
opening. So every step of a path is opened on its own, relative to the one before, and no step may be a link; where links are
followed at all, it is their resolved path that is opened so. A file with a second name is refused too, for that name may stand
where its reader must not look.
"""

import errno
import os
import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from footfall.errors import NotFoundError
from footfall.files.directories import DIRECTORY, open_directory
from footfall.files.links import LeadsNowhereError, resolve

_NOT_THERE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.ENXIO, errno.EISDIR, errno.EINVAL})
MAX_DEPTH = 64
MAX_PASSED_OVER = 1000
MAX_NESTED_LINKS = 4
MAX_BEHIND_LINKS = 10_000
UNNAMEABLE = "its name is not UTF-8 or has control characters"
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A regular file below a directory; ``path`` is relative, with slashes."""

    path: str
    size_bytes: int
    modified_at: datetime


@dataclass(frozen=True, slots=True)
class PassedOver:
    """What is no file that can be read by its name, and why; what a URL cannot hold of its path is escaped."""

    path: str
    reason: str


def open_file(root: Path, path: str, kind: str = "file", *, known_as: Sequence[str] | None = None) -> int:
    """Return a descriptor, for reading, of a regular file below a directory; the caller closes it.

    Args:
        known_as: follow links that stay below the directory, which has these absolute paths too; None follows none.

    Raises:
        NotFoundError: there is none by this path: nothing, a directory, a link, a device, or a file with several names.
    """
    file = _open(root, path)
    if file is None and known_as is not None and not {"", ".", ".."} & set(path.split("/")):
        try:
            file = _open(root, resolve(root, path, known_as))
        except (LeadsNowhereError, ValueError):
            file = None
    if file is None:
        raise NotFoundError(kind, path)
    return file


def _open(root: Path, path: str) -> int | None:
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
        return None
    status = os.fstat(file)
    if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1:
        os.close(file)
        return None
    return file


def find_files(
    root: Path,
    below: str = "",
    *,
    after: str = "",
    limit: int,
    known_as: Sequence[str] | None = None,
    passed_over: list[PassedOver] | None = None,
) -> Iterator[FoundFile]:
    """Yield the regular files below a directory, or below one in it, by path; at most ``limit``.

    Args:
        after: begin behind this path.
        known_as: as in ``open_file``: a link to a file is listed as that file, one to a directory with what is in it.
        passed_over: gets what is not listed, ``MAX_PASSED_OVER`` at most.
    """
    walk = _Walk(root, limit, known_as, [] if passed_over is None else passed_over)
    steps = below.split("/") if below else []
    try:
        start = open_directory(root, steps)
    except OSError as error:
        if error.errno not in _NOT_THERE:
            raise
        if below:
            yield from walk.through_link(below, after.split("/")[len(steps) - 1 :] if after.startswith(f"{below}/") else [])
        return
    try:
        yield from walk.files(start, steps, "".join(f"{step}/" for step in steps), _behind(steps, after))
    finally:
        os.close(start)


def _behind(steps: list[str], after: str) -> list[str]:
    """Return the rest of ``after`` within a directory; nothing when all of the directory comes after it, or before."""
    after_steps = after.split("/") if after else []
    return after_steps[len(steps) :] if after_steps[: len(steps)] == steps else []


class _Walk:
    """One pass over a tree, with what may still be yielded."""

    def __init__(self, root: Path, limit: int, known_as: Sequence[str] | None, passed_over: list[PassedOver]) -> None:
        self._root, self._left, self._known_as, self._passed_over = root, limit, known_as, passed_over
        self._inside: list[str] = []  # the directories that links led to, outermost first
        self._left_behind_links = MAX_BEHIND_LINKS

    def files(self, directory: int, steps: list[str], prefix: str, after: list[str]) -> Iterator[FoundFile]:
        """Yield what is in an open directory, whose own path is ``steps`` and whose files are called ``prefix`` + name."""
        first = after[0] if after else ""
        with os.scandir(directory) as entries:
            names = sorted(entry.name for entry in entries if entry.name >= first)
        for name in names:
            if self._left <= 0 or not self._may_look():
                return
            if has_controls(name):
                self._pass_over(prefix + name, UNNAMEABLE)
                continue
            try:
                yield from self._entry(directory, [*steps, name], prefix, after if name == first else [])
            except OSError as error:
                if error.errno not in _NOT_THERE:
                    raise

    def through_link(self, path: str, after: list[str]) -> Iterator[FoundFile]:
        """Yield what a link leads to: a file by the link's own path, or what is in a directory."""
        if self._known_as is None:
            self._pass_over(path, "a link")
            return
        try:
            target = resolve(self._root, path, self._known_as)
            *steps, name = target.split("/") if target else [""]
            status = os.stat(self._root) if not target else _status(self._root, steps, name)
        except (LeadsNowhereError, OSError) as error:
            self._pass_over(path, str(error) if isinstance(error, LeadsNowhereError) else "a link that leads to nothing")
            return
        if not stat.S_ISDIR(status.st_mode):
            yield from self._file(path, status, after)
        elif len(self._inside) >= MAX_NESTED_LINKS:
            self._pass_over(path, "a link behind too many links")
        elif f"{path}/".startswith(f"{target}/" if target else "") or target in self._inside:
            self._pass_over(path, "a link that leads in a circle")
        else:
            self._inside.append(target)
            inside = open_directory(self._root, [*steps, name])
            try:
                yield from self.files(inside, [*steps, name], f"{path}/", after[1:])
            finally:
                os.close(inside)
                self._inside.pop()

    def _entry(self, directory: int, steps: list[str], prefix: str, after: list[str]) -> Iterator[FoundFile]:
        name = steps[-1]
        status = os.stat(name, dir_fd=directory, follow_symlinks=False)
        if stat.S_ISDIR(status.st_mode):
            if prefix.count("/") >= MAX_DEPTH:
                return
            inside = os.open(name, DIRECTORY, dir_fd=directory)
            try:
                yield from self.files(inside, steps, f"{prefix}{name}/", after[1:])
            finally:
                os.close(inside)
        elif stat.S_ISLNK(status.st_mode):
            yield from self.through_link(prefix + name, after)
        else:
            yield from self._file(prefix + name, status, after)

    def _file(self, path: str, status: os.stat_result, after: list[str]) -> Iterator[FoundFile]:
        if not stat.S_ISREG(status.st_mode):
            self._pass_over(path, "no regular file")
        elif status.st_nlink != 1:
            self._pass_over(path, "a file with several names (hard links)")
        elif not after:
            self._left -= 1
            yield FoundFile(path, status.st_size, datetime.fromtimestamp(status.st_mtime, UTC))

    def _may_look(self) -> bool:
        """Whether one more entry may be looked at: links may lead to the same directories again and again."""
        self._left_behind_links -= 1 if self._inside else 0
        return self._left_behind_links >= 0 or not self._inside

    def _pass_over(self, path: str, reason: str) -> None:
        if len(self._passed_over) < MAX_PASSED_OVER:
            shown = _CONTROLS.sub(lambda found: ascii(found[0])[1:-1], path)
            self._passed_over.append(PassedOver(shown, reason))


def _status(root: Path, steps: list[str], name: str) -> os.stat_result:
    directory = open_directory(root, steps)
    try:
        return os.stat(name, dir_fd=directory, follow_symlinks=False)
    finally:
        os.close(directory)


def has_controls(text: str) -> bool:
    """Whether a name holds control characters, or bytes that are not UTF-8, which no URL and no JSON can hold."""
    return _CONTROLS.search(text) is not None
