"""Features, tasks, task runs and encoders, each joined to the run that makes it; who uses what; what runs leave behind."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Row, bindparam, case, func, insert, or_, select, text, union_all, update

from footfall.db.engine.engine import Connection, from_us, now_us
from footfall.db.engine.prepared import Prepared
from footfall.db.engine.rows import RowReader, existing
from footfall.db.resources import Page, Resources, decode_or_none, status_reader
from footfall.db.tables import (
    custom_attributes,
    encoders,
    features,
    result_reservations,
    runs,
    shopping_intents,
    task_runs,
    tasks,
)
from footfall.db.tables.schema import LIVE_RUN
from footfall.errors import AlreadyExistsError
from footfall.records import Encoder, Feature, Task, TaskRun
from footfall.states import LIVE_STATES

_LIVE = sorted(state.value for state in LIVE_STATES)
_train = features.alias("train")
_test = features.alias("test")


def _task_result(text: str | None, line_count: int) -> Any:
    result = decode_or_none(text)
    return None if result is None else {"line_count": line_count} | result


FEATURES = Resources(
    "feature",
    features,
    {"encoder_id": encoders},
    RowReader(
        Feature,
        features.c.__getitem__,
        run=status_reader(features),
        encoder_name=encoders.c.name,
        source_options=(features.c.source_options, decode_or_none),
    ),
)

TASKS = Resources(
    "task",
    tasks,
    {"train_feature_id": _train, "test_feature_id": _test},
    RowReader(
        Task,
        tasks.c.__getitem__,
        train_feature_name=_train.c.name,
        test_feature_name=_test.c.name,
        run=status_reader(tasks, result=(runs.c.result, tasks.c.line_count, _task_result)),
    ),
)

TASK_RUNS = Resources(
    "task run",
    task_runs,
    {"task_id": tasks, "feature_id": features},
    RowReader(
        TaskRun, task_runs.c.__getitem__, task_name=tasks.c.name, feature_name=features.c.name, run=status_reader(task_runs)
    ),
)

_RESERVE = Prepared(
    "INSERT INTO result_reservations (bucket, key, run_id) VALUES (:bucket, :key, :run_id) ON CONFLICT DO NOTHING"
)
_MARK_FOR_DELETION = text("INSERT INTO tombstones (prefix, created_at) VALUES (:prefix, :at) ON CONFLICT DO NOTHING")
_RESERVED = Prepared(
    select(result_reservations.c.run_id).where(
        result_reservations.c.bucket == bindparam("bucket"), result_reservations.c.key == bindparam("key")
    )
)


def live_users_of_feature(connection: Connection, feature_id: str, limit: int = 5) -> list[str]:
    """Return what has not ended and depends on a feature, as words for a sentence."""
    uses = or_(tasks.c.train_feature_id == feature_id, tasks.c.test_feature_id == feature_id)
    query = union_all(
        _live("task", tasks, uses), *(_live(kind, table, table.c.feature_id == feature_id) for kind, table in _MADE_OF_FEATURES)
    )
    return list(connection.execute(query.limit(limit)).scalars())


def live_users_of_task(connection: Connection, task_id: str, limit: int = 5) -> list[str]:
    """Return what has not ended and depends on a task, as words for a sentence."""
    query = union_all(*(_live(kind, table, table.c.task_id == task_id) for kind, table in _MADE_OF_TASKS))
    return list(connection.execute(query.limit(limit)).scalars())


def live_users_of_bucket(connection: Connection, bucket: str, account_id: str, limit: int = 5) -> list[str]:
    """Return what has not ended and reads or writes a bucket, as words for a sentence; an account hears no other's names."""
    uses = (
        ("feature", features, features.c.source_bucket == bucket),
        ("task", tasks, or_(tasks.c.train_bucket == bucket, tasks.c.test_bucket == bucket)),
        ("task run", task_runs, task_runs.c.result_bucket == bucket),
        ("custom attribute", custom_attributes, custom_attributes.c.result_bucket == bucket),
    )
    live = select(runs.c.id).where(LIVE_RUN)
    queries = [
        select(case((table.c.account_id == account_id, _word(kind, table.c.name)), else_=f"a {kind} of another account")).where(
            condition, table.c.run_id.in_(live)
        )
        for kind, table, condition in uses
    ]
    return list(connection.execute(union_all(*queries).limit(limit)).scalars())


def reserve_result(tx: Connection, bucket: str, key: str, run_id: str) -> None:
    """Keep a result's place for a run until it ends.

    Raises:
        AlreadyExistsError: another run has it.
    """
    if not _RESERVE.change(tx, bucket=bucket, key=key, run_id=run_id):
        raise AlreadyExistsError("result", f"{bucket}/{key}")


def is_reserved(connection: Connection, bucket: str, key: str) -> bool:
    """Whether a run that has not ended will write its result there."""
    return _RESERVED.one(connection, bucket=bucket, key=key) is not None


def release_result(tx: Connection, run_id: str) -> None:
    """Free the place of a run that ended."""
    tx.execute(result_reservations.delete().where(result_reservations.c.run_id == run_id))


def mark_for_deletion(tx: Connection, prefixes: Iterable[str]) -> None:
    """Leave prefixes of the internal store to the reconciler, which removes what lies below them."""
    at = now_us()
    for prefix in prefixes:
        tx.execute(_MARK_FOR_DELETION, {"prefix": prefix, "at": at})


def get_encoder(connection: Connection, account_id: str, id: str) -> Encoder:
    """Return an encoder of an account.

    Raises:
        NotFoundError: there is none, or it is another account's.
    """
    row = connection.execute(_encoders_of(account_id).where(encoders.c.id == id)).first()
    return _encoder(existing(row, "encoder", id))


def find_encoder(connection: Connection, account_id: str, name_or_id: str) -> Encoder | None:
    """Return the encoder with this id, or else the newest with this name, or None."""
    this = (encoders.c.id == name_or_id) | (encoders.c.name == name_or_id)
    matches = [_encoder(row) for row in connection.execute(_newest_encoders(account_id).where(this))]
    return next((encoder for encoder in matches if encoder.id == name_or_id), matches[0] if matches else None)


def encoder_names(connection: Connection, account_id: str) -> set[str]:
    """Return the names of the encoders of an account."""
    alive = (encoders.c.account_id == account_id, encoders.c.deleted_at.is_(None))
    return set(connection.execute(select(encoders.c.name).where(*alive)).scalars())


def encoder_name(connection: Connection, id: str) -> str:
    """Return the name of an encoder, also of one that was deleted."""
    return str(connection.execute(select(encoders.c.name).where(encoders.c.id == id)).scalar_one())


def features_of_encoder(connection: Connection, account_id: str, encoder_id: str, limit: int) -> list[str]:
    """Return the names of the newest completed features that an encoder made."""
    made = (features.c.account_id == account_id, features.c.encoder_id == encoder_id, features.c.coverage.is_not(None))
    names = select(features.c.name).where(*made, features.c.deleted_at.is_(None)).order_by(features.c.created_at.desc())
    return list(connection.execute(names.limit(limit)).scalars())


def page_encoders(connection: Connection, account_id: str, index: int, limit: int) -> Page[Encoder]:
    """Return some encoders of an account, newest first."""
    alive = (encoders.c.account_id == account_id, encoders.c.deleted_at.is_(None))
    total = connection.execute(select(func.count()).select_from(encoders).where(*alive)).scalar_one()
    rows = connection.execute(_newest_encoders(account_id).limit(limit).offset(index)) if index < total else ()
    return Page([_encoder(row) for row in rows], total)


def list_encoders(connection: Connection, account_id: str) -> list[Encoder]:
    """Return every encoder of an account, newest first."""
    return [_encoder(row) for row in connection.execute(_newest_encoders(account_id))]


def insert_encoder(
    tx: Connection, account_id: str, *, id: str, name: str, feature_id: str, artefact: str, n_users: int, size_bytes: int
) -> None:
    """Add an encoder that a feature's job fitted."""
    tx.execute(
        insert(encoders).values(
            id=id,
            account_id=account_id,
            name=name,
            feature_id=feature_id,
            artefact=artefact,
            n_users=n_users,
            size_bytes=size_bytes,
            created_at=now_us(),
        )
    )


def set_feature_result(tx: Connection, feature_id: str, *, encoder_id: str, coverage: float, disk_usage: int) -> None:
    """Record which encoder a completed feature uses, how much of it that knows, and its size."""
    tx.execute(
        update(features)
        .where(features.c.id == feature_id)
        .values(encoder_id=encoder_id, coverage=coverage, disk_usage=disk_usage)
    )


def set_task_result(tx: Connection, task_id: str, *, disk_usage: int) -> None:
    """Record the size of a completed task."""
    tx.execute(update(tasks).where(tasks.c.id == task_id).values(disk_usage=disk_usage))


def used_bytes(connection: Connection, account_id: str) -> int:
    """Return what the features, tasks, shopping intents and encoders of an account take."""
    total = 0
    tables = (features, "disk_usage"), (tasks, "disk_usage"), (shopping_intents, "disk_usage"), (encoders, "size_bytes")
    for table, column in tables:
        alive = (table.c.account_id == account_id, table.c.deleted_at.is_(None))
        total += connection.execute(select(func.coalesce(func.sum(table.c[column]), 0)).where(*alive)).scalar_one()
    return total


def collect_encoders(tx: Connection, account_id: str, *, but_run_id: str | None = None) -> list[str]:
    """Delete the encoders that no feature or task uses, and return their artefacts.

    None goes while a feature of the account is being made, which may be about to choose it.

    Args:
        but_run_id: a run that is ending in this very transaction.
    """
    making = (
        select(features.c.id)
        .join(runs, runs.c.id == features.c.run_id)
        .where(features.c.account_id == account_id, features.c.deleted_at.is_(None), runs.c.state.in_(_LIVE))
    )
    if but_run_id is not None:
        making = making.where(runs.c.id != but_run_id)
    if tx.execute(making.limit(1)).first() is not None:
        return []
    unused = (
        select(encoders.c.id, encoders.c.artefact)
        .where(encoders.c.account_id == account_id, encoders.c.deleted_at.is_(None))
        .where(~_uses(features).exists(), ~_uses(tasks).exists())
    )
    rows = tx.execute(unused).all()
    for id, _ in rows:
        tx.execute(update(encoders).where(encoders.c.id == id).values(deleted_at=now_us()))
    return [artefact for _, artefact in rows]


_MADE_OF_TASKS = (("task run", task_runs), ("shopping intent", shopping_intents))
_MADE_OF_FEATURES = (*_MADE_OF_TASKS, ("custom attribute", custom_attributes))


def _live(kind: str, table: Any, condition: Any) -> Any:
    """Name those of a kind that a condition holds for and that have not ended."""
    query = select(_word(kind, table.c.name)).join(runs, runs.c.id == table.c.run_id)
    return query.where(condition, table.c.deleted_at.is_(None), runs.c.state.in_(_LIVE))


def _word(kind: str, name: Any) -> Any:
    return (f"{kind} '" + name + "'").label("word")


def _uses(table: Any) -> Any:
    return select(table.c.id).where(table.c.encoder_id == encoders.c.id, table.c.deleted_at.is_(None))


def _encoders_of(account_id: str) -> Any:
    n_features = (
        select(func.count()).where(features.c.encoder_id == encoders.c.id, features.c.deleted_at.is_(None)).scalar_subquery()
    )
    return select(encoders, n_features.label("n_features")).where(
        encoders.c.account_id == account_id, encoders.c.deleted_at.is_(None)
    )


def _newest_encoders(account_id: str) -> Any:
    return _encoders_of(account_id).order_by(encoders.c.created_at.desc(), encoders.c.id.desc())


def _encoder(row: Row[Any]) -> Encoder:
    return Encoder(row.id, row.name, row.artefact, row.n_users, from_us(row.created_at), row.feature_id, row.n_features)
