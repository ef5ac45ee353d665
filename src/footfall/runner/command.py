"""What the supervisor needs of a command, be it a user's or a job of ours."""

# ruff: noqa: B027 - a command leaves empty what it does not need

from __future__ import annotations

from abc import ABC, abstractmethod

from footfall.runner.process import tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from footfall.runner.exit_reason import ExitReason
    from footfall.runner.process.poller import Poller


class Command(ABC):
    """One command of a node; its methods are called in the order in which they stand here.

    ``level`` is that of its isolation, ``notes`` say what could not be enforced.
    """

    level = "plain"

    def __init__(self) -> None:
        self.notes: list[str] = []

    def prepare(self, wait: Callable[[float], None]) -> None:
        """Set up what the command needs.

        Args:
            wait: waits so many seconds while signals are handled; raises what ends the wait.

        Raises:
            LaunchError: something that it needs is missing or not as it should be.
        """

    def move_endpoints(self) -> None:
        """Offer what the command can reach of its runner in the network that this process has entered."""

    @abstractmethod
    def start(self, output: int, hosts: Sequence[str], port: int) -> int:
        """Start the command and return its pid.

        Args:
            output: its standard output and error.
            hosts: the address of each node of the run, by rank.
            port: of the nodes' rendezvous.

        Raises:
            OSError: it cannot be started.
        """

    def serve(self, poller: Poller, stop: Callable[[str], None]) -> None:
        """Serve the command from now on; ``stop`` ends it, for a reason."""

    def tick(self, now: float) -> float | None:
        """Do what is due at a monotonic time and return when the next thing is."""
        return None

    def child_ended(self, pid: int, status: int) -> None:
        """Handle the end of a child of the runner that was not the command."""

    def descendants(self, processes: tree.Tree) -> list[int]:
        """Return the processes of the run."""
        return processes.descendants()

    def terminate(self, processes: tree.Tree) -> None:
        """Ask the command to end: SIGTERM to every process of the run."""
        tree.signal_all(self.descendants(processes), tree.SIGTERM)

    def follow_up_termination(self, processes: tree.Tree) -> None:
        """Continue that, until the command has ended."""

    def terminate_others(self, pids: list[int]) -> None:
        """Ask those of these processes to end that have not been asked: the command has ended, or its time is nearly up."""

    def remaining(self) -> list[int]:
        """Return what lives of the run once the command itself has ended."""
        return self.descendants(tree.Tree())

    def kill(self, pids: list[int]) -> None:
        """End these processes of the run at once."""
        tree.kill_all(lambda: self.descendants(tree.Tree()))

    def finish(self, exit_reason: ExitReason) -> None:
        """Complete the exit reason once nothing of the command is left, and end what served it."""

    def release(self) -> None:
        """Release what it held of the machine, when its end is published."""
