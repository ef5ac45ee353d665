"""How the data set of a feature is to be read: format, columns, end of observation. Ours; the contract knows sequence files."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from footfall.errors import InvalidFieldError

FORMATS = ("auto", "sequence", "parquet", "csv", "jsonl")
MAX_COLUMNS, MAX_LENGTH = 8, 200


def check_options(
    format: str | None, columns: Mapping[str, Any] | None, observed_until: str | None
) -> dict[str, Any] | None:
    """Return the options as the job takes them, without what was left open; None when nothing was said.

    Raises:
        InvalidFieldError: an unknown format, a column without a name or named twice, too many of them, columns or an end of
            observation for a sequence file, or a time that is none.
    """
    found: dict[str, Any] = {}
    if format not in (None, "auto"):
        if format not in FORMATS:
            raise InvalidFieldError(
                "format", format, "choice", f"format is none of {', '.join(FORMATS)}; give one of them."
            )
        found["format"] = format
    if columns:
        _check_columns(columns)
        found["columns"] = {role: value for role, value in columns.items() if value is not None}
    if observed_until is not None:
        found["observed_until"] = _check_time(observed_until)
    extra = [name for name in ("columns", "observed_until") if found.get(name)]
    if format == "sequence" and extra:
        raise InvalidFieldError(
            extra[0],
            None,
            "choice",
            f"{extra[0]} is for event logs and a sequence file has none; leave it or format out.",
        )
    return found or None


def _check_columns(columns: Mapping[str, Any]) -> None:
    names: list[str] = []
    for role in ("user_id", "timestamp", "behavior", "numeric", "categorical"):
        value = columns.get(role)
        given = [] if value is None else [value] if isinstance(value, str) else list(value)
        field = f"columns.{role}"
        if len(given) > MAX_COLUMNS:
            raise InvalidFieldError(
                field, None, "range", f"{field} has {len(given)} columns; give at most {MAX_COLUMNS}."
            )
        for name in given:
            if not name.strip() or len(name) > MAX_LENGTH:
                raise InvalidFieldError(
                    field,
                    name,
                    "pattern",
                    f"{field} has a name that is blank or too long; give 1 to {MAX_LENGTH} characters.",
                )
        if role != "behavior":  # which may count as a category, too
            names += given
    twice = _first_twice(names)
    if twice is not None:
        raise InvalidFieldError(
            "columns", twice, "pattern", f"columns has {twice!r} twice; a column is one thing only."
        )


def _first_twice(names: Iterable[str]) -> str | None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return None


def _check_time(text: str) -> str:
    try:
        time = datetime.fromisoformat(text)
        time = time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise InvalidFieldError(
            "observed_until",
            text,
            "pattern",
            "observed_until is no time; write ISO 8601, such as 2025-03-31T00:00:00Z.",
        ) from error
    return time.isoformat()
