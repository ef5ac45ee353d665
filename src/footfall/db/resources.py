"""Shared queries of features, tasks, task runs and profiles: get, page, name, count, insert, soft delete.

A deleted row is hidden, not removed. How many an account has is kept beside the rows, so that neither a page nor a limit
counts them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import msgspec
from sqlalchemy import Table, bindparam, select, update
from sqlalchemy.sql.selectable import FromClause

from footfall.db import counters
from footfall.db.engine.engine import Connection, from_us, from_us_or_none, now_us
from footfall.db.engine.prepared import Prepared
from footfall.db.engine.rows import RowReader, existing
from footfall.db.tables import runs
from footfall.errors import AlreadyExistsError, NotFoundError
from footfall.records import RunStatus
from footfall.states import FailureReason, RunState

T = TypeVar("T")

_STATES = {state.value: state for state in RunState}
_REASONS = {None: None} | {reason.value: reason for reason in FailureReason}
_decode = msgspec.json.Decoder().decode


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some rows of a list, and how many there are in all."""

    items: list[T]
    total: int


def decode_or_none(text: str | None) -> Any:
    """Return the value of a JSON text; None of none."""
    return _decode(text) if text else None


def status_reader(table: Table, **sources: Any) -> RowReader[RunStatus]:
    """Return what reads the status of the run that makes a row of a table; its time is the row's."""
    sources = {"result": (runs.c.result, decode_or_none)} | sources
    return RowReader(
        RunStatus,
        runs.c.__getitem__,
        run_id=runs.c.id,
        state=(runs.c.state, _STATES.__getitem__),
        created_at=(table.c.created_at, from_us),
        ended_at=(runs.c.ended_at, from_us_or_none),
        reason=(runs.c.reason, _REASONS.__getitem__),
        **sources,
    )


class Resources(Generic[T]):
    """The rows of one kind, each read with what it shows of other tables, and with the run that makes it.

    Args:
        kind: the word for it, e.g. ``task run``.
        parents: the table that each column of a foreign key refers to; one whose column may be empty may be missing.
    """

    def __init__(self, kind: str, table: Table, parents: Mapping[str, FromClause], reader: RowReader[T]) -> None:
        self.kind, self.table, self._read = kind, table, reader.read
        source = table.join(runs, runs.c.id == table.c.run_id)
        for key, parent in parents.items():
            source = source.join(parent, parent.c.id == table.c[key], isouter=bool(table.c[key].nullable))
        mine = (table.c.account_id == bindparam("account_id"), table.c.deleted_at.is_(None))
        base = select(*reader.columns).select_from(source)
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
        return self._read(existing(self._get.one(connection, account_id=account_id, id=id), self.kind, id))

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
        return Page([self._read(row) for row in rows], total)

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
        existing(self._lock.one(tx, account_id=account_id, id=id), self.kind, id)

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
