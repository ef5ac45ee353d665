"""Create and delete a shopping intent. The run of a shopping intent is the job ``make_shopping_intent``.

Its parameters (``RunSpec.job``)::

    profile_id            the shopping intent's own id
    task_artefact         the task whose target is described
    feature_artefact      the task's train feature, whose users are scored and counted
    encoder_artefact      knows the texts of their behaviors
    task_id, feature_id   to find the other tasks by
    others                completed tasks {name, artefact} of the same feature; filled in when its turn comes
    quota_left_bytes      null: no limit; filled in when its turn comes

Its result: ``line_count``, ``disk_usage`` and ``artefact``. Source: the contract, 3.4, 9-17.
"""

from typing import Any

from footfall.behavior import dependents, fields
from footfall.behavior.context import Apply, Workbench, job_spec
from footfall.behavior.tasks import artefact_of, check_completed
from footfall.compute import runs
from footfall.db import behavior
from footfall.db.access.accounts import system_project
from footfall.db.behavior import FEATURES, TASKS
from footfall.db.connection import Connection
from footfall.db.profiles import SHOPPING_INTENTS
from footfall.errors import AlreadyExistsError, NotFoundError, WrongStateError
from footfall.layout import PROFILE, artefact_dir
from footfall.records import Caller, Feature, ShoppingIntent, Task, new_id
from footfall.states import RunState


def create_shopping_intent(bench: Workbench, caller: Caller, *, name: str, task_id: str) -> Apply[ShoppingIntent]:
    """Check a new shopping intent; the answer makes it and its run.

    Raises:
        InvalidFieldError, NotFoundError, WrongStateError, AlreadyExistsError.
    """
    name = fields.normalize_name(name)
    fields.check_name_length(name)
    account_id = caller.account_id
    with bench.database.read() as connection:
        task = TASKS.get(connection, account_id, task_id)
        check_completed("task", task.id, task.name, task.run)
        feature = _feature_of(connection, account_id, task)
        encoder = behavior.get_encoder(connection, account_id, task.encoder_id)
        if SHOPPING_INTENTS.has_name(connection, account_id, name):
            raise AlreadyExistsError("shopping intent", name)

    def apply(tx: Connection) -> ShoppingIntent:
        TASKS.lock(tx, account_id, task_id)
        FEATURES.lock(tx, account_id, feature.id)
        id = new_id()
        job: dict[str, Any] = {
            "profile_id": id,
            "task_artefact": artefact_of(task.run),
            "feature_artefact": artefact_of(feature.run),
            "encoder_artefact": encoder.artefact,
            "task_id": task.id,
            "feature_id": feature.id,
            "others": [],
            "quota_left_bytes": None,
        }
        run = runs.create_run(
            tx,
            account_id=account_id,
            project_id=system_project(tx, account_id),
            spec=job_spec(bench.settings, "make_shopping_intent", job),
            kind="shopping_intent",
        )
        SHOPPING_INTENTS.insert(
            tx,
            account_id,
            id=id,
            name=name,
            run_id=run.id,
            task_id=task.id,
            feature_id=feature.id,
            limit=bench.settings.max_resources,
        )
        return SHOPPING_INTENTS.get(tx, account_id, id)

    return apply


def delete_shopping_intent(caller: Caller, id: str) -> Apply[ShoppingIntent]:
    """Delete a shopping intent that has ended or was never started."""

    def apply(tx: Connection) -> ShoppingIntent:
        SHOPPING_INTENTS.lock(tx, caller.account_id, id)
        intent = SHOPPING_INTENTS.get(tx, caller.account_id, id)
        dependents.clear_for_delete(tx, "shopping intent", id, intent.run, (), by=caller.access_key)
        SHOPPING_INTENTS.hide(tx, caller.account_id, id)
        behavior.entomb(tx, [artefact_dir("shopping_intent", id, n) for n in range(intent.run.attempt + 1)])
        return intent

    return apply


def profile_key(intent: ShoppingIntent) -> str:
    """Return the key of its table in the internal store.

    Raises:
        WrongStateError: it is not completed; allowed is only ``available``.
    """
    if intent.run.state is not RunState.COMPLETED:
        advice = (
            "has no result; create it again" if intent.run.state.is_final
            else "is not finished; it can be downloaded when it is completed"
        )  # fmt: skip
        raise WrongStateError(
            "shopping intent",
            intent.id,
            intent.run.state,
            ("available",),
            f"The shopping intent {intent.name!r} {advice}.",
        )
    return f"{artefact_of(intent.run)}/{PROFILE}"


def _feature_of(connection: Connection, account_id: str, task: Task) -> Feature:
    try:
        return FEATURES.get(connection, account_id, task.train_feature_id)
    except NotFoundError as error:
        raise WrongStateError(
            "feature",
            task.train_feature_id,
            "deleted",
            ("completed",),
            f"The feature {task.train_feature_name!r}, which the task {task.name!r} learned from, was deleted; a shopping "
            "intent speaks of its users. Make the feature and the task anew.",
        ) from error
