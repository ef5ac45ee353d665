"""Start a process with an explicit list of what it inherits. Knows no runs.

Two ways: ``spawn`` where the program itself keeps its own below it (bubblewrap does), and ``fork`` where the child must be
prepared by Python first. Both start a session of its own with no signal blocked or ignored.
"""

from __future__ import annotations

import fcntl
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_F_DUPFD_CLOEXEC = 1030
_DEFAULT_SIGNALS = (1, 2, 3, 13, 25)
"""SIGHUP, SIGINT and SIGQUIT, which what started the server may ignore; SIGPIPE and SIGXFSZ, which Python does."""
_ABOVE = 20  # descriptors that are handed on are kept above those they are handed on as
_MAX_DESCRIPTORS = 1 << 16


def spawn(argv: Sequence[str], environment: Mapping[str, str], output: int, inherit: Mapping[int, int] | None = None) -> int:
    """Start a program; ``inherit`` maps its descriptors to ours. Raises OSError when it cannot be started."""
    actions: list[tuple[object, ...]] = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_DUP2, output, 1),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    raised = {target: fcntl.fcntl(source, _F_DUPFD_CLOEXEC, _ABOVE) for target, source in (inherit or {}).items()}
    actions += [(os.POSIX_SPAWN_DUP2, source, target) for target, source in raised.items()]
    try:
        return os.posix_spawn(
            argv[0], list(argv), environment, file_actions=actions, setsid=True, setsigmask=(), setsigdef=_DEFAULT_SIGNALS
        )
    finally:
        for fd in raised.values():
            os.close(fd)


def fork(
    argv: Sequence[str],
    environment: Mapping[str, str],
    descriptors: tuple[int, int, int],
    *,
    directory: str,
    inherit: Mapping[int, int] | None = None,
    prepare: Callable[[], None],
) -> int:
    """Start a program that ``prepare`` has been called for in the child; what it raises is raised here.

    Args:
        descriptors: what becomes standard input, output and error.
        directory: the working directory, entered before ``prepare`` takes any right away.
    """
    import signal

    error_pipe, error_end = os.pipe2(os.O_CLOEXEC)
    pid = _fork_with_default_signals()
    if pid == 0:
        try:
            os.setsid()
            for target, source in {**dict(enumerate(descriptors)), **(inherit or {})}.items():
                if source == target:
                    os.set_inheritable(source, True)
                else:
                    os.dup2(source, target)
            os.chdir(directory)
            prepare()
            for number in _DEFAULT_SIGNALS:  # what is ignored is inherited
                signal.signal(number, signal.SIG_DFL)
            os.execvpe(argv[0], list(argv), environment)
        except OSError as error:
            os.write(error_end, f"{error.errno or 0} {error.strerror or error}".encode())
        finally:
            os._exit(127)
    os.close(error_end)
    try:
        message = os.read(error_pipe, 4096).decode("utf-8", "replace")
    finally:
        os.close(error_pipe)
    if message:
        os.waitpid(pid, 0)
        code, _, sentence = message.partition(" ")
        raise OSError(int(code), sentence)
    return pid


def fork_python(work: Callable[[], None], keep: tuple[int, ...], *, is_tied: bool = True) -> int:
    """Run ``work`` in a child that keeps only these descriptors besides the standard ones; return its pid.

    Args:
        is_tied: the child dies with this process.
    """
    from footfall.runner.process import kernel

    parent = os.getpid()
    pid = _fork_with_default_signals()
    if pid:
        return pid
    code = 70
    try:
        if is_tied:
            kernel.die_with_parent(parent)
        low = 3
        for fd in sorted(keep):
            os.closerange(low, fd)
            low = fd + 1
        os.closerange(low, _MAX_DESCRIPTORS)
        work()
        code = 0
    finally:
        if code:
            import traceback

            traceback.print_exc()
        os._exit(code)


def _fork_with_default_signals() -> int:
    """Fork; the child has the default action of each signal that we handle, and never runs our handlers."""
    import signal

    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    pid = -1
    try:
        pid = os.fork()
    finally:
        if pid:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
    if pid:
        return pid
    signal.set_wakeup_fd(-1)
    for number in numbers:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    return 0
