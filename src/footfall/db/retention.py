"""Queries of retention: which files of runs and artefacts may be removed. Removes rows, never files."""

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa

from footfall.db.engine.engine import Connection, now_us, to_us
from footfall.db.engine.prepared import Prepared
from footfall.db.tables import run_events, runs, tombstones
from footfall.states import ProjectStatus


def find_removable(connection: Connection, ended_before: datetime, limit: int) -> list[str]:
    """Return runs whose files are still there and should go: the deleted ones, and those that ended long ago."""
    deleted = sa.select(runs.c.id).where(sa.text(_UNSWEPT)).order_by(runs.c.deleted_at).limit(limit)
    old = sa.select(runs.c.id).where(sa.text(_KEPT), runs.c.ended_at < to_us(ended_before)).order_by(runs.c.ended_at).limit(limit)
    ids = dict.fromkeys(connection.execute(deleted).scalars()) | dict.fromkeys(connection.execute(old).scalars())
    return list(ids)[:limit]


def note_removed(tx: Connection, run_ids: Sequence[str]) -> None:
    """Record that the files of these runs are gone."""
    tx.execute(runs.update().where(runs.c.id.in_(run_ids)).values(data_removed_at=now_us()))


def find_tombstones(connection: Connection, limit: int) -> list[str]:
    """Return prefixes of the internal store that nothing refers to any more."""
    return list(connection.execute(sa.select(tombstones.c.prefix).limit(limit)).scalars())


def remove_tombstone(tx: Connection, prefix: str) -> None:
    """Forget a prefix that has been swept."""
    tx.execute(tombstones.delete().where(tombstones.c.prefix == prefix))


def find_shown_runs(connection: Connection, project_id: str, limit: int) -> list[str]:
    """Return runs of a project that were not deleted, oldest first."""
    return [str(row[0]) for row in _SHOWN_RUNS.all(connection, project_id=project_id, limit=limit)]


def find_unswept_runs(connection: Connection, project_id: str, limit: int) -> list[str]:
    """Return deleted runs of a project whose files are still there."""
    return [str(row[0]) for row in _UNSWEPT_RUNS.all(connection, project_id=project_id, limit=limit)]


def find_volumes_of(connection: Connection, project_id: str) -> list[int]:
    """Return the numbers of all block storages that a project ever had."""
    return [int(row[0]) for row in _VOLUMES.all(connection, project_id=project_id)]


def forget_code_of(tx: Connection, project_id: str) -> None:
    """Forget the code archives of a project whose files are gone."""
    _FORGET_CODE.change(tx, project_id=project_id)


def find_expired_projects(connection: Connection, before: datetime, limit: int) -> list[str]:
    """Return projects that were deleted before a time."""
    return [str(row[0]) for row in _EXPIRED.all(connection, before=to_us(before), limit=limit)]


def forget_project(tx: Connection, project_id: str, limit: int) -> bool:
    """Remove the rows of a deleted project, at most ``limit`` runs at a time; True when nothing of it is left."""
    run_ids = [row[0] for row in _RUNS_OF.all(tx, project_id=project_id, limit=limit)]
    if run_ids:
        tx.execute(run_events.delete().where(run_events.c.run_id.in_(run_ids)))
        tx.execute(runs.delete().where(runs.c.id.in_(run_ids)))
        return False
    for statement in _FORGET_PROJECT:
        statement.change(tx, project_id=project_id)
    return True


# As the partial indexes have it.
_KEPT = "ended_at IS NOT NULL AND data_removed_at IS NULL"
_UNSWEPT = "deleted_at IS NOT NULL AND data_removed_at IS NULL"
_SHOWN_RUNS = Prepared(
    "SELECT id FROM runs WHERE project_id = :project_id AND number > 0 AND deleted_at IS NULL ORDER BY number LIMIT :limit"
)
_UNSWEPT_RUNS = Prepared(f"SELECT id FROM runs WHERE {_UNSWEPT} AND project_id = :project_id ORDER BY deleted_at LIMIT :limit")
_VOLUMES = Prepared("SELECT number FROM volumes WHERE project_id = :project_id")
_FORGET_CODE = Prepared("DELETE FROM code_archives WHERE project_id = :project_id")
_EXPIRED = Prepared(
    f"SELECT id FROM projects WHERE status = '{ProjectStatus.DELETED}' AND deleted_at < :before AND NOT is_system "
    "ORDER BY deleted_at "
    "LIMIT :limit"
)
_RUNS_OF = Prepared("SELECT id FROM runs WHERE project_id = :project_id AND deleted_at IS NOT NULL LIMIT :limit")
_FORGET_PROJECT = (
    Prepared("DELETE FROM run_counts WHERE scope = :project_id"),
    Prepared("DELETE FROM run_gaps WHERE scope = :project_id"),
    Prepared("DELETE FROM volumes WHERE project_id = :project_id"),
    Prepared("DELETE FROM projects WHERE id = :project_id"),
)
