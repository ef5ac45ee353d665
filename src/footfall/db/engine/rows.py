"""Read rows into records by name: one table of fields makes both the SELECT and the record."""

from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class RowReader(Generic[T]):
    """The fields of a dataclass, each with its column or (column, what makes its value of the column's).

    Rows are read by position, but the position is known here alone.

    Raises:
        TypeError: a field of the dataclass is missing, or one is not its.
    """

    def __init__(self, record: type[T], **sources: Any) -> None:
        names = [field.name for field in fields(record)]  # type: ignore[arg-type]  # a dataclass, which types cannot say
        if set(names) != sources.keys():
            raise TypeError(f"{record.__name__}: {sorted(set(names) ^ sources.keys())} are not in both")
        pairs = [source if isinstance(source, tuple) else (source, None) for source in map(sources.__getitem__, names)]
        self.columns: tuple[Any, ...] = tuple(column for column, _ in pairs)
        # One expression, as a dataclass makes its __init__: a loop over the decoders takes a third longer.
        values = [f"row[{n}]" if decode is None else f"decode{n}(row[{n}])" for n, (_, decode) in enumerate(pairs)]
        scope = {f"decode{n}": decode for n, (_, decode) in enumerate(pairs)} | {"record": record}
        self.read: Callable[[Sequence[Any]], T] = eval(f"lambda row: record({', '.join(values)})", scope)
        """Return the record of a row of ``columns``; what the row has behind them is passed over."""
