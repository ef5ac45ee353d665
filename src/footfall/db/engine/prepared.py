"""Prepared statements for hot paths: compiled once for each dialect and executed by the driver itself.

A statement that takes SQLite 20 µs costs SQLAlchemy 100 µs more, so the few of *get one* and *create* go past its result
objects; everything else does not.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import text
from sqlalchemy.engine import Connection
from sqlalchemy.sql.expression import ClauseElement

from footfall.errors import DatabaseUnavailableError


class Prepared:
    """A statement without parameters that expand, as an expression or as SQL, and its text for each dialect it has met."""

    def __init__(self, statement: ClauseElement | str) -> None:
        self._statement = text(statement) if isinstance(statement, str) else statement
        self._texts: dict[str, tuple[str, tuple[str, ...] | None, dict[str, Any]]] = {}

    def all(self, connection: Connection, **values: Any) -> list[Sequence[Any]]:
        """Return the rows; no type of SQLAlchemy converts what goes in or comes out.

        Raises:
            DatabaseUnavailableError: the database is away or locked.
        """
        cursor = self._run(connection, values)
        rows: list[Sequence[Any]] = cursor.fetchall()
        cursor.close()
        return rows

    def one(self, connection: Connection, **values: Any) -> Sequence[Any] | None:
        """Return the first row, or None."""
        rows = self.all(connection, **values)
        return rows[0] if rows else None

    def change(self, tx: Connection, **values: Any) -> int:
        """Insert or update in a transaction; return how many rows that touched.

        Raises:
            DatabaseUnavailableError: the database is away, locked or full.
        """
        cursor = self._run(tx, values)
        n_rows = int(cursor.rowcount)
        cursor.close()
        return n_rows

    def _run(self, connection: Connection, values: dict[str, Any]) -> Any:
        dialect = connection.dialect
        sql, names, constants = self._texts.get(dialect.name) or self._compile(connection)
        if constants:
            values = constants | values
        driver = connection.connection.dbapi_connection
        assert driver is not None
        cursor = driver.cursor()
        try:
            cursor.execute(sql, values if names is None else [values[name] for name in names])
        except dialect.loaded_dbapi.OperationalError as error:
            if dialect.is_disconnect(error, driver, cursor):
                connection.invalidate(error)
            raise DatabaseUnavailableError(f"The database cannot be used now ({error}); try again.") from error
        return cursor

    def _compile(self, connection: Connection) -> tuple[str, tuple[str, ...] | None, dict[str, Any]]:
        compiled = self._statement.compile(dialect=connection.dialect)
        names = getattr(compiled, "positiontup", None)
        constants = {name: value for name, value in compiled.params.items() if value is not None}
        known = (str(compiled), None if names is None else tuple(names), constants)
        self._texts[connection.dialect.name] = known
        return known
