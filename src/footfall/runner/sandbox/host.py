"""Start a command among the host's own processes: one of ours, or a user's at the levels ``landlock`` and ``plain``."""

from __future__ import annotations

import fcntl
import os

from footfall.runner.process import kernel
from footfall.runner.process.spawn import fork

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_TIOCSCTTY = 0x540E
_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store", "/etc", "/proc", "/sys")
_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty", "/dev/ptmx", "/dev/pts", "/dev/shm")


def start(
    argv: Sequence[str],
    environment: Mapping[str, str],
    descriptors: tuple[int, int, int],
    *,
    directory: str,
    uid: int | None = None,
    max_processes: int | None = None,
    paths: tuple[Sequence[str], Sequence[str]] | None = None,
    inherit: Mapping[int, int] | None = None,
    has_terminal: bool = False,
) -> int:
    """Start a program that dies with this process; its orphans become our children.

    Args:
        uid: the user and group that it becomes; None keeps ours.
        paths: what it may read and what it may write, besides what every program needs; None for everything.
        has_terminal: standard input is a terminal that becomes the program's own.

    Raises:
        OSError: it cannot be started, or not be confined.
    """
    from footfall.runner.sandbox import landlock, seccomp

    kernel.become_subreaper()
    parent = os.getpid()
    calls = None
    if paths is not None:
        # The services of the server's own user, such as its session's bus, would do for a command what that may not.
        has_path_sockets = uid is not None or landlock.find_abi() >= landlock.PATH_SOCKETS_ABI
        calls = seccomp.build_filter(is_among_host=True, has_path_sockets=has_path_sockets)

    def prepare() -> None:
        kernel.die_with_parent(parent)
        if has_terminal:
            fcntl.ioctl(0, _TIOCSCTTY, 0)
        if max_processes is not None:
            _limit(max_processes)
        if paths is None:
            return
        if uid is not None:
            os.setgroups([])
            os.setgid(uid)
            os.setuid(uid)
            kernel.die_with_parent(parent)  # a change of the user clears it
        kernel.gain_no_privileges()
        landlock.confine([*_SYSTEM, *paths[0]], [*_DEVICES, *paths[1]])
        if calls is not None:
            kernel.filter_calls(calls)

    return fork(argv, environment, descriptors, directory=directory, inherit=inherit, prepare=prepare)


def _limit(max_processes: int) -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    hard = resource.getrlimit(resource.RLIMIT_NPROC)[1]
    limit = max_processes if hard == resource.RLIM_INFINITY else min(hard, max_processes)
    resource.setrlimit(resource.RLIMIT_NPROC, (limit, limit))
