"""Seal every secret of a database anew, for a new master key: one statement of where secrets lie."""

from sqlalchemy import select, update

from footfall.db.engine.encryption import Secrets
from footfall.db.engine.engine import Connection
from footfall.db.images import bound_to
from footfall.db.tables import access_keys, idempotency_keys, registries, runs


def reseal_all(tx: Connection, secrets: Secrets) -> int:
    """Seal every secret anew with the newest key; return how many access keys there were."""
    rows = tx.execute(select(access_keys.c.id, access_keys.c.secret)).all()
    for id, sealed in rows:
        fresh = _reseal(secrets, sealed, id)
        tx.execute(update(access_keys).where(access_keys.c.id == id).values(secret=fresh))
    answers = select(idempotency_keys.c.account_id, idempotency_keys.c.key, idempotency_keys.c.body)
    for account_id, key, body in tx.execute(answers).all():
        this = (idempotency_keys.c.account_id == account_id) & (idempotency_keys.c.key == key)
        fresh = _reseal(secrets, body, f"{account_id} {key}")
        tx.execute(update(idempotency_keys).where(this).values(body=fresh))
    logins = select(registries.c.account_id, registries.c.private_ep, registries.c.secret)
    for account_id, private_ep, sealed in tx.execute(logins).all():
        this = (registries.c.account_id == account_id) & (registries.c.private_ep == private_ep)
        fresh = _reseal(secrets, sealed, bound_to(account_id, private_ep))
        tx.execute(update(registries).where(this).values(secret=fresh))
    for id, sealed in tx.execute(select(runs.c.id, runs.c.sealed).where(runs.c.sealed.is_not(None))).all():
        tx.execute(update(runs).where(runs.c.id == id).values(sealed=_reseal(secrets, sealed, id)))
    return len(rows)


def _reseal(secrets: Secrets, sealed: bytes, name: str) -> bytes:
    return secrets.seal(secrets.open(sealed, name), name)
