"""What a command wrote where nothing is kept, so that it can be told. Knows no runs.

The directories are the command's own and may hold anything: nothing is followed, and the walk is bounded.
"""

from __future__ import annotations

import os

_MAX_ENTRIES = 5000
_MAX_NAMES = 5
_OF_TOOLS = ("__pycache__", "node_modules")


def describe_left(directory: str, since: float) -> str | None:
    """Return the names in a directory that are new or changed, shortened, as a part of a sentence; None when there are none.

    Hidden files and what Python compiles are left out.

    Args:
        since: seconds since 1970; older files were there before.
    """
    budget = [_MAX_ENTRIES]
    names = sorted(
        f"{entry.name}/" if entry.is_dir(follow_symlinks=False) else entry.name
        for entry in _entries(directory)
        if _is_new(entry, since, budget)
    )
    if not names:
        return None
    shown = ", ".join(name if name.isprintable() else ascii(name) for name in names[:_MAX_NAMES])
    return shown if len(names) <= _MAX_NAMES else f"{shown} and {len(names) - _MAX_NAMES} more"


def _entries(directory: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(directory) as entries:
            return [entry for entry in entries if not entry.name.startswith(".") and entry.name not in _OF_TOOLS]
    except OSError:
        return []


def _is_new(top: os.DirEntry[str], since: float, budget: list[int]) -> bool:
    """Whether a file, or any file below a directory, was written since."""
    waiting = [top]
    while waiting and budget[0] > 0:
        entry = waiting.pop()
        budget[0] -= 1
        try:
            if entry.is_dir(follow_symlinks=False):
                waiting += _entries(entry.path)
            elif entry.stat(follow_symlinks=False).st_ctime >= since:
                return True
        except OSError:
            continue
    return False
