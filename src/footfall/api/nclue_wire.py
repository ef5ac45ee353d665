"""The shapes of ``/api/v1``: snake_case, five states, ``fail_message``. The only place that knows them.

Fields marked ``OURS`` are not documented by NCLUE.
"""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec

from footfall.places import FORBIDDEN_CHARACTERS
from footfall.records import Encoder, Feature, RunStatus, Task, TaskRun
from footfall.states import FailureReason, RunState

Status = Literal["registered", "pending", "in_progress", "completed", "failed"]

OURS = {"x-ours": True}
NAME = msgspec.Meta(
    description="1 to 100 characters, no blanks at the ends, no control characters; unique in the account for this kind.",
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

_FAIL_NAMES = {
    FailureReason.COMMAND_FAILED: "COMMON_ERROR",
    FailureReason.BAD_INPUT: "COMMON_ERROR",  # a job always gives its own name
    FailureReason.REJECTED: "COMMON_ERROR",
    FailureReason.TIMED_OUT: "TIMED_OUT",
    FailureReason.START_TIMEOUT: "TIMED_OUT",
    FailureReason.OUT_OF_MEMORY: "OUT_OF_MEMORY",
    FailureReason.NO_SPACE: "DISK_SPACE_SHORTAGE",
    FailureReason.STORE_READ: "OBS_DOWNLOAD_FAILED",
    FailureReason.STORE_WRITE: "OBS_UPLOAD_FAILED",
    FailureReason.STORE_DENIED: "OBS_USER_FILE_ACCESS_ERROR",
    FailureReason.INPUT_CHANGED: "OBS_DOWNLOAD_FAILED",
    FailureReason.RESULT_EXISTS: "RESULT_EXISTS",
    FailureReason.SIGNALLED: "LOST",
    FailureReason.LOST: "LOST",
}


class NewFeature(msgspec.Struct):
    """What POST /features takes."""

    name: Name
    source_bucket: str
    source_file_path: Path
    encoder: Annotated[
        str | None, msgspec.Meta(description="Name of the encoder to use, or `new`.", extra_json_schema=OURS)
    ] = None


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
    encoder: FailDetails
    coverage: Annotated[float | None, Ours]
    progress: Progress = None


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


class FeatureList(msgspec.Struct):
    """A page of features, newest first."""

    index: int
    limit: int
    total: int
    features: list[FeatureBody]


class TaskList(msgspec.Struct):
    """A page of tasks, newest first."""

    index: int
    limit: int
    total: int
    tasks: list[TaskBody]


class TaskRunList(msgspec.Struct):
    """A page of task runs, newest first."""

    index: int
    limit: int
    total: int
    runs: list[TaskRunBody]


class EncoderList(msgspec.Struct):
    """A page of encoders, newest first."""

    index: int
    limit: int
    total: int
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


def stamp(time: datetime) -> str:
    """Return a time as the contract writes it."""
    return time.isoformat()[:19]


def wire_status(run: RunStatus) -> Status:
    """Return one of the five words: a cancelled run is ``failed``, one that waits for another attempt ``pending``."""
    if run.state is RunState.CANCELLED:
        return "failed"
    if run.state is RunState.REGISTERED and run.attempt:
        return "pending"
    return run.state.value  # type: ignore[return-value]


def fail_message(run: RunStatus) -> tuple[str | None, str | None]:
    """Return the one name that says why it failed, and the sentence; both None unless it did."""
    if run.state is RunState.CANCELLED:
        return "CANCELLED", "It was cancelled on request; create it again to have it made."
    if run.state is not RunState.FAILED or run.reason is None:
        return None, None
    return run.fail_name or _FAIL_NAMES[run.reason], run.fail_details or run.reason.message()


def _ended(run: RunStatus) -> str | None:
    return stamp(run.ended_at) if run.ended_at is not None else None


def _results(run: RunStatus) -> dict[str, Any]:
    return run.result or {} if run.state is RunState.COMPLETED else {}


def feature_body(feature: Feature, progress: ProgressBody | None = None) -> FeatureBody:
    """Return what GET shows of a feature."""
    run, found = feature.run, _results(feature.run)
    message, details = fail_message(run)
    return FeatureBody(
        feature_id=feature.id,
        feature_name=feature.name,
        status=wire_status(run),
        created_at=stamp(run.created_at),
        completed_at=_ended(run),
        source_bucket=feature.source_bucket,
        source_file_path=feature.source_file_path,
        user_count=found.get("user_count"),
        token_count=found.get("token_count"),
        disk_usage=found.get("disk_usage"),
        fail_message=message,
        fail_details=details,
        encoder=feature.encoder_name,
        coverage=feature.coverage,
        progress=progress,
    )


def task_body(task: Task, progress: ProgressBody | None = None) -> TaskBody:
    """Return what GET shows of a task."""
    run, found = task.run, _results(task.run)
    message, details = fail_message(run)
    return TaskBody(
        task_id=task.id,
        task_name=task.name,
        status=wire_status(run),
        created_at=stamp(run.created_at),
        completed_at=_ended(run),
        train_feature_id=task.train_feature_id,
        train_feature_name=task.train_feature_name,
        train_bucket=task.train_bucket,
        train_file_path=task.train_file_path,
        test_feature_id=task.test_feature_id,
        test_feature_name=task.test_feature_name,
        test_bucket=task.test_bucket,
        test_file_path=task.test_file_path,
        AUROC=found.get("AUROC"),
        line_count=found.get("line_count"),
        disk_usage=found.get("disk_usage"),
        fail_message=message,
        fail_details=details,
        progress=progress,
    )


def task_run_body(task_run: TaskRun, progress: ProgressBody | None = None) -> TaskRunBody:
    """Return what GET shows of a task run."""
    run = task_run.run
    message, details = fail_message(run)
    return TaskRunBody(
        run_id=task_run.id,
        run_name=task_run.name,
        task_id=task_run.task_id,
        task_name=task_run.task_name,
        feature_id=task_run.feature_id,
        feature_name=task_run.feature_name,
        status=wire_status(run),
        created_at=stamp(run.created_at),
        completed_at=_ended(run),
        result_bucket=task_run.result_bucket,
        result_file_path=task_run.result_file_path,
        line_count=_results(run).get("line_count"),
        fail_message=message,
        fail_details=details,
        progress=progress,
    )


def encoder_body(encoder: Encoder) -> EncoderBody:
    """Return what GET shows of an encoder."""
    return EncoderBody(
        encoder.id, encoder.name, stamp(encoder.created_at), encoder.feature_id, encoder.n_users, encoder.n_features
    )


def feature_made(feature: Feature) -> FeatureMade:
    """Return what POST shows of a feature."""
    return FeatureMade(
        feature.id, feature.name, stamp(feature.run.created_at), feature.source_bucket, feature.source_file_path
    )


def task_made(task: Task) -> TaskMade:
    """Return what POST shows of a task."""
    return TaskMade(
        task.id,
        task.name,
        stamp(task.run.created_at),
        task.train_feature_id,
        task.train_feature_name,
        task.train_bucket,
        task.train_file_path,
        task.test_feature_id,
        task.test_feature_name,
        task.test_bucket,
        task.test_file_path,
    )


def task_run_made(task_run: TaskRun) -> TaskRunMade:
    """Return what POST shows of a task run."""
    return TaskRunMade(
        task_run.id,
        task_run.name,
        task_run.task_id,
        task_run.task_name,
        task_run.feature_id,
        task_run.feature_name,
        stamp(task_run.run.created_at),
        task_run.result_bucket,
        task_run.result_file_path,
    )
