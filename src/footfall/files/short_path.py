"""A short path to a directory: a link in /tmp. The path of a socket may have 107 bytes, and a data directory may lie deep.

Who makes one notes it in a file, so that who comes later can remove it. The directory itself stays where it is.
"""

from __future__ import annotations

import contextlib
import os

_ATTEMPTS = 100


def make_short_path(note: str, target: str, uid: int | None = None) -> str | None:
    """Make a link to ``target`` and note it in the file ``note``; return its path, None where none can be made.

    Args:
        uid: who may follow it, for in /tmp a link of another user may be refused (``fs.protected_symlinks``).
    """
    for _ in range(_ATTEMPTS):
        path = f"/tmp/ff-{os.urandom(4).hex()}"
        try:
            handle = os.open(note, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            try:
                os.write(handle, path.encode())  # first, or a kill between the two would leave a link that nobody knows
            finally:
                os.close(handle)
            os.symlink(target, path)
            if uid is not None:
                os.lchown(path, uid, uid)
        except FileExistsError:
            continue
        except OSError:
            return None
        return path
    return None


def remove_short_path(note: str, target: str) -> None:
    """Remove the link that is noted there, if it still leads to ``target``, and the note."""
    try:
        with open(note, encoding="utf-8") as file:
            path = file.read()
        if os.readlink(path) == target:
            os.unlink(path)
    except (OSError, ValueError):
        pass  # there is none, or it has gone
    with contextlib.suppress(OSError):  # a note without its link does no harm
        os.unlink(note)


def touch_short_path(path: str) -> None:
    """Make a link look used: some systems remove what lies in /tmp for long."""
    with contextlib.suppress(OSError):  # it may have been removed
        os.utime(path, follow_symlinks=False)
