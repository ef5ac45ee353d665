"""Read users' runs: one by its number, and pages of lists, newest first. Writes nothing.

A page of all runs is found by its numbers (``run_numbers.seek``), wherever it lies; a filtered one walks an index from the
nearer end.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from footfall.contract.runs import RunRequest
from footfall.db import run_numbers
from footfall.db.engine.engine import Connection, from_us, from_us_or_none
from footfall.db.engine.prepared import Prepared
from footfall.db.engine.rows import RowReader, existing
from footfall.db.resources import Page
from footfall.db.run_search import Wanted, find_places
from footfall.records import Json
from footfall.states import FailureReason, RunState

RUN_TYPES = ("NOTEBOOK", "TRAIN")


@dataclass(frozen=True, slots=True)
class RunRow:
    """A user's run with all that is shown of it."""

    id: str
    number: int
    project_id: str
    project_name: str
    state: RunState
    run_type: str
    product_code: int
    request: RunRequest | None  # None in lists without details
    user_number: int | None
    created_at: datetime
    updated_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    exit_code: int | None
    reason: FailureReason | None
    fail_details: str | None
    message: str | None
    attempt: int
    n_nodes: int
    metrics: Json | None  # summaries by key; None in lists
    data_removed_at: datetime | None
    cancel_requested_at: datetime | None
    cancelled_by: str | None
    priority: int


def get(connection: Connection, account_id: str, project_id: str, number: int, *, is_internal: bool = False) -> RunRow:
    """Return a run of an account by its number in a project.

    Args:
        is_internal: also look into the projects of the system.

    Raises:
        NotFoundError: there is none, it was deleted, or it is another account's.
    """
    row = _GET.one(connection, account_id=account_id, project_id=project_id, number=number, is_internal=is_internal)
    return _ONE.read(existing(row, "run", f"{project_id}/{number}"))


def find_attempt(connection: Connection, project_id: str, number: int) -> tuple[str, int] | None:
    """Return the id of a run and its current attempt, whoever's it is; None when there is none."""
    row = _ATTEMPT.one(connection, project_id=project_id, number=number)
    return None if row is None else (str(row[0]), int(row[1]))


def page(
    connection: Connection,
    account_id: str,
    *,
    project_id: str | None = None,
    state: RunState | None = None,
    run_type: str | None = None,
    wanted: Wanted | None = None,
    details: bool = False,
    page: int,
    page_size: int,
) -> Page[RunRow]:
    """Return a page of the runs of an account, or of one of its projects, newest first, and how many there are in all.

    Args:
        wanted: what else they must be; then all runs of the project or account are looked at.
        details: also read what was asked for with each.
        page: counts from 1.

    Raises:
        NotFoundError: the account has no such project, or it is the system's.
    """
    column, scope, last = _scope(connection, account_id, project_id)
    states = [each.value for each in RunState] if state is None else [state.value]
    run_types = list(RUN_TYPES) if run_type is None else [run_type]
    if wanted is not None:
        places = find_places(connection, column, _SHOWN[column], _OWNERS[column], scope, (states, run_types), wanted)
        here = places[(page - 1) * page_size : page * page_size]
        return Page(_at(connection, column, scope, here, details), len(places))
    total = run_numbers.count(connection, scope, states, run_types)
    index = (page - 1) * page_size
    take = min(page_size, total - index)
    if take <= 0:
        return Page([], total)
    if state is None and run_type is None:
        upto, skip = run_numbers.seek(last, run_numbers.find_gaps(connection, scope), index)
        rows = _page_of(column, details).all(connection, scope=scope, upto=upto, limit=take, skip=skip)
    else:
        rows = _filtered(connection, column, scope, (states, run_types, details), total, index, take)
    return Page([_READERS[details].read(row) for row in rows], total)


def _at(connection: Connection, column: str, scope: str, places: list[int], details: bool) -> list[RunRow]:
    values = {f"place{n}": place for n, place in enumerate(places)}
    rows = _rows_at(column, len(places), details).all(connection, scope=scope, **values) if places else []
    return [_READERS[details].read(row) for row in rows]


def _scope(connection: Connection, account_id: str, project_id: str | None) -> tuple[str, str, int]:
    if project_id is None:
        row = _LAST_SERIAL.one(connection, id=account_id)
        return "serial", account_id, 0 if row is None else int(row[0])
    row = existing(_LAST_NUMBER.one(connection, id=project_id, account_id=account_id), "project", project_id)
    return "number", project_id, int(row[0])


def _filtered(
    connection: Connection, column: str, scope: str, kinds: tuple[list[str], list[str], bool], total: int, index: int, take: int
) -> list[Sequence[Any]]:
    behind = total - index - take
    is_backwards = behind < index
    states, run_types, details = kinds
    statement = _filter(column, len(states), len(run_types), details, is_backwards)
    values = {f"state{n}": each for n, each in enumerate(states)}
    values |= {f"run_type{n}": each for n, each in enumerate(run_types)}
    skip = behind if is_backwards else index
    return statement.all(connection, scope=scope, limit=take, skip=skip, **values)


def _summary(text: str | None) -> Json | None:
    """Return the summary of metrics by key. Rows of earlier versions have it one level deeper, or hold keys that are no text."""
    if not text:
        return None
    try:
        summary: Json = _decode(text)
    except msgspec.DecodeError:
        return None  # the run can be shown without it, and its files have it too
    if isinstance(summary.get("droppedPoints"), int):
        inner: Json = summary["keys"]
        return inner or None
    return summary


_decode = msgspec.json.Decoder().decode
_decode_request = msgspec.json.Decoder(RunRequest).decode
_FIELDS: dict[str, Any] = {
    "project_name": "projects.name",
    "state": ("runs.state", RunState),
    "request": ("runs.request", _decode_request),
    "user_number": "users.number",
    "created_at": ("runs.created_at", from_us),
    "updated_at": ("COALESCE(runs.updated_at, runs.created_at)", from_us),
    "started_at": ("runs.started_at", from_us_or_none),
    "ended_at": ("runs.ended_at", from_us_or_none),
    "reason": ("runs.reason", lambda reason: FailureReason(reason) if reason else None),
    "metrics": ("runs.metrics", _summary),
    "data_removed_at": ("runs.data_removed_at", from_us_or_none),
    "cancel_requested_at": ("runs.cancel_requested_at", from_us_or_none),
}
_ONE = RowReader(RunRow, "runs.{}".format, **_FIELDS)
_LISTED = RowReader(RunRow, "runs.{}".format, **_FIELDS | {"request": "NULL", "metrics": "NULL"})
_DETAILED = RowReader(RunRow, "runs.{}".format, **_FIELDS | {"metrics": "NULL"})
_READERS = {False: _LISTED, True: _DETAILED}
_FROM = "FROM runs JOIN projects ON projects.id = runs.project_id LEFT JOIN users ON users.id = runs.user_id "
_SELECT_ONE = f"SELECT {', '.join(_ONE.columns)} {_FROM}"
_SELECT = {details: f"SELECT {', '.join(reader.columns)} {_FROM}" for details, reader in _READERS.items()}
# As the partial indexes have it: only then does the planner use them. A number that is compared is not NULL, and saying so
# again would make SQLite walk all numbers.
_SHOWN = {"serial": "runs.number IS NOT NULL AND runs.deleted_at IS NULL", "number": "runs.deleted_at IS NULL"}
_OWNERS = {"serial": "account_id", "number": "project_id"}

_ATTEMPT = Prepared("SELECT id, attempt FROM runs WHERE project_id = :project_id AND number = :number AND deleted_at IS NULL")
_GET = Prepared(
    f"{_SELECT_ONE} WHERE runs.project_id = :project_id AND runs.number = :number AND {_SHOWN['number']} "
    "AND runs.account_id = :account_id AND (NOT projects.is_system OR :is_internal)"
)
_LAST_SERIAL = Prepared("SELECT last_serial FROM accounts WHERE id = :id")
_LAST_NUMBER = Prepared(
    "SELECT last_run FROM projects WHERE id = :id AND account_id = :account_id AND deleted_at IS NULL AND NOT is_system"
)


@functools.cache
def _page_of(column: str, details: bool) -> Prepared:
    owner, shown = _OWNERS[column], _SHOWN[column]
    keys = (
        f"SELECT runs.{column} FROM runs WHERE runs.{owner} = :scope AND runs.{column} <= :upto AND {shown} "
        f"ORDER BY runs.{column} DESC LIMIT :limit OFFSET :skip"
    )
    return Prepared(
        f"{_SELECT[details]} WHERE runs.{owner} = :scope AND {shown} AND runs.{column} IN ({keys}) ORDER BY runs.{column} DESC"
    )


@functools.cache
def _filter(column: str, n_states: int, n_run_types: int, details: bool, is_backwards: bool) -> Prepared:
    # One branch for each pair, each in the order of its index and merged by the database: nothing is sorted.
    owner, shown = _OWNERS[column], _SHOWN[column]
    order = "ASC" if is_backwards else "DESC"
    branches = " UNION ALL ".join(
        f"SELECT runs.{column} AS place FROM runs WHERE runs.{owner} = :scope AND runs.state = :state{state} "
        f"AND runs.run_type = :run_type{run_type} AND {_SHOWN['serial']}"
        for state in range(n_states)
        for run_type in range(n_run_types)
    )
    keys = f"SELECT place FROM ({branches} ORDER BY place {order} LIMIT :limit OFFSET :skip) AS places"
    return Prepared(
        f"{_SELECT[details]} WHERE runs.{owner} = :scope AND {shown} AND runs.{column} IN ({keys}) ORDER BY runs.{column} DESC"
    )


@functools.cache
def _rows_at(column: str, n: int, details: bool) -> Prepared:
    owner, shown = _OWNERS[column], _SHOWN[column]
    places = ", ".join(f":place{each}" for each in range(n))
    return Prepared(
        f"{_SELECT[details]} WHERE runs.{owner} = :scope AND {shown} AND runs.{column} IN ({places}) ORDER BY runs.{column} DESC"
    )
