"""What the rules of behavior work with: settings, database and buckets; and the run of a job."""

import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from footfall.config import Settings
from footfall.contract.jobs import Job
from footfall.db.engine.engine import Connection, Database
from footfall.records import RunSpec
from footfall.stores.buckets import Buckets

T = TypeVar("T")
Apply = Callable[[Connection], T]
"""The second half of a change: called in the transaction that also remembers the request."""


class Publications:
    """Objects that this process is about to put into or remove from buckets, so that no bucket is deleted at that moment.

    A publication starts before the transaction that checks rights to the bucket; a deletion of the bucket asks for
    publications in the transaction that removes its row. So one of the two sees the other.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: Counter[str] = Counter()
        self._n_started = 0
        self._last: dict[str, int] = {}

    @contextmanager
    def publishing(self, bucket: str) -> Iterator[None]:
        """Keep a bucket from being deleted until the block ends."""
        with self._lock:
            self._n_started += 1
            self._last[bucket] = self._n_started
            self._running[bucket] += 1
        try:
            yield
        finally:
            with self._lock:
                self._running[bucket] -= 1
                if not self._running[bucket]:
                    del self._running[bucket]

    def n_started(self) -> int:
        """Return how many have started so far."""
        with self._lock:
            return self._n_started

    def has_any(self, bucket: str, since: int) -> bool:
        """Whether one for a bucket is under way, or started after the first ``since``."""
        with self._lock:
            return bool(self._running[bucket]) or self._last.get(bucket, 0) > since


@dataclass(frozen=True, slots=True)
class BehaviorContext:
    """What every rule of behavior may use."""

    settings: Settings
    database: Database
    buckets: Buckets
    publications: Publications = field(default_factory=Publications)


def job_spec(settings: Settings, job: Job) -> RunSpec:
    """Return the run of one of our jobs, with the cores, memory and limits of the settings."""
    return RunSpec(
        command=(sys.executable, "-m", f"footfall.jobs.{job.module}"),
        n_cores=settings.behavior_cores,
        memory_mib=settings.behavior_memory_mib,
        job=job.to_json(),
        timeout_s=settings.behavior_timeout_s,
        grace_s=settings.stop_grace_s,
        max_attempts=settings.max_attempts,
        log_limit_bytes=settings.log_limit_bytes,
    )
