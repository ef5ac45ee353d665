"""Group commit for SQLite: concurrent transactions are savepoints of one durable commit, each whole or not at all.

The first of a group begins the transaction; each that waited for it goes on inside, in a savepoint of its own; the last, with
nobody waiting behind it, commits for all. So one wait for the disk serves a burst. Nobody goes on before the commit that holds
its change has succeeded, and when that fails it fails for all.
"""

import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError

MAX_MEMBERS = 64
MAX_AGE_S = 0.02
"""A group this old is committed though others wait, so that its first need not wait for long."""


class _Group:
    """Transactions that are committed together."""

    def __init__(self) -> None:
        self.n_members = 0
        self.begun_at = time.monotonic()
        self.error: sqlite3.Error | None = None
        self._settled = threading.Event()

    def settle(self, error: sqlite3.Error | None) -> None:
        self.error = error
        self._settled.set()

    def wait(self) -> None:
        """Return when the group is committed, or has failed."""
        self._settled.wait()

    def require(self) -> None:
        """Refuse if the group could not be committed.

        Raises:
            sqlite3.OperationalError: it could not be.
        """
        if self.error is not None:
            raise sqlite3.OperationalError(str(self.error)) from self.error


class GroupCommit:
    """The writer of a database, shared by all threads."""

    def __init__(self, connect: Callable[[], Connection]) -> None:
        self._connect = connect
        self._connection: Connection | None = None
        self._turn = threading.Lock()
        self._count = threading.Lock()
        self._n_waiting = 0
        self._group: _Group | None = None

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Give the connection in a transaction that is committed, durably, when this returns, and undone when it raises.

        Raises:
            sqlite3.OperationalError: the database is away, locked or full; nothing was changed.
        """
        group: _Group | None = None
        try:
            with self._my_turn():
                if self._connection is None:
                    self._connection = self._connect()
                # The driver itself is asked: this is on the path of every change, and SQLAlchemy would double its cost.
                driver: Any = self._connection.connection.dbapi_connection
                if not self._connection.in_transaction():
                    self._connection.begin()  # emits nothing here, and keeps Alembic from beginning and committing by itself
                is_first = self._group is None
                group = self._join(driver)
                yield from self._take_part(self._connection, driver, group, is_first=is_first)
        finally:
            if group is not None:
                group.wait()  # who raises too: what it has seen of the others must be there, or gone, when it goes on
        group.require()

    def close(self) -> None:
        """Close the connection, when no thread writes."""
        if self._connection is not None:
            self._connection.close()

    @contextmanager
    def _my_turn(self) -> Iterator[None]:
        with self._count:
            self._n_waiting += 1
        try:
            self._turn.acquire()
        finally:
            # Also for who was interrupted: groups would wait for it for ever.
            with self._count:
                self._n_waiting -= 1
        try:
            yield
        finally:
            self._turn.release()

    def _join(self, driver: Any) -> _Group:
        if self._group is None:
            driver.execute("BEGIN IMMEDIATE")
            self._group = _Group()
        return self._group

    def _take_part(self, connection: Connection, driver: Any, group: _Group, *, is_first: bool) -> Iterator[Connection]:
        is_done = False
        try:
            if not is_first:
                driver.execute("SAVEPOINT member")
            yield connection
            if not is_first:
                driver.execute("RELEASE member")
            group.n_members += 1
            is_done = True
        finally:
            if not is_done:
                self._undo(driver, group, is_first=is_first)
            self._commit_if_last(driver)

    def _undo(self, driver: Any, group: _Group, *, is_first: bool) -> None:
        """Take back one member, or all where that cannot be: some errors, such as a full disk, end the transaction of all."""
        error = sys.exc_info()[1]
        try:
            if driver.in_transaction and not is_first:
                driver.execute("ROLLBACK TO member")
                driver.execute("RELEASE member")
                return
        except sqlite3.Error as failure:
            error = failure
        self._end(driver, group, error)

    def _end(self, driver: Any, group: _Group, error: BaseException | None) -> None:
        self._group = None
        try:
            if driver.in_transaction:
                driver.execute("ROLLBACK")
        finally:
            group.settle(_for_all(error))

    def _commit_if_last(self, driver: Any) -> None:
        group = self._group
        if group is None:
            return
        is_full = group.n_members >= MAX_MEMBERS or time.monotonic() - group.begun_at > MAX_AGE_S
        if self._n_waiting and not is_full:
            return
        try:
            driver.execute("COMMIT")
        except sqlite3.Error as error:
            self._end(driver, group, error)  # each member raises it for itself
        else:
            self._group = None
            group.settle(None)


def _for_all(error: BaseException | None) -> sqlite3.Error:
    """Return what all of a group are told: what SQLite said, and nothing of the change that it said it about."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    return cause if isinstance(cause, sqlite3.Error) else sqlite3.OperationalError("the transaction ended")
