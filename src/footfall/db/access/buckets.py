"""Buckets: owner and grants."""

from sqlalchemy import bindparam, delete, exists, insert, or_, select

from footfall.db.engine.engine import Connection, from_us, now_us
from footfall.db.engine.prepared import Prepared
from footfall.db.engine.rows import existing, insert_new
from footfall.db.tables import bucket_grants, buckets
from footfall.records import Bucket

_OWNER = Prepared(select(buckets.c.account_id).where(buckets.c.name == bindparam("name")))
_USABLE_QUERY = select(buckets.c.account_id, buckets.c.created_at).where(
    buckets.c.name == bindparam("name"),
    or_(
        buckets.c.account_id == bindparam("account_id"),
        exists().where(bucket_grants.c.bucket == buckets.c.name, bucket_grants.c.account_id == bindparam("account_id")),
    ),
)
_USABLE = Prepared(_USABLE_QUERY)
_USABLE_KEPT = Prepared(_USABLE_QUERY.with_for_update(read=True, of=buckets))


def find_owner(connection: Connection, name: str) -> str | None:
    """Return the account that owns a bucket, or None when it is nobody's."""
    row = _OWNER.one(connection, name=name)
    return None if row is None else str(row[0])


def find_usable(connection: Connection, account_id: str, name: str, *, keep: bool = False) -> Bucket | None:
    """Return a bucket that belongs to an account or was granted to it, without its grants, or None.

    Args:
        keep: in a transaction: it is not deleted before that ends.
    """
    row = (_USABLE_KEPT if keep else _USABLE).one(connection, name=name, account_id=account_id)
    return None if row is None else Bucket(name, str(row[0]), from_us(row[1]))


def get_bucket(connection: Connection, account_id: str, name: str) -> Bucket:
    """Return a bucket of an account's own.

    Raises:
        NotFoundError: there is none, or it is another account's.
    """
    own = (bucket for bucket in _load(connection, account_id, name) if bucket.account_id == account_id)
    return existing(next(own, None), "bucket", name)


def list_buckets(connection: Connection, account_id: str) -> list[Bucket]:
    """Return the buckets an account may use, by name: its own, with whom they are shared, and those granted to it."""
    return _load(connection, account_id, None)


def _load(connection: Connection, account_id: str, name: str | None) -> list[Bucket]:
    granted = select(bucket_grants.c.bucket).where(bucket_grants.c.account_id == account_id)
    query = (
        select(buckets.c.name, buckets.c.account_id, buckets.c.created_at)
        .where((buckets.c.account_id == account_id) | buckets.c.name.in_(granted))
        .order_by(buckets.c.name)
    )
    if name is not None:
        query = query.where(buckets.c.name == name)
    rows = connection.execute(query).all()
    grants: dict[str, list[str]] = {}
    shared = select(bucket_grants.c.bucket, bucket_grants.c.account_id).join(buckets, buckets.c.name == bucket_grants.c.bucket)
    for bucket, account in connection.execute(shared.where(buckets.c.account_id == account_id)):
        grants.setdefault(bucket, []).append(account)
    return [
        Bucket(bucket, owner, from_us(created_at), tuple(sorted(grants.get(bucket, ())))) for bucket, owner, created_at in rows
    ]


def insert_bucket(tx: Connection, account_id: str, name: str) -> Bucket:
    """Give a bucket to an account.

    Raises:
        AlreadyExistsError: it is somebody's.
    """
    now = now_us()
    insert_new(tx, insert(buckets).values(name=name, account_id=account_id, created_at=now), "bucket", name)
    return Bucket(name, account_id, from_us(now))


def delete_bucket(tx: Connection, account_id: str, name: str) -> None:
    """Take a bucket and its grants away from its owner.

    Raises:
        NotFoundError: it is not this account's.
    """
    get_bucket(tx, account_id, name)
    tx.execute(delete(bucket_grants).where(bucket_grants.c.bucket == name))
    tx.execute(delete(buckets).where(buckets.c.name == name, buckets.c.account_id == account_id))


def grant(tx: Connection, name: str, to_account_id: str) -> None:
    """Let another account read and write a bucket; twice is fine."""
    this = (bucket_grants.c.bucket == name) & (bucket_grants.c.account_id == to_account_id)
    if tx.execute(select(bucket_grants.c.bucket).where(this)).first() is None:
        tx.execute(insert(bucket_grants).values(bucket=name, account_id=to_account_id))


def revoke(tx: Connection, name: str, from_account_id: str) -> None:
    """End a grant; one that is not there is fine."""
    tx.execute(delete(bucket_grants).where(bucket_grants.c.bucket == name, bucket_grants.c.account_id == from_account_id))
