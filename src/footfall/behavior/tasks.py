"""Create and delete a task, which the job ``train_task`` makes."""

from dataclasses import dataclass

from footfall.behavior import datasets, encoders, fields, ownership, resources
from footfall.behavior.context import Apply, BehaviorContext
from footfall.contract.jobs import TaskInput, TrainTask, TrainTaskResult
from footfall.db import behavior
from footfall.db.behavior import FEATURES, TASKS
from footfall.db.engine.engine import Connection
from footfall.errors import InvalidFieldError, ReportMissingError, WrongStateError
from footfall.records import Caller, Feature, Task, new_id
from footfall.states import RunState

TURN_KEY = "task:{}"


@dataclass(frozen=True, slots=True)
class LabelSet:
    """Where labels are, and the feature whose users they belong to. ``role``: ``train`` or ``test``."""

    role: str
    feature_id: str
    bucket: str
    path: str


def test_set(feature_id: str | None, bucket: str | None, path: str | None) -> LabelSet | None:
    """Return the test set of a request, None when it names none.

    Raises:
        InvalidFieldError: rule ``incomplete``: only some of the three were given.
    """
    values = {"test_feature_id": feature_id, "test_bucket": bucket, "test_file_path": path}
    if feature_id is not None and bucket is not None and path is not None:
        return LabelSet("test", feature_id, bucket, path)
    missing = [name for name, value in values.items() if value is None]
    if len(missing) < len(values):
        are = "is" if len(missing) == 1 else "are"
        raise InvalidFieldError(
            missing[0],
            None,
            "incomplete",
            f"{' and '.join(missing)} {are} missing; give test_feature_id, test_bucket and test_file_path, or none of them.",
        )
    return None


def create_task(context: BehaviorContext, caller: Caller, *, name: str, train: LabelSet, test: LabelSet | None) -> Apply[Task]:
    """Check a new task; the answer makes it and its run.

    Raises:
        InvalidFieldError, NotFoundError, WrongStateError, IncompatibleError, AlreadyExistsError, StoreUnavailableError.
    """
    sets = [train] if test is None else [train, test]
    name = resources.check_name(name)
    for labels in sets:
        fields.check_path(labels.path, f"{labels.role}_file_path")
    with context.database.read() as connection:
        features = [FEATURES.get(connection, caller.account_id, labels.feature_id) for labels in sets]
        for feature in features:
            resources.check_completed("feature", feature)
        encoders.check_compatible(connection, caller.account_id, features)
        resources.check_name_is_free(connection, caller.account_id, TASKS, name)
    _check_labels(context, caller, sets)

    def apply(tx: Connection) -> Task:
        for feature_id in sorted({feature.id for feature in features}):
            FEATURES.lock(tx, caller.account_id, feature_id)
        return _insert(context, caller, tx, name, sets, features)

    return apply


def delete_task(caller: Caller, id: str) -> Apply[Task]:
    """Delete a task that has ended or was never started, and that nothing unfinished uses."""
    return resources.delete(caller, TASKS, TrainTask, id, behavior.live_users_of_task)


def report_key(task: Task) -> str:
    """Return the key of a task's report in the internal store.

    Raises:
        WrongStateError: it is not completed; allowed is only ``available``.
        ReportMissingError: it was learned by a release that made no reports.
    """
    if task.run.state is not RunState.COMPLETED:
        state = "failed" if task.run.state.is_final else "not finished"
        raise WrongStateError(
            "task",
            task.id,
            task.run.state,
            ("available",),
            f"The task {task.name!r} is {state}; it has a report when it is completed.",
        )
    result = TrainTaskResult.from_json(task.run.result)
    if result.report is None:
        raise ReportMissingError(
            "report",
            task.id,
            f"The task {task.name!r} was learned by a release that made no reports. Train it again: make a task of another "
            "name from the same labels.",
        )
    return f"{result.artefact}/{result.report}"


def _check_labels(context: BehaviorContext, caller: Caller, sets: list[LabelSet]) -> None:
    data_sets = []
    for labels in sets:
        store = datasets.open_bucket(context, caller.account_id, labels.bucket, f"{labels.role}_bucket")
        objects = datasets.find_objects(store, labels.bucket, labels.path, f"{labels.role}_file_path")
        data_sets.append((store, objects, f"{labels.role}_file_path"))
    if context.settings.personal_data == "refuse":
        for labels, (store, objects, field) in zip(sets, data_sets, strict=True):
            datasets.refuse_personal_data(store, objects, field, frozenset(datasets.allowed_kinds(context, labels.bucket)))
    for store, objects, field in data_sets:
        datasets.refuse_no_labels(store, objects, field)


def _insert(
    context: BehaviorContext, caller: Caller, tx: Connection, name: str, sets: list[LabelSet], features: list[Feature]
) -> Task:
    id = new_id()
    encoder = behavior.get_encoder(tx, caller.account_id, str(features[0].encoder_id))
    inputs = [
        TaskInput(
            feature_artefact=resources.artefact_of(feature.run),
            encoder_id=feature.encoder_id,
            encoder_artefact=encoder.artefact,
            coverage=resources.feature_result(feature).coverage,
            bucket=labels.bucket,
            path=labels.path,
            personal_data_allowed=datasets.allowed_kinds(context, labels.bucket),
        )
        for labels, feature in zip(sets, features, strict=True)
    ]
    job = TrainTask(
        task_id=id,
        train=inputs[0],
        test=inputs[1] if len(inputs) > 1 else None,
        buckets=[
            ownership.claim_bucket(context.settings, tx, caller.account_id, labels.bucket, f"{labels.role}_bucket")
            for labels in sets
        ],
        min_labels_per_class=context.settings.min_labels_per_class,
        personal_data=context.settings.personal_data,
    )
    users = {feature.id: resources.feature_result(feature).user_count or 0 for feature in features}
    columns = {
        f"{labels.role}_{column}": value
        for labels in sets
        for column, value in (("feature_id", labels.feature_id), ("bucket", labels.bucket), ("file_path", labels.path))
    }
    return resources.make(
        context,
        tx,
        caller.account_id,
        TASKS,
        job,
        id=id,
        name=name,
        turn_key=TURN_KEY.format(caller.account_id),
        encoder_id=features[0].encoder_id,
        line_count=sum(users.values()),
        **columns,
    )
