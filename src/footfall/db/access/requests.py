"""Replay protection and idempotency keys: marks of received requests, and first responses."""

from dataclasses import dataclass

from sqlalchemy import bindparam, delete, select

from footfall.db.engine.engine import Connection
from footfall.db.engine.prepared import Prepared
from footfall.db.engine.rows import insert_new
from footfall.db.tables import idempotency_keys, seen_requests

_FIND_MARK = Prepared(select(seen_requests.c.expires_at).where(seen_requests.c.digest == bindparam("digest")))
_MARK = Prepared("INSERT INTO seen_requests (digest, expires_at) VALUES (:digest, :expires_at) ON CONFLICT DO NOTHING")
_FIND_ANSWER = Prepared(
    select(idempotency_keys.c.digest, idempotency_keys.c.status, idempotency_keys.c.body).where(
        idempotency_keys.c.account_id == bindparam("account_id"),
        idempotency_keys.c.key == bindparam("key"),
        idempotency_keys.c.expires_at > bindparam("now"),
    )
)


@dataclass(frozen=True, slots=True)
class FirstAnswer:
    """What the first request with an idempotency key was and got. ``body`` is sealed."""

    digest: bytes
    status: int
    body: bytes


def is_marked(connection: Connection, digest: bytes) -> bool:
    """Whether a request with this digest was received."""
    return _FIND_MARK.one(connection, digest=digest) is not None


def mark(tx: Connection, digest: bytes, expires_at: int) -> bool:
    """Remember that a request was received; False if it was before, whoever came first."""
    return _MARK.change(tx, digest=digest, expires_at=expires_at) == 1


def find_answer(connection: Connection, account_id: str, key: str, now: int) -> FirstAnswer | None:
    """Return the first answer of an idempotency key of an account, if it is still remembered."""
    row = _FIND_ANSWER.one(connection, account_id=account_id, key=key, now=now)
    return None if row is None else FirstAnswer(bytes(row[0]), row[1], bytes(row[2]))


def remember_answer(tx: Connection, account_id: str, key: str, answer: FirstAnswer, expires_at: int) -> None:
    """Keep the first answer of an idempotency key, in place of one that expired.

    Raises:
        AlreadyExistsError: another request with this key was first.
    """
    this = (idempotency_keys.c.account_id == account_id) & (idempotency_keys.c.key == key)
    tx.execute(delete(idempotency_keys).where(this))
    new = idempotency_keys.insert().values(
        account_id=account_id, key=key, digest=answer.digest, status=answer.status, body=answer.body, expires_at=expires_at
    )
    insert_new(tx, new, "idempotency key", key)


def forget_expired(tx: Connection, now: int, limit: int = 1000) -> int:
    """Remove up to ``limit`` marks and as many answers that expired before ``now``; return how many went."""
    marks = select(seen_requests.c.digest).where(seen_requests.c.expires_at <= now).limit(limit)
    gone = tx.execute(delete(seen_requests).where(seen_requests.c.digest.in_(marks))).rowcount
    old = tx.execute(
        select(idempotency_keys.c.account_id, idempotency_keys.c.key).where(idempotency_keys.c.expires_at <= now).limit(limit)
    ).all()
    for account_id, key in old:
        tx.execute(delete(idempotency_keys).where(idempotency_keys.c.account_id == account_id, idempotency_keys.c.key == key))
    return gone + len(old)
