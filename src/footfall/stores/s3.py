"""A store that is a bucket of an S3 service, or a prefix in one.

Rules learned from real services: conditional puts and bulk deletes may be absent, so neither is relied on; a listing that does
not come in order is noticed, and then read whole.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import obstore
from obstore.store import S3Store as Backend

from footfall.errors import ObjectNotFoundError, StoreDeniedError, StoreUnavailableError
from footfall.stores.names import StoreLocation
from footfall.stores.store import CHUNK_BYTES, ObjectChangedError, ObjectInfo, Store, info_of

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
            _create_bucket(location, name)
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

    def list(self, prefix: str = "", *, after: str = "", limit: int | None = None) -> list[ObjectInfo]:
        """See ``Store``."""
        with self._errors(prefix, "list"):
            infos, is_sorted = _list_from(self._backend, prefix, max(after, _before(prefix)), limit)
            if not is_sorted:
                infos, _ = _list_from(self._backend, prefix, "", None)
        return sorted((info for info in infos if info.key > after), key=lambda info: info.key)[:limit]

    def is_empty(self) -> bool:
        """See ``Store``."""
        with self._errors("", "list"):
            return not any(obstore.list(self._backend, chunk_size=LIST_PAGE))

    def _read_once(self, key: str, expected: ObjectInfo, offset: int) -> Iterator[bytes]:
        with self._errors(key, "read"):
            options: Any = {"range": (offset, expected.size_bytes)} if offset else {}
            response = obstore.get(self._backend, key, options=options)
            if response.meta["e_tag"] != expected.e_tag or response.meta["size"] != expected.size_bytes:
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


def _create_bucket(location: StoreLocation, name: str) -> None:
    """Make a bucket; one that is there already is fine here, and the caller checks whether it is ours.

    Raises:
        StoreDeniedError: the service refuses.
        StoreUnavailableError: it does not answer.
    """
    # obstore cannot make buckets; botocore is slow to import, so only this rare call pays for it.
    import botocore.session
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError

    config = Config(
        signature_version="s3v4",
        s3={"addressing_style": "path" if location.path_style else "virtual"},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        connect_timeout=5,
        read_timeout=location.timeout_s,
        retries={"max_attempts": 2},
    )
    client = botocore.session.get_session().create_client(
        "s3",
        region_name=location.region,
        endpoint_url=location.endpoint or None,
        aws_access_key_id=location.access_key or None,
        aws_secret_access_key=location.secret_key or None,
        config=config,
    )
    constraint = (
        {} if location.region in ("", "us-east-1") else {"CreateBucketConfiguration": {"LocationConstraint": location.region}}
    )
    try:
        client.create_bucket(Bucket=name, **constraint)
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") not in ("BucketAlreadyOwnedByYou", "BucketAlreadyExists"):
            raise StoreDeniedError(f"the S3 service does not make the bucket {name}: {error}", operation="write") from error
    except BotoCoreError as error:
        raise StoreUnavailableError(f"the S3 service does not answer: {error}", operation="write") from error
