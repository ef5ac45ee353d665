"""Calls to the kernel that Python does not offer. Loaded only where one is needed: ctypes takes a while.

Source: prctl(2), setns(2), unshare(2), landlock(7).
"""

from __future__ import annotations

import ctypes
import os

_PR_SET_PDEATHSIG = 1
_PR_SET_SECCOMP = 22
_PR_SET_CHILD_SUBREAPER = 36
_PR_SET_NO_NEW_PRIVS = 38
_SECCOMP_MODE_FILTER = 2
_NS_GET_USERNS = 0xB701

CLONE_NEWUSER = 0x10000000
CLONE_NEWNET = 0x40000000

_libc = ctypes.CDLL(None, use_errno=True)


def become_subreaper() -> None:
    """Make orphans of our descendants our children instead of init's."""
    _check(_libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), "prctl(PR_SET_CHILD_SUBREAPER)")


def die_with_parent(parent: int) -> None:
    """Ask the kernel to kill this process when its parent dies; for a child between fork and exec."""
    _check(_libc.prctl(_PR_SET_PDEATHSIG, 9, 0, 0, 0), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent:
        os._exit(127)  # it died before we asked


def gain_no_privileges() -> None:
    """Make setuid files and file capabilities mean nothing to this process and all below it."""
    _check(_libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl(PR_SET_NO_NEW_PRIVS)")


def filter_calls(program: bytes) -> None:
    """Install a seccomp filter, for this process and all below it."""

    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))

    filter_program = Program(len(program) // 8, program)
    _check(_libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(filter_program), 0, 0), "prctl(PR_SET_SECCOMP)")


def unshare(flags: int) -> None:
    """Move this process into namespaces of its own."""
    _check(_libc.unshare(flags), "unshare")


def join(namespace: str, kind: int) -> None:
    """Move this process into the namespace of a file below /proc."""
    handle = os.open(namespace, os.O_RDONLY | os.O_CLOEXEC)
    try:
        _check(_libc.setns(handle, kind), f"setns({namespace})")
    finally:
        os.close(handle)


def join_owner(namespace: str) -> None:
    """Move this process into the user namespace that a namespace belongs to, with all rights in there.

    Source: ioctl_ns(2).
    """
    handle = os.open(namespace, os.O_RDONLY | os.O_CLOEXEC)
    try:
        owner = _libc.ioctl(handle, _NS_GET_USERNS)
        _check(min(0, owner), f"ioctl(NS_GET_USERNS, {namespace})")
    finally:
        os.close(handle)
    try:
        _check(_libc.setns(owner, CLONE_NEWUSER), f"setns(the owner of {namespace})")
    finally:
        os.close(owner)


def sync_file_system(directory: str) -> None:
    """Wait until all that was written to the file system of a directory is on the disk. Source: syncfs(2)."""
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _check(_libc.syncfs(handle), f"syncfs({directory})")
    finally:
        os.close(handle)


def call(number: int, *arguments: object) -> int:
    """Make a system call by its number; raise OSError when it fails."""
    result: int = _libc.syscall(ctypes.c_long(number), *arguments)
    _check(-1 if result < 0 else 0, f"system call {number}")
    return result


def _check(result: int, what: str) -> None:
    if result:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
