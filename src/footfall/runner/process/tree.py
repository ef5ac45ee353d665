"""The processes below the runner, read from /proc. Knows no run, log or status."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_MAX_ROUNDS = 50
SIGINT, SIGKILL, SIGTERM, SIGCONT, SIGSTOP = 2, 9, 15, 18, 19
"""Linux's numbers: the module ``signal`` takes a third as long to load as the interpreter."""


class Tree:
    """The processes that live below this one, at one moment; zombies are left out."""

    def __init__(self) -> None:
        self.children: dict[int, list[int]] = {}
        for entry in os.listdir("/proc"):
            if entry.isdecimal():
                try:
                    with open(f"/proc/{entry}/stat", "rb") as file:
                        # the name in parentheses may hold anything, so read behind the last one
                        state, parent = file.read().rpartition(b")")[2].split()[:2]
                except OSError:
                    continue  # it ended meanwhile
                if state not in (b"Z", b"X"):
                    self.children.setdefault(int(parent), []).append(int(entry))

    def descendants(self, root: int | None = None) -> list[int]:
        """Return all descendants of ``root``, or else of this process, parents before children."""
        pids: list[int] = []
        queue = [os.getpid() if root is None else root]
        while queue:
            children = self.children_of(queue.pop())
            pids += children
            queue += children
        return pids

    def children_of(self, pid: int) -> list[int]:
        """Return the children of a process."""
        return self.children.get(pid, [])


class Watched(Tree):
    """The same for watching only, zombies too: found from process to child, for a fraction of the time that all of /proc takes.

    The kernel may leave out a sibling of a process that ends just then, so nothing is ended by this.
    Source: proc(5), ``/proc/pid/task/tid/children``; on kernels without it all of /proc is read.
    """

    def __init__(self) -> None:
        if not os.path.exists(f"/proc/self/task/{os.getpid()}/children"):
            super().__init__()
            return
        self.children = {}

    def children_of(self, pid: int) -> list[int]:
        """Return the children of a process."""
        if self.children:
            return super().children_of(pid)
        children: list[int] = []
        try:
            threads = os.listdir(f"/proc/{pid}/task")
        except OSError:
            return children  # it ended meanwhile
        for thread in threads:
            try:
                with open(f"/proc/{pid}/task/{thread}/children", "rb") as file:
                    children += map(int, file.read().split())
            except OSError:
                continue  # the thread has; others may have started something
        return children


def signal_all(pids: list[int], number: int) -> None:
    """Send a signal to each process that is still there."""
    for pid in pids:
        try:
            os.kill(pid, number)
        except (ProcessLookupError, PermissionError):
            continue


def kill_all(find: Callable[[], list[int]]) -> None:
    """Kill all that ``find`` returns, although they may be starting others meanwhile: first halt them, until none is new."""
    seen: set[int] = set()
    for _ in range(_MAX_ROUNDS):
        pids = find()
        if seen.issuperset(pids):
            break
        seen.update(pids)
        signal_all(pids, SIGSTOP)  # all of them again: one that was not halted yet may have let others go on
    signal_all(find(), SIGKILL)


def pid_in_namespace(pid: int) -> int:
    """Return the pid that a process has in its own pid namespace, 0 when it is gone."""
    try:
        with open(f"/proc/{pid}/status", "rb") as file:
            for line in file:
                if line.startswith(b"NSpid:"):
                    return int(line.split()[-1])
    except OSError:
        pass
    return 0


def reap() -> list[tuple[int, int]]:
    """Collect every child that has ended, as (pid, wait status)."""
    ended: list[tuple[int, int]] = []
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return ended
        if not pid:
            return ended
        ended.append((pid, status))
