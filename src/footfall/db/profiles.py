"""Profiles, each joined to the run that makes it and to what it was made from."""

from sqlalchemy import select, update

from footfall.db.engine.engine import Connection
from footfall.db.engine.rows import RowReader
from footfall.db.resources import Resources, status_reader
from footfall.db.tables import custom_attributes, features, runs, shopping_intents, tasks
from footfall.records import CustomAttributes, ShoppingIntent
from footfall.states import RunState

SHOPPING_INTENTS = Resources(
    "shopping intent",
    shopping_intents,
    {"task_id": tasks},
    RowReader(ShoppingIntent, shopping_intents.c.__getitem__, task_name=tasks.c.name, run=status_reader(shopping_intents)),
)

CUSTOM_ATTRIBUTES = Resources(
    "custom attribute",
    custom_attributes,
    {"feature_id": features},
    RowReader(
        CustomAttributes, custom_attributes.c.__getitem__, feature_name=features.c.name, run=status_reader(custom_attributes)
    ),
)


def list_other_tasks(
    connection: Connection, account_id: str, feature_id: str, but_task_id: str, limit: int
) -> list[tuple[str, str]]:
    """Return (name, result of its run as JSON) of the newest completed tasks of an account that learned from a feature."""
    query = (
        select(tasks.c.name, runs.c.result)
        .join(runs, runs.c.id == tasks.c.run_id)
        .where(tasks.c.account_id == account_id, tasks.c.deleted_at.is_(None), tasks.c.id != but_task_id)
        .where(tasks.c.train_feature_id == feature_id, runs.c.state == RunState.COMPLETED.value)
        .order_by(tasks.c.created_at.desc(), tasks.c.id.desc())
        .limit(limit)
    )
    return [(str(name), str(result)) for name, result in connection.execute(query)]


def set_shopping_intent_result(tx: Connection, id: str, *, disk_usage: int) -> None:
    """Record the size of a completed shopping intent."""
    tx.execute(update(shopping_intents).where(shopping_intents.c.id == id).values(disk_usage=disk_usage))
