"""What every handler uses; ``server.py`` composes it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from footfall.api.docs.documents import ApiDocuments
from footfall.api.http.keyed_lock import KeyedLock
from footfall.behavior.context import BehaviorContext
from footfall.compute.catalogue.registries import RegistryCatalogs
from footfall.compute.create import Launcher
from footfall.compute.outputs.isolation_levels import IsolationLevels
from footfall.compute.storage.usage import UsedSizes
from footfall.config import Settings
from footfall.db.engine.encryption import Secrets
from footfall.db.engine.engine import Database
from footfall.prometheus import ServerMetrics
from footfall.stores.buckets import Buckets
from footfall.stores.store import Store


@dataclass(frozen=True, slots=True)
class AppContext:
    """Everything that handlers use.

    Args:
        wake: called after a commit that made or cancelled a run.
        health: facts that ``/healthz`` adds to its own.
        idempotency_lock: held by the request that is under way with an idempotency key.
        metrics_lock: held by an account while the metrics of one of its runs are read: none makes another wait by their size.
    """

    settings: Settings
    database: Database
    buckets: Buckets
    internal: Store
    secrets: Secrets
    wake: Callable[[], None]
    health: Callable[[], Mapping[str, Any]]
    metrics: ServerMetrics
    documents: ApiDocuments
    launcher: Launcher
    behavior: BehaviorContext
    catalogs: RegistryCatalogs
    isolation_levels: IsolationLevels
    used_sizes: UsedSizes
    idempotency_lock: KeyedLock
    metrics_lock: KeyedLock
