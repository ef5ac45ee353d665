"""Profiles, each joined to the run that makes it and to what it was made from."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select, update

from footfall.db.engine.engine import Connection
from footfall.db.resources import RUN_COLUMNS, Resources, run_status
from footfall.db.tables import custom_attributes, features, runs, shopping_intents, tasks
from footfall.records import CustomAttributes, ShoppingIntent
from footfall.states import RunState


def _shopping_intent(row: Sequence[Any]) -> ShoppingIntent:
    return ShoppingIntent(row[0], row[1], row[2], row[3], row[4], run_status(row[6:], row[5]))


def _custom_attributes(row: Sequence[Any]) -> CustomAttributes:
    return CustomAttributes(row[0], row[1], row[2], row[3], row[4], row[5], row[6], run_status(row[8:], row[7]))


SHOPPING_INTENTS: Resources[ShoppingIntent] = Resources(
    "shopping intent",
    shopping_intents,
    shopping_intents.join(runs, runs.c.id == shopping_intents.c.run_id).join(tasks, tasks.c.id == shopping_intents.c.task_id),
    (
        shopping_intents.c.id,
        shopping_intents.c.name,
        shopping_intents.c.task_id,
        tasks.c.name,
        shopping_intents.c.feature_id,
        shopping_intents.c.created_at,
        *RUN_COLUMNS,
    ),
    _shopping_intent,
)

CUSTOM_ATTRIBUTES: Resources[CustomAttributes] = Resources(
    "custom attribute",
    custom_attributes,
    custom_attributes.join(runs, runs.c.id == custom_attributes.c.run_id).join(
        features, features.c.id == custom_attributes.c.feature_id
    ),
    (
        custom_attributes.c.id,
        custom_attributes.c.name,
        custom_attributes.c.feature_id,
        features.c.name,
        custom_attributes.c.keyword_set,
        custom_attributes.c.result_bucket,
        custom_attributes.c.result_file_path,
        custom_attributes.c.created_at,
        *RUN_COLUMNS,
    ),
    _custom_attributes,
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
