"""The domain records that rooms pass to each other, and new ids. Knows no SQL, HTTP or files.

Times are aware UTC datetimes named ``…_at``; sizes are named with their unit.
"""

import os
import threading
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from footfall.states import FailureReason, RunState

Json = dict[str, Any]

_id_lock = threading.Lock()
_id_last = 0


def new_id() -> str:
    """Return a new UUID of version 7: ids made later in one process sort later.

    Source: RFC 9562, section 5.7, with 12 bits of sub-millisecond clock as a counter (method 3).
    """
    global _id_last  # one counter a process is what makes its ids sort
    with _id_lock:
        tick = max(_id_last + 1, time.time_ns() * 4096 // 1_000_000)
        _id_last = tick
    value = (tick >> 12) << 80 | 7 << 76 | (tick & 0xFFF) << 64 | 2 << 62 | int.from_bytes(os.urandom(8)) >> 2
    return str(uuid.UUID(int=value))


def id_time(id: str) -> float:
    """Return when an id was made, in seconds since 1970."""
    return (uuid.UUID(id).int >> 80) / 1000


def utc_now() -> datetime:
    """Return the current time, aware, in UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who signed a request: a user of an account, with a role for each service (``MANAGER``, ``VIEWER`` or ``NONE``)."""

    account_id: str
    user_id: str
    access_key: str
    roles: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Image:
    """What a command finds around it. ``path``: a directory of the host; of ``oci`` an engine's name of it, or a file."""

    name: str
    kind: str
    """``host``, ``venv``, ``rootfs`` or ``oci``."""
    path: str = ""


@dataclass(frozen=True, slots=True)
class MountedVolume:
    """A block storage and its directory on the host."""

    number: int
    path: str = ""


@dataclass(frozen=True, slots=True)
class Workload:
    """A command of a user and what its nodes find around it.

    ``script`` is a shell's text; None holds the nodes until somebody stops the run (a DEV product). Paths are of the host and
    are filled in when the run starts, as are ``code``, the archive that ``code_digest`` names, and ``authorized_keys``.
    """

    script: str | None
    image: Image
    project_id: str
    project_name: str
    run_name: str
    project_dir: str = ""
    volumes: tuple[MountedVolume, ...] = ()
    code_digest: str = ""
    code: str = ""
    code_limit_bytes: int = 1 << 30
    output_limit_bytes: int = 10 << 30
    scratch_limit_bytes: int = 100 << 30
    max_processes: int = 4096
    log_limit_action: str = "drop"
    """At the log's limit: ``drop`` what follows, or ``end`` the run with reason ``log_limit``."""
    start_timeout_s: float = 300.0
    network: str = "host"
    authorized_keys: str = ""


@dataclass(frozen=True, slots=True)
class RunSpec:
    """What a run executes and what it needs, fixed when the run is made.

    ``command`` is an argument vector. ``job`` holds the parameters of one of our own jobs; a command of a user has a
    ``workload`` instead, and no ``command``. ``n_cores``, ``memory_mib`` and ``n_gpus`` are for each node; an empty ``gpu_model``
    takes GPUs of any model. ``max_attempts`` is of our own jobs; a user's command is attempted again when it asks for that.
    """

    command: tuple[str, ...]
    n_nodes: int = 1
    n_cores: int = 1
    memory_mib: int = 1024
    n_gpus: int = 0
    gpu_model: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    job: Mapping[str, Any] | None = None
    timeout_s: float | None = None
    grace_s: float = 30.0
    max_attempts: int = 1
    log_limit_bytes: int = 1 << 30
    workload: Workload | None = None


@dataclass(frozen=True, slots=True)
class Capacity:
    """What an executor hands out at the same time, or what somebody has of it."""

    n_cores: int
    memory_mib: int
    n_gpus: int = 0


@dataclass(frozen=True, slots=True)
class NodeShare:
    """What one node of a run may use: cores counted from 0 among those that the executor hands out, and GPU ids."""

    cores: tuple[int, ...] = ()
    gpus: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Grant:
    """What an attempt of a run was given: how much in all, which units each node has by rank, and where its nodes meet."""

    total: Capacity
    shares: tuple[NodeShare, ...] = ()
    port: int | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """One run of compute. ``result`` is what its command found out, at most 64 KB; None until it completed."""

    id: str
    account_id: str
    project_id: str
    state: RunState
    spec: RunSpec
    attempt: int
    created_at: datetime
    kind: str = "command"
    turn_key: str | None = None
    handle: str | None = None
    message: str | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    reason: FailureReason | None = None
    fail_name: str | None = None
    fail_details: str | None = None
    cancel_requested_at: datetime | None = None
    cancelled_by: str | None = None
    result: Json | None = None
    number: int | None = None
    run_type: str | None = None
    product_code: int | None = None
    user_id: str | None = None
    priority: int = 0
    overtaken_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Gpu:
    """A GPU that an executor hands out; a fake one only makes the paths run."""

    id: str
    model: str
    memory_mib: int
    is_fake: bool = False


@dataclass(frozen=True, slots=True)
class Product:
    """A server product: what one node of a run gets. ``use_type`` is ``TRAIN`` or ``DEV``."""

    code: int
    use_type: str
    node_counts: tuple[int, ...]
    name: str
    product_code: str
    n_cores: int
    memory_mib: int
    n_gpus: int = 0
    gpu_model: str = ""

    @property
    def run_type(self) -> str:
        """The type of its runs: ``NOTEBOOK`` or ``TRAIN``."""
        return "NOTEBOOK" if self.use_type == "DEV" else "TRAIN"


@dataclass(frozen=True, slots=True)
class Project:
    """A set of runs with one storage. ``status`` is a word of the contract; ``user_number`` is of who made it."""

    id: str
    account_id: str
    name: str
    status: str
    note: str
    nas_gb: int
    user_number: int | None
    n_runs: int
    n_nodes: int
    is_system: bool
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class RunStatus:
    """What a resource of behavior shows of the run that makes it."""

    run_id: str
    state: RunState
    attempt: int
    created_at: datetime
    ended_at: datetime | None
    reason: FailureReason | None
    fail_name: str | None
    fail_details: str | None
    result: Json | None


@dataclass(frozen=True, slots=True)
class Feature:
    """A set of encoded users, made from sequences. ``encoder`` and ``coverage`` are None until they are chosen."""

    id: str
    name: str
    source_bucket: str
    source_file_path: str
    run: RunStatus
    encoder_id: str | None
    encoder_name: str | None
    coverage: float | None
    source_options: dict[str, Any] | None = None
    """How its data set is read (``behavior/source_options.py``); None: found out by the job."""


@dataclass(frozen=True, slots=True)
class Task:
    """A model learned from labelled users of a feature. ``test_*`` are None when the service splits for itself."""

    id: str
    name: str
    train_feature_id: str
    train_feature_name: str
    train_bucket: str
    train_file_path: str
    test_feature_id: str | None
    test_feature_name: str | None
    test_bucket: str | None
    test_file_path: str | None
    encoder_id: str
    run: RunStatus


@dataclass(frozen=True, slots=True)
class TaskRun:
    """A task applied to a feature: every user scored, written to the result object."""

    id: str
    name: str
    task_id: str
    task_name: str
    feature_id: str
    feature_name: str
    result_bucket: str
    result_file_path: str
    run: RunStatus


@dataclass(frozen=True, slots=True)
class ShoppingIntent:
    """What the users whom a task found have in common; ``feature_id`` is that of its users, the task's train feature."""

    id: str
    name: str
    task_id: str
    task_name: str
    feature_id: str
    run: RunStatus


@dataclass(frozen=True, slots=True)
class CustomAttributes:
    """How alike every user of a feature is to keywords, written to the result object. ``keyword_set``: one a line."""

    id: str
    name: str
    feature_id: str
    feature_name: str
    keyword_set: str
    result_bucket: str
    result_file_path: str
    run: RunStatus


@dataclass(frozen=True, slots=True)
class Encoder:
    """What was fitted once, without labels, on the users of one feature, and can encode others."""

    id: str
    name: str
    artefact: str
    n_users: int
    created_at: datetime
    feature_id: str
    n_features: int = 0


@dataclass(frozen=True, slots=True)
class Bucket:
    """A name in the object store that belongs to one account and may be granted to others."""

    name: str
    account_id: str
    created_at: datetime
    granted_to: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AccessKey:
    """An access key of a user. ``secret_key`` is set only in the answer that made it."""

    id: str
    user_id: str
    is_active: bool
    created_at: datetime
    secret_key: str | None = None


@dataclass(frozen=True, slots=True)
class User:
    """A person or program of an account, with a role for each service."""

    id: str
    account_id: str
    name: str
    roles: Mapping[str, str]
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Account:
    """The owner of projects, features, buckets and keys."""

    id: str
    name: str
    is_operator: bool
    created_at: datetime
