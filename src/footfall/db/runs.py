"""Runs and their events. ``advance`` is the only statement that writes a state.

What is counted of users' runs (those with a number) moves in the same transaction: ``db/run_numbers.py``. What runs hold is in
``db/allocations.py``, and goes with the attempt.
"""

import functools
import json
from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from footfall.contract.runs import RunRequest
from footfall.db import allocations, run_numbers
from footfall.db.engine.engine import Connection, from_us, from_us_or_none, now_us, to_us
from footfall.db.engine.prepared import Prepared
from footfall.db.engine.rows import RowReader, existing
from footfall.db.tables import run_events, runs
from footfall.db.tables.schema import IS_ENDED, LIVE_RUN
from footfall.records import Run, RunSpec
from footfall.states import ACTIVE_STATES, LIVE_STATES, FailureReason, RunState, check_transition

_LIVE = sorted(LIVE_STATES)


def insert(
    tx: Connection, run: Run, *, serial: int | None = None, request: RunRequest | None = None, sealed: bytes | None = None
) -> None:
    """Add a registered run and its first event; one with a number is counted.

    Args:
        serial: goes with the number, from ``run_numbers.take_numbers``.
        request: what the caller asked for.
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
        request=None if request is None else msgspec.json.encode(request).decode(),
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
    return _RUN.read(existing(_GET.one(connection, id=run_id), "run", run_id))


def advance(tx: Connection, run_id: str, from_: RunState, to: RunState, *, in_attempt: int | None = None, **columns: Any) -> bool:
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
    columns["updated_at"] = at
    names = tuple(sorted(columns))
    done = _advance_of(names).one(tx, this=run_id, from_=from_.value, to=to.value, in_attempt=in_attempt, **columns)
    if done is None:
        return False
    attempt, number, account_id, project_id, run_type = done
    if number is not None:
        run_numbers.count_move(tx, account_id, project_id, run_type, from_.value, to.value)
    _add_event(tx, run_id, from_, to, attempt=attempt, at=at, reason=columns.get("reason"))
    if to.is_final or to == RunState.REGISTERED:
        allocations.release(tx, run_id)
    if to.is_final:
        allocations.release_volumes(tx, run_id)
    return True


def is_waiting(tx: Connection, run_id: str, attempt: int) -> bool:
    """Whether a run is pending in this attempt and nobody wants it stopped."""
    return _IS_WAITING.one(tx, id=run_id, attempt=attempt) is not None


def set_handle(tx: Connection, run_id: str, attempt: int, handle: str) -> bool:
    """Record what the executor returned for this attempt of a pending run; False when it moved on meanwhile."""
    return _SET_HANDLE.change(tx, id=run_id, attempt=attempt, handle=handle) == 1


def set_message(tx: Connection, run_id: str, message: str | None) -> None:
    """Say what a run waits for."""
    _SET_MESSAGE.change(tx, id=run_id, message=message)


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
    run_numbers.forget(tx, account_id, project_id, run_type=run_type, state=state, number=number, serial=serial, n_nodes=n_nodes)
    return True


def find_active(connection: Connection) -> list[Run]:
    """Return every run that is pending or in progress, oldest first."""
    return [_RUN.read(row) for row in _ACTIVE.all(connection)]


def find_live(connection: Connection) -> list[Run]:
    """Return every run that has not ended, oldest first."""
    return [_RUN.read(row) for row in _ALL_LIVE.all(connection)]


def find_waiting(connection: Connection, per_project: int, n_projects: int, after: str = "") -> tuple[list[Run], str]:
    """Return the registered runs whose turn may be next, and where to go on looking.

    Of each project the first by priority, then age; of runs with a turn key the oldest of each key. However many wait in one
    project, they do not hide those of another.

    Args:
        after: what the last call returned, so that every project is looked at where there are more than ``n_projects``.
    """
    now = now_us()
    waiting: list[Run] = []
    key = ""
    while (row := _NEXT_TURN.one(connection, key=key)) is not None:
        head = _RUN.read(row)
        key = head.turn_key or ""
        if head.state == RunState.REGISTERED and not now < row[_NOT_BEFORE] < now + _MAX_DELAY_US:
            waiting.append(head)
    seen: list[str] = []
    project_id = after
    while len(seen) < n_projects:
        row = _NEXT_PROJECT.one(connection, after=project_id)
        project_id = str(row[0]) if row and row[0] else ""
        if project_id in seen or (not project_id and not after):
            return waiting, ""
        if not project_id:
            after = ""  # round to the first project
            continue
        seen.append(project_id)
        waiting.extend(_first_of(connection, project_id, per_project, now))
    return waiting, project_id


def _first_of(connection: Connection, project_id: str, limit: int, now: int) -> list[Run]:
    # One priority after the other: in each, the index has them by age.
    first: list[Run] = []
    below = _ABOVE_ALL
    while len(first) < limit:
        row = _NEXT_PRIORITY.one(connection, project_id=project_id, below=below)
        if row is None or row[0] is None:
            break
        below = int(row[0])
        rows = _FIRST.all(
            connection, project_id=project_id, priority=below, n=limit - len(first), now=now, far=now + _MAX_DELAY_US
        )
        first.extend(_RUN.read(row) for row in rows)
    return first


def _add_event(
    tx: Connection, run_id: str, from_: RunState | None, to: RunState, *, attempt: int, at: int, reason: str | None = None
) -> None:
    _INSERT_EVENT.change(
        tx, run_id=run_id, at=at, from_state=from_.value if from_ else None, to_state=to.value, attempt=attempt, reason=reason
    )


@functools.cache
def _advance_of(names: tuple[str, ...]) -> Prepared:
    columns = "".join(f", {name} = :{name}" for name in names)
    return Prepared(
        f"UPDATE runs SET state = :to{columns} WHERE id = :this AND state = :from_ "
        "AND (CAST(:in_attempt AS INTEGER) IS NULL OR attempt = :in_attempt) "
        "RETURNING attempt, number, account_id, project_id, run_type"
    )


def _states(states: Sequence[RunState]) -> tuple[sa.TextClause, sa.TextClause]:
    # Beside the very condition of the partial indexes: only then does the planner use them.
    return LIVE_RUN, sa.text("state IN ({})".format(", ".join(f"'{state}'" for state in sorted(states))))


_RUN = RowReader(
    Run,
    runs.c.__getitem__,
    state=(runs.c.state, RunState),
    spec=(runs.c.spec, msgspec.json.Decoder(RunSpec).decode),
    created_at=(runs.c.created_at, from_us),
    started_at=(runs.c.started_at, from_us_or_none),
    ended_at=(runs.c.ended_at, from_us_or_none),
    reason=(runs.c.reason, lambda reason: FailureReason(reason) if reason else None),
    cancel_requested_at=(runs.c.cancel_requested_at, from_us_or_none),
    result=(runs.c.result, lambda text: json.loads(text) if text else None),
    overtaken_at=(runs.c.overtaken_at, from_us_or_none),
)
_RUNS = sa.select(*_RUN.columns, sa.func.coalesce(runs.c.not_before, 0))
_NOT_BEFORE = len(_RUN.columns)
_SET_HANDLE = Prepared(
    "UPDATE runs SET handle = :handle, message = NULL WHERE id = :id AND attempt = :attempt AND state = 'pending'"
)
_SET_MESSAGE = Prepared("UPDATE runs SET message = :message WHERE id = :id AND message IS DISTINCT FROM CAST(:message AS TEXT)")
_NEW_RUN = (
    "id", "account_id", "project_id", "kind", "turn_key", "state", "attempt", "spec", "n_cores", "memory_mib", "n_gpus",
    "n_nodes", "created_at", "updated_at", "user_id", "number", "serial", "run_type", "product_code", "priority", "request",
    "sealed",
)  # fmt: skip
_INSERT = Prepared(f"INSERT INTO runs ({', '.join(_NEW_RUN)}) VALUES (:{', :'.join(_NEW_RUN)})")
_IS_WAITING = Prepared(
    "SELECT id FROM runs WHERE id = :id AND attempt = :attempt AND state = 'pending' AND handle IS NULL "
    "AND cancel_requested_at IS NULL"
)
_HIDE = Prepared(
    "UPDATE runs SET deleted_at = :at, updated_at = :at WHERE id = :id AND number IS NOT NULL AND deleted_at IS NULL "
    f"AND {IS_ENDED} "
    "RETURNING account_id, project_id, run_type, state, number, serial, n_nodes"
)
_INSERT_EVENT = Prepared(
    sa.insert(run_events).values({column.name: sa.bindparam(column.name) for column in run_events.c if column.name != "id"})
)
_GET = Prepared(_RUNS.where(runs.c.id == sa.bindparam("id")))
_ACTIVE = Prepared(_RUNS.where(*_states(list(ACTIVE_STATES))).order_by(runs.c.id))
_ALL_LIVE = Prepared(_RUNS.where(*_states(list(LIVE_STATES))).order_by(runs.c.id))
_WAITING = (*_states([RunState.REGISTERED]), runs.c.turn_key.is_(None))
_NEXT_PROJECT = Prepared(sa.select(sa.func.min(runs.c.project_id)).where(*_WAITING, runs.c.project_id > sa.bindparam("after")))
_ABOVE_ALL = 1 << 30
_MAX_DELAY_US = 600_000_000  # a delay that would last longer was noted before the clock was set back
_NEXT_PRIORITY = Prepared(
    sa.select(sa.func.max(runs.c.priority)).where(
        *_WAITING, runs.c.project_id == sa.bindparam("project_id"), runs.c.priority < sa.bindparam("below")
    )
)
_FIRST = Prepared(
    _RUNS.where(
        *_WAITING,
        runs.c.project_id == sa.bindparam("project_id"),
        runs.c.priority == sa.bindparam("priority"),
        sa.or_(runs.c.not_before.is_(None), runs.c.not_before <= sa.bindparam("now"), runs.c.not_before >= sa.bindparam("far")),
    )
    .order_by(runs.c.id)
    .limit(sa.bindparam("n"))
)
_NEXT_TURN = Prepared(
    _RUNS.where(*_states(list(LIVE_STATES)), runs.c.turn_key > sa.bindparam("key")).order_by(runs.c.turn_key, runs.c.id).limit(1)
)
