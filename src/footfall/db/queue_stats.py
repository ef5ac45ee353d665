"""Queue statistics for health and metrics; reads indexes alone."""

from footfall.db.engine.engine import Connection
from footfall.db.engine.prepared import Prepared
from footfall.db.tables.schema import IS_ENDED, IS_LIVE


def count_live(connection: Connection) -> dict[str, int]:
    """Return how many runs there are in each state that is not final."""
    return {"registered": 0, "pending": 0, "in_progress": 0} | {str(state): int(n) for state, n in _LIVE.all(connection)}


def count_ended(connection: Connection) -> dict[str, int]:
    """Return how many runs of users have ended in each state and were not deleted."""
    return {"completed": 0, "failed": 0, "cancelled": 0} | {str(state): int(n) for state, n in _ENDED.all(connection)}


def find_oldest_waiting(connection: Connection) -> str | None:
    """Return the id of the run that was asked for first of those that nobody has started; its id tells when."""
    row = _OLDEST.one(connection)
    return None if row is None or row[0] is None else str(row[0])


_LIVE = Prepared(f"SELECT state, COUNT(*) FROM runs WHERE {IS_LIVE} GROUP BY state")
_ENDED = Prepared(
    f"SELECT state, SUM(n) FROM run_counts JOIN accounts ON accounts.id = run_counts.scope WHERE {IS_ENDED} GROUP BY state"
)
_OLDEST = Prepared(f"SELECT MIN(id) FROM runs WHERE {IS_LIVE} AND state IN ('pending', 'registered')")
