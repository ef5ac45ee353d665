"""Runs, their events and the reconciler's epoch. ``advance`` is the only statement that writes a state.

What is counted of users' runs (those with a number) moves in the same transaction: ``db/run_numbers.py``. What runs hold is in
``db/holdings.py``, and goes with the attempt.
"""

import json
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from footfall.db import holdings, run_numbers
from footfall.db.engine import from_us, from_us_or_none, now_us, to_us
from footfall.db.prepared import Prepared
from footfall.db.tables import leases, run_events, runs, tombstones
from footfall.errors import NotFoundError
from footfall.records import Run, RunSpec
from footfall.states import ACTIVE_STATES, LIVE_STATES, FailureReason, RunState, check_transition

_LIVE = sorted(LIVE_STATES)


def insert(
    tx: Connection, run: Run, *, serial: int | None = None, request: str | None = None, sealed: bytes | None = None
) -> None:
    """Add a registered run and its first event; one with a number is counted.

    Args:
        serial: goes with the number, from ``run_numbers.take_numbers``.
        request: what the caller asked for, as JSON.
        sealed: secret values of its environment, encrypted.
    """
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
        n_gpus=run.spec.n_gpus,
        n_nodes=run.spec.n_nodes,
        created_at=at,
        updated_at=at,
        user_id=run.user_id,
        number=run.number,
        serial=serial,
        run_type=run.run_type,
        product_code=run.product_code,
        priority=run.priority,
        request=request,
        sealed=sealed,
    )
    _add_event(tx, run.id, None, RunState.REGISTERED, attempt=0, at=at)
    if run.number is not None:
        run_numbers.count_new(tx, run.account_id, run.project_id, run.run_type or "")


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
    columns["updated_at"] = at
    done = tx.execute(runs.update().where(*where).values(state=to.value, **columns).returning(*_MOVED)).one_or_none()
    if done is None:
        return False
    if done.number is not None:
        run_numbers.count_move(tx, done.account_id, done.project_id, done.run_type, from_.value, to.value)
    _add_event(tx, run_id, from_, to, attempt=done.attempt, at=at, reason=columns.get("reason"))
    if to.is_final or to == RunState.REGISTERED:
        holdings.release(tx, run_id)
    if to.is_final:
        holdings.release_volumes(tx, run_id)
    return True


def is_waiting(tx: Connection, run_id: str, attempt: int) -> bool:
    """Whether a run is pending in this attempt and nobody wants it stopped."""
    return _IS_WAITING.one(tx, id=run_id, attempt=attempt) is not None


def set_handle(tx: Connection, run_id: str, attempt: int, handle: str) -> bool:
    """Record what the executor returned for this attempt of a pending run; False when it moved on meanwhile."""
    where = (runs.c.id == run_id, runs.c.attempt == attempt, runs.c.state == RunState.PENDING.value)
    return tx.execute(runs.update().where(*where).values(handle=handle, message=None)).rowcount == 1


def set_message(tx: Connection, run_id: str, message: str | None) -> None:
    """Say what a run waits for."""
    tx.execute(
        runs.update().where(runs.c.id == run_id, runs.c.message.is_distinct_from(message)).values(message=message)
    )


def note_overtaken(tx: Connection, run_ids: Sequence[str], at: int) -> None:
    """Record when younger runs first started before these."""
    tx.execute(runs.update().where(runs.c.id.in_(run_ids), runs.c.overtaken_at.is_(None)).values(overtaken_at=at))


def request_cancel(tx: Connection, run_id: str, by: str) -> bool:
    """Note that somebody wants a live run stopped; False when it has ended."""
    where = (runs.c.id == run_id, runs.c.state.in_(_LIVE))
    values = {
        "cancel_requested_at": sa.func.coalesce(runs.c.cancel_requested_at, now_us()),
        "cancelled_by": sa.func.coalesce(runs.c.cancelled_by, by),
        "updated_at": now_us(),
    }
    return tx.execute(runs.update().where(*where).values(values)).rowcount == 1


def hide(tx: Connection, run_id: str) -> bool:
    """Delete an ended run with a number: hide its row and take it out of all counts; False when there is none to delete."""
    at = now_us()
    row = _HIDE.one(tx, id=run_id, at=at)
    if row is None:
        return False
    account_id, project_id, run_type, state, number, serial, n_nodes = row
    run_numbers.forget(
        tx,
        account_id,
        project_id,
        run_type=run_type,
        state=state,
        number=number,
        serial=serial,
        n_nodes=n_nodes,
    )
    return True


def find_active(connection: Connection) -> list[Run]:
    """Return every run that is pending or in progress, oldest first."""
    return [_run(row) for row in connection.execute(_ACTIVE)]


def find_live(connection: Connection) -> list[Run]:
    """Return every run that has not ended, oldest first."""
    return [_run(row) for row in connection.execute(_ALL_LIVE)]


def find_waiting(connection: Connection, per_project: int, n_projects: int, after: str = "") -> tuple[list[Run], str]:
    """Return the registered runs whose turn may be next, and where to go on looking.

    Of each project the first by priority, then age; of runs with a turn key the oldest of each key. However many wait in one
    project, they do not hide those of another.

    Args:
        after: what the last call returned, so that every project is looked at where there are more than ``n_projects``.
    """
    now = now_us()
    found: list[Run] = []
    key = ""
    while (head := connection.execute(_NEXT_TURN, {"key": key}).one_or_none()) is not None:
        key = head.turn_key
        if head.state == RunState.REGISTERED.value and (head.not_before or 0) <= now:
            found.append(_run(head))
    seen: list[str] = []
    project_id = after
    while len(seen) < n_projects:
        row = _NEXT_PROJECT.one(connection, after=project_id)
        project_id = str(row[0]) if row and row[0] else ""
        if project_id in seen or (not project_id and not after):
            return found, ""
        if not project_id:
            after = ""  # round to the first project
            continue
        seen.append(project_id)
        rows = connection.execute(_FIRST, {"project_id": project_id, "n": per_project, "now": now})
        found.extend(_run(row) for row in rows)
    return found, project_id


def begin_epoch(tx: Connection, name: str, holder: str) -> int:
    """Return a number higher than that of every holder before."""
    row = tx.execute(sa.select(leases.c.epoch).where(leases.c.name == name)).one_or_none()
    if row is None:
        tx.execute(leases.insert().values(name=name, holder=holder, epoch=1, beat=0))
        return 1
    tx.execute(leases.update().where(leases.c.name == name).values(holder=holder, epoch=row.epoch + 1))
    return int(row.epoch) + 1


def has_epoch(connection: Connection, name: str, epoch: int) -> bool:
    """Whether nobody has taken over since this epoch began."""
    found = connection.execute(sa.select(leases.c.epoch).where(leases.c.name == name)).scalar_one_or_none()
    return found == epoch


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


def find_removable(connection: Connection, ended_before: datetime, limit: int) -> list[str]:
    """Return runs whose files are still there and should go: the deleted ones, and those that ended long ago."""
    deleted = sa.select(runs.c.id).where(sa.text(_UNSWEPT)).order_by(runs.c.deleted_at).limit(limit)
    old = (
        sa.select(runs.c.id)
        .where(sa.text(_KEPT), runs.c.ended_at < to_us(ended_before))
        .order_by(runs.c.ended_at)
        .limit(limit)
    )
    found = dict.fromkeys(connection.execute(deleted).scalars()) | dict.fromkeys(connection.execute(old).scalars())
    return list(found)[:limit]


def note_removed(tx: Connection, run_ids: Sequence[str]) -> None:
    """Record that the files of these runs are gone."""
    tx.execute(runs.update().where(runs.c.id.in_(run_ids)).values(data_removed_at=now_us()))


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
        number=row.number,
        run_type=row.run_type,
        product_code=row.product_code,
        user_id=row.user_id,
        priority=row.priority,
        overtaken_at=from_us_or_none(row.overtaken_at),
    )


def _states(states: Sequence[RunState]) -> tuple[sa.TextClause, sa.TextClause]:
    # Spelled out, not bound, and beside the very condition of the partial indexes: only then does the planner use them.
    live = "state IN ({})".format(", ".join(f"'{state}'" for state in _LIVE))
    wanted = "state IN ({})".format(", ".join(f"'{state}'" for state in sorted(states)))
    return sa.text(live), sa.text(wanted)


_SPEC = msgspec.json.Decoder(RunSpec)
_KEPT = "ended_at IS NOT NULL AND data_removed_at IS NULL"
_UNSWEPT = "deleted_at IS NOT NULL AND data_removed_at IS NULL"
_NEW_RUN = (
    "id", "account_id", "project_id", "kind", "turn_key", "state", "attempt", "spec", "n_cores", "memory_mib", "n_gpus",
    "n_nodes", "created_at", "updated_at", "user_id", "number", "serial", "run_type", "product_code", "priority", "request",
    "sealed",
)  # fmt: skip
_INSERT = Prepared(sa.text(f"INSERT INTO runs ({', '.join(_NEW_RUN)}) VALUES (:{', :'.join(_NEW_RUN)})"))
_MOVED = (runs.c.attempt, runs.c.number, runs.c.account_id, runs.c.project_id, runs.c.run_type)
_IS_WAITING = Prepared(
    sa.text(
        "SELECT id FROM runs WHERE id = :id AND attempt = :attempt AND state = 'pending' AND handle IS NULL "
        "AND cancel_requested_at IS NULL"
    )
)
_HIDE = Prepared(
    sa.text(
        "UPDATE runs SET deleted_at = :at, updated_at = :at WHERE id = :id AND number IS NOT NULL AND deleted_at IS NULL "
        "AND state IN ('completed', 'failed', 'cancelled') "
        "RETURNING account_id, project_id, run_type, state, number, serial, n_nodes"
    )
)
_INSERT_EVENT = Prepared(
    sa.insert(run_events).values(
        {column.name: sa.bindparam(column.name) for column in run_events.c if column.name != "id"}
    )
)
_GET = sa.select(runs).where(runs.c.id == sa.bindparam("id"))
_ACTIVE = sa.select(runs).where(*_states(list(ACTIVE_STATES))).order_by(runs.c.id)
_ALL_LIVE = sa.select(runs).where(*_states(list(LIVE_STATES))).order_by(runs.c.id)
_WAITING = (*_states([RunState.REGISTERED]), runs.c.turn_key.is_(None))
_NEXT_PROJECT = Prepared(
    sa.select(sa.func.min(runs.c.project_id)).where(*_WAITING, runs.c.project_id > sa.bindparam("after"))
)
_FIRST = (
    sa.select(runs)
    .where(
        *_WAITING,
        runs.c.project_id == sa.bindparam("project_id"),
        sa.or_(runs.c.not_before.is_(None), runs.c.not_before <= sa.bindparam("now")),
    )
    .order_by(runs.c.priority.desc(), runs.c.id)
    .limit(sa.bindparam("n"))
)
_NEXT_TURN = (
    sa.select(runs)
    .where(*_states(list(LIVE_STATES)), runs.c.turn_key > sa.bindparam("key"))
    .order_by(runs.c.turn_key, runs.c.id)
    .limit(1)
)
