"""Open a directory below another without following links. Runners load this: it imports nothing that is slow to load."""

from __future__ import annotations

import errno
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
"""How every directory is opened."""


def open_directory(root: str | os.PathLike[str], steps: Iterable[str], make: Callable[[int], None] | None = None) -> int:
    """Return a descriptor of a directory below another, opened step by step without following links.

    A directory that is swapped for a link in between is refused too. The caller closes the descriptor.

    Args:
        make: makes what is missing; called with the descriptor of each directory that was made.

    Raises:
        OSError: as ``os.open``; a step that is empty, ``.`` or ``..`` is not there.
    """
    descriptor = os.open(root, DIRECTORY)
    for step in steps:
        above = descriptor
        try:
            descriptor = _enter(above, step, make)
        finally:
            os.close(above)
    return descriptor


def _enter(above: int, step: str, make: Callable[[int], None] | None) -> int:
    if step in ("", ".", ".."):
        raise OSError(errno.ENOENT, "no such step", step)
    try:
        return os.open(step, DIRECTORY, dir_fd=above)
    except FileNotFoundError:
        if make is None:
            raise
    try:
        os.mkdir(step, 0o755, dir_fd=above)
    except FileExistsError:
        pass  # somebody else made it meanwhile
    made = os.open(step, DIRECTORY, dir_fd=above)
    make(made)
    return made
