"""Statements compiled once for each dialect, for the paths that are hot: compiling and binding cost more than SQLite does."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy.engine import Connection, CursorResult
from sqlalchemy.sql.expression import ClauseElement


class Prepared:
    """A statement without parameters that expand, and its text for each dialect it has met."""

    def __init__(self, statement: ClauseElement) -> None:
        self._statement = statement
        self._texts: dict[str, tuple[str, tuple[str, ...] | None, dict[str, Any]]] = {}

    def run(self, connection: Connection, **values: Any) -> CursorResult[Any]:
        """Execute it with ``values`` for its named parameters; no type of SQLAlchemy converts what goes in or comes out."""
        dialect = connection.dialect
        known = self._texts.get(dialect.name)
        if known is None:
            compiled = self._statement.compile(dialect=dialect)
            names = getattr(compiled, "positiontup", None)
            known = (str(compiled), None if names is None else tuple(names), dict(compiled.params))
            self._texts[dialect.name] = known
        text, names, constants = known
        given = constants | values if constants else values
        if names is None:
            return connection.exec_driver_sql(text, given)
        return connection.exec_driver_sql(text, tuple([given[name] for name in names]))

    def one(self, connection: Connection, **values: Any) -> Sequence[Any] | None:
        """Return the first row, or None."""
        return self.run(connection, **values).fetchone()
