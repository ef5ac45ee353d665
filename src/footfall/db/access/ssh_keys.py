"""SSH keys of accounts, with which their owners log in to nodes."""

import secrets as random
from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy import delete, insert, select

from footfall.db.engine.engine import Connection, from_us, now_us
from footfall.db.engine.rows import check_limit, existing
from footfall.db.tables import ssh_keys

MAX_KEYS = 100
_NAME_LENGTH = 33
_ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True, slots=True)
class SshKey:
    """A key. The name is ours, the title its owner's; together they name it."""

    name: str
    title: str
    fingerprint: str
    fingerprint_sha256: str
    created_at: datetime


def insert_key(tx: Connection, account_id: str, *, title: str, key: str, fingerprint: str, fingerprint_sha256: str) -> SshKey:
    """Add a key.

    Raises:
        QuotaExceededError: the account has as many as it may.
    """
    check_limit(tx, ssh_keys.c.account_id == account_id, MAX_KEYS, "SSH keys of an account")
    now = now_us()
    name = "".join(random.choice(_ALPHABET) for _ in range(_NAME_LENGTH))
    made = SshKey(name, title, fingerprint, fingerprint_sha256, from_us(now))
    tx.execute(insert(ssh_keys).values(asdict(made) | {"account_id": account_id, "key": key, "created_at": now}))
    return made


def list_keys(connection: Connection, account_id: str) -> list[SshKey]:
    """Return the keys of an account, newest first."""
    query = select(ssh_keys).where(ssh_keys.c.account_id == account_id)
    rows = connection.execute(query.order_by(ssh_keys.c.created_at.desc(), ssh_keys.c.name))
    return [SshKey(row.name, row.title, row.fingerprint, row.fingerprint_sha256, from_us(row.created_at)) for row in rows]


def delete_key(tx: Connection, account_id: str, title: str, name: str) -> SshKey:
    """Forget a key and return it.

    Raises:
        NotFoundError: the account has none of this title and name.
    """
    matches = (key for key in list_keys(tx, account_id) if (key.title, key.name) == (title, name))
    key = existing(next(matches, None), "authentication key", f"{title}/{name}")
    tx.execute(delete(ssh_keys).where(ssh_keys.c.account_id == account_id, ssh_keys.c.name == name))
    return key
