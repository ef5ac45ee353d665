"""The process above a runner where no namespace and no control group holds a command's processes together.

A command can leave its session and its parent and clear its environment. While its runner lives, what does so becomes the
runner's child; when a runner is killed, all that it had below it becomes this process's, which ends it. The node's start
marker stays locked until that is done. If this process is killed instead, the runner goes on without it and ends everything
itself. Only both killed in one moment leave something that has to be found by its environment. Knows no runs.
"""

from __future__ import annotations

import os
import signal
import time

from footfall.runner.process import kernel, tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_POLL_INTERVAL_S = 0.02
_FAILED = 70
_SIGNALS = (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT)


def run_under_reaper(write_pid: Callable[[], None]) -> None:
    """Fork: return in the child, which is the runner from now on; the parent reaps and never returns.

    Args:
        write_pid: makes the process that calls it the one that the start marker names.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)  # as the executor left them; the runner handles them when it can
    kernel.become_subreaper()
    runner = os.fork()
    if runner == 0:
        write_pid()
        return
    code = _FAILED
    try:
        ended = os.waitstatus_to_exitcode(_wait(runner, write_pid))
        _end_remaining()
        code = ended if ended >= 0 else _FAILED
    except OSError as error:
        os.write(2, f"what a runner left could not be ended: {error}\n".encode())
    finally:
        os._exit(code)


def _wait(runner: int, write_pid: Callable[[], None]) -> int:
    """Return the runner's wait status; forward signals that were meant for it while the marker named this process."""
    while True:
        number = signal.sigwait(_SIGNALS)
        if number != signal.SIGCHLD:
            os.kill(runner, number)
        elif os.waitid(os.P_PID, runner, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
            write_pid()  # before its pid can be another's
            return os.waitpid(runner, 0)[1]


def _end_remaining() -> None:
    while tree.Tree().descendants():
        tree.kill_all(lambda: tree.Tree().descendants())
        tree.reap()
        time.sleep(_POLL_INTERVAL_S)
