"""Confine this process to some directories by Landlock: the level for hosts where bubblewrap does not start.

Needs ABI 6: only there are signals and abstract sockets kept within the run. From ABI 9 on sockets that lie in the file system
are kept so, too. Knows no runs.

Source: landlock(7), linux/landlock.h.
"""

from __future__ import annotations

import os
import stat

from footfall.runner.process import kernel

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

NEEDED_ABI = 6
PATH_SOCKETS_ABI = 9
"""From here on a command reaches no socket in the file system but its own, and those in what it may write."""
_CREATE, _ADD_RULE, _RESTRICT = 444, 445, 446
_VERSION_FLAG = 1
_PATH_BENEATH = 1
_ALL = (1 << 16) - 1
_EXECUTE, _WRITE, _READ, _READ_DIRECTORY, _TRUNCATE, _DEVICE_CONTROL = 1 << 0, 1 << 1, 1 << 2, 1 << 3, 1 << 14, 1 << 15
_OF_FILES = _EXECUTE | _WRITE | _READ | _TRUNCATE | _DEVICE_CONTROL
_NEW_DEVICES = 1 << 6 | 1 << 11
_REACH_SOCKETS = 1 << 16
_SCOPE_ABSTRACT_SOCKETS_AND_SIGNALS = 3


def find_abi() -> int:
    """Return the version that this kernel offers, 0 for none."""
    try:
        return kernel.call(_CREATE, None, 0, _VERSION_FLAG)
    except OSError:
        return 0


def confine(readable: Iterable[str], writable: Iterable[str]) -> None:
    """Leave this process and all below it nothing of the file system but what lies beneath these paths.

    Call it last: it needs that no privileges can be gained any more, and takes the right to open anything else.
    """
    handled = _ALL | (_REACH_SOCKETS if find_abi() >= PATH_SOCKETS_ABI else 0)
    attributes = b"".join(value.to_bytes(8, "little") for value in (handled, 0, _SCOPE_ABSTRACT_SOCKETS_AND_SIGNALS))
    ruleset = kernel.call(_CREATE, attributes, len(attributes), 0)
    try:
        for path in readable:
            _allow(ruleset, path, _EXECUTE | _READ | _READ_DIRECTORY)
        for path in writable:
            _allow(ruleset, path, handled & ~_NEW_DEVICES)
        kernel.call(_RESTRICT, ruleset, 0)
    finally:
        os.close(ruleset)


def _allow(ruleset: int, path: str, rights: int) -> None:
    try:
        handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return  # what is not there, or not for this user, needs no right
    try:
        if not stat.S_ISDIR(os.fstat(handle).st_mode):
            rights &= _OF_FILES
        rule = rights.to_bytes(8, "little") + handle.to_bytes(4, "little")
        kernel.call(_ADD_RULE, ruleset, _PATH_BENEATH, rule, 0)
    finally:
        os.close(handle)
