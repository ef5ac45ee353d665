"""The executor interface: starts the nodes of a run and reports whether they live. Knows no states, SQL or HTTP.

An executor is a file of ``executors/`` named as in the settings, with ``build(settings) -> Executor``. It never says how a
command ended: that is in the status file which the runner of each node writes last.
"""

import importlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from footfall.config import Settings
from footfall.contract.nodes import JobFile
from footfall.errors import ConfigError
from footfall.machine.isolation import Isolation
from footfall.records import Capacity as Capacity
from footfall.records import Gpu, NodeShare, RunSpec


@dataclass(frozen=True, slots=True)
class Launch:
    """All that starting one attempt of a run takes.

    ``private`` is for our own jobs alone and may hold the store's keys. ``secrets`` are variables of a user's command that
    must not be written anywhere. ``shares`` holds what each node was given, by rank; ``port`` is for the nodes to meet.
    """

    run_id: str
    attempt: int
    spec: RunSpec
    private: JobFile | None = field(default=None, repr=False)
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    shares: tuple[NodeShare, ...] = ()
    port: int | None = None


class Liveness(StrEnum):
    """What an executor knows of a handle."""

    QUEUED = "queued"
    RUNNING = "running"
    GONE = "gone"
    """Proved: nothing of it lives, and nothing of it will start."""
    UNKNOWN = "unknown"
    """Never taken for dead."""


@dataclass(frozen=True, slots=True)
class Observation:
    """Liveness, and a sentence for people. ``gone_nodes``: ranks proved to be gone while others may live."""

    liveness: Liveness
    message: str = ""
    gone_nodes: tuple[int, ...] = ()


class Executor(ABC):
    """Starts, watches and stops the nodes of runs."""

    @property
    def capacity(self) -> Capacity | None:
        """What may be held at once by all runs together; None when the engine behind it queues for itself."""
        return None

    @property
    def gpus(self) -> Sequence[Gpu]:
        """The GPUs it hands out, by id; those of ``capacity`` are as many."""
        return ()

    @property
    def isolation(self) -> Isolation | None:
        """How users' commands are kept apart; None when the engine behind it decides that for itself."""
        return None

    @abstractmethod
    def submit(self, launch: Launch) -> str:
        """Start all nodes and return one handle. Called again for the same run and attempt, it starts nothing twice.

        Raises:
            ExecutorUnavailableError: try again later.
            SubmitRejectedError: it never will.
        """

    @abstractmethod
    def find(self, run_id: str, attempt: int, n_nodes: int) -> str | None:
        """Return the handle of an attempt of which something may have started, also by a submit that failed; else None."""

    @abstractmethod
    def poll(self, handles: Sequence[str]) -> Mapping[str, Observation]:
        """Say of each handle whether it lives."""

    @abstractmethod
    def cancel(self, handle: str) -> None:
        """Ask the nodes to stop; called again, or with a handle that nobody knows, it does no harm."""

    def kill(self, handle: str) -> None:
        """End nodes that were asked to stop long ago and do not; what lives of them then is seen by ``poll``."""
        self.cancel(handle)


def load_executor(name: str, settings: Settings) -> Executor:
    """Build the executor of ``executors/{name}.py``, or of a module given with its dots.

    Raises:
        ConfigError: there is no such module.
    """
    module_name = name if "." in name else f"footfall.executors.{name}"
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise ConfigError("executor", f"there is no module {module_name}; take local, or a dotted module name") from error
    executor: Executor = module.build(settings)
    return executor
