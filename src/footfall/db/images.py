"""Images that the operator imported, and the logins of image repositories of accounts. Secrets come and go sealed."""

from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy import bindparam, delete, insert, select

from footfall.db.engine.engine import Connection, from_us, now_us
from footfall.db.engine.prepared import Prepared
from footfall.db.engine.rows import check_limit, insert_new
from footfall.db.tables import imported_images, registries
from footfall.errors import NotFoundError
from footfall.records import Image

MAX_REGISTRIES = 20
"""Of an account: each is asked when its images are listed."""


@dataclass(frozen=True, slots=True)
class Registry:
    """The login of an image repository. ``secret`` is sealed, ``secret_end`` what is shown of it."""

    private_ep: str
    access_key: str
    secret: bytes
    secret_end: str
    created_at: datetime


def bound_to(account_id: str, private_ep: str) -> str:
    """Return the name to which the secret of a login is bound when it is sealed."""
    return f"registry {account_id} {private_ep}"


def list_imported(connection: Connection) -> list[Image]:
    """Return every imported image, newest first."""
    query = select(imported_images).order_by(imported_images.c.created_at.desc(), imported_images.c.name)
    return [Image(row.name, row.kind, row.path) for row in connection.execute(query)]


def find_imported(connection: Connection, name: str) -> Image | None:
    """Return the imported image of a name, or None."""
    row = _FIND.one(connection, name=name)
    return None if row is None else Image(*row)


def insert_imported(tx: Connection, image: Image) -> None:
    """Add an image.

    Raises:
        AlreadyExistsError: the name is taken.
    """
    new = insert(imported_images).values(name=image.name, kind=image.kind, path=image.path, created_at=now_us())
    insert_new(tx, new, "image", image.name)


def list_registries(connection: Connection, account_id: str) -> list[Registry]:
    """Return the image repositories of an account, newest first."""
    query = select(registries).where(registries.c.account_id == account_id)
    rows = connection.execute(query.order_by(registries.c.created_at.desc(), registries.c.private_ep))
    return [Registry(row.private_ep, row.access_key, bytes(row.secret), row.secret_end, from_us(row.created_at)) for row in rows]


def insert_registry(tx: Connection, account_id: str, registry: Registry, created_us: int) -> None:
    """Add the login of an image repository.

    Raises:
        AlreadyExistsError: the account has one for this host.
        QuotaExceededError: the account has ``MAX_REGISTRIES`` already.
    """
    check_limit(tx, registries.c.account_id == account_id, MAX_REGISTRIES, "image repositories of an account")
    values = asdict(registry) | {"account_id": account_id, "created_at": created_us}
    insert_new(tx, insert(registries).values(values), "image repository", registry.private_ep)


def delete_registry(tx: Connection, account_id: str, private_ep: str) -> Registry:
    """Forget the login of an image repository and return it.

    Raises:
        NotFoundError: the account has none for this host.
    """
    matches = [each for each in list_registries(tx, account_id) if each.private_ep == private_ep]
    this = (registries.c.account_id == account_id, registries.c.private_ep == private_ep)
    if not matches or not tx.execute(delete(registries).where(*this)).rowcount:
        raise NotFoundError("image repository", private_ep)
    return matches[0]


_FIND = Prepared(
    select(imported_images.c.name, imported_images.c.kind, imported_images.c.path).where(
        imported_images.c.name == bindparam("name")
    )
)
