"""The shapes of ``/api/v1``, in snake_case, as NCLUE documents them. Fields marked ``OURS`` are not documented.

What they are filled with: ``nclue_wire.py``.
"""

from typing import Annotated, Literal

import msgspec

from footfall.contract.found import FoundData
from footfall.stores.names import FORBIDDEN_CHARACTERS

Status = Literal["registered", "pending", "in_progress", "completed", "failed"]

OURS = {"x-ours": True}
NAME = msgspec.Meta(
    description="1 to 100 characters, no blanks at the ends, none that nobody sees; unique in the account for this kind.",
    extra_json_schema={"minLength": 1, "maxLength": 100},
)
PATH = msgspec.Meta(
    description=f"Path in the bucket: ASCII 33 to 126 without {FORBIDDEN_CHARACTERS}, at most 1,024 bytes.",
    extra_json_schema={"maxLength": 1024},
)
STAMP = msgspec.Meta(description="UTC, YYYY-MM-DDTHH:MM:SS.")

Name = Annotated[str, NAME]
Path = Annotated[str, PATH]
Stamp = Annotated[str, STAMP]


class SourceColumns(msgspec.Struct, omit_defaults=True):
    """Which column of an event log is what; what is left out is found by name and type."""

    user_id: str | None = None
    timestamp: str | None = None
    behavior: Annotated[
        str | list[str] | None, msgspec.Meta(description="A column, or several whose texts are joined by a blank.")
    ] = None
    numeric: list[str] | None = None
    categorical: list[str] | None = None


SourceFormat = Annotated[
    str | None,
    msgspec.Meta(
        description="`auto` (by the content), `sequence`, or an event log: `parquet`, `csv`, `jsonl`.", extra_json_schema=OURS
    ),
]
Columns = Annotated[SourceColumns | None, msgspec.Meta(description="Columns of an event log.", extra_json_schema=OURS)]
ObservedUntil = Annotated[
    str | None,
    msgspec.Meta(
        description="ISO 8601, UTC without a zone. Later events are left out; else the last event is the end.",
        extra_json_schema=OURS,
    ),
]


class NewFeature(msgspec.Struct):
    """What POST /features takes."""

    name: Name
    source_bucket: str
    source_file_path: Path
    encoder: Annotated[
        str | None, msgspec.Meta(description="Id or name of the encoder to use, or `new`.", extra_json_schema=OURS)
    ] = None
    format: SourceFormat = None
    columns: Columns = None
    observed_until: ObservedUntil = None


class NewTask(msgspec.Struct):
    """What POST /tasks takes."""

    name: Name
    train_feature_id: str
    train_bucket: str
    train_file_path: Path
    test_feature_id: str | None = None
    test_bucket: str | None = None
    test_file_path: Path | None = None


class NewTaskRun(msgspec.Struct):
    """What POST /task-runs takes."""

    name: Name
    task_id: str
    feature_id: str
    result_bucket: str
    result_file_path: Path


class FeatureMade(msgspec.Struct):
    """What POST /features answers."""

    feature_id: str
    feature_name: str
    created_at: Stamp
    source_bucket: str
    source_file_path: str


class TaskMade(msgspec.Struct):
    """What POST /tasks answers."""

    task_id: str
    task_name: str
    created_at: Stamp
    train_feature_id: str
    train_feature_name: str
    train_bucket: str
    train_file_path: str
    test_feature_id: str | None
    test_feature_name: str | None
    test_bucket: str | None
    test_file_path: str | None


class TaskRunMade(msgspec.Struct):
    """What POST /task-runs answers."""

    run_id: str
    run_name: str
    task_id: str
    task_name: str
    feature_id: str
    feature_name: str
    created_at: Stamp
    result_bucket: str
    result_file_path: str


class ProgressBody(msgspec.Struct):
    """How far a job is."""

    stage: str
    done: float
    total: float | None


Ours = msgspec.Meta(extra_json_schema=OURS)
FailDetails = Annotated[str | None, Ours]
Progress = Annotated[ProgressBody | None, Ours]


class FeatureBody(msgspec.Struct, kw_only=True):
    """A feature."""

    feature_id: str
    feature_name: str
    status: Status
    created_at: Stamp
    completed_at: Stamp | None
    source_bucket: str
    source_file_path: str
    user_count: int | None
    token_count: int | None
    disk_usage: int | None
    fail_message: str | None
    fail_details: FailDetails
    encoder: Annotated[str | None, msgspec.Meta(description="Name of the encoder.", extra_json_schema=OURS)]
    encoder_id: Annotated[str | None, Ours]
    coverage: Annotated[float | None, Ours]
    format: SourceFormat = None
    columns: Columns = None
    observed_until: ObservedUntil = None
    progress: Progress = None
    found: Annotated[
        FoundData | None, msgspec.Meta(description="What was found in the data set; null in lists.", extra_json_schema=OURS)
    ] = None


class TaskWarning(msgspec.Struct):
    """A warning of a task's report."""

    code: str
    text: str


class TaskBody(msgspec.Struct, kw_only=True):
    """A task."""

    task_id: str
    task_name: str
    status: Status
    created_at: Stamp
    completed_at: Stamp | None
    train_feature_id: str
    train_feature_name: str
    train_bucket: str
    train_file_path: str
    test_feature_id: str | None
    test_feature_name: str | None
    test_bucket: str | None
    test_file_path: str | None
    AUROC: str | None
    line_count: int | None
    disk_usage: int | None
    fail_message: str | None
    fail_details: FailDetails
    progress: Progress = None
    warnings: Annotated[
        list[TaskWarning] | None, msgspec.Meta(description="Warnings of the report, the gravest first.", extra_json_schema=OURS)
    ] = None


class TaskRunBody(msgspec.Struct, kw_only=True):
    """A task run."""

    run_id: str
    run_name: str
    task_id: str
    task_name: str
    feature_id: str
    feature_name: str
    status: Status
    created_at: Stamp
    completed_at: Stamp | None
    result_bucket: str
    result_file_path: str
    line_count: int | None
    fail_message: str | None
    fail_details: FailDetails
    progress: Progress = None


class EncoderBody(msgspec.Struct):
    """An encoder: what was fitted on the users of one feature, and encodes others."""

    encoder_id: str
    encoder_name: str
    created_at: Stamp
    feature_id: str
    user_count: int
    feature_count: int


class ListPage(msgspec.Struct):
    """Where a page of a list is, and how many there are in all."""

    index: int
    limit: int
    total: int


class FeatureList(ListPage):
    """A page of features, newest first."""

    features: list[FeatureBody]


class TaskList(ListPage):
    """A page of tasks, newest first."""

    tasks: list[TaskBody]


class TaskRunList(ListPage):
    """A page of task runs, newest first."""

    runs: list[TaskRunBody]


class EncoderList(ListPage):
    """A page of encoders, newest first."""

    encoders: list[EncoderBody]


class FeatureId(msgspec.Struct):
    """Which feature it was."""

    feature_id: str


class TaskId(msgspec.Struct):
    """Which task it was."""

    task_id: str


class TaskRunId(msgspec.Struct):
    """Which task run it was."""

    run_id: str


class FeatureCancelled(FeatureId):
    """Which feature it was, and what it shows now: ``failed``, or what it was while its job is being stopped."""

    status: Status


class TaskCancelled(TaskId):
    """Which task it was, and what it shows now."""

    status: Status


class TaskRunCancelled(TaskRunId):
    """Which task run it was, and what it shows now."""

    status: Status
