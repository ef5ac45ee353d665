"""Shared queries of features, tasks, task runs and profiles: get, page, name, count, insert, soft delete.

A deleted row is hidden, not removed. How many an account has is kept beside the rows, so that neither a page nor a limit
counts them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import msgspec
from sqlalchemy import Column, Table, bindparam, select, update
from sqlalchemy.sql.selectable import FromClause

from footfall.db import counters
from footfall.db.engine.engine import Connection, from_us, from_us_or_none, now_us
from footfall.db.engine.prepared import Prepared
from footfall.db.tables import runs
from footfall.errors import AlreadyExistsError, NotFoundError
from footfall.records import RunStatus
from footfall.states import FailureReason, RunState

T = TypeVar("T")

RUN_COLUMNS = (
    runs.c.id,
    runs.c.state,
    runs.c.attempt,
    runs.c.ended_at,
    runs.c.reason,
    runs.c.fail_name,
    runs.c.fail_details,
    runs.c.result,
)
_STATES = {state.value: state for state in RunState}
_REASONS = {reason.value: reason for reason in FailureReason}
_decode = msgspec.json.Decoder().decode


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some rows of a list, and how many there are in all."""

    items: list[T]
    total: int


def run_status(row: Sequence[Any], created_at: int) -> RunStatus:
    """Return what ``RUN_COLUMNS`` say of a run."""
    id, state, attempt, ended_at, reason, fail_name, fail_details, result = row
    return RunStatus(
        id,
        _STATES[state],
        attempt,
        from_us(created_at),
        from_us_or_none(ended_at),
        _REASONS[reason] if reason else None,
        fail_name,
        fail_details,
        _decode(result) if result else None,
    )


class Resources(Generic[T]):
    """The rows of one kind, each read with what it shows of other tables.

    Args:
        kind: the word for it, e.g. ``task run``.
        source: the table joined to the others.
        columns: what ``make`` gets of a row.
    """

    def __init__(
        self, kind: str, table: Table, source: FromClause, columns: Sequence[Column[Any]], make: Callable[[Sequence[Any]], T]
    ) -> None:
        self.kind, self.table, self._make = kind, table, make
        mine = (table.c.account_id == bindparam("account_id"), table.c.deleted_at.is_(None))
        base = select(*columns).select_from(source)
        self._get = Prepared(base.where(table.c.id == bindparam("id"), *mine))
        self._name = Prepared(select(table.c.id).where(table.c.name == bindparam("name"), *mine))
        self._lock = Prepared(select(table.c.id).where(table.c.id == bindparam("id"), *mine).with_for_update())
        self._inserts: dict[tuple[str, ...], Prepared] = {}
        newest = (table.c.created_at.desc(), table.c.id.desc())
        oldest = (table.c.created_at, table.c.id)
        self._pages = {}
        for backwards, order in ((False, newest), (True, oldest)):
            ids = select(table.c.id).where(*mine).order_by(*order).limit(bindparam("limit")).offset(bindparam("skip"))
            self._pages[backwards] = Prepared(base.where(table.c.id.in_(ids)).order_by(*newest))

    def get(self, connection: Connection, account_id: str, id: str) -> T:
        """Return one of an account.

        Raises:
            NotFoundError: there is none, or it is another account's.
        """
        row = self._get.one(connection, account_id=account_id, id=id)
        if row is None:
            raise NotFoundError(self.kind, id)
        return self._make(row)

    def page(self, connection: Connection, account_id: str, index: int, limit: int) -> Page[T]:
        """Return ``limit`` of an account from the ``index``-th on, newest first, walking from the nearer end."""
        total = self.count(connection, account_id)
        take = min(limit, total - index)
        if take <= 0:
            return Page([], total)
        behind = total - index - take
        backwards = behind < index
        skip = behind if backwards else index
        rows = self._pages[backwards].all(connection, account_id=account_id, limit=take, skip=skip)
        return Page([self._make(row) for row in rows], total)

    def count(self, connection: Connection, account_id: str) -> int:
        """Return how many an account has."""
        return counters.count(connection, account_id, self.table.name)

    def has_name(self, connection: Connection, account_id: str, name: str) -> bool:
        """Whether an account has one of this name."""
        return self._name.one(connection, account_id=account_id, name=name) is not None

    def lock(self, tx: Connection, account_id: str, id: str) -> None:
        """Keep one from being deleted until the transaction ends.

        Raises:
            NotFoundError: it is gone.
        """
        if self._lock.one(tx, account_id=account_id, id=id) is None:
            raise NotFoundError(self.kind, id)

    def insert(self, tx: Connection, account_id: str, *, name: str, limit: int, **values: Any) -> None:
        """Add one.

        Raises:
            AlreadyExistsError: the account has one of this name.
            QuotaExceededError: it has ``limit`` already.
        """
        row = {"account_id": account_id, "name": name, "created_at": now_us(), **values}
        if not self._insert_of(tuple(row)).change(tx, **row):
            raise AlreadyExistsError(self.kind, name)
        counters.add(tx, account_id, self.table.name, limit, self.kind)

    def _insert_of(self, columns: tuple[str, ...]) -> Prepared:
        known = self._inserts.get(columns)
        if known is None:
            # The only unique key that a new row can break is that of the names.
            statement = f"INSERT INTO {self.table.name} ({', '.join(columns)}) VALUES (:{', :'.join(columns)})"
            known = self._inserts[columns] = Prepared(f"{statement} ON CONFLICT DO NOTHING")
        return known

    def hide(self, tx: Connection, account_id: str, id: str) -> None:
        """Delete one: hide its row and free its name.

        Raises:
            NotFoundError: it is gone.
        """
        table = self.table
        this = (table.c.id == id, table.c.account_id == account_id, table.c.deleted_at.is_(None))
        if not tx.execute(update(table).where(*this).values(deleted_at=now_us())).rowcount:
            raise NotFoundError(self.kind, id)
        counters.remove(tx, account_id, table.name)
