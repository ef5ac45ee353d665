"""What the rules of behavior need to see: settings, database and buckets; and the runs they ask for."""

import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from footfall.config import Settings
from footfall.db.connection import Connection
from footfall.db.engine.engine import Database
from footfall.records import RunSpec
from footfall.stores.buckets import Buckets

T = TypeVar("T")
Apply = Callable[[Connection], T]
"""The second half of a change: called in the transaction that also remembers the request."""


class Publications:
    """What this process is about to make appear in or vanish from buckets, so that none is deleted at that very moment.

    Who publishes begins it before the transaction that checks rights to the bucket; who deletes a bucket asks in the
    transaction that takes it away. So one of the two sees the other.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: Counter[str] = Counter()
        self._begun = 0
        self._last: dict[str, int] = {}

    @contextmanager
    def publishing(self, bucket: str) -> Iterator[None]:
        """Keep a bucket from being deleted until the block ends."""
        with self._lock:
            self._begun += 1
            self._last[bucket] = self._begun
            self._running[bucket] += 1
        try:
            yield
        finally:
            with self._lock:
                self._running[bucket] -= 1
                if not self._running[bucket]:
                    del self._running[bucket]

    def begun(self) -> int:
        """Return how many were begun so far."""
        with self._lock:
            return self._begun

    def has_any(self, bucket: str, since: int) -> bool:
        """Whether one for a bucket is under way, or was begun after the first ``since``."""
        with self._lock:
            return bool(self._running[bucket]) or self._last.get(bucket, 0) > since


@dataclass(frozen=True, slots=True)
class Workbench:
    """What every rule of behavior may use."""

    settings: Settings
    database: Database
    buckets: Buckets
    publications: Publications = field(default_factory=Publications)


def job_spec(settings: Settings, job_name: str, job: Mapping[str, Any]) -> RunSpec:
    """Return the run of one of our jobs, with the cores, memory and limits of the settings.

    Args:
        job_name: a module of ``footfall.jobs``.
        job: its parameters, as JSON.
    """
    return RunSpec(
        command=(sys.executable, "-m", f"footfall.jobs.{job_name}"),
        n_cores=settings.behavior_cores,
        memory_mib=settings.behavior_memory_mib,
        job=job,
        timeout_s=settings.behavior_timeout_s,
        grace_s=settings.stop_grace_s,
        max_attempts=settings.max_attempts,
        log_limit_bytes=settings.log_limit_bytes,
    )
