"""The answers about projects and runs, as typed structs. Knows no HTTP.

The names of the wire are those of NSML; ``wire`` keeps each answer as it came. Times are aware UTC datetimes, though the wire
names no zone; sizes are named with their unit.

Source: ``docs/reference/api.md``.
"""

from datetime import UTC, datetime
from typing import Any

import msgspec

from footfall.client.replies import Record

FINAL_STATES = ("completed", "failed", "cancelled")
_PREFIX = "RUN_STATE_"


class NsmlRecord(Record, kw_only=True, rename="camel"):
    """What these answers share: camel case."""


class Project(NsmlRecord, kw_only=True):
    """A set of runs with one storage."""

    id: str = msgspec.field(name="projectId")
    name: str = msgspec.field(name="projectName")
    status: str
    run_count: int = 0
    node_count: int | None = None
    note: str | None = None
    nas_gb: int | None = msgspec.field(default=None, name="nasVolumeSize")
    created_at: datetime | None = msgspec.field(default=None, name="createdDate")
    updated_at: datetime | None = msgspec.field(default=None, name="updatedDate")


class Run(NsmlRecord, kw_only=True):
    """A command on N nodes. What a list does not show is None or empty."""

    number: str = msgspec.field(name="runName")
    project_id: str
    project_name: str
    status: str
    run_type: str = ""
    creator: str | None = None
    product: str | None = msgspec.field(default=None, name="engFullName")
    product_code: int | None = msgspec.field(default=None, name="gpuSvrCode")
    image_type: str | None = None
    image: str | None = msgspec.field(default=None, name="imagePath")
    command: str | None = None
    environment: dict[str, Any] = msgspec.field(default_factory=dict, name="envs")
    note: str | None = None
    node_count: int | None = None
    attempts: int | None = None
    exit_code: int | None = None
    reason: str | None = None
    message: str | None = None
    code_digest: str | None = None
    git_commit: str | None = None
    git_modified: bool | None = None
    created_at: datetime | None = msgspec.field(default=None, name="createTime")
    updated_at: datetime | None = msgspec.field(default=None, name="updateTime")
    started_at: datetime | None = msgspec.field(default=None, name="startTime")
    ended_at: datetime | None = msgspec.field(default=None, name="endTime")

    @property
    def name(self) -> str:
        """Its name on the command line: ``project/number``."""
        return f"{self.project_name}/{self.number}"

    @property
    def took_s(self) -> float | None:
        """Seconds since it started, or from its start to its end; None before."""
        if self.started_at is None:
            return None
        return ((self.ended_at or datetime.now(UTC)) - self.started_at).total_seconds()

    @property
    def state(self) -> str:
        """``registered``, ``pending``, ``in_progress``, ``completed``, ``failed`` or ``cancelled``."""
        return self.status.removeprefix(_PREFIX).lower()

    @property
    def is_final(self) -> bool:
        """Whether it ended."""
        return self.state in FINAL_STATES

    def __repr__(self) -> str:
        return f"Run({self.name!r}, state={self.state!r})"


class Node(NsmlRecord, kw_only=True):
    """One container of a run."""

    id: str = msgspec.field(name="nodeId")
    rank: int
    state: str
    exit_code: int | None = None
    host: str | None = None
    port: int | None = None
    gpu_ids: list[str] = msgspec.field(default_factory=list)


class Product(NsmlRecord, kw_only=True):
    """A server product: what one node gets. ``use_type`` is ``TRAIN`` or ``DEV``."""

    code: int = msgspec.field(name="gpuSvrCode")
    use_type: str
    node_counts: list[int]
    name: str = msgspec.field(name="engFullName")
    product_code: str = msgspec.field(name="serverProductCode")


class Image(NsmlRecord, kw_only=True):
    """The environment of a command: a file system or a virtual environment."""

    name: str
    path: str
    type: str = msgspec.field(default="BASE", name="imageType")


class Registry(NsmlRecord, kw_only=True):
    """A stored login of an image repository; the secret key is masked."""

    endpoint: str = msgspec.field(name="privateEp")
    access_key: str
    secret_key: str | None = None
    created_at: datetime | None = msgspec.field(default=None, name="createTime")


class SshKey(NsmlRecord, kw_only=True):
    """A public key with which its owner logs in to nodes."""

    name: str
    title: str
    fingerprint: str
    fingerprint_sha256: str | None = None
    created_at: datetime | None = msgspec.field(default=None, name="createTime")


class Volume(NsmlRecord, kw_only=True):
    """A block storage of a project; one run at a time may hold it."""

    number: int = msgspec.field(name="blockStorageNo")
    name: str = msgspec.field(name="blockStorageNm")
    project_id: str
    status: str
    size_gb: int | None = msgspec.field(default=None, name="size")
    node_id: str | None = None
    created_at: datetime | None = msgspec.field(default=None, name="createTime")


class Curve(NsmlRecord, kw_only=True):
    """The points of one key of one node, downsampled: (step, value, unix seconds). ``n_points`` counts the original ones."""

    key: str
    node: int = 0
    n_points: int = msgspec.field(default=0, name="pointCount")
    points: list[tuple[float, float, float]] = msgspec.field(default_factory=list)


class MetricSummary(NsmlRecord, kw_only=True):
    """Summary of one key over all nodes."""

    last: float | None = None
    min: float | None = None
    max: float | None = None
    count: int = 0
    non_finite: int = 0
    last_non_finite_step: float | None = None


class Metrics(NsmlRecord, kw_only=True):
    """The curves of a run, and their summaries by key."""

    curves: list[Curve] = msgspec.field(name="series")
    summary: dict[str, MetricSummary] = msgspec.field(default_factory=dict)
    dropped_points: int = 0


class LeftOut(NsmlRecord, kw_only=True):
    """What a node left that cannot be fetched; in its path control characters are escaped."""

    node: int
    path: str
    reason: str


class Artifacts(NsmlRecord, kw_only=True):
    """What the nodes of a run left in their output directories."""

    files: list["Artifact"] = msgspec.field(name="artifacts")
    left_out: list[LeftOut] = msgspec.field(default_factory=list)


class Artifact(NsmlRecord, kw_only=True):
    """A file that a node left in its output directory, or a file of a project's storage."""

    path: str
    size_bytes: int
    node: int | None = None
    modified_at: datetime | None = None
