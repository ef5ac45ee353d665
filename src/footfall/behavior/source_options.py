"""How the data set of a feature is to be read: format, columns, end of observation. Ours; the contract knows sequence files."""

from collections.abc import Iterable
from datetime import UTC, datetime

from footfall.contract.jobs import SourceOptions
from footfall.contract.nclue import SourceColumns
from footfall.errors import InvalidFieldError

FORMATS = ("auto", "sequence", "parquet", "csv", "jsonl")
MAX_COLUMNS, MAX_LENGTH = 8, 200


def check_options(format: str | None, columns: SourceColumns | None, observed_until: str | None) -> SourceOptions | None:
    """Return the options as the job takes them; None when none was given.

    Raises:
        InvalidFieldError: an unknown format, a column without a name or named twice, too many of them, columns or an end of
            observation for a sequence file, or a time that is none.
    """
    options = SourceOptions()
    if format not in (None, "auto"):
        if format not in FORMATS:
            raise InvalidFieldError("format", format, "choice", f"format is none of {', '.join(FORMATS)}; give one of them.")
        options.format = format
    if columns is not None and columns != SourceColumns():
        _check_columns(columns)
        options.columns = columns
    if observed_until is not None:
        options.observed_until = _check_time(observed_until)
    extra = [name for name in ("columns", "observed_until") if getattr(options, name) is not None]
    if format == "sequence" and extra:
        raise InvalidFieldError(
            extra[0], None, "choice", f"{extra[0]} is for event logs and a sequence file has none; leave it or format out."
        )
    return None if options == SourceOptions() else options


def _check_columns(columns: SourceColumns) -> None:
    names: list[str] = []
    for role in ("user_id", "timestamp", "behavior", "numeric", "categorical"):
        value: str | list[str] | None = getattr(columns, role)
        of_role = [] if value is None else [value] if isinstance(value, str) else value
        field = f"columns.{role}"
        if len(of_role) > MAX_COLUMNS:
            raise InvalidFieldError(field, None, "range", f"{field} has {len(of_role)} columns; give at most {MAX_COLUMNS}.")
        for name in of_role:
            if not name.strip() or len(name) > MAX_LENGTH:
                raise InvalidFieldError(
                    field, name, "pattern", f"{field} has a name that is blank or too long; give 1 to {MAX_LENGTH} characters."
                )
        if role != "behavior":  # which may count as a category, too
            names += of_role
    twice = _first_twice(names)
    if twice is not None:
        raise InvalidFieldError("columns", twice, "pattern", f"columns has {twice!r} twice; a column is one thing only.")


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
            "observed_until", text, "pattern", "observed_until is no time; write ISO 8601, such as 2025-03-31T00:00:00Z."
        ) from error
    return time.isoformat()
