"""What the supervisor needs of a command, be it a user's or a job of ours."""

# ruff: noqa: B027 - what a command does not need it leaves as it is here: empty

from __future__ import annotations

from abc import ABC, abstractmethod

from footfall.runner.process import tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from footfall.runner.exit_reason import Ending
    from footfall.runner.process.poller import Ears


class Command(ABC):
    """One command of a node; its methods are called in the order in which they stand here.

    ``level`` says how it is kept apart, ``notes`` what could not be enforced.
    """

    level = "plain"

    def __init__(self) -> None:
        self.notes: list[str] = []

    def prepare(self, listen: Callable[[float], None]) -> None:
        """Lay out what the command finds.

        Args:
            listen: waits so many seconds while signals are heard; raises what ends the wait.

        Raises:
            RefusalError: something that it needs is missing or not as it should be.
        """

    def move_endpoints(self) -> None:
        """Offer what the command can reach of its runner in the network that this process has entered."""

    @abstractmethod
    def start(self, output: int, hosts: Sequence[str], port: int) -> int:
        """Start the command and return its pid.

        Args:
            output: takes what it prints.
            hosts: the address of each node of the run, by rank.
            port: where the nodes meet.

        Raises:
            OSError: it cannot be started.
        """

    def attend(self, pid: int, ears: Ears, stop: Callable[[str], None]) -> None:
        """Serve the command from now on; ``stop`` ends it, for a reason."""

    def look(self, now: float) -> float | None:
        """Do what is due at a monotonic time and return when the next thing is."""
        return None

    def child_ended(self, pid: int, status: int) -> None:
        """Take note that a child of the runner has ended that was not the command."""

    def below(self, processes: tree.Tree) -> list[int]:
        """Return the processes of the run."""
        return processes.below()

    def terminate(self, processes: tree.Tree) -> None:
        """Send SIGTERM to every process of the run."""
        tree.signal_all(self.below(processes), tree.SIGTERM)

    def terminate_further(self, processes: tree.Tree) -> None:
        """Go on with that, while the command takes its time."""

    def left(self) -> list[int]:
        """Return what lives of the run once the command itself has ended."""
        return self.below(tree.Tree())

    def kill(self, pids: list[int]) -> None:
        """End these processes of the run at once."""
        tree.kill_all(lambda: self.below(tree.Tree()))

    def finish(self, ending: Ending) -> None:
        """Tell what is known once nothing of the command is left, and end what served it."""

    def leave(self) -> None:
        """Give back what it held of the machine, when its end is published."""
