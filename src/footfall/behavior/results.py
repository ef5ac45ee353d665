"""Where a result goes: a key of its own in a bucket of the user's. Source: the contract, 9-6."""

import secrets
from datetime import datetime

from footfall.behavior import datasets
from footfall.behavior.context import BehaviorContext
from footfall.db import behavior
from footfall.errors import AlreadyExistsError, InvalidFieldError, StoreDeniedError
from footfall.records import utc_now
from footfall.stores.store import Store


def choose_key(context: BehaviorContext, account_id: str, bucket: str, path: str) -> str:
    """Return the key of a result that was asked for at ``path``, where nothing is or will be yet.

    Raises:
        InvalidFieldError: rule ``missing_object``: no such bucket, or the store does not take such a key.
        AlreadyExistsError: an object is there, or a run will put one there.
        StoreUnavailableError: the store cannot be asked.
    """
    store = datasets.open_bucket(context, account_id, bucket, "result_bucket")
    key = _name(path, utc_now(), with_suffix=context.settings.result_names == "suffix")
    _check_free(context, store, bucket, key)
    store.check_writable(key)
    return key


def _name(path: str, now: datetime, *, with_suffix: bool) -> str:
    """A directory gets a name, a name is taken as it is unless the setting adds to it."""
    stamp = f"{secrets.token_hex(4)}_{now:%Y%m%d%H}.tsv"
    if not path or path.endswith("/"):
        return f"{path}nclue_{stamp}"
    return f"{path}_{stamp}" if with_suffix else path


def _check_free(context: BehaviorContext, store: Store, bucket: str, key: str) -> None:
    with context.database.read() as connection:
        taken = behavior.is_reserved(connection, bucket, key)
    try:
        if taken or store.exists(key):
            raise AlreadyExistsError("result", f"{bucket}/{key}")
    except StoreDeniedError as error:
        raise InvalidFieldError("result_file_path", key, "missing_object", str(error)) from error
