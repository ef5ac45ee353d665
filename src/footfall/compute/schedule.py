"""Which waiting runs start now. Pure: knows no clock, database or executor.

In order of request, and a run that does not fit holds back those behind it, so that nothing large waits for ever.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from footfall.executor import Capacity
from footfall.records import Run


@dataclass(frozen=True, slots=True)
class Decision:
    """What a waiting run is given; ``need`` is None when it must wait, and ``message`` says for what."""

    run: Run
    need: Capacity | None
    message: str = ""


def schedule(waiting: Sequence[Run], held: Iterable[Capacity], capacity: Capacity | None) -> list[Decision]:
    """Decide for each waiting run, oldest first.

    Args:
        capacity: what there is in all; None when the engine behind the executor queues for itself.
    """
    if capacity is None:
        return [Decision(run, _whole(run)) for run in waiting]
    held = list(held)
    cores = capacity.n_cores - sum(one.n_cores for one in held)
    memory_mib = capacity.memory_mib - sum(one.memory_mib for one in held)
    decisions: list[Decision] = []
    is_held_back = False
    for run in waiting:
        need = _clamp(_whole(run), capacity)
        if not is_held_back and need.n_cores <= cores and need.memory_mib <= memory_mib:
            cores -= need.n_cores
            memory_mib -= need.memory_mib
            decisions.append(Decision(run, need))
            continue
        is_held_back = True
        decisions.append(
            Decision(
                run,
                None,
                f"waits for {need.n_cores} cores and {need.memory_mib} MiB; {cores} cores and {memory_mib} MiB are free",
            )
        )
    return decisions


def _whole(run: Run) -> Capacity:
    return Capacity(run.spec.n_cores * run.spec.n_nodes, run.spec.memory_mib * run.spec.n_nodes)


def _clamp(need: Capacity, capacity: Capacity) -> Capacity:
    return Capacity(min(need.n_cores, capacity.n_cores), min(need.memory_mib, capacity.memory_mib))
