"""A network namespace for the nodes of a run: its runner enters it, and all that the runner starts is in it.

Only loopback is there, so a command reaches its own nodes and its runner, and nothing else of the host.

Source: network_namespaces(7), netdevice(7).
"""

from __future__ import annotations

import fcntl
import os
import socket

from footfall.runner.errors import LaunchError
from footfall.runner.process import kernel

_GET_FLAGS, _SET_FLAGS = 0x8913, 0x8914
_IS_UP = 1
_NAME_BYTES, _REQUEST_BYTES = 16, 40


def make() -> None:
    """Make one and enter it.

    Raises:
        LaunchError: this machine does not let us.
    """
    try:
        if os.geteuid() == 0:
            kernel.unshare(kernel.CLONE_NEWNET)
        else:
            _unshare_as_user()
        _raise_loopback()
    except OSError as error:
        raise LaunchError(f"A network of the run's own (network = run) cannot be made here: {error.strerror}.") from error


def enter(pid: int) -> None:
    """Enter the one that the process ``pid`` is in.

    Raises:
        LaunchError: it has gone, or is not ours.
    """
    try:
        if os.geteuid() != 0:
            kernel.join(f"/proc/{pid}/ns/user", kernel.CLONE_NEWUSER)
        kernel.join(f"/proc/{pid}/ns/net", kernel.CLONE_NEWNET)
    except OSError as error:
        raise LaunchError(f"The network of the run's first node cannot be entered: {error.strerror}.") from error


def _unshare_as_user() -> None:
    uid, gid = os.geteuid(), os.getegid()
    kernel.unshare(kernel.CLONE_NEWUSER | kernel.CLONE_NEWNET)
    for name, content in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
        handle = os.open(f"/proc/self/{name}", os.O_WRONLY)
        try:
            os.write(handle, content.encode())
        finally:
            os.close(handle)


def _raise_loopback() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = bytearray(b"lo".ljust(_REQUEST_BYTES, b"\0"))
        fcntl.ioctl(any_socket, _GET_FLAGS, request)
        request[_NAME_BYTES] |= _IS_UP
        fcntl.ioctl(any_socket, _SET_FLAGS, request)
