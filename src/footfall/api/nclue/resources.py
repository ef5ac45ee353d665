"""``/api/v1``: the twelve documented operations on features, tasks and task runs; profiles are in ``profiles.py``."""

import msgspec

from footfall.api.http.errors import (
    BAD_PATH,
    BAD_TEST_PATH,
    BAD_TRAIN_PATH,
    INCOMPATIBLE,
    INCOMPLETE_TEST_SET,
    INVALID_REQUEST,
    NO_REPORT,
    NO_SUCH,
    NOT_COMPLETED,
    NOT_READY,
    PATH_NOT_FOUND,
    PERSONAL_DATA,
    RESULT_EXISTS,
    TEST_PATH_NOT_FOUND,
    TRAIN_PATH_NOT_FOUND,
)
from footfall.api.http.operations import Operation
from footfall.api.nclue import wire as wire
from footfall.api.nclue.operations import operations_of
from footfall.api.request import Mutation, Request
from footfall.behavior.features import create_feature, delete_feature
from footfall.behavior.source_options import check_options
from footfall.behavior.task_runs import create_task_run, delete_task_run
from footfall.behavior.tasks import LabelSet, create_task, delete_task, report_key, test_set
from footfall.contract import nclue as shapes
from footfall.contract.queries import ResourcePage
from footfall.contract.report import TaskReport
from footfall.db import behavior
from footfall.db.behavior import FEATURES, TASK_RUNS, TASKS


def post_feature(request: Request) -> Mutation:
    """Make a feature from a sequence data set."""
    new: shapes.NewFeature = request.fields
    apply = create_feature(
        request.context.behavior,
        request.caller,
        name=new.name,
        bucket=new.source_bucket,
        path=new.source_file_path,
        encoder=new.encoder,
        source_options=check_options(new.format, new.columns, new.observed_until),
    )
    return Mutation(lambda tx: wire.feature_made(apply(tx)))


def post_task(request: Request) -> Mutation:
    """Learn a task from labels."""
    new: shapes.NewTask = request.fields
    apply = create_task(
        request.context.behavior,
        request.caller,
        name=new.name,
        train=LabelSet("train", new.train_feature_id, new.train_bucket, new.train_file_path),
        test=test_set(new.test_feature_id, new.test_bucket, new.test_file_path),
    )
    return Mutation(lambda tx: wire.task_made(apply(tx)))


def post_task_run(request: Request) -> Mutation:
    """Score every user of a feature by a task."""
    new: shapes.NewTaskRun = request.fields
    apply = create_task_run(
        request.context.behavior,
        request.caller,
        name=new.name,
        task_id=new.task_id,
        feature_id=new.feature_id,
        bucket=new.result_bucket,
        path=new.result_file_path,
    )
    return Mutation(lambda tx: wire.task_run_made(apply(tx)))


def get_task_report(request: Request) -> TaskReport:
    """Return the report of a task."""
    with request.context.database.read() as connection:
        task = TASKS.get(connection, request.caller.account_id, request.params["task_id"])
    stored = msgspec.json.decode(request.context.internal.read_bytes(report_key(task)))
    return msgspec.convert({**stored, "task_id": task.id, "task_name": task.name}, TaskReport)


def list_encoders(request: Request) -> shapes.EncoderList:
    """Return a page of encoders."""
    query = request.read_query(ResourcePage)
    with request.context.database.read() as connection:
        page = behavior.page_encoders(connection, request.caller.account_id, query.index, query.limit)
    return shapes.EncoderList(query.index, query.limit, page.total, [wire.encoder_body(item) for item in page.items])


def get_encoder(request: Request) -> shapes.EncoderBody:
    """Return an encoder."""
    with request.context.database.read() as connection:
        encoder = behavior.get_encoder(connection, request.caller.account_id, request.params["encoder_id"])
    return wire.encoder_body(encoder)


OPERATIONS: tuple[Operation, ...] = (
    *operations_of(
        "features", "feature_id", FEATURES,
        (post_feature, shapes.NewFeature, shapes.FeatureMade, (BAD_PATH, NO_SUCH, PATH_NOT_FOUND, PERSONAL_DATA)),
        (wire.feature_body, shapes.FeatureBody), shapes.FeatureList, (delete_feature, shapes.FeatureId),
        shapes.FeatureCancelled, listed=wire.listed_feature,
    ),
    *operations_of(
        "tasks", "task_id", TASKS,
        (post_task, shapes.NewTask, shapes.TaskMade, (
            INCOMPLETE_TEST_SET, BAD_TRAIN_PATH, BAD_TEST_PATH, NO_SUCH, NOT_READY, INCOMPATIBLE, TRAIN_PATH_NOT_FOUND,
            TEST_PATH_NOT_FOUND, PERSONAL_DATA,
        )),
        (wire.task_body, shapes.TaskBody), shapes.TaskList, (delete_task, shapes.TaskId), shapes.TaskCancelled,
    ),
    Operation(
        "get_task_report", "GET", "/api/v1/tasks/{task_id}/report",
        "Get the report of a completed task: how good it is, why, and what to be careful about.", get_task_report,
        response=TaskReport, errors=(NO_SUCH, NOT_COMPLETED, NO_REPORT),
    ),
    *operations_of(
        "task-runs", "run_id", TASK_RUNS,
        (post_task_run, shapes.NewTaskRun, shapes.TaskRunMade, (
            BAD_PATH, NO_SUCH, NOT_READY, INCOMPATIBLE, PATH_NOT_FOUND, RESULT_EXISTS,
        )),
        (wire.task_run_body, shapes.TaskRunBody), shapes.TaskRunList, (delete_task_run, shapes.TaskRunId),
        shapes.TaskRunCancelled,
    ),
    Operation(
        "list_encoders", "GET", "/api/v1/encoders", "List encoders, newest first.", list_encoders,
        response=shapes.EncoderList, query=ResourcePage, errors=(INVALID_REQUEST,),
    ),
    Operation(
        "get_encoder", "GET", "/api/v1/encoders/{encoder_id}", "Get an encoder.", get_encoder, response=shapes.EncoderBody,
        errors=(NO_SUCH,),
    ),
)  # fmt: skip
