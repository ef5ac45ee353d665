"""What a data set is read from: named streams of bytes, the progress that is reported, how personal data is treated.

Knows no format.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

Progress = Callable[[str, int, int], None]
"""``progress(stage, done, total)``; ``total`` is 0 while it is not known."""
PersonalData = Literal["refuse", "warn", "off"]


@dataclass(frozen=True)
class Source:
    """A named stream of bytes that can be opened again and again; plain, gzip or zstd."""

    name: str
    """Shown in errors, e.g. ``bucket/path/part-0001.csv``."""
    open: Callable[[], Iterator[bytes]]
    size_bytes: int = 0
    """As stored; 0 when not known. Only progress needs it."""
    allowed: frozenset[str] = frozenset()
    """Kinds of personal data that may be in it."""
    values: Mapping[str, str | None] = field(default_factory=dict)
    """Columns of an event log that its path says, or the log of its table; None: missing."""


def keep_quiet(stage: str, done: int, total: int) -> None:
    """Ignore progress."""
