"""What the app is given by whoever composes the server."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from footfall.behavior.workbench import Workbench
from footfall.config import Settings
from footfall.db.encryption import Secrets
from footfall.db.engine import Database
from footfall.store import Buckets, Store


def _nothing() -> None:
    return


def _no_details() -> Mapping[str, Any]:
    return {}


@dataclass(frozen=True)
class AppContext:
    """Everything that handlers use. ``wake`` is called after a commit that made or cancelled a run; ``health`` adds facts."""

    settings: Settings
    database: Database
    buckets: Buckets
    internal: Store
    secrets: Secrets
    wake: Callable[[], None] = _nothing
    health: Callable[[], Mapping[str, Any]] = _no_details
    bench: Workbench = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "bench", Workbench(self.settings, self.database, self.buckets))
