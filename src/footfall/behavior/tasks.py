"""Create and delete a task. The run of a task is the job ``train_task``.

Its parameters (``RunSpec.job``)::

    task_id
    train                 {feature_artefact, encoder_id, encoder_artefact, coverage, bucket, path}: the encoded users, what is
                          known of their encoding, and their labels
    test                  the same, or null: the job holds a fifth of the labels back
    buckets               what ``ownership.claim_bucket`` says of each bucket that is read
    min_labels_per_class
    personal_data         refuse, warn or off
    quota_left_bytes      null: no limit; filled in when its turn comes

Its result: ``AUROC`` (text with 4 decimals), ``disk_usage``, ``artefact``, ``report`` (the name of the report in it; tasks of
before had none), and a few numbers more.
"""

from dataclasses import dataclass
from typing import Any

from footfall.behavior import datasets, dependents, encoders, fields, ownership
from footfall.behavior.context import Apply, Workbench, job_spec
from footfall.compute import runs
from footfall.db import behavior
from footfall.db.access.accounts import system_project
from footfall.db.behavior import FEATURES, TASKS
from footfall.db.connection import Connection
from footfall.errors import AlreadyExistsError, InvalidFieldError, ReportMissingError, WrongStateError
from footfall.layout import artefact_dir
from footfall.records import Caller, Feature, RunStatus, Task, new_id
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
    given = {"test_feature_id": feature_id, "test_bucket": bucket, "test_file_path": path}
    if feature_id is not None and bucket is not None and path is not None:
        return LabelSet("test", feature_id, bucket, path)
    missing = [name for name, value in given.items() if value is None]
    if len(missing) < len(given):
        are = "is" if len(missing) == 1 else "are"
        raise InvalidFieldError(
            missing[0],
            None,
            "incomplete",
            f"{' and '.join(missing)} {are} missing; give test_feature_id, test_bucket and test_file_path, or none of them.",
        )
    return None


def create_task(bench: Workbench, caller: Caller, *, name: str, train: LabelSet, test: LabelSet | None) -> Apply[Task]:
    """Check a new task; the answer makes it and its run.

    Raises:
        InvalidFieldError, NotFoundError, WrongStateError, IncompatibleError, AlreadyExistsError, StoreUnavailableError.
    """
    sets = [train] if test is None else [train, test]
    name = fields.normalize_name(name)
    fields.check_name_length(name)
    for labels in sets:
        fields.check_path(labels.path, f"{labels.role}_file_path")
    with bench.database.read() as connection:
        features = [FEATURES.get(connection, caller.account_id, labels.feature_id) for labels in sets]
        for feature in features:
            check_completed("feature", feature.id, feature.name, feature.run)
        encoders.check_compatible(connection, caller.account_id, features)
        if TASKS.has_name(connection, caller.account_id, name):
            raise AlreadyExistsError("task", name)
    _check_labels(bench, caller, sets)

    def apply(tx: Connection) -> Task:
        for feature_id in sorted({feature.id for feature in features}):
            FEATURES.lock(tx, caller.account_id, feature_id)
        return _insert(bench, caller, tx, name, sets, features)

    return apply


def delete_task(caller: Caller, id: str) -> Apply[Task]:
    """Delete a task that has ended or was never started, and that nothing unfinished uses."""

    def apply(tx: Connection) -> Task:
        TASKS.lock(tx, caller.account_id, id)
        task = TASKS.get(tx, caller.account_id, id)
        used_by = behavior.live_users_of_task(tx, id)
        dependents.clear_for_delete(tx, "task", id, task.run, used_by, by=caller.access_key)
        TASKS.hide(tx, caller.account_id, id)
        behavior.entomb(tx, [artefact_dir("task", id, n) for n in range(task.run.attempt + 1)])
        behavior.entomb(tx, behavior.collect_encoders(tx, caller.account_id))
        return task

    return apply


def check_completed(kind: str, id: str, name: str, status: RunStatus) -> None:
    """Refuse to build on something that is not completed.

    Raises:
        WrongStateError: allowed is only ``completed``.
    """
    if status.state is not RunState.COMPLETED:
        state = "failed" if status.state.is_final else "not finished"
        raise WrongStateError(
            kind,
            id,
            status.state,
            ("completed",),
            f"The {kind} {name!r} is {state}; wait until it is completed, or use another.",
        )


def artefact_of(status: RunStatus) -> str:
    """Return the key of what a completed run made."""
    return str((status.result or {})["artefact"])


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
    name = (task.run.result or {}).get("report")
    if name is None:
        raise ReportMissingError(
            "report",
            task.id,
            f"The task {task.name!r} was learned by a release that made no reports. Train it again: make a task of another "
            "name from the same labels.",
        )
    return f"{artefact_of(task.run)}/{name}"


def _check_labels(bench: Workbench, caller: Caller, sets: list[LabelSet]) -> None:
    found = []
    for labels in sets:
        store = datasets.open_bucket(bench, caller.account_id, labels.bucket, f"{labels.role}_bucket")
        objects = datasets.find_objects(store, labels.bucket, labels.path, f"{labels.role}_file_path")
        found.append((store, objects, f"{labels.role}_file_path"))
    if bench.settings.personal_data == "refuse":
        for store, objects, field in found:
            datasets.refuse_personal_data(store, objects, field)


def _insert(
    bench: Workbench, caller: Caller, tx: Connection, name: str, sets: list[LabelSet], features: list[Feature]
) -> Task:
    id = new_id()
    encoder = behavior.get_encoder(tx, caller.account_id, str(features[0].encoder_id))
    inputs: list[dict[str, Any]] = [
        {
            "feature_artefact": artefact_of(feature.run),
            "encoder_id": feature.encoder_id,
            "encoder_artefact": encoder.artefact,
            "coverage": (feature.run.result or {}).get("coverage"),
            "bucket": labels.bucket,
            "path": labels.path,
        }
        for labels, feature in zip(sets, features, strict=True)
    ]
    job = {
        "task_id": id,
        "train": inputs[0],
        "test": inputs[1] if len(inputs) > 1 else None,
        "buckets": [
            ownership.claim_bucket(bench.settings, tx, caller.account_id, labels.bucket, f"{labels.role}_bucket")
            for labels in sets
        ],
        "min_labels_per_class": bench.settings.min_labels_per_class,
        "personal_data": bench.settings.personal_data,
        "quota_left_bytes": None,
    }
    run = runs.create_run(
        tx,
        account_id=caller.account_id,
        project_id=system_project(tx, caller.account_id),
        spec=job_spec(bench.settings, "train_task", job),
        kind="task",
        turn_key=TURN_KEY.format(caller.account_id),
    )
    users = {feature.id: int((feature.run.result or {}).get("user_count", 0)) for feature in features}
    columns = {
        f"{labels.role}_{column}": value
        for labels in sets
        for column, value in (
            ("feature_id", labels.feature_id),
            ("bucket", labels.bucket),
            ("file_path", labels.path),
        )
    }
    TASKS.insert(
        tx,
        caller.account_id,
        id=id,
        name=name,
        run_id=run.id,
        encoder_id=features[0].encoder_id,
        line_count=sum(users.values()),
        limit=bench.settings.max_resources,
        **columns,
    )
    return TASKS.get(tx, caller.account_id, id)
