"""``/api/v1``: the twelve documented operations on features, tasks and task runs, and ours beside them."""

from collections.abc import Callable
from typing import Any

from footfall.api import nclue_shapes as shapes
from footfall.api import nclue_wire as wire
from footfall.api.bodies import parse_number, parse_query
from footfall.api.errors import (
    ALREADY_ENDED,
    BAD_PATH,
    BAD_TEST_PATH,
    BAD_TRAIN_PATH,
    DUPLICATE_NAME,
    IN_USE,
    INCOMPATIBLE,
    INCOMPLETE_TEST_SET,
    INVALID_JSON,
    INVALID_REQUEST,
    LIMIT_REACHED,
    NAME_TOO_LONG,
    NO_SUCH,
    NOT_READY,
    PATH_NOT_FOUND,
    PERSONAL_DATA,
    RESULT_EXISTS,
    TEST_PATH_NOT_FOUND,
    TRAIN_PATH_NOT_FOUND,
    Code,
)
from footfall.api.operations import Change, Operation, QueryField, Request
from footfall.api.responses import Answer
from footfall.behavior.cancel import cancel
from footfall.behavior.features import create_feature, delete_feature
from footfall.behavior.task_runs import create_task_run, delete_task_run
from footfall.behavior.tasks import LabelSet, create_task, delete_task, test_set
from footfall.compute.logs import read_log
from footfall.compute.nodes import read_progress
from footfall.db import behavior
from footfall.db.behavior import FEATURES, TASK_RUNS, TASKS
from footfall.db.connection import Connection
from footfall.db.resources import Resources
from footfall.records import RunStatus
from footfall.states import RunState

MAX_INDEX = (1 << 63) - 1
MAX_LOG_BYTES = 1 << 20

INDEX = QueryField("index", {"type": "integer", "minimum": 0, "default": 0}, "Offset of the first row.")
LIMIT = QueryField("limit", {"type": "integer", "minimum": 1, "maximum": 100, "default": 20}, "How many rows.")
OFFSET = QueryField("offset", {"type": "integer", "minimum": 0, "default": 0}, "First byte.")
LOG_LIMIT = QueryField(
    "limit", {"type": "integer", "minimum": 1, "maximum": MAX_LOG_BYTES, "default": MAX_LOG_BYTES}, "How many bytes."
)


def post_feature(request: Request) -> Change:
    """Make a feature from a sequence data set."""
    new: shapes.NewFeature = request.fields
    apply = create_feature(
        request.context.bench,
        request.caller,
        name=new.name,
        bucket=new.source_bucket,
        path=new.source_file_path,
        encoder=new.encoder,
    )
    return Change(lambda tx: wire.feature_made(apply(tx)))


def post_task(request: Request) -> Change:
    """Learn a task from labels."""
    new: shapes.NewTask = request.fields
    apply = create_task(
        request.context.bench,
        request.caller,
        name=new.name,
        train=LabelSet("train", new.train_feature_id, new.train_bucket, new.train_file_path),
        test=test_set(new.test_feature_id, new.test_bucket, new.test_file_path),
    )
    return Change(lambda tx: wire.task_made(apply(tx)))


def post_task_run(request: Request) -> Change:
    """Score every user of a feature by a task."""
    new: shapes.NewTaskRun = request.fields
    apply = create_task_run(
        request.context.bench,
        request.caller,
        name=new.name,
        task_id=new.task_id,
        feature_id=new.feature_id,
        bucket=new.result_bucket,
        path=new.result_file_path,
    )
    return Change(lambda tx: wire.task_run_made(apply(tx)))


def get_feature(request: Request) -> shapes.FeatureBody:
    """Return a feature."""
    with request.context.database.read() as connection:
        feature = FEATURES.get(connection, request.caller.account_id, request.params["feature_id"])
    return wire.feature_body(feature, _progress(request, feature.run))


def get_task(request: Request) -> shapes.TaskBody:
    """Return a task."""
    with request.context.database.read() as connection:
        task = TASKS.get(connection, request.caller.account_id, request.params["task_id"])
    return wire.task_body(task, _progress(request, task.run))


def get_task_run(request: Request) -> shapes.TaskRunBody:
    """Return a task run."""
    with request.context.database.read() as connection:
        task_run = TASK_RUNS.get(connection, request.caller.account_id, request.params["run_id"])
    return wire.task_run_body(task_run, _progress(request, task_run.run))


def list_features(request: Request) -> shapes.FeatureList:
    """Return a page of features."""
    index, limit = _page(request)
    with request.context.database.read() as connection:
        page = FEATURES.page(connection, request.caller.account_id, index, limit)
    return shapes.FeatureList(index, limit, page.total, [wire.feature_body(item) for item in page.items])


def list_tasks(request: Request) -> shapes.TaskList:
    """Return a page of tasks."""
    index, limit = _page(request)
    with request.context.database.read() as connection:
        page = TASKS.page(connection, request.caller.account_id, index, limit)
    return shapes.TaskList(index, limit, page.total, [wire.task_body(item) for item in page.items])


def list_task_runs(request: Request) -> shapes.TaskRunList:
    """Return a page of task runs."""
    index, limit = _page(request)
    with request.context.database.read() as connection:
        page = TASK_RUNS.page(connection, request.caller.account_id, index, limit)
    return shapes.TaskRunList(index, limit, page.total, [wire.task_run_body(item) for item in page.items])


def remove_feature(request: Request) -> Change:
    """Delete a feature."""
    apply = delete_feature(request.caller, request.params["feature_id"])
    return Change(lambda tx: shapes.FeatureId(apply(tx).id))


def remove_task(request: Request) -> Change:
    """Delete a task."""
    apply = delete_task(request.caller, request.params["task_id"])
    return Change(lambda tx: shapes.TaskId(apply(tx).id))


def remove_task_run(request: Request) -> Change:
    """Delete a task run; its result object stays."""
    apply = delete_task_run(request.caller, request.params["run_id"])
    return Change(lambda tx: shapes.TaskRunId(apply(tx).id))


def list_encoders(request: Request) -> shapes.EncoderList:
    """Return a page of encoders."""
    index, limit = _page(request)
    with request.context.database.read() as connection:
        page = behavior.page_encoders(connection, request.caller.account_id, index, limit)
    return shapes.EncoderList(index, limit, page.total, [wire.encoder_body(item) for item in page.items])


def get_encoder(request: Request) -> shapes.EncoderBody:
    """Return an encoder."""
    with request.context.database.read() as connection:
        found = behavior.get_encoder(connection, request.caller.account_id, request.params["encoder_id"])
    return wire.encoder_body(found)


def _page(request: Request) -> tuple[int, int]:
    query = parse_query(request.query)
    return parse_number(query, "index", 0, 0, MAX_INDEX), parse_number(query, "limit", 20, 1, 100)


def _progress(request: Request, run: RunStatus) -> shapes.ProgressBody | None:
    if run.state is not RunState.IN_PROGRESS:
        return None
    said = read_progress(request.context.settings.runs_root, run.run_id, run.attempt)
    return None if said is None else shapes.ProgressBody(said["stage"], said["done"], said["total"])


def _canceller(
    kind: Resources[Any], parameter: str, body: Callable[[str, shapes.Status], Any]
) -> Callable[[Request], Change]:
    def cancel_one(request: Request) -> Change:
        apply = cancel(request.context.bench, request.caller, kind, request.params[parameter])

        def answer(tx: Connection) -> Any:
            resource = apply(tx)
            return body(resource.id, wire.wire_status(resource.run))

        return Change(answer)

    return cancel_one


def _log_reader(kind: Resources[Any], parameter: str) -> Callable[[Request], Answer]:
    def get_log(request: Request) -> Answer:
        query = parse_query(request.query)
        offset = parse_number(query, "offset", 0, 0, MAX_INDEX)
        limit = parse_number(query, "limit", MAX_LOG_BYTES, 1, MAX_LOG_BYTES)
        with request.context.database.read() as connection:
            run = kind.get(connection, request.caller.account_id, request.params[parameter]).run
        page = read_log(request.context.settings.runs_root, run.run_id, run.attempt + 1, 0, offset, limit)
        is_complete = run.state.is_final and page.next_offset >= offset and (page.is_complete or not page.data)
        headers = [
            (b"x-next-offset", b"%d" % page.next_offset),
            (b"x-log-complete", b"true" if is_complete else b"false"),
            (b"content-disposition", b'attachment; filename="log.txt"'),
        ]
        return Answer(page.data, content_type=b"text/plain; charset=utf-8", headers=headers)

    return get_log


_FIELDS = (INVALID_JSON, INVALID_REQUEST, NAME_TOO_LONG)
_NEW = (DUPLICATE_NAME, LIMIT_REACHED)
_LOG_HEADERS = (
    ("x-next-offset", "Offset of the first byte behind this piece."),
    ("x-log-complete", "`true` when the job has ended and this is the end of its log."),
)


def _resource(
    noun: str,
    parameter: str,
    kind: Resources[Any],
    post: tuple[Any, type, type, tuple[Code, ...]],
    get: tuple[Any, type],
    list_: tuple[Any, type],
    delete: tuple[Any, type],
    cancelled: type,
) -> tuple[Operation, ...]:
    """Return the six operations of a kind; four are documented."""
    word, base = kind.kind, f"/api/v1/{noun}"
    one = f"{base}/{{{parameter}}}"
    id = word.replace(" ", "_")
    plural = f"{id}s"
    documented: dict[str, Any] = {"is_documented": True}
    return (
        Operation(
            f"create_{id}", "POST", base, f"Create a {word}.", post[0], "change", request=post[1], response=post[2],
            errors=_FIELDS + post[3] + _NEW, creates=True, wakes=True, **documented,
        ),
        Operation(
            f"get_{id}", "GET", one, f"Get a {word}.", get[0], response=get[1], errors=(NO_SUCH,), is_quick=True,
            **documented,
        ),
        Operation(
            f"list_{plural}", "GET", base, f"List {word}s, newest first.", list_[0], response=list_[1],
            query=(INDEX, LIMIT), errors=(INVALID_REQUEST,), **documented,
        ),
        Operation(
            f"delete_{id}", "DELETE", one, f"Delete a {word}.", delete[0], "change", response=delete[1],
            errors=(NO_SUCH, IN_USE), wakes=True, **documented,
        ),
        Operation(
            f"cancel_{id}", "POST", f"{one}/cancel", f"Stop a {word} that has not ended.",
            _canceller(kind, parameter, cancelled), "change", response=cancelled, errors=(NO_SUCH, ALREADY_ENDED), wakes=True,
        ),
        Operation(
            f"get_{id}_log", "GET", f"{one}/log", f"Read the log of the job that makes a {word}.",
            _log_reader(kind, parameter), query=(OFFSET, LOG_LIMIT), errors=(NO_SUCH, INVALID_REQUEST),
            content_type="text/plain", response_headers=_LOG_HEADERS,
        ),
    )  # fmt: skip


OPERATIONS: tuple[Operation, ...] = (
    *_resource(
        "features",
        "feature_id",
        FEATURES,
        (post_feature, shapes.NewFeature, shapes.FeatureMade, (BAD_PATH, NO_SUCH, PATH_NOT_FOUND, PERSONAL_DATA)),
        (get_feature, shapes.FeatureBody),
        (list_features, shapes.FeatureList),
        (remove_feature, shapes.FeatureId),
        shapes.FeatureCancelled,
    ),
    *_resource(
        "tasks",
        "task_id",
        TASKS,
        (
            post_task,
            shapes.NewTask,
            shapes.TaskMade,
            (
                INCOMPLETE_TEST_SET,
                BAD_TRAIN_PATH,
                BAD_TEST_PATH,
                NO_SUCH,
                NOT_READY,
                INCOMPATIBLE,
                TRAIN_PATH_NOT_FOUND,
                TEST_PATH_NOT_FOUND,
                PERSONAL_DATA,
            ),
        ),
        (get_task, shapes.TaskBody),
        (list_tasks, shapes.TaskList),
        (remove_task, shapes.TaskId),
        shapes.TaskCancelled,
    ),
    *_resource(
        "task-runs",
        "run_id",
        TASK_RUNS,
        (
            post_task_run,
            shapes.NewTaskRun,
            shapes.TaskRunMade,
            (BAD_PATH, NO_SUCH, NOT_READY, INCOMPATIBLE, PATH_NOT_FOUND, RESULT_EXISTS),
        ),
        (get_task_run, shapes.TaskRunBody),
        (list_task_runs, shapes.TaskRunList),
        (remove_task_run, shapes.TaskRunId),
        shapes.TaskRunCancelled,
    ),
    Operation(
        "list_encoders",
        "GET",
        "/api/v1/encoders",
        "List encoders, newest first.",
        list_encoders,
        response=shapes.EncoderList,
        query=(INDEX, LIMIT),
        errors=(INVALID_REQUEST,),
    ),
    Operation(
        "get_encoder",
        "GET",
        "/api/v1/encoders/{encoder_id}",
        "Get an encoder.",
        get_encoder,
        response=shapes.EncoderBody,
        errors=(NO_SUCH,),
    ),
)
