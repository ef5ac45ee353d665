"""What the rules of behavior need to see: settings, database and buckets; and the runs they ask for."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from footfall.config import Settings
from footfall.db.connection import Connection
from footfall.db.engine import Database
from footfall.records import RunSpec
from footfall.store import Buckets

T = TypeVar("T")
Apply = Callable[[Connection], T]
"""The second half of a change: called in the transaction that also remembers the request."""


@dataclass(frozen=True, slots=True)
class Workbench:
    """What every rule of behavior may use."""

    settings: Settings
    database: Database
    buckets: Buckets


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
