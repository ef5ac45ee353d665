"""What has outlived its use: files of runs, artefacts that nothing refers to. Says what may go; removes rows, never files."""

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from footfall.db.engine import now_us, to_us
from footfall.db.tables import runs, tombstones


def find_removable(connection: Connection, ended_before: datetime, limit: int) -> list[str]:
    """Return runs whose files are still there and should go: the deleted ones, and those that ended long ago."""
    deleted = sa.select(runs.c.id).where(sa.text(_UNSWEPT)).order_by(runs.c.deleted_at).limit(limit)
    old = (
        sa.select(runs.c.id)
        .where(sa.text(_KEPT), runs.c.ended_at < to_us(ended_before))
        .order_by(runs.c.ended_at)
        .limit(limit)
    )
    found = dict.fromkeys(connection.execute(deleted).scalars()) | dict.fromkeys(connection.execute(old).scalars())
    return list(found)[:limit]


def note_removed(tx: Connection, run_ids: Sequence[str]) -> None:
    """Record that the files of these runs are gone."""
    tx.execute(runs.update().where(runs.c.id.in_(run_ids)).values(data_removed_at=now_us()))


def find_tombstones(connection: Connection, limit: int) -> list[str]:
    """Return prefixes of the internal store that nothing refers to any more."""
    return list(connection.execute(sa.select(tombstones.c.prefix).limit(limit)).scalars())


def remove_tombstone(tx: Connection, prefix: str) -> None:
    """Forget a prefix that has been swept."""
    tx.execute(tombstones.delete().where(tombstones.c.prefix == prefix))


# As the partial indexes have it.
_KEPT = "ended_at IS NOT NULL AND data_removed_at IS NULL"
_UNSWEPT = "deleted_at IS NOT NULL AND data_removed_at IS NULL"
