"""Rows: read into records by name, where one table of fields makes both the SELECT and the record; required; inserted."""

from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any, Generic, TypeVar

from sqlalchemy import ColumnElement, Executable, func, select
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError

from footfall.errors import AlreadyExistsError, NotFoundError, QuotaExceededError

T = TypeVar("T")


class RowReader(Generic[T]):
    """The fields of a dataclass, each with its source: a column; (column, …, what makes its value of theirs); or a reader.

    Rows are read by position, but the position is known here alone.

    Args:
        column_of: gives the column of a field that has no source of its own.

    Raises:
        TypeError: a field of the dataclass is missing, or one is not its.
    """

    def __init__(self, record: type[T], column_of: Callable[[str], Any] | None = None, **sources: Any) -> None:
        names = [field.name for field in fields(record)]  # type: ignore[arg-type]  # a dataclass, which types cannot say
        if column_of is not None:
            sources = {name: column_of(name) for name in names if name not in sources} | sources
        if set(names) != sources.keys():
            raise TypeError(f"{record.__name__}: {sorted(set(names) ^ sources.keys())} are not in both")
        self.columns: tuple[Any, ...] = ()
        values: list[str] = []
        scope: dict[str, Any] = {"record": record}
        for name, source in ((name, sources[name]) for name in names):
            first = len(self.columns)
            if isinstance(source, RowReader):
                self.columns += source.columns
                scope[f"read_{name}"], value = source.read, f"read_{name}(row[{first}:])"
            elif isinstance(source, tuple):
                self.columns += source[:-1]
                cells = ", ".join(f"row[{n}]" for n in range(first, len(self.columns)))
                scope[f"read_{name}"], value = source[-1], f"read_{name}({cells})"
            else:
                self.columns += (source,)
                value = f"row[{first}]"
            values.append(value)
        # One expression, as a dataclass makes its __init__: a loop over the decoders takes a third longer.
        self.read: Callable[[Sequence[Any]], T] = eval(f"lambda row: record({', '.join(values)})", scope)
        """Return the record of a row of ``columns``; what the row has behind them is passed over."""


def existing(row: T | None, kind: str, id: str) -> T:
    """Return what was found.

    Raises:
        NotFoundError: that is nothing.
    """
    if row is None:
        raise NotFoundError(kind, id)
    return row


def insert_new(tx: Connection, statement: Executable, kind: str, name: str) -> None:
    """Execute an INSERT.

    Raises:
        AlreadyExistsError: there is a row with one of its keys.
    """
    try:
        tx.execute(statement)
    except IntegrityError as error:
        raise AlreadyExistsError(kind, name) from error


def check_limit(tx: Connection, condition: ColumnElement[bool], limit: int, what: str) -> None:
    """Check that there is room for one more row for which a condition holds.

    Raises:
        QuotaExceededError: there are ``limit`` already.
    """
    if tx.execute(select(func.count()).where(condition)).scalar_one() >= limit:
        raise QuotaExceededError(what, limit, 1)
