"""Follow links that stay below a directory in which somebody else writes, without ever leaving it.

The result is a path without links; whoever opens it does so step by step, so that a step that becomes a link meanwhile leads
nowhere.
"""

import errno
import os
from collections.abc import Sequence
from pathlib import Path

from footfall.files.directories import open_directory

MAX_LINKS = 40
"""As many as Linux follows."""


class LeadsNowhereError(Exception):
    """A link that cannot be followed; the text says why."""


def resolve(root: Path, path: str, names: Sequence[str] = ()) -> str:
    """Return what a path below a directory means when links are followed: a path without links.

    Args:
        names: absolute paths by which those who make the links know the directory, besides its own.

    Raises:
        LeadsNowhereError: it leads out of the directory, to nothing, or in a circle.
    """
    todo, done, n_links = path.split("/")[::-1], list[str](), 0
    while todo:
        step = todo.pop()
        if step in ("", "."):
            continue
        if step == "..":
            if not done:
                raise LeadsNowhereError("a link that leads out of the directory")
            done.pop()
            continue
        target = _target(root, done, step)
        if target is None:
            done.append(step)
            continue
        n_links += 1
        if n_links > MAX_LINKS:
            raise LeadsNowhereError("a link that leads in a circle")
        if target.startswith("/"):
            target, done = _below((str(root), *names), target), []
        todo += target.split("/")[::-1]
    return "/".join(done)


def _target(root: Path, steps: list[str], name: str) -> str | None:
    """Return where a link leads, None if it is none."""
    try:
        directory = open_directory(root, steps)
        try:
            return os.readlink(name, dir_fd=directory)
        finally:
            os.close(directory)
    except OSError as error:
        if error.errno == errno.EINVAL:
            return None  # there, but no link
        raise LeadsNowhereError("a link that leads to nothing") from error


def _below(names: Sequence[str], target: str) -> str:
    for name in names:
        if target == name or target.startswith(f"{name}/"):
            return target[len(name) :]
    raise LeadsNowhereError("a link that leads out of the directory")
