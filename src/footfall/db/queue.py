"""How the queue stands: for those who watch a server. Reads indexes alone."""

from sqlalchemy import text
from sqlalchemy.engine import Connection

from footfall.db.prepared import Prepared


def count_live(connection: Connection) -> dict[str, int]:
    """Return how many runs there are in each state that is not final."""
    return {"registered": 0, "pending": 0, "in_progress": 0} | {
        str(state): int(n) for state, n in _LIVE.all(connection)
    }


def count_ended(connection: Connection) -> dict[str, int]:
    """Return how many runs of users have ended in each state and were not deleted."""
    return {"completed": 0, "failed": 0, "cancelled": 0} | {str(state): int(n) for state, n in _ENDED.all(connection)}


def find_oldest_waiting(connection: Connection) -> str | None:
    """Return the id of the run that was asked for first of those that nobody has started; its id tells when."""
    row = _OLDEST.one(connection)
    return None if row is None or row[0] is None else str(row[0])


def beat(tx: Connection, name: str, epoch: int, at: int) -> None:
    """Say that the holder of a lease has just looked at all runs; ``at`` in microseconds since 1970."""
    _BEAT.change(tx, name=name, epoch=epoch, at=at)


def last_beat(connection: Connection, name: str) -> int | None:
    """Return when any holder of a lease last said so."""
    row = _LAST_BEAT.one(connection, name=name)
    return int(row[0]) if row is not None and row[0] else None


_IS_LIVE = "state IN ('in_progress', 'pending', 'registered')"
_LIVE = Prepared(text(f"SELECT state, COUNT(*) FROM runs WHERE {_IS_LIVE} GROUP BY state"))
_ENDED = Prepared(
    text(
        "SELECT state, SUM(n) FROM run_counts JOIN accounts ON accounts.id = run_counts.scope "
        "WHERE state IN ('completed', 'failed', 'cancelled') GROUP BY state"
    )
)
_OLDEST = Prepared(text(f"SELECT MIN(id) FROM runs WHERE {_IS_LIVE} AND state IN ('pending', 'registered')"))
_BEAT = Prepared(text("UPDATE leases SET beat = :at WHERE name = :name AND epoch = :epoch"))
_LAST_BEAT = Prepared(text("SELECT beat FROM leases WHERE name = :name"))
