"""A store that is a bucket of an S3 service, or a prefix in one.

Rules learned from real services: conditional puts and bulk deletes may be absent, so neither is relied on; a listing that does
not come in order is noticed, and then read whole.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import obstore
from obstore import exceptions as failures
from obstore.store import S3Store as Backend

from footfall.errors import ObjectNotFoundError, StoreDeniedError
from footfall.stores import botocore_s3
from footfall.stores.names import StoreLocation
from footfall.stores.store import CHUNK_BYTES, Listing, ObjectChangedError, ObjectInfo, Store, info_of, is_path

_NO_PATH = "object with invalid path"
"""What obstore says of a listing's page that has such a key (object_store: InvalidPath)."""
LIST_PAGE = 1000
"""How many keys a service puts into one answer, at most."""


class S3Store(Store):
    """Every object is one of the service; a bucket is a bucket."""

    def __init__(self, location: StoreLocation) -> None:
        url = urlsplit(location.url)
        super().__init__(location, Backend(url.netloc, prefix=url.path.strip("/") or None, **_options(location)))

    @staticmethod
    def bucket_location(location: StoreLocation, name: str) -> StoreLocation:
        """Return where a bucket is."""
        return replace(location, url=f"s3://{name}")

    @staticmethod
    def has_bucket(location: StoreLocation, name: str) -> bool:
        """Return True: the first use of a bucket shows whether it exists."""
        return True

    @classmethod
    def create_bucket(cls, location: StoreLocation, name: str) -> None:
        """Make a bucket; one that is there and can be listed with our keys is fine.

        Raises:
            StoreDeniedError: the name is taken by somebody else at the service; or there is no such bucket, and botocore
                (the extra ``s3``), which makes one, is not installed.
        """
        store = cls(cls.bucket_location(location, name))
        try:
            botocore_s3.create_bucket(location, name)
        except ModuleNotFoundError as error:
            with suppress(StoreDeniedError, ObjectNotFoundError):
                store.is_empty()
                return
            details = f"{name}: there is no such bucket, and making one needs botocore: pip install 'footfall[s3]'."
            raise StoreDeniedError(details, operation="write") from error
        store.is_empty()

    @staticmethod
    def delete_bucket(location: StoreLocation, name: str) -> None:
        """Leave the bucket itself to its operator."""

    def list(self, prefix: str = "", *, after: str = "", limit: int | None = None) -> Listing:
        """See ``Store``."""
        with self._errors(prefix, "list"):
            n_skipped = 0
            infos: Sequence[ObjectInfo]
            try:
                infos, is_sorted = _list_from(self._backend, prefix, max(after, _before(prefix)), limit)
                if not is_sorted:
                    infos, _ = _list_from(self._backend, prefix, "", None)
            except failures.BaseError as error:
                if _NO_PATH not in str(error):
                    raise
                infos, n_skipped = self._list_around(prefix, after, limit, error)
        readable = [info for info in infos if is_path(info.key)]
        listing = Listing(sorted((info for info in readable if info.key > after), key=lambda info: info.key)[:limit])
        listing.n_skipped = n_skipped + len(infos) - len(readable)
        return listing

    def is_empty(self) -> bool:
        """See ``Store``; a key that is no path is something, too."""
        with self._errors("", "list"):
            try:
                return not any(obstore.list(self._backend, chunk_size=LIST_PAGE))
            except failures.BaseError as error:
                if _NO_PATH not in str(error):
                    raise
                return False

    def _list_around(self, prefix: str, after: str, limit: int | None, error: Exception) -> tuple[Sequence[ObjectInfo], int]:
        """List by botocore, since a page of the back-end is lost with one key that is no path.

        Raises:
            StoreDeniedError: botocore is not installed.
        """
        try:
            return botocore_s3.list_objects(self.location, prefix, after, limit)
        except ModuleNotFoundError:
            key = str(error).partition('"')[2].partition('"')[0]
            details = f"{key}: a key with an empty step hides the others; remove it, or pip install 'footfall[s3]' on the server."
            raise StoreDeniedError(details, operation="list") from error

    def _lies_above_objects(self, key: str) -> bool:
        return bool(self.list(key + "/", limit=1))

    def _is_object(self, key: str) -> bool:
        return self.exists(key)

    def _read_once(self, key: str, expected: ObjectInfo, offset: int) -> Iterator[bytes]:
        with self._errors(key, "read"):
            options: Any = {"range": (offset, expected.size_bytes)} if offset else {}
            response = obstore.get(self._backend, key, options=options)
            if not info_of(response.meta).is_same(expected):
                raise ObjectChangedError(key)
            for chunk in response.stream(min_chunk_size=CHUNK_BYTES):
                yield bytes(chunk)


def _list_from(backend: Backend, prefix: str, offset: str, limit: int | None) -> tuple[list[ObjectInfo], bool]:
    """Return objects behind an offset, at least ``limit`` if there are as many, and whether they came in order."""
    directory, _, _ = prefix.rpartition("/")
    infos: list[ObjectInfo] = []
    last, is_sorted = "", True
    for page in obstore.list(backend, directory or None, offset=offset or None, chunk_size=LIST_PAGE):
        for info in map(info_of, page):
            is_sorted = is_sorted and last < info.key
            last = info.key
            if info.key.startswith(prefix) and info.key > offset:
                infos.append(info)
        is_past = last > prefix and not last.startswith(prefix)
        if is_sorted and (is_past or (limit is not None and len(infos) >= limit)):
            break
    return infos, is_sorted


def _before(prefix: str) -> str:
    """Return a text shortly before every key that starts with ``prefix``; a listing may begin behind it.

    A service lists directories; without this, those before the prefix in its directory would be read and thrown away.
    """
    if not prefix or prefix.endswith("/"):
        return ""
    return f"{prefix[:-1]}{chr(ord(prefix[-1]) - 1)}~"


def _options(location: StoreLocation) -> dict[str, Any]:
    """Return what obstore's back-end is opened with."""
    options: dict[str, Any] = {
        "region": location.region,
        "virtual_hosted_style_request": not location.path_style,
        "disable_bulk_delete": True,  # some services answer bulk deletes that cannot be parsed
        "client_options": {
            "timeout": timedelta(seconds=location.timeout_s),
            "connect_timeout": timedelta(seconds=min(5.0, location.timeout_s)),
            "allow_http": location.endpoint.startswith("http://"),
        },
        "retry_config": {"max_retries": 3, "retry_timeout": timedelta(seconds=2 * location.timeout_s)},
    }
    if location.endpoint:
        options["endpoint"] = location.endpoint
    if location.access_key:
        options |= {"access_key_id": location.access_key, "secret_access_key": location.secret_key}
    return options
