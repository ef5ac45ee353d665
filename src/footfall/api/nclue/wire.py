"""From our records to the shapes of ``/api/v1``: five states, ``fail_message``. The only place that knows both."""

from datetime import datetime
from typing import TypedDict, TypeVar

from msgspec import structs

from footfall.contract import nclue as shapes
from footfall.contract.jobs import JobStruct, MakeFeatureResult, PublishedResult, SourceOptions, TrainTaskResult
from footfall.records import Encoder, Feature, RunStatus, Task, TaskRun
from footfall.states import FailureReason, RunState

T = TypeVar("T", bound=JobStruct)

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
    FailureReason.OUTPUT_LIMIT: "COMMON_ERROR",
    FailureReason.SCRATCH_LIMIT: "COMMON_ERROR",
    FailureReason.LOG_LIMIT: "COMMON_ERROR",
    FailureReason.SIGNALLED: "LOST",
    FailureReason.LOST: "LOST",
}


def stamp(time: datetime) -> str:
    """Return a time as the contract writes it."""
    return time.isoformat()[:19]


def wire_status(run: RunStatus) -> shapes.Status:
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


class JobFields(TypedDict):
    """What every resource shows of the run that makes it."""

    status: shapes.Status
    created_at: str
    completed_at: str | None
    fail_message: str | None
    fail_details: str | None
    progress: shapes.ProgressBody | None


def job_fields(run: RunStatus, progress: shapes.ProgressBody | None) -> JobFields:
    """Return what a resource shows of its run."""
    message, details = fail_message(run)
    return {
        "status": wire_status(run),
        "created_at": stamp(run.created_at),
        "completed_at": None if run.ended_at is None else stamp(run.ended_at),
        "fail_message": message,
        "fail_details": details,
        "progress": progress,
    }


def result_of(run: RunStatus, type: type[T]) -> T | None:
    """Return the result of a completed run, None before."""
    return type.from_json(run.result) if run.state is RunState.COMPLETED and run.result else None


def listed_feature(feature: Feature) -> shapes.FeatureBody:
    """Return what a list shows of a feature: all but what was found in its data set, which may be long."""
    return structs.replace(feature_body(feature), found=None)


def feature_body(feature: Feature, progress: shapes.ProgressBody | None = None) -> shapes.FeatureBody:
    """Return what GET shows of a feature."""
    run, result = feature.run, result_of(feature.run, MakeFeatureResult)
    options = SourceOptions.from_json(feature.source_options)
    return shapes.FeatureBody(
        feature_id=feature.id,
        feature_name=feature.name,
        source_bucket=feature.source_bucket,
        source_file_path=feature.source_file_path,
        user_count=result.user_count if result else None,
        token_count=result.token_count if result else None,
        disk_usage=result.disk_usage if result else None,
        encoder=feature.encoder_name,
        encoder_id=feature.encoder_id,
        coverage=feature.coverage,
        format=options.format,
        columns=options.columns,
        observed_until=options.observed_until,
        found=result.found if result else None,
        **job_fields(run, progress),
    )


def task_body(task: Task, progress: shapes.ProgressBody | None = None) -> shapes.TaskBody:
    """Return what GET shows of a task."""
    run, result = task.run, result_of(task.run, TrainTaskResult)
    return shapes.TaskBody(
        task_id=task.id,
        task_name=task.name,
        train_feature_id=task.train_feature_id,
        train_feature_name=task.train_feature_name,
        train_bucket=task.train_bucket,
        train_file_path=task.train_file_path,
        test_feature_id=task.test_feature_id,
        test_feature_name=task.test_feature_name,
        test_bucket=task.test_bucket,
        test_file_path=task.test_file_path,
        AUROC=result.auroc if result else None,
        warnings=result.warnings if result else None,
        line_count=(result.line_count or None) if result else None,
        disk_usage=result.disk_usage if result else None,
        **job_fields(run, progress),
    )


def task_run_body(task_run: TaskRun, progress: shapes.ProgressBody | None = None) -> shapes.TaskRunBody:
    """Return what GET shows of a task run."""
    run, result = task_run.run, result_of(task_run.run, PublishedResult)
    return shapes.TaskRunBody(
        run_id=task_run.id,
        run_name=task_run.name,
        task_id=task_run.task_id,
        task_name=task_run.task_name,
        feature_id=task_run.feature_id,
        feature_name=task_run.feature_name,
        result_bucket=task_run.result_bucket,
        result_file_path=task_run.result_file_path,
        line_count=result.line_count if result else None,
        **job_fields(run, progress),
    )


def encoder_body(encoder: Encoder) -> shapes.EncoderBody:
    """Return what GET shows of an encoder."""
    return shapes.EncoderBody(
        encoder.id, encoder.name, stamp(encoder.created_at), encoder.feature_id, encoder.n_users, encoder.n_features
    )


def feature_made(feature: Feature) -> shapes.FeatureMade:
    """Return what POST shows of a feature."""
    return shapes.FeatureMade(
        feature.id, feature.name, stamp(feature.run.created_at), feature.source_bucket, feature.source_file_path
    )


def task_made(task: Task) -> shapes.TaskMade:
    """Return what POST shows of a task."""
    return shapes.TaskMade(
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


def task_run_made(task_run: TaskRun) -> shapes.TaskRunMade:
    """Return what POST shows of a task run."""
    return shapes.TaskRunMade(
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
