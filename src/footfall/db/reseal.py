"""Where secrets lie in a database, and how they are sealed anew for a new master key."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Column, LargeBinary, Table, func, select, update

from footfall.db.engine.encryption import Secrets, SecretUnreadableError, key_id_of
from footfall.db.engine.engine import Connection
from footfall.db.images import bound_to
from footfall.db.tables import access_keys, idempotency_keys, registries, runs


@dataclass(frozen=True)
class Place:
    """A column of sealed secrets."""

    what: str
    table: Table
    sealed: Column[bytes]
    keys: tuple[Column[str], ...]
    """What tells its rows apart, and what ``name`` is given."""
    name: Callable[..., str]
    """The name that a row's secret is bound to."""


PLACES: Final = (
    Place("access key", access_keys, access_keys.c.secret, (access_keys.c.id,), str),
    Place(
        "first answer", idempotency_keys, idempotency_keys.c.body, (idempotency_keys.c.account_id, idempotency_keys.c.key),
        "{} {}".format,
    ),
    Place("login of", registries, registries.c.secret, (registries.c.account_id, registries.c.private_ep), bound_to),
    Place("secrets of run", runs, runs.c.sealed, (runs.c.id,), str),
)  # fmt: skip
"""All of them: what is not here is lost with the next master key."""


@dataclass(frozen=True)
class Resealed:
    """What became of the secrets of a database."""

    n_access_keys: int
    unreadable: tuple[str, ...]
    """What did not open, and was left as it is."""


def reseal_all(tx: Connection, secrets: Secrets) -> Resealed:
    """Seal every secret anew with the newest key; one that does not open is left as it is and told."""
    n_keys, unreadable = 0, list[str]()
    for place in PLACES:
        for *keys, sealed in tx.execute(select(*place.keys, place.sealed).where(place.sealed.is_not(None))).all():
            name = place.name(*keys)
            try:
                plain = secrets.open(sealed, name)
            except SecretUnreadableError:
                unreadable.append(f"{place.what} {name}")
                continue
            this = [column == key for column, key in zip(place.keys, keys, strict=True)]
            tx.execute(update(place.table).where(*this).values({place.sealed.name: secrets.seal(plain, name)}))
            n_keys += place.table is access_keys
    return Resealed(n_keys, tuple(unreadable))


def find_keys_in_use(connection: Connection) -> frozenset[bytes]:
    """Return the ids of the master keys that stored secrets are sealed with."""
    found = set[bytes]()
    for place in PLACES:
        beginning = func.substr(place.sealed, 1, len(key_id_of(bytes(64))), type_=LargeBinary)
        found.update(connection.execute(select(beginning).where(place.sealed.is_not(None)).distinct()).scalars())
    return frozenset(bytes(each) for each in found)
