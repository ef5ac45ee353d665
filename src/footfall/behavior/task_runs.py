"""Create and delete a task run, which the job ``score_task_run`` makes."""

from footfall.behavior import encoders, fields, ownership, resources, results
from footfall.behavior.context import Apply, BehaviorContext
from footfall.contract.jobs import ScoreTaskRun
from footfall.db import behavior
from footfall.db.behavior import FEATURES, TASK_RUNS, TASKS
from footfall.db.engine.engine import Connection
from footfall.records import Caller, TaskRun, new_id


def create_task_run(
    context: BehaviorContext, caller: Caller, *, name: str, task_id: str, feature_id: str, bucket: str, path: str
) -> Apply[TaskRun]:
    """Check a new task run; the answer makes it and its run, and reserves the result's place.

    Raises:
        InvalidFieldError, NotFoundError, WrongStateError, IncompatibleError, AlreadyExistsError, StoreUnavailableError.
    """
    name = resources.check_name(name)
    fields.check_path(path, "result_file_path", may_be_empty=True)
    account_id = caller.account_id
    with context.database.read() as connection:
        task = TASKS.get(connection, account_id, task_id)
        feature = FEATURES.get(connection, account_id, feature_id)
        resources.check_completed("task", task)
        resources.check_completed("feature", feature)
        if feature.encoder_id != task.encoder_id:
            made_by = behavior.encoder_name(connection, task.encoder_id)
            what = f"the task {task.name!r}"
            encoders.check_same(connection, account_id, what, task.encoder_id, made_by, feature)
        resources.check_name_is_free(connection, account_id, TASK_RUNS, name)
    key = results.choose_key(context, account_id, bucket, path)

    def apply(tx: Connection) -> TaskRun:
        TASKS.lock(tx, account_id, task_id)
        FEATURES.lock(tx, account_id, feature_id)
        id = new_id()
        job = ScoreTaskRun(
            run_id=id,
            task_artefact=resources.artefact_of(task.run),
            feature_artefact=resources.artefact_of(feature.run),
            bucket=bucket,
            path=key,
            buckets=[ownership.claim_bucket(context.settings, tx, account_id, bucket, "result_bucket")],
        )
        return resources.make(
            context,
            tx,
            account_id,
            TASK_RUNS,
            job,
            id=id,
            name=name,
            task_id=task_id,
            feature_id=feature_id,
            result_bucket=bucket,
            result_file_path=key,
        )

    return apply


def delete_task_run(caller: Caller, id: str) -> Apply[TaskRun]:
    """Delete a task run that has ended or was never started; its result object stays."""
    return resources.delete(caller, TASK_RUNS, ScoreTaskRun, id)
