"""The options with which an event log is read, as a request gives them. The contract knows sequence files alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any


@dataclass(frozen=True)
class LogOptions:
    """The options of a data set in a request; each may be left open."""

    format: str = "auto"
    user_id: str | None = None
    timestamp: str | None = None
    behavior: tuple[str, ...] = ()
    """One column, or several whose texts are joined by a blank."""
    numeric: tuple[str, ...] | None = None
    categorical: tuple[str, ...] | None = None
    observed_until: datetime | None = None
    """Later events are left out; recency is counted back from here, else from the last event."""

    @property
    def has_columns(self) -> bool:
        """Whether a column is declared, which only an event log has."""
        return any((self.user_id, self.timestamp, self.behavior, self.numeric, self.categorical))

    @classmethod
    def from_json(cls, request: Mapping[str, Any] | None) -> "LogOptions":
        """Return the options of a checked request: ``format``, ``columns``, ``observed_until``."""
        request = request or {}
        columns = request.get("columns") or {}
        behavior = columns.get("behavior") or ()
        until = request.get("observed_until")
        return cls(
            format=request.get("format") or "auto",
            user_id=columns.get("user_id"),
            timestamp=columns.get("timestamp"),
            behavior=(behavior,) if isinstance(behavior, str) else tuple(behavior),
            numeric=None if columns.get("numeric") is None else tuple(columns["numeric"]),
            categorical=None if columns.get("categorical") is None else tuple(columns["categorical"]),
            observed_until=None if until is None else _aware(datetime.fromisoformat(until)),
        )


def _aware(time: datetime) -> datetime:
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
