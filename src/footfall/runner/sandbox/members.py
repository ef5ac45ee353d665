"""The processes of a sandbox: which there are, and how they are ended. Knows bubblewrap's way of working.

Bubblewrap stays as two processes: one outside, whose end takes all with it, and the first one of the sandbox's pid
namespace, whose end the kernel delays until every other process in there is gone. Neither may be asked to end before its
time. When the command's own first process ends the sandbox does, whatever another one is still writing.
"""

from __future__ import annotations

import os
import select

from footfall.runner.process import tree

_COMMAND_NUMBER = 2  # the pid, inside, of what bubblewrap started


class SandboxMembers:
    """The processes of one sandbox.

    ``first`` is the pid of the sandbox's first process, 0 until it is learnt.

    Args:
        info_fd: on which bubblewrap writes that pid (``--info-fd``).
    """

    def __init__(self, info_fd: int) -> None:
        self._info_fd = info_fd
        self.first = 0
        self._first_handle = -1

    def learn_first(self) -> None:
        """Read the pid of the sandbox's first process: at once, while it cannot be another's.

        More is written than is needed, in several pieces; the descriptor stays open, or the write would end bubblewrap.
        """
        _, _, number = os.read(self._info_fd, 4096).partition(b'"child-pid":')
        digits = number.split(b",")[0].split(b"\n")[0].strip(b" }\n")
        if digits.isdigit():
            try:
                self._first_handle = os.pidfd_open(int(digits))
                self.first = int(digits)
            except ProcessLookupError:
                pass  # it has ended already

    def is_gone(self) -> bool:
        """Whether every process of the sandbox is proved to be gone."""
        if not self.first:
            return True
        poll = select.poll()
        poll.register(self._first_handle, select.POLLIN)
        return bool(poll.poll(0))

    def inside(self, processes: tree.Tree) -> list[int]:
        """Return the processes of the run: all in the sandbox but its first."""
        return processes.descendants(self.first) if self.first else []

    def command(self, processes: tree.Tree) -> int:
        """Return the pid of what bubblewrap started, which is the command's own first process; 0 before that has begun."""
        numbers = (pid for pid in processes.children_of(self.first) if tree.pid_in_namespace(pid) == _COMMAND_NUMBER)
        return next(numbers, 0) if self.first else 0

    def kill(self) -> None:
        """End all of them at once."""
        if not self.is_gone():
            tree.signal_all([self.first], tree.SIGKILL)
