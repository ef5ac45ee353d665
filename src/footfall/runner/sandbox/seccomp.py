"""A filter of system calls that no program of a run needs and that past holes of the kernel were reached through.

It makes ``mount``, new namespaces, io_uring, bpf and the kernel's key rings fail with EPERM, on every level that isolates.
``clone3`` fails with ENOSYS, for its flags lie in memory that a filter cannot read; the C library then takes ``clone``.

Source: seccomp(2), linux/bpf_common.h; the choice follows the default profile of container engines.
"""

from __future__ import annotations

import os

_ALLOW, _EPERM, _ENOSYS = 0x7FFF0000, 0x00050001, 0x00050026
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16
_NEW_NAMESPACES = 0x7E020000
_CLONE3 = 435
_EVERYWHERE = (425, 426, 427, 428, 429, 430, 431, 432, 433, 442)  # io_uring_*, open_tree … fspick, mount_setattr
_MACHINES: dict[str, tuple[int, int, int, tuple[int, ...]]] = {
    # audit architecture, clone, unshare, then: mount umount2 pivot_root setns add_key request_key keyctl bpf userfaultfd
    "x86_64": (0xC000003E, 56, 272, (165, 166, 155, 308, 248, 249, 250, 321, 323)),
    "aarch64": (0xC00000B7, 220, 97, (40, 39, 41, 268, 217, 218, 219, 280, 282)),
}


def build_filter(*, may_join: bool = False) -> bytes | None:
    """Return the program, or None on a machine whose numbers are not known here.

    Args:
        may_join: leave ``setns`` out, for a program that enters the sandbox from outside.
    """
    known = _MACHINES.get(os.uname().machine)
    if known is None:
        return None
    architecture, clone, unshare, refused = known
    setns = refused[3]
    lines = [(_LOAD, 0, 0, _ARCHITECTURE), (_EQUAL, 1, 0, architecture), (_RETURN, 0, 0, _EPERM), (_LOAD, 0, 0, _NUMBER)]
    if architecture == _MACHINES["x86_64"][0]:
        lines += [(_AT_LEAST, 0, 1, 0x40000000), (_RETURN, 0, 0, _ENOSYS)]  # the x32 numbers of the same calls
    for number in (*refused, *_EVERYWHERE):
        if not (may_join and number == setns):
            lines += [(_EQUAL, 0, 1, number), (_RETURN, 0, 0, _EPERM)]
    lines += [(_EQUAL, 0, 1, _CLONE3), (_RETURN, 0, 0, _ENOSYS)]
    lines += [
        (_EQUAL, 1, 0, clone),
        (_EQUAL, 0, 3, unshare),
        (_LOAD, 0, 0, _FIRST_ARGUMENT),
        (_ANY_BIT, 0, 1, _NEW_NAMESPACES),
        (_RETURN, 0, 0, _EPERM),
        (_RETURN, 0, 0, _ALLOW),
    ]
    return b"".join(
        code.to_bytes(2, "little") + bytes((is_true, is_false)) + value.to_bytes(4, "little")
        for code, is_true, is_false, value in lines
    )
