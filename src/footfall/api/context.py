"""What the app is given by whoever composes the server."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from footfall.api.http.keyed_lock import Underway
from footfall.behavior.context import Workbench
from footfall.compute.catalogue.images import Images
from footfall.compute.catalogue.products import Machine, Products
from footfall.compute.catalogue.registries import Catalogues
from footfall.compute.create import Shop
from footfall.compute.outputs.isolation_levels import IsolationLevels
from footfall.compute.storage.usage import UsedSizes
from footfall.config import Settings
from footfall.db.engine.encryption import Secrets
from footfall.db.engine.engine import Database
from footfall.prometheus import Measures
from footfall.stores.store import Buckets, Store


def _nothing() -> None:
    return


def _no_details() -> Mapping[str, Any]:
    return {}


@dataclass(frozen=True)
class AppContext:
    """Everything that handlers use. ``wake`` is called after a commit that made or cancelled a run; ``health`` adds facts.

    ``machine``: what runs can be given here. ``measures``: what this server counts of itself.
    """

    settings: Settings
    database: Database
    buckets: Buckets
    internal: Store
    secrets: Secrets
    wake: Callable[[], None] = _nothing
    health: Callable[[], Mapping[str, Any]] = _no_details
    machine: Machine = field(default_factory=Machine)
    measures: Measures = field(default_factory=Measures)
    shop: Shop = field(init=False)
    isolation_levels: IsolationLevels = field(init=False)
    catalogues: Catalogues = field(init=False)
    used_sizes: UsedSizes = field(default_factory=UsedSizes)
    underway: Underway = field(default_factory=Underway)
    bench: Workbench = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "bench", Workbench(self.settings, self.database, self.buckets))
        products, images = Products(self.settings, self.machine), Images(self.settings, self.machine)
        object.__setattr__(self, "shop", Shop(self.settings, self.secrets, self.machine, products, images))
        object.__setattr__(self, "catalogues", Catalogues(self.secrets, self.settings.registry_hosts))
        object.__setattr__(self, "isolation_levels", IsolationLevels(self.settings.runs_root))
