"""Allocations of runs: cores, memory, GPUs, a port, block storages. Written before a run starts, released with its attempt.

An allocation says how much; ``held_units`` says which, and its key keeps any core, GPU or port from being given twice.
"""

from collections.abc import Sequence

from footfall.db.engine.engine import Connection, now_us
from footfall.db.engine.prepared import Prepared
from footfall.records import Capacity, Grant, NodeShare, Run


def allocate(tx: Connection, run: Run, grant: Grant, epoch: int) -> None:
    """Give an attempt what it needs; a run holds at most one grant.

    Raises:
        the driver's IntegrityError: the run, or one of the units, has been given already.
    """
    total = grant.total
    this = {"run_id": run.id, "attempt": run.attempt}
    _ALLOCATE.change(tx, **this, n_cores=total.n_cores, memory_mib=total.memory_mib, n_gpus=total.n_gpus, epoch=epoch)
    for rank, share in enumerate(grant.shares):
        for core in share.cores:
            _HOLD.change(tx, **this, kind="core", unit=str(core), rank=rank)
        for gpu in share.gpus:
            _HOLD.change(tx, **this, kind="gpu", unit=gpu, rank=rank)
    if grant.port is not None:
        _HOLD.change(tx, **this, kind="port", unit=str(grant.port), rank=0)


def find_grants(connection: Connection) -> dict[str, Grant]:
    """Return what each run holds."""
    units: dict[str, list[tuple[str, str, int]]] = {}
    for run_id, kind, unit, rank in _UNITS.all(connection):
        units.setdefault(run_id, []).append((kind, unit, rank))
    return {
        run_id: _grant(Capacity(n_cores, memory_mib, n_gpus), units.get(run_id, ()))
        for run_id, n_cores, memory_mib, n_gpus in _ALLOCATIONS.all(connection)
    }


def release(tx: Connection, run_id: str) -> None:
    """Take back what an attempt held."""
    _RELEASE_UNITS.change(tx, run_id=run_id)
    _RELEASE.change(tx, run_id=run_id)


def release_volumes(tx: Connection, run_id: str) -> None:
    """Let others have the block storages of a run that has ended."""
    _RELEASE_VOLUMES.change(tx, run_id=run_id, at=now_us())


def _grant(total: Capacity, units: Sequence[tuple[str, str, int]]) -> Grant:
    cores: dict[int, list[int]] = {}
    gpus: dict[int, list[str]] = {}
    port: int | None = None
    for kind, unit, rank in units:
        if kind == "core":
            cores.setdefault(rank, []).append(int(unit))
        elif kind == "gpu":
            gpus.setdefault(rank, []).append(unit)
        else:
            port = int(unit)
    ranks = range(max([*cores, *gpus], default=-1) + 1)
    shares = tuple(NodeShare(tuple(sorted(cores.get(rank, ()))), tuple(sorted(gpus.get(rank, ())))) for rank in ranks)
    return Grant(total, shares, port)


_ALLOCATE = Prepared(
    "INSERT INTO allocations (run_id, attempt, n_cores, memory_mib, n_gpus, epoch) "
    "VALUES (:run_id, :attempt, :n_cores, :memory_mib, :n_gpus, :epoch)"
)
_HOLD = Prepared("INSERT INTO held_units (kind, unit, run_id, attempt, rank) VALUES (:kind, :unit, :run_id, :attempt, :rank)")
_ALLOCATIONS = Prepared("SELECT run_id, n_cores, memory_mib, n_gpus FROM allocations")
_UNITS = Prepared("SELECT run_id, kind, unit, rank FROM held_units")
_RELEASE = Prepared("DELETE FROM allocations WHERE run_id = :run_id")
_RELEASE_UNITS = Prepared("DELETE FROM held_units WHERE run_id = :run_id")
_RELEASE_VOLUMES = Prepared("UPDATE volumes SET run_id = NULL, updated_at = :at WHERE run_id = :run_id")
