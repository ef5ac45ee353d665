"""Counters of resources by account and kind, so that neither a page nor a limit counts rows."""

from footfall.db.engine.engine import Connection
from footfall.db.engine.prepared import Prepared
from footfall.errors import QuotaExceededError


def count(connection: Connection, account_id: str, kind: str) -> int:
    """Return how many an account has of a kind, which is the name of its table."""
    row = _COUNT.one(connection, account_id=account_id, kind=kind)
    return 0 if row is None else int(row[0])


def add(tx: Connection, account_id: str, kind: str, limit: int, noun: str) -> None:
    """Count one more.

    Args:
        noun: what it is, for the refusal.

    Raises:
        QuotaExceededError: the account has ``limit`` already.
    """
    if not _ADD.change(tx, account_id=account_id, kind=kind, max=limit):
        _FIRST.change(tx, account_id=account_id, kind=kind)
        if not _ADD.change(tx, account_id=account_id, kind=kind, max=limit):
            raise QuotaExceededError(f"{noun}s of an account", limit, 1)


def remove(tx: Connection, account_id: str, kind: str, n: int = 1) -> None:
    """Count ``n`` less."""
    _REMOVE.change(tx, account_id=account_id, kind=kind, n=n)


_OF = "WHERE account_id = :account_id AND kind = :kind"
_COUNT = Prepared(f"SELECT n FROM resource_counts {_OF}")
_FIRST = Prepared("INSERT INTO resource_counts (account_id, kind, n) VALUES (:account_id, :kind, 0) ON CONFLICT DO NOTHING")
_ADD = Prepared(f"UPDATE resource_counts SET n = n + 1 {_OF} AND n < :max")
_REMOVE = Prepared(f"UPDATE resource_counts SET n = n - :n {_OF}")
