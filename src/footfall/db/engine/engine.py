"""Open SQLite or PostgreSQL, and the two kinds of transaction. The only place that asks which dialect it is."""

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection as Connection
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError

from footfall.config import Settings
from footfall.db.engine.group_commit import GroupCommit
from footfall.errors import DatabaseUnavailableError

BUSY_TIMEOUT_S = 30

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Database:
    """A database that is open. One object a process, used by all threads."""

    def __init__(self, url: str, *, pool_size: int = 32) -> None:
        self.url = make_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        # Errors land in logs, and what a statement was given may be a user's.
        self._connect: dict[str, Any] = {"hide_parameters": True}
        if self.is_sqlite:
            self._connect["connect_args"] = {"timeout": BUSY_TIMEOUT_S, "check_same_thread": False}
        self.engine = sa.create_engine(self.url, pool_size=pool_size, max_overflow=32, **self._connect)
        if self.is_sqlite:
            sa.event.listen(self.engine, "connect", _configure_sqlite)
        # Readers never need a transaction. Each thread keeps its connection: taking one from a pool costs more than a SELECT.
        self._readers = sa.create_engine(self.url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool, **self._connect)
        if self.is_sqlite:
            sa.event.listen(self._readers, "connect", _configure_sqlite)
        self._of_thread = threading.local()
        # SQLite lets one writer in at a time and others poll with growing sleeps; a lock of ours queues them.
        self._writer = GroupCommit(self._readers.connect)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Give a connection for single SELECTs, each of which sees the newest committed state."""
        connection: Connection | None = getattr(self._of_thread, "connection", None)
        with _translate_errors():
            if connection is None or connection.closed or connection.invalidated:
                connection = self._of_thread.connection = self._readers.connect()
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Give a connection in a transaction that commits, durably, when the block ends and rolls back when it raises.

        Keep slow calls out of it: with SQLite every other writer waits.
        """
        with _translate_errors():
            if not self.is_sqlite:
                with self.engine.begin() as connection:
                    yield connection
                return
            with self._writer.transaction() as connection:
                yield connection

    def close(self) -> None:
        """Close the connections that no thread uses now."""
        connection = getattr(self._of_thread, "connection", None)
        if connection is not None:
            connection.close()
        self._writer.close()
        self.engine.dispose()
        self._readers.dispose()


def database_url(settings: Settings) -> str:
    """Return where the database of these settings is: SQLite in the data directory, unless they say else."""
    return settings.database_url or sqlite_url(settings.data_dir / "footfall.db")


def sqlite_url(path: Path) -> str:
    """Return the URL of an SQLite file."""
    return f"sqlite:///{path}"


def to_us(time_: datetime) -> int:
    """Return microseconds since 1970 of an aware datetime."""
    delta = time_ - _EPOCH
    return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds


def now_us() -> int:
    """Return microseconds since 1970 now."""
    return time.time_ns() // 1000


def from_us(value: int) -> datetime:
    """Return the aware UTC datetime of microseconds since 1970."""
    return datetime.fromtimestamp(value // 1_000_000, UTC).replace(microsecond=value % 1_000_000)


def from_us_or_none(value: int | None) -> datetime | None:
    """As ``from_us``; None stays None."""
    return None if value is None else from_us(value)


def back_up_sqlite(source: Path, target: Path) -> None:
    """Copy a database with its write-ahead log, consistently, while others may use it."""
    with sqlite3.connect(source) as from_, sqlite3.connect(target) as to:
        from_.backup(to)
    from_.close()
    to.close()


def _configure_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # SQLAlchemy's begin event starts transactions, not the driver
    cursor = connection.cursor()
    for pragma in (
        "journal_mode = WAL",
        "synchronous = FULL",
        "foreign_keys = ON",
        f"busy_timeout = {BUSY_TIMEOUT_S * 1000}",
        "cache_size = -16000",
        "temp_store = MEMORY",
        "wal_autocheckpoint = 4000",  # 16 MiB: a checkpoint makes the commit that triggers it wait
        "journal_size_limit = 67108864",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


@contextmanager
def _translate_errors() -> Iterator[None]:
    try:
        yield
    except IntegrityError:
        raise
    except (OperationalError, sqlite3.OperationalError, sa.exc.TimeoutError) as error:
        text = str(error.orig) if isinstance(error, DBAPIError) else str(error)
        raise DatabaseUnavailableError(f"The database cannot be used now ({text}); nothing was changed, try again.") from error
