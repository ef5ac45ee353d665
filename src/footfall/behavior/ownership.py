"""Buckets: who may make, use and delete one. The store knows nothing of accounts."""

from footfall.behavior.workbench import Apply, Workbench
from footfall.db import accounts, buckets
from footfall.errors import AlreadyExistsError, InUseError, ObjectNotFoundError, StoreDeniedError
from footfall.places import check_bucket_name
from footfall.records import Caller
from footfall.store import Buckets, Store


def prepare_bucket(bench: Workbench, caller: Caller, name: str) -> None:
    """Make a bucket in the store that is nobody's, for its row to be inserted.

    What is there already with objects in it was not made by an account: with S3 it may be anything that the operator's
    keys reach. So only the operator's account may take it.

    Raises:
        InvalidFieldError: rule ``bucket_name``.
        AlreadyExistsError: it is somebody's, or has objects and the caller is no operator.
        StoreDeniedError: the S3 service does not give us the name.
    """
    check_bucket_name(name)
    with bench.database.read() as connection:
        is_taken = buckets.find_owner(connection, name) is not None
        is_operator = accounts.get_account(connection, caller.account_id).is_operator
    if is_taken or not (is_operator or _is_new(bench.buckets, name)):
        raise AlreadyExistsError("bucket", name)
    bench.buckets.create(name)


def open_own(bench: Workbench, caller: Caller, name: str) -> Store:
    """Return the store of a bucket that the caller's account may use.

    Raises:
        ObjectNotFoundError: there is none, or it is another account's.
    """
    with bench.database.read() as connection:
        if not buckets.may_use(connection, caller.account_id, name):
            raise ObjectNotFoundError(name)
    return bench.buckets.open(name)


def open_for_write(bench: Workbench, caller: Caller, name: str) -> Store:
    """As ``open_own``; a bucket that is nobody's becomes the caller's.

    Raises:
        InvalidFieldError: rule ``bucket_name``.
        ObjectNotFoundError: it is another account's.
    """
    check_bucket_name(name)
    with bench.database.read() as connection:
        owner = buckets.find_owner(connection, name)
    if owner is None:
        try:
            prepare_bucket(bench, caller, name)
            with bench.database.write() as tx:
                buckets.insert_bucket(tx, caller.account_id, name)
        except AlreadyExistsError:
            pass  # somebody was faster: the rights of the one that is there decide
    return open_own(bench, caller, name)


def delete_bucket(bench: Workbench, caller: Caller, name: str) -> Apply[None]:
    """Check that a bucket is the caller's own and empty; the answer takes its row away.

    Raises:
        NotFoundError: it is not this account's.
        InUseError: it has objects.
    """
    with bench.database.read() as connection:
        buckets.get_bucket(connection, caller.account_id, name)
    try:
        if not bench.buckets.is_empty(name):
            raise InUseError("bucket", name, ["the objects in it"])
    except ObjectNotFoundError:
        pass  # its directory is gone already
    return lambda tx: buckets.delete_bucket(tx, caller.account_id, name)


def drop_store(bench: Workbench, name: str) -> None:
    """Remove the store of a bucket that is nobody's any more.

    Raises:
        InUseError: an object came in the meantime; the bucket stays, nobody's.
    """
    try:
        bench.buckets.delete(name)
    except OSError as error:
        raise InUseError("bucket", name, ["an object that was put there this moment"]) from error


def _is_new(places: Buckets, name: str) -> bool:
    try:
        return places.is_empty(name)
    except (ObjectNotFoundError, StoreDeniedError):
        return True
