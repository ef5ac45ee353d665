"""Create and delete a task run. The run of a task run is the job ``score_task_run``.

Its parameters (``RunSpec.job``)::

    run_id                the task run's own id
    task_artefact, feature_artefact
    bucket, path          where the result goes; reserved in the database until the run ends
    buckets               what ``ownership.claim_bucket`` says of that bucket

Its result: ``line_count``, ``object`` and ``sha256`` of what it wrote.
"""

from footfall.behavior import encoders, fields, ownership, results
from footfall.behavior.context import Apply, Workbench, job_spec
from footfall.behavior.tasks import artefact_of, check_completed
from footfall.compute import runs
from footfall.db import behavior
from footfall.db.access.accounts import system_project
from footfall.db.behavior import FEATURES, TASK_RUNS, TASKS
from footfall.db.connection import Connection
from footfall.errors import AlreadyExistsError
from footfall.records import Caller, TaskRun, new_id


def create_task_run(
    bench: Workbench, caller: Caller, *, name: str, task_id: str, feature_id: str, bucket: str, path: str
) -> Apply[TaskRun]:
    """Check a new task run; the answer makes it and its run, and reserves the result's place.

    Raises:
        InvalidFieldError, NotFoundError, WrongStateError, IncompatibleError, AlreadyExistsError, StoreUnavailableError.
    """
    name = fields.normalize_name(name)
    fields.check_name_length(name)
    fields.check_path(path, "result_file_path", may_be_empty=True)
    account_id = caller.account_id
    with bench.database.read() as connection:
        task = TASKS.get(connection, account_id, task_id)
        feature = FEATURES.get(connection, account_id, feature_id)
        check_completed("task", task.id, task.name, task.run)
        check_completed("feature", feature.id, feature.name, feature.run)
        if feature.encoder_id != task.encoder_id:
            made_by = behavior.encoder_name(connection, task.encoder_id)
            what = f"the task {task.name!r}"
            encoders.check_same(connection, account_id, what, task.encoder_id, made_by, feature)
        if TASK_RUNS.has_name(connection, account_id, name):
            raise AlreadyExistsError("task run", name)
    key = results.choose_key(bench, account_id, bucket, path)

    def apply(tx: Connection) -> TaskRun:
        TASKS.lock(tx, account_id, task_id)
        FEATURES.lock(tx, account_id, feature_id)
        id = new_id()
        job = {
            "run_id": id,
            "task_artefact": artefact_of(task.run),
            "feature_artefact": artefact_of(feature.run),
            "bucket": bucket,
            "path": key,
            "buckets": [ownership.claim_bucket(bench.settings, tx, account_id, bucket, "result_bucket")],
        }
        run = runs.create_run(
            tx,
            account_id=account_id,
            project_id=system_project(tx, account_id),
            spec=job_spec(bench.settings, "score_task_run", job),
            kind="task_run",
        )
        TASK_RUNS.insert(
            tx,
            account_id,
            id=id,
            name=name,
            run_id=run.id,
            task_id=task_id,
            feature_id=feature_id,
            result_bucket=bucket,
            result_file_path=key,
            limit=bench.settings.max_resources,
        )
        behavior.reserve_result(tx, bucket, key, run.id)
        return TASK_RUNS.get(tx, account_id, id)

    return apply


def delete_task_run(caller: Caller, id: str) -> Apply[TaskRun]:
    """Delete a task run that has ended or was never started; its result object stays."""
    return results.delete_maker(caller, TASK_RUNS, "task run", id)
