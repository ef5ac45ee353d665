"""Runs, their events, what they hold, and the reconciler's epoch. ``advance`` is the only statement that writes a state."""

import json
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from footfall.db.engine import from_us, from_us_or_none, now_us, to_us
from footfall.db.prepared import Prepared
from footfall.db.tables import allocations, leases, run_events, runs, tombstones
from footfall.errors import NotFoundError
from footfall.executor import Capacity
from footfall.records import Run, RunSpec
from footfall.states import ACTIVE_STATES, LIVE_STATES, FailureReason, RunState, check_transition

_LIVE = sorted(LIVE_STATES)


def insert(tx: Connection, run: Run) -> None:
    """Add a registered run and its first event."""
    at = to_us(run.created_at)
    _INSERT.change(
        tx,
        id=run.id,
        account_id=run.account_id,
        project_id=run.project_id,
        kind=run.kind,
        turn_key=run.turn_key,
        state=RunState.REGISTERED.value,
        attempt=0,
        spec=msgspec.json.encode(run.spec).decode(),
        n_cores=run.spec.n_cores,
        memory_mib=run.spec.memory_mib,
        created_at=at,
    )
    _add_event(tx, run.id, None, RunState.REGISTERED, attempt=0, at=at)


def get(connection: Connection, run_id: str) -> Run:
    """Return a run.

    Raises:
        NotFoundError: there is none with this id.
    """
    row = connection.execute(_GET, {"id": run_id}).one_or_none()
    if row is None:
        raise NotFoundError("run", run_id)
    return _run(row)


def advance(
    tx: Connection, run_id: str, from_: RunState, to: RunState, *, in_attempt: int | None = None, **columns: Any
) -> bool:
    """Move a run from one state to another, with one event; False when it was no longer where we thought.

    Args:
        in_attempt: also require that the run is in this attempt.
        columns: other columns to set in the same update; a ``reason`` also goes into the event.

    Raises:
        WrongStateError: ``TRANSITIONS`` has no such arrow.
    """
    check_transition(run_id, from_, to)
    at = now_us()
    if to.is_final:
        columns.setdefault("ended_at", at)
    where = [runs.c.id == run_id, runs.c.state == from_.value]
    if in_attempt is not None:
        where.append(runs.c.attempt == in_attempt)
    done = tx.execute(
        runs.update().where(*where).values(state=to.value, **columns).returning(runs.c.attempt)
    ).one_or_none()
    if done is None:
        return False
    _add_event(tx, run_id, from_, to, attempt=done.attempt, at=at, reason=columns.get("reason"))
    if to.is_final or to == RunState.REGISTERED:
        tx.execute(allocations.delete().where(allocations.c.run_id == run_id))
    return True


def set_handle(tx: Connection, run_id: str, attempt: int, handle: str) -> bool:
    """Record what the executor returned for this attempt of a pending run; False when it moved on meanwhile."""
    where = (runs.c.id == run_id, runs.c.attempt == attempt, runs.c.state == RunState.PENDING.value)
    return tx.execute(runs.update().where(*where).values(handle=handle, message=None)).rowcount == 1


def set_message(tx: Connection, run_id: str, message: str | None) -> None:
    """Say what a run waits for."""
    tx.execute(
        runs.update().where(runs.c.id == run_id, runs.c.message.is_distinct_from(message)).values(message=message)
    )


def request_cancel(tx: Connection, run_id: str, by: str) -> bool:
    """Note that somebody wants a live run stopped; False when it has ended."""
    where = (runs.c.id == run_id, runs.c.state.in_(_LIVE))
    values = {
        "cancel_requested_at": sa.func.coalesce(runs.c.cancel_requested_at, now_us()),
        "cancelled_by": sa.func.coalesce(runs.c.cancelled_by, by),
    }
    return tx.execute(runs.update().where(*where).values(values)).rowcount == 1


def find_active(connection: Connection) -> list[Run]:
    """Return every run that is pending or in progress, oldest first."""
    return [_run(row) for row in connection.execute(_ACTIVE)]


def find_live(connection: Connection) -> list[Run]:
    """Return every run that has not ended, oldest first."""
    return [_run(row) for row in connection.execute(_ALL_LIVE)]


def find_waiting(connection: Connection, limit: int) -> list[Run]:
    """Return the oldest registered runs whose turn it is, at most ``limit`` of those without a turn key and one of each key."""
    now = now_us()
    found = [_run(row) for row in connection.execute(_FREE, {"n": limit, "now": now})]
    key = ""
    while (head := connection.execute(_NEXT_TURN, {"key": key}).one_or_none()) is not None:
        key = head.turn_key
        if head.state == RunState.REGISTERED.value and (head.not_before or 0) <= now:
            found.append(_run(head))
    found.sort(key=lambda run: run.id)
    return found


def allocate(tx: Connection, run: Run, need: Capacity, epoch: int) -> None:
    """Give cores and memory to an attempt; a run holds at most one allocation."""
    values = {"attempt": run.attempt, "n_cores": need.n_cores, "memory_mib": need.memory_mib, "epoch": epoch}
    tx.execute(allocations.insert().values(run_id=run.id, **values))


def find_allocated(connection: Connection) -> dict[str, Capacity]:
    """Return what each run holds."""
    return {row.run_id: Capacity(row.n_cores, row.memory_mib) for row in connection.execute(sa.select(allocations))}


def begin_epoch(tx: Connection, name: str, holder: str) -> int:
    """Return a number higher than that of every holder before."""
    row = tx.execute(sa.select(leases.c.epoch).where(leases.c.name == name)).one_or_none()
    if row is None:
        tx.execute(leases.insert().values(name=name, holder=holder, epoch=1, beat=0))
        return 1
    tx.execute(leases.update().where(leases.c.name == name).values(holder=holder, epoch=row.epoch + 1))
    return int(row.epoch) + 1


def claim_data(tx: Connection, directory: str, is_gone: Callable[[str], bool]) -> str:
    """Return the directory that holds the run files of this database: the one given, the first time or after a move."""
    row = tx.execute(sa.select(leases.c.holder).where(leases.c.name == "data")).one_or_none()
    if row is None:
        tx.execute(leases.insert().values(name="data", holder=directory, epoch=1, beat=0))
        return directory
    if row.holder != directory and is_gone(row.holder):
        tx.execute(leases.update().where(leases.c.name == "data").values(holder=directory))
        return directory
    return str(row.holder)


def find_events(connection: Connection, run_id: str) -> list[dict[str, Any]]:
    """Return the history of a run, oldest first."""
    query = sa.select(run_events).where(run_events.c.run_id == run_id).order_by(run_events.c.id)
    return [dict(row._mapping) for row in connection.execute(query)]


def find_ended_before(
    connection: Connection, before: datetime, after: datetime, limit: int
) -> list[tuple[str, datetime]]:
    """Return the runs that ended in a span of time, oldest first, as (id, ended_at)."""
    query = (
        sa.select(runs.c.id, runs.c.ended_at)
        .where(runs.c.ended_at < to_us(before), runs.c.ended_at > to_us(after))
        .order_by(runs.c.ended_at)
        .limit(limit)
    )
    return [(row.id, from_us(row.ended_at)) for row in connection.execute(query)]


def find_tombstones(connection: Connection, limit: int) -> list[str]:
    """Return prefixes of the internal store that nothing refers to any more."""
    return list(connection.execute(sa.select(tombstones.c.prefix).limit(limit)).scalars())


def remove_tombstone(tx: Connection, prefix: str) -> None:
    """Forget a prefix that has been swept."""
    tx.execute(tombstones.delete().where(tombstones.c.prefix == prefix))


def _add_event(
    tx: Connection,
    run_id: str,
    from_: RunState | None,
    to: RunState,
    *,
    attempt: int,
    at: int,
    reason: str | None = None,
) -> None:
    _INSERT_EVENT.change(
        tx,
        run_id=run_id,
        at=at,
        from_state=from_.value if from_ else None,
        to_state=to.value,
        attempt=attempt,
        reason=reason,
    )


def _run(row: Row[Any]) -> Run:
    return Run(
        id=row.id,
        account_id=row.account_id,
        project_id=row.project_id,
        state=RunState(row.state),
        spec=_SPEC.decode(row.spec),
        attempt=row.attempt,
        created_at=from_us(row.created_at),
        kind=row.kind,
        turn_key=row.turn_key,
        handle=row.handle,
        message=row.message,
        started_at=from_us_or_none(row.started_at),
        ended_at=from_us_or_none(row.ended_at),
        reason=FailureReason(row.reason) if row.reason else None,
        fail_name=row.fail_name,
        fail_details=row.fail_details,
        cancel_requested_at=from_us_or_none(row.cancel_requested_at),
        cancelled_by=row.cancelled_by,
        result=json.loads(row.result) if row.result else None,
    )


def _states(states: Sequence[RunState]) -> sa.ColumnElement[bool]:
    # Spelled out, not bound, and beside the very condition of the partial indexes: only then does the planner use them.
    live = "state IN ({})".format(", ".join(f"'{state}'" for state in _LIVE))
    wanted = "state IN ({})".format(", ".join(f"'{state}'" for state in sorted(states)))
    return sa.and_(sa.text(live), sa.text(wanted))


_SPEC = msgspec.json.Decoder(RunSpec)
_NEW_RUN = (runs.c.id, runs.c.account_id, runs.c.project_id, runs.c.kind, runs.c.turn_key, runs.c.state, runs.c.attempt)
_NEEDS = (runs.c.spec, runs.c.n_cores, runs.c.memory_mib, runs.c.created_at)
_INSERT = Prepared(sa.insert(runs).values({column.name: sa.bindparam(column.name) for column in _NEW_RUN + _NEEDS}))
_INSERT_EVENT = Prepared(
    sa.insert(run_events).values(
        {column.name: sa.bindparam(column.name) for column in run_events.c if column.name != "id"}
    )
)
_GET = sa.select(runs).where(runs.c.id == sa.bindparam("id"))
_ACTIVE = sa.select(runs).where(_states(list(ACTIVE_STATES))).order_by(runs.c.id)
_ALL_LIVE = sa.select(runs).where(_states(list(LIVE_STATES))).order_by(runs.c.id)
_FREE = (
    sa.select(runs)
    .where(
        _states([RunState.REGISTERED]),
        runs.c.turn_key.is_(None),
        sa.or_(runs.c.not_before.is_(None), runs.c.not_before <= sa.bindparam("now")),
    )
    .order_by(runs.c.id)
    .limit(sa.bindparam("n"))
)
_NEXT_TURN = (
    sa.select(runs)
    .where(_states(list(LIVE_STATES)), runs.c.turn_key > sa.bindparam("key"))
    .order_by(runs.c.turn_key, runs.c.id)
    .limit(1)
)
