"""Remove a directory tree that somebody else may write to meanwhile. Pure file work.

A run may nest directories deeper than Python may recurse and than a path may be long, put links anywhere, and take its own
rights away. So nothing here recurses or joins paths: one directory is open at a time, each is entered and left by one step
relative to it, no step may be a link, and a directory that is not where it was on the way down ends the walk.
"""

import os
import stat

from footfall.files.directories import DIRECTORY


def remove_tree(path: str | os.PathLike[str]) -> None:
    """Remove a file, a link, or a directory with all in it; what is not there is fine.

    Goes on past what would not go, so that only that is left.

    Raises:
        OSError: the first reason why something would not go.
    """
    directory, name = os.path.split(os.path.abspath(path))
    try:
        above = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    walk = _Removal(above)
    try:
        walk.remove(name)
    finally:
        os.close(walk.here)
    if walk.failure is not None:
        raise walk.failure


class _Removal:
    """A walk down and up again. ``here``: the directory that is open; ``failure``: what first went wrong."""

    def __init__(self, here: int) -> None:
        self.here = here
        self.failure: OSError | None = None
        self._levels: list[tuple[str, tuple[int, int], list[str]]] = []  # its name, which it is, what is left in it

    def remove(self, name: str) -> None:
        """Remove an entry of the directory that is open."""
        self._levels = [("", _identity(self.here), [name])]
        while self._levels:
            left = self._levels[-1][2]
            if left:
                self._take(left.pop())
            else:
                self._leave()

    def _take(self, name: str) -> None:
        """Remove an entry, or go down into it."""
        try:
            os.unlink(name, dir_fd=self.here)
            return
        except FileNotFoundError:
            return
        except IsADirectoryError:
            pass
        except OSError as error:
            self._note(error)
            return
        try:
            inside = _open(name, self.here)
        except OSError as error:
            self._note(error)
            return
        os.close(self.here)
        self.here = inside
        self._levels.append((name, _identity(inside), os.listdir(inside)))

    def _leave(self) -> None:
        """Go up and remove the directory that was left, now empty."""
        name = self._levels.pop()[0]
        if not self._levels:
            return
        above = os.open("..", DIRECTORY, dir_fd=self.here)
        os.close(self.here)
        self.here = above
        if _identity(above) != self._levels[-1][1]:
            raise OSError("a directory was moved while it was being removed")
        try:
            os.rmdir(name, dir_fd=above)
        except FileNotFoundError:
            pass
        except OSError as error:
            self._note(error)

    def _note(self, error: OSError) -> None:
        if self.failure is None:
            self.failure = error


def _open(name: str, above: int) -> int:
    """Return a directory, open, whose owner may have taken all rights to it away."""
    handle = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=above)
    try:
        if os.fstat(handle).st_mode & stat.S_IRWXU != stat.S_IRWXU:
            try:  # noqa: SIM105 - a runner loads this; contextlib would take longer than most removals
                os.chmod(f"/proc/self/fd/{handle}", stat.S_IRWXU)
            except OSError:
                pass  # somebody else's: opening it fails and says so
        return os.open(".", DIRECTORY, dir_fd=handle)
    finally:
        os.close(handle)


def _identity(directory: int) -> tuple[int, int]:
    status = os.fstat(directory)
    return status.st_dev, status.st_ino
