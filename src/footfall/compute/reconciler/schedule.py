"""Which waiting runs start now, and with what. Pure: knows no clock, database or executor.

All nodes of a run start at once or none. The project with the fewest running GPUs comes first, then the one with the fewest
cores, then the one whose run is older; a project's own runs go by their priority, then by age. What does not fit is overtaken
by what does, but not for ever: from ``overtake_limit_s`` after a younger run first started before it, nothing that needs a
resource it lacks starts before it.
"""

import heapq
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from footfall.records import Capacity, Gpu, Grant, NodeShare, Run, RunSpec


@dataclass(frozen=True, slots=True)
class Limits:
    """What a project may have at the same time (0: no limit), and how long a run may be overtaken."""

    max_runs: int = 0
    max_gpus: int = 0
    overtake_limit_s: float = 600.0


@dataclass(frozen=True, slots=True)
class Holder:
    """A run that holds something, and whose it is."""

    project_id: str
    grant: Grant


@dataclass(frozen=True, slots=True)
class Decision:
    """What a waiting run is given; ``grant`` is None when it must wait, and ``message`` says for what.

    ``is_overtaken``: a younger run starts now and this one does not, for want of something that the machine has.
    """

    run: Run
    grant: Grant | None
    message: str = ""
    is_overtaken: bool = False


def schedule(
    waiting: Sequence[Run],
    holders: Iterable[Holder],
    capacity: Capacity | None,
    gpus: Sequence[Gpu] = (),
    limits: Limits = Limits(),
    now: datetime | None = None,
) -> list[Decision]:
    """Decide for each waiting run.

    Args:
        capacity: what there is in all; None when the engine behind the executor queues for itself.
        now: only needed where runs have been overtaken.
    """
    if capacity is None:
        return [Decision(run, Grant(_whole(run.spec))) for run in waiting]
    look = _Look(_Room(capacity, gpus), limits)
    for holder in holders:
        look.note(holder.project_id, holder.grant)
    queues: dict[str, list[Run]] = defaultdict(list)
    patient: list[Run] = []
    for run in sorted(waiting, key=_age):
        if run.spec.workload is not None and (lack := missing(run.spec, capacity, gpus)):
            look.wait(run, f"Needs more than this system has: {lack}.")
        elif run.overtaken_at and now and _is_over(run.overtaken_at, now, limits.overtake_limit_s):
            patient.append(run)
        else:
            queues[run.project_id].append(run)
    for run in patient:
        if not look.try_start(run):
            look.keep_for(run)
    _share_out(look, queues)
    return look.decisions()


def missing(spec: RunSpec, capacity: Capacity | None, gpus: Sequence[Gpu] = ()) -> str | None:
    """Say what a run could not be given even if nothing else ran, e.g. ``4 GPUs (there are 2)``; None when it could start.

    Args:
        capacity: None when the engine behind the executor queues for itself and does not report its machines.
    """
    if capacity is None:
        return None
    return _Room(capacity, gpus).describe(spec, "{need} {unit} (there are {have})") or None


def beyond_limit(spec: RunSpec, limits: Limits) -> str | None:
    """Say what of a run no project may ever have under these limits; None when one may have it."""
    n_gpus = spec.n_gpus * spec.n_nodes
    if limits.max_gpus and n_gpus > limits.max_gpus:
        return f"{n_gpus} GPUs (project_max_gpus lets a project have {limits.max_gpus} at once)"
    return None


def _share_out(look: "_Look", queues: Mapping[str, list[Run]]) -> None:
    for queue in queues.values():
        queue.sort(key=lambda run: (-run.priority, _age(run)), reverse=True)  # the next one is the last
    turns = [(look.used(project_id), _age(queue[-1]), project_id) for project_id, queue in queues.items()]
    heapq.heapify(turns)
    while turns:
        _, _, project_id = heapq.heappop(turns)
        queue = queues[project_id]
        look.try_start(queue.pop())
        if queue:
            heapq.heappush(turns, (look.used(project_id), _age(queue[-1]), project_id))


@dataclass(slots=True)
class _Usage:
    n_runs: int = 0
    n_gpus: int = 0
    n_cores: int = 0


class _Look:
    """One pass over the runs: what is free, who holds how much, and what was decided so far."""

    def __init__(self, room: "_Room", limits: Limits) -> None:
        self._room = room
        self._limits = limits
        self._usage: dict[str, _Usage] = defaultdict(_Usage)
        self._granted: list[tuple[Run, Grant]] = []
        self._waits: list[tuple[Run, str, bool]] = []

    def note(self, project_id: str, grant: Grant) -> None:
        """Add what a holder holds."""
        self._room.take(grant)
        usage = self._usage[project_id]
        usage.n_runs += 1
        usage.n_gpus += grant.total.n_gpus
        usage.n_cores += grant.total.n_cores

    def used(self, project_id: str) -> tuple[int, int]:
        """Return what decides whose turn it is: GPUs, then cores."""
        usage = self._usage[project_id]
        return usage.n_gpus, usage.n_cores

    def try_start(self, run: Run) -> bool:
        """Give a run what it needs; False when only the machine's lack of room keeps it waiting."""
        limit = self._limit(run)
        if limit:
            self.wait(run, limit)
            return True
        spec = run.spec if run.spec.workload is not None else self._room.clamp(run.spec)
        grant = self._room.find(spec)
        if grant is None:
            lack = self._room.describe(spec, "{need} of {all} {unit}")
            self._waits.append((run, f"Waits for {lack}.", True))
            return False
        self.note(run.project_id, grant)
        self._granted.append((run, grant))
        return True

    def keep_for(self, run: Run) -> None:
        """Reserve, for this pass, what a run lacks that was overtaken for long enough."""
        self._room.close(run.spec if run.spec.workload is not None else self._room.clamp(run.spec))

    def wait(self, run: Run, message: str) -> None:
        """Keep a run waiting for something else than room."""
        self._waits.append((run, message, False))

    def decisions(self) -> list[Decision]:
        """Return what was decided, those that start first."""
        youngest = max((_age(run) for run, _ in self._granted), default="")
        started = [Decision(run, grant) for run, grant in self._granted]
        return started + [
            Decision(run, None, message, is_overtaken=is_for_room and _age(run) < youngest)
            for run, message, is_for_room in self._waits
        ]

    def _limit(self, run: Run) -> str | None:
        usage, limits = self._usage[run.project_id], self._limits
        beyond = beyond_limit(run.spec, limits)
        if beyond:
            return f"Can never start while the limit is what it is: it needs {beyond}."
        if limits.max_runs and usage.n_runs >= limits.max_runs:
            return f"Waits for a run of its project to end: {limits.max_runs} may run at once."
        n_gpus = run.spec.n_gpus * run.spec.n_nodes
        if limits.max_gpus and n_gpus and usage.n_gpus + n_gpus > limits.max_gpus:
            return f"Waits for GPUs of its project: it may have {limits.max_gpus} at once, and {usage.n_gpus} are in use."
        return None


@dataclass(slots=True)
class _Room:
    """What is free: cores by number, memory, and GPUs by id."""

    capacity: Capacity
    gpus: Sequence[Gpu]
    _cores: list[int] = field(init=False)
    _unnamed_cores: int = field(init=False, default=0)  # of a grant that an older version made
    _memory_mib: int = field(init=False)
    _gpus: dict[str, Gpu] = field(init=False)

    def __post_init__(self) -> None:
        self._cores = list(range(self.capacity.n_cores))
        self._memory_mib = self.capacity.memory_mib
        self._gpus = {gpu.id: gpu for gpu in self.gpus}

    @property
    def _n_cores(self) -> int:
        return len(self._cores) - self._unnamed_cores

    def take(self, grant: Grant) -> None:
        """Take out what is held."""
        cores = {core for share in grant.shares for core in share.cores}
        self._cores = [core for core in self._cores if core not in cores]
        self._unnamed_cores += grant.total.n_cores - len(cores)
        self._memory_mib -= grant.total.memory_mib
        for share in grant.shares:
            for gpu in share.gpus:
                self._gpus.pop(gpu, None)

    def find(self, spec: RunSpec) -> Grant | None:
        """Return what a run would be given, all nodes at once, or None; nothing is taken yet."""
        total = _whole(spec)
        usable = self._usable(spec, self._gpus.values())
        if total.n_cores > self._n_cores or total.memory_mib > self._memory_mib or total.n_gpus > len(usable):
            return None
        return Grant(
            total,
            tuple(
                NodeShare(
                    tuple(self._cores[rank * spec.n_cores : (rank + 1) * spec.n_cores]),
                    tuple(usable[rank * spec.n_gpus : (rank + 1) * spec.n_gpus]),
                )
                for rank in range(spec.n_nodes)
            ),
        )

    def close(self, spec: RunSpec) -> None:
        """Empty what a run lacks."""
        total = _whole(spec)
        usable = self._usable(spec, self._gpus.values())
        if total.n_cores > self._n_cores:
            self._cores = []
        if total.memory_mib > self._memory_mib:
            self._memory_mib = 0
        if total.n_gpus > len(usable):
            for id in usable:
                del self._gpus[id]

    def clamp(self, spec: RunSpec) -> RunSpec:
        """Return a run of ours with its wishes cut to what there is."""
        n_cores = min(spec.n_cores, self.capacity.n_cores // spec.n_nodes)
        memory_mib = min(spec.memory_mib, self.capacity.memory_mib // spec.n_nodes)
        return replace(spec, n_cores=n_cores, memory_mib=memory_mib)

    def describe(self, spec: RunSpec, form: str) -> str:
        """Say what a run lacks, each in a form with ``need``, ``have`` and ``all``."""
        total = _whole(spec)
        free, every = len(self._usable(spec, self._gpus.values())), len(self._usable(spec, self.gpus))
        gpu = f"{spec.gpu_model} GPUs" if spec.gpu_model else "GPUs"
        needs = (
            (total.n_cores, self._n_cores, self.capacity.n_cores, "cores"),
            (total.memory_mib, self._memory_mib, self.capacity.memory_mib, "MiB of memory"),
            (total.n_gpus, free, every, gpu),
        )
        return " and ".join(
            form.format(need=need, have=max(0, have), all=all_, unit=unit) for need, have, all_, unit in needs if need > have
        )

    @staticmethod
    def _usable(spec: RunSpec, gpus: Iterable[Gpu]) -> list[str]:
        return [gpu.id for gpu in gpus if gpu.is_fake or spec.gpu_model.lower() in gpu.model.lower()]


def _whole(spec: RunSpec) -> Capacity:
    return Capacity(spec.n_cores * spec.n_nodes, spec.memory_mib * spec.n_nodes, spec.n_gpus * spec.n_nodes)


def _is_over(since: datetime, now: datetime, limit_s: float) -> bool:
    # Also when the clock was set back: waiting until it is there again could take for ever.
    return not timedelta() <= now - since < timedelta(seconds=limit_s)


def _age(run: Run) -> str:
    return run.id  # ids sort by when they were made
