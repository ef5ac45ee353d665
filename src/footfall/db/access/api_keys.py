"""API keys of an account: two values each, both valid, of which only the hashes are stored."""

import secrets as random
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256
from typing import Any

from sqlalchemy import Row, bindparam, delete, insert, select, update

from footfall.db.engine.engine import Connection, from_us, now_us
from footfall.db.engine.prepared import Prepared
from footfall.db.engine.rows import check_limit, existing
from footfall.db.tables import api_keys
from footfall.records import new_id

MAX_API_KEYS = 20
_LENGTH = 40
_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

_HAS_KEY = Prepared(
    select(api_keys.c.id).where(
        (api_keys.c.primary_hash == bindparam("given")) | (api_keys.c.secondary_hash == bindparam("given")),
        api_keys.c.account_id == bindparam("account_id"),
        api_keys.c.is_enabled.is_(True),
    )
)


@dataclass(frozen=True, slots=True)
class ApiKey:
    """An API key. The values are set only in the answer that made or reissued them."""

    id: str
    name: str
    is_enabled: bool
    created_at: datetime
    primary: str | None = None
    secondary: str | None = None


def create_api_key(tx: Connection, account_id: str, name: str) -> ApiKey:
    """Make an API key with both values.

    Raises:
        QuotaExceededError: the account has as many as it may.
    """
    check_limit(tx, api_keys.c.account_id == account_id, MAX_API_KEYS, "API keys of an account")
    id, primary, secondary, now = new_id(), _new_value(), _new_value(), now_us()
    hashes = {"primary_hash": _hash(primary), "secondary_hash": _hash(secondary)}
    tx.execute(insert(api_keys).values(id=id, account_id=account_id, name=name, is_enabled=True, created_at=now, **hashes))
    return ApiKey(id, name, True, from_us(now), primary, secondary)


def list_api_keys(connection: Connection, account_id: str) -> list[ApiKey]:
    """Return the API keys of an account, oldest first, without their values."""
    query = select(api_keys).where(api_keys.c.account_id == account_id)
    return [_api_key(row) for row in connection.execute(query.order_by(api_keys.c.created_at, api_keys.c.id))]


def get_api_key(connection: Connection, account_id: str, id: str) -> ApiKey:
    """Return an API key of an account, without its values.

    Raises:
        NotFoundError: no such key.
    """
    row = connection.execute(select(api_keys).where(api_keys.c.id == id, api_keys.c.account_id == account_id)).first()
    return _api_key(existing(row, "API key", id))


def reissue(tx: Connection, account_id: str, id: str, *, which: str) -> ApiKey:
    """Replace the ``primary`` or the ``secondary`` value; the other stays valid meanwhile.

    Raises:
        NotFoundError: no such key.
    """
    key, value = get_api_key(tx, account_id, id), _new_value()
    column = "primary_hash" if which == "primary" else "secondary_hash"
    tx.execute(update(api_keys).where(api_keys.c.id == id).values({column: _hash(value)}))
    primary, secondary = (value, None) if which == "primary" else (None, value)
    return replace(key, primary=primary, secondary=secondary)


def set_enabled(tx: Connection, account_id: str, id: str, is_enabled: bool) -> ApiKey:
    """Make both values valid, or neither.

    Raises:
        NotFoundError: no such key.
    """
    get_api_key(tx, account_id, id)
    tx.execute(update(api_keys).where(api_keys.c.id == id).values(is_enabled=is_enabled))
    return get_api_key(tx, account_id, id)


def delete_api_key(tx: Connection, account_id: str, id: str) -> None:
    """Remove an API key.

    Raises:
        NotFoundError: no such key.
    """
    get_api_key(tx, account_id, id)
    tx.execute(delete(api_keys).where(api_keys.c.id == id))


def has_api_key(connection: Connection, account_id: str, value: bytes) -> bool:
    """Whether this is one of the two values of an enabled API key of an account."""
    return _HAS_KEY.one(connection, account_id=account_id, given=sha256(value).digest()) is not None


def _new_value() -> str:
    return "".join(random.choice(_ALPHABET) for _ in range(_LENGTH))


def _hash(value: str) -> bytes:
    return sha256(value.encode()).digest()


def _api_key(row: Row[Any]) -> ApiKey:
    return ApiKey(row.id, row.name, row.is_enabled, from_us(row.created_at))
