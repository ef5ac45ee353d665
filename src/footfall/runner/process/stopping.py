"""Ask the processes of a command to end, as somebody would who knows them. Knows no runs.

First only what the command *is*: its own first process, which may need its helpers (data loaders, a launcher's workers) to save
its work. A shell that waits for a program is not what the command is, that program is: the shell is halted while it ends, for
else it would leave the program alone, or go on with the next line of its script; then it hears the signal itself. A shell that
has a trap and waits for nothing but its background jobs hears it at once, and they are left to the trap.

A child that reads from a pipe, as ``tee`` behind a program, ends by itself when what writes there has, unless it catches the
signal. Everybody else is asked when the command has ended or its time is nearly up.

Source: proc(5); bash(1), "Signals": a trap runs when the foreground command has ended, and without job control
asynchronous commands ignore SIGINT and SIGQUIT.
"""

from __future__ import annotations

import os
import stat
import time

from footfall.runner.process import tree

_SHELLS = ("bash", "sh", "dash", "ash", "busybox", "ksh", "mksh", "zsh")
_TERM, _INT_AND_QUIT = 1 << 14, 0b110
_CAUGHT, _IGNORED = b"SigCgt:", b"SigIgn:"
_READER_TIMEOUT_S = 1.0


class StopRequest:
    """One request to end: ``ask`` once, then ``follow_up`` until the command has ended."""

    def __init__(self) -> None:
        self._asked: set[int] = set()
        self._halted: list[int] = []
        self._readers: dict[int, float] = {}  # of pipes: until when they may end by themselves

    def ask(self, processes: tree.Tree, pid: int) -> None:
        """Ask a process to end, or what it waits for when it is a shell."""
        if not _is_shell(pid) or not _waits_for(processes, pid):
            self._signal([pid])
            return
        self._halted.append(pid)
        tree.signal_all([pid], tree.SIGSTOP)
        self._ask_children(processes, pid)

    def follow_up(self, processes: tree.Tree) -> None:
        """Let halted shells go on whose programs have ended; ask what they started meanwhile, and readers that did not end."""
        for pid in list(self._halted):
            if _waits_for(processes, pid):
                self._ask_children(processes, pid)
            else:
                self._halted.remove(pid)
                self._signal([pid])
                tree.signal_all([pid], tree.SIGCONT)

    def ask_others(self, inside: list[int]) -> None:
        """Ask all that have not been asked yet, but for halted shells."""
        self._signal([pid for pid in inside if pid not in self._asked and pid not in self._halted])

    def _ask_children(self, processes: tree.Tree, pid: int) -> None:
        children = [child for child in _waits_for(processes, pid) if child not in self._asked and child not in self._halted]
        readers = [child for child in children if _reads_pipe(child) and not _has_set(child, _CAUGHT, _TERM)]
        is_fed = len(readers) < len(_waits_for(processes, pid))
        now = time.monotonic()
        for child in children:
            if child in readers and (is_fed or now < self._readers.setdefault(child, now + _READER_TIMEOUT_S)):
                continue
            self.ask(processes, child)

    def _signal(self, pids: list[int]) -> None:
        self._asked.update(pids)
        tree.signal_all(pids, tree.SIGTERM)


def _waits_for(processes: tree.Tree, shell: int) -> list[int]:
    """Return the children for which a shell must be halted: those in the foreground, or all where it has no trap."""
    children = processes.children_of(shell)
    if not _has_set(shell, _CAUGHT, _TERM):
        return children
    # Both: bash itself always ignores SIGQUIT, and a program may ignore SIGINT.
    return [child for child in children if not _has_set(child, _IGNORED, _INT_AND_QUIT)]


def _is_shell(pid: int) -> bool:
    try:
        return os.path.basename(os.readlink(f"/proc/{pid}/exe")) in _SHELLS
    except OSError:
        return False


def _has_set(pid: int, field: bytes, signals: int) -> bool:
    """Whether a process has these signals in one of its sets; bit n - 1 is signal n."""
    try:
        with open(f"/proc/{pid}/status", "rb") as file:
            mask = next((line.split()[1] for line in file if line.startswith(field)), b"0")
    except OSError:
        return False
    return int(mask, 16) & signals == signals


def _reads_pipe(pid: int) -> bool:
    try:
        return stat.S_ISFIFO(os.stat(f"/proc/{pid}/fd/0").st_mode)
    except OSError:
        return False
