"""Create and delete a shopping intent, which the job ``make_shopping_intent`` makes. Source: the contract, 3.4, 9-17."""

from footfall.behavior import resources
from footfall.behavior.context import Apply, BehaviorContext
from footfall.contract.jobs import MakeShoppingIntent
from footfall.db import behavior
from footfall.db.behavior import FEATURES, TASKS
from footfall.db.engine.engine import Connection
from footfall.db.profiles import SHOPPING_INTENTS
from footfall.errors import NotFoundError, WrongStateError
from footfall.layout import PROFILE
from footfall.records import Caller, Feature, ShoppingIntent, Task, new_id
from footfall.states import RunState


def create_shopping_intent(context: BehaviorContext, caller: Caller, *, name: str, task_id: str) -> Apply[ShoppingIntent]:
    """Check a new shopping intent; the answer makes it and its run.

    Raises:
        InvalidFieldError, NotFoundError, WrongStateError, AlreadyExistsError.
    """
    name = resources.check_name(name)
    account_id = caller.account_id
    with context.database.read() as connection:
        task = TASKS.get(connection, account_id, task_id)
        resources.check_completed("task", task)
        feature = _feature_of(connection, account_id, task)
        encoder = behavior.get_encoder(connection, account_id, task.encoder_id)
        resources.check_name_is_free(connection, account_id, SHOPPING_INTENTS, name)

    def apply(tx: Connection) -> ShoppingIntent:
        TASKS.lock(tx, account_id, task_id)
        FEATURES.lock(tx, account_id, feature.id)
        id = new_id()
        job = MakeShoppingIntent(
            profile_id=id,
            task_artefact=resources.artefact_of(task.run),
            feature_artefact=resources.artefact_of(feature.run),
            encoder_artefact=encoder.artefact,
            task_id=task.id,
            feature_id=feature.id,
        )
        columns = {"task_id": task.id, "feature_id": feature.id}
        return resources.make(context, tx, account_id, SHOPPING_INTENTS, job, id=id, name=name, **columns)

    return apply


def delete_shopping_intent(caller: Caller, id: str) -> Apply[ShoppingIntent]:
    """Delete a shopping intent that has ended or was never started."""
    return resources.delete(caller, SHOPPING_INTENTS, MakeShoppingIntent, id)


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
            "shopping intent", intent.id, intent.run.state, ("available",), f"The shopping intent {intent.name!r} {advice}."
        )
    return f"{resources.artefact_of(intent.run)}/{PROFILE}"


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
