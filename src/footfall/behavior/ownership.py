"""Buckets: who may make, use and delete one. The store knows nothing of accounts.

A right is checked when a request arrives, and again in the transaction right before the action: in
between, a bucket may have been deleted and made anew by another account.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

from footfall.behavior.context import BehaviorContext
from footfall.config import Settings
from footfall.contract.jobs import BucketClaim, Job
from footfall.db import behavior
from footfall.db.access import accounts, buckets
from footfall.db.engine.engine import Connection
from footfall.errors import (
    AlreadyExistsError,
    BucketNotFoundError,
    DataError,
    InUseError,
    InvalidFieldError,
    NotFoundError,
    ObjectNotFoundError,
    StoreDeniedError,
)
from footfall.records import Bucket, Caller, Run
from footfall.stores.buckets import Buckets
from footfall.stores.names import check_bucket_name
from footfall.stores.store import Store


@dataclass(frozen=True, slots=True)
class OwnBucket:
    """A bucket that an account may use, and its store."""

    bucket: Bucket
    store: Store


def is_internal(settings: Settings, name: str) -> bool:
    """Whether a bucket of this name would hold the artefacts of every account; it belongs to no account."""
    internal, shown = urlsplit(settings.internal_location().url), urlsplit(settings.buckets_location().url)
    if internal.scheme == "s3":
        return name == internal.netloc
    root = os.path.join(os.path.normpath(shown.path), name)
    return shown.scheme == "file" and (os.path.normpath(internal.path) + "/").startswith(root + "/")


def find_usable(settings: Settings, connection: Connection, account_id: str, name: str, *, keep: bool = False) -> Bucket | None:
    """Return a bucket that an account may use, or None; ``keep`` as in ``db.buckets``."""
    return None if is_internal(settings, name) else buckets.find_usable(connection, account_id, name, keep=keep)


def get_owned(context: BehaviorContext, connection: Connection, account_id: str, name: str) -> Bucket:
    """Return a bucket of an account's own.

    Raises:
        NotFoundError: there is none, or it is another account's.
    """
    if is_internal(context.settings, name):
        raise NotFoundError("bucket", name)
    return buckets.get_bucket(connection, account_id, name)


def prepare_bucket(context: BehaviorContext, caller: Caller, name: str) -> None:
    """Make a bucket in the store that no account owns, for its row to be inserted.

    What is there already with objects in it was not made by an account: with S3 it may be anything that the operator's
    keys reach. So only the operator's account may take it.

    Raises:
        InvalidFieldError: rule ``bucket_name``.
        AlreadyExistsError: an account owns it, or has objects and the caller is no operator.
        StoreDeniedError: the S3 service does not give us the name.
    """
    check_bucket_name(name)
    with context.database.read() as connection:
        is_taken = is_internal(context.settings, name) or buckets.find_owner(connection, name) is not None
        is_operator = accounts.get_account(connection, caller.account_id).is_operator
    if is_taken or not (is_operator or _is_new(context.buckets, name)):
        raise AlreadyExistsError("bucket", name)
    context.buckets.create(name)


def open_own(context: BehaviorContext, caller: Caller, name: str) -> OwnBucket:
    """Return a bucket that the caller's account may use.

    Raises:
        BucketNotFoundError: there is none, or it is another account's.
    """
    with context.database.read() as connection:
        bucket = find_usable(context.settings, connection, caller.account_id, name)
    if bucket is None:
        raise BucketNotFoundError(name)
    return OwnBucket(bucket, context.buckets.open(name))


def open_for_write(context: BehaviorContext, caller: Caller, name: str) -> OwnBucket:
    """As ``open_own``; a bucket that no account owns becomes the caller's.

    Raises:
        InvalidFieldError: rule ``bucket_name``.
        BucketNotFoundError: it is another account's.
    """
    check_bucket_name(name)
    with context.database.read() as connection:
        owner = buckets.find_owner(connection, name)
    if owner is None:
        try:
            prepare_bucket(context, caller, name)
            with context.database.write() as tx:
                buckets.insert_bucket(tx, caller.account_id, name)
        except AlreadyExistsError:
            pass  # another request was faster: the rights of the existing bucket decide
    return open_own(context, caller, name)


def is_still_usable(context: BehaviorContext, tx: Connection, account_id: str, bucket: Bucket) -> bool:
    """Whether an account may still use a bucket, and it is still the one that was opened."""
    return find_usable(context.settings, tx, account_id, bucket.name, keep=True) == bucket


class BucketRemoval:
    """The deletion of an account's own empty bucket: first its store, then, in a transaction, its row."""

    def __init__(self, context: BehaviorContext, caller: Caller, name: str) -> None:
        """Check that it can be deleted.

        Raises:
            NotFoundError: it is not this account's.
            InUseError: it has objects, or something unfinished reads or writes it.
        """
        self._context, self._account_id, self._name = context, caller.account_id, name
        self._n_publications = context.publications.n_started()
        with context.database.read() as connection:
            get_owned(context, connection, caller.account_id, name)
            self._refuse_live_users(connection)
        try:
            if not context.buckets.is_empty(name):
                raise InUseError("bucket", name, ["the objects in it"], "Delete them first.")
        except ObjectNotFoundError:
            pass  # its directory is gone already

    @contextmanager
    def emptied(self) -> Iterator[None]:
        """Remove the store for a block that removes the row, and make it again if the block fails.

        Raises:
            InUseError: files that are no objects are in it, or an object is being put there.
        """
        self._refuse_publications()
        self._remove_store()
        is_done = False
        try:
            yield
            is_done = True
        finally:
            if not is_done:
                self._make_store_again()

    def apply(self, tx: Connection) -> None:
        """Take the row away.

        Raises:
            NotFoundError, InUseError: it changed since it was checked.
        """
        buckets.delete_bucket(tx, self._account_id, self._name)
        self._refuse_live_users(tx)
        self._refuse_publications()
        # What appeared since ``emptied`` keeps the row: no directory with something in it is ever without an owner.
        self._remove_store()

    def _refuse_live_users(self, connection: Connection) -> None:
        used_by = behavior.live_users_of_bucket(connection, self._name, self._account_id)
        if used_by:
            raise InUseError("bucket", self._name, used_by)

    def _refuse_publications(self) -> None:
        if self._context.publications.has_any(self._name, self._n_publications):
            raise InUseError("bucket", self._name, ["an object that is being put there this moment"], "Try again.")

    def _remove_store(self) -> None:
        try:
            self._context.buckets.delete(self._name)
        except StoreDeniedError as error:
            files = "files in its directory that are no objects, such as links"
            remedy = "Ask whoever runs the server to remove them."
            raise InUseError("bucket", self._name, [files], remedy) from error

    def _make_store_again(self) -> None:
        try:
            self._context.buckets.open(self._name)
        except BucketNotFoundError:
            self._context.buckets.create(self._name)


def claim_bucket(settings: Settings, tx: Connection, account_id: str, name: str, field: str) -> BucketClaim:
    """Return what the parameters of a job must hold of a bucket that it reads or writes, for ``check_claims``.

    Raises:
        InvalidFieldError: rule ``missing_object``: there is none, or it is another account's.
    """
    bucket = find_usable(settings, tx, account_id, name, keep=True)
    if bucket is None:
        raise no_bucket(name, field)
    return BucketClaim(name=name, account_id=bucket.account_id, created_at=bucket.created_at.isoformat())


def check_claims(settings: Settings, tx: Connection, run: Run) -> None:
    """Refuse a run whose account may no longer use a bucket of its job, or which would find another bucket of that name.

    Raises:
        DataError: OBS_USER_FILE_ACCESS_ERROR.
    """
    for claim in Job.from_json(run.spec.job).buckets:
        bucket = find_usable(settings, tx, run.account_id, claim.name)
        found = None if bucket is None else (bucket.account_id, bucket.created_at.isoformat())
        if found != (claim.account_id, claim.created_at):
            raise DataError(
                "OBS_USER_FILE_ACCESS_ERROR",
                f"The bucket {claim.name!r} was deleted, or its grant was taken back, while this waited for its turn; "
                "put the data into a bucket of this account, or have it granted again, and create this anew.",
            )


def no_bucket(name: str, field: str) -> InvalidFieldError:
    """Return the refusal of a request that names a bucket which is not there for the account."""
    return InvalidFieldError(
        field, name, "missing_object", f"There is no bucket {name!r} in this account; make it, or have it granted."
    )


def _is_new(buckets: Buckets, name: str) -> bool:
    try:
        return buckets.is_empty(name)
    except (ObjectNotFoundError, StoreDeniedError):
        return True
