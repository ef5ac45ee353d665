"""How commands show what they made, listed or did: the JSON of the wire with ``--json``, else text for people."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from footfall.cli import output
from footfall.cli.context import choices


class HasWire(Protocol):
    """A reply of the service; ``wire`` is its JSON."""

    @property
    def wire(self) -> dict[str, Any]:
        """The answer as it came."""


def done(sentence: str, /, **facts: object) -> None:
    """Report that something is done: a sentence, or the facts as JSON."""
    if choices().json:
        output.json_value(facts)
    else:
        output.line(sentence)


def show_made(wire: Mapping[str, object], id: str, note: str) -> None:
    """Show something new: its id on stdout, and on stderr what to do next."""
    if choices().json:
        output.json_value(wire)
    else:
        output.line(id)
        output.note(note)


def show_list(
    items: Iterable[HasWire],
    columns: Sequence[str],
    rows: Sequence[Sequence[object]],
    *,
    empty: str = "",
    numbers: Sequence[int] = (),
    whole: Sequence[int] = (),
) -> None:
    """Print a list; see ``output.table``."""
    if choices().json:
        output.json_value([item.wire for item in items])
    else:
        output.table(columns, rows, numbers=numbers, empty=empty, whole=whole)


def show_record(wire: Mapping[str, object], fields: Mapping[str, object] | None = None) -> None:
    """Show one thing: its JSON, or its fields for people, which are those of the JSON if none are given."""
    if choices().json:
        output.json_value(wire)
    else:
        output.record(wire if fields is None else fields)


def moment(at: datetime | None) -> str:
    """Return a time as a table shows it."""
    return "-" if at is None else f"{at:%Y-%m-%d %H:%M:%S}"


def duration_text(seconds: float | None) -> str:
    """Return how long something took, in at most two units."""
    if seconds is None:
        return "-"
    left = round(seconds)
    parts: list[str] = []
    for name, size in (("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)):
        if left >= size or parts or size == 1:
            parts.append(f"{left // size}{name}")
            left %= size
    return " ".join(parts[:2])


def day(at: datetime | None) -> str:
    """Return the day of a time."""
    return "-" if at is None else f"{at:%Y-%m-%d}"
