"""The processes of a sandbox: which there are, and how they are ended. Knows bubblewrap's way of working.

Bubblewrap stays as two processes: one outside, whose end takes all with it, and the first one of the sandbox's pid
namespace, whose end the kernel delays until every other process in there is gone. Neither may be asked to end before its
time, and neither may the shell that runs the script: when it ends the sandbox does, whatever a program that it waits for is
still writing. So a shell is halted until nothing else is left.
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
        self._halted = 0
        self._is_terminating = False
        self._has_signalled = False

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

    def terminate(self, processes: tree.Tree) -> None:
        """Send SIGTERM to all of them, and halt the shell that runs the script while others live."""
        inside = self.inside(processes)
        self._is_terminating = True
        command = next(
            (pid for pid in processes.children.get(self.first, []) if tree.pid_in_namespace(pid) == _COMMAND_NUMBER), 0
        )
        self._has_signalled = bool(command)
        if command and len(inside) > 1 and _is_shell(command):
            self._halted = command
            tree.signal_all([command], tree.SIGSTOP)
        # Of two signals that wait the lower number is taken first: a shell asked now would end before it halts.
        tree.signal_all([pid for pid in inside if pid != self._halted], tree.SIGTERM)

    def release_shell(self, processes: tree.Tree) -> None:
        """Send SIGTERM again where the command had not started yet; let a halted shell end once nothing else is left."""
        if self._is_terminating and not self._has_signalled:
            self.terminate(processes)
        remaining = self.inside(processes) if self._halted else []
        if self._halted and not [pid for pid in remaining if pid != self._halted]:
            tree.signal_all([self._halted], tree.SIGTERM)
            tree.signal_all([self._halted], tree.SIGCONT)
            self._halted = 0

    def kill(self) -> None:
        """End all of them at once."""
        if not self.is_gone():
            tree.signal_all([self.first], tree.SIGKILL)


def _is_shell(pid: int) -> bool:
    try:
        return os.path.basename(os.readlink(f"/proc/{pid}/exe")) in ("bash", "sh", "dash", "busybox", "ash")
    except OSError:
        return False
