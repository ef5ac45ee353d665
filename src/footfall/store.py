"""Buckets and keys over obstore: what the product adds to it. Knows no accounts, SQL or HTTP.

A ``Store`` is one place with keys below it; ``Buckets`` is a place with named stores in it, a directory or an S3 service.
Writes appear whole or not at all. Reads notice when the object changes under them and go on after a broken connection.

Rules learned from real stores: listings come in any order and conditional puts may be absent, so neither is relied on;
a local store would follow links out of its root, so links are refused.
"""

import errno
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import obstore
from obstore import exceptions as failures
from obstore.store import LocalStore, S3Store

from footfall.errors import (
    ObjectNotFoundError,
    StoreDeniedError,
    StoreError,
    StoreFullError,
    StoreUnavailableError,
)
from footfall.places import Place, check_bucket_name

CHUNK_BYTES = 8 << 20
READ_TRIES = 4


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """What a store says of an object. ``e_tag`` changes with its content and need not be an MD5."""

    key: str
    size_bytes: int
    e_tag: str | None
    modified_at: datetime


class ObjectChangedError(StoreError):
    """The object is not the one that the reader began with."""

    code = "object_changed"


class Store:
    """One place with keys below it."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self._root: Path | None = None
        self._backend: Any
        url = urlsplit(place.url)
        if url.scheme == "file":
            self._root = Path(url.path)
            self._backend = LocalStore(self._root, mkdir=True)
        elif url.scheme == "s3":
            self._backend = S3Store(url.netloc, prefix=url.path.strip("/") or None, **_s3_options(place))
        else:
            raise StoreError(f"{place.url}: only file:// and s3:// are known", operation="read")

    def head(self, key: str) -> ObjectInfo:
        """Return what is at ``key``.

        Raises:
            ObjectNotFoundError: nothing is.
        """
        return self._head(key, "read")

    def exists(self, key: str) -> bool:
        """Whether an object is at ``key``."""
        try:
            self.head(key)
        except ObjectNotFoundError:
            return False
        return True

    def list(self, prefix: str = "", *, after: str = "", limit: int | None = None) -> list[ObjectInfo]:
        """Return the objects whose key starts with ``prefix``, sorted by key, from the first one behind ``after``."""
        if self._root is not None:
            keys = sorted(key for key in _walk(self._root, prefix) if key > after)
            return list(self._still_there(keys[:limit]))
        directory, _, _ = prefix.rpartition("/")
        found: list[ObjectInfo] = []
        with _our_errors(prefix, "list"):
            for batch in obstore.list(self._backend, directory or None, chunk_size=1000):
                found += [_info(meta) for meta in batch if meta["path"].startswith(prefix) and meta["path"] > after]
        found.sort(key=lambda info: info.key)
        return found[:limit]

    def read(self, key: str, *, info: ObjectInfo | None = None, offset: int = 0) -> Iterator[bytes]:
        """Yield the object's bytes, in chunks of at most ``CHUNK_BYTES``, going on after a broken connection.

        Args:
            info: what ``head`` said; the object must still be that one.
            offset: first byte wanted.

        Raises:
            ObjectNotFoundError, StoreUnavailableError, StoreDeniedError.
            ObjectChangedError: it is, or became, another object than ``info``.
        """
        expected = info or self.head(key)
        tries = READ_TRIES
        while offset < expected.size_bytes:
            try:
                for chunk in self._read_once(key, expected, offset):
                    offset += len(chunk)
                    yield chunk
                if offset < expected.size_bytes:
                    raise StoreUnavailableError(f"{key}: the store ended early, at byte {offset}")
            except StoreUnavailableError:
                tries -= 1
                if not tries:
                    raise
        if self.head(key).e_tag != expected.e_tag:
            raise ObjectChangedError(f"{key} changed while it was read; try again when nobody writes it.")

    def read_bytes(self, key: str, *, limit_bytes: int | None = None) -> bytes:
        """Return the object, or only its first ``limit_bytes``."""
        with _our_errors(key, "read"):
            self._refuse_links(key)
            if limit_bytes is None:
                return bytes(obstore.get(self._backend, key).bytes())
            size = min(limit_bytes, obstore.head(self._backend, key)["size"])
            return bytes(obstore.get_range(self._backend, key, start=0, end=size)) if size else b""

    def write(self, key: str, content: bytes | Iterable[bytes] | Path, *, overwrite: bool = True) -> ObjectInfo:
        """Put an object, whole or not at all; an exception of an iterable passes through and leaves nothing.

        Raises:
            FileExistsError: ``overwrite`` is off and something is there. Atomic on a directory; elsewhere uniqueness is the
                caller's, since stores may ignore conditional puts.
            StoreFullError, StoreDeniedError, StoreUnavailableError.
        """
        if not overwrite:
            with suppress(ObjectNotFoundError):
                self._head(key, "write")
                raise FileExistsError(key)
        mode: Literal["create", "overwrite"] = "create" if self._root is not None and not overwrite else "overwrite"
        with _our_errors(key, "write"):
            self._refuse_links(key)
            try:
                obstore.put(self._backend, key, content, mode=mode, chunk_size=CHUNK_BYTES, max_concurrency=4)
            except failures.AlreadyExistsError as error:
                raise FileExistsError(key) from error
            self._make_durable(key)
            return _info(obstore.head(self._backend, key))

    def delete(self, key: str) -> None:
        """Remove an object; one that is not there is fine."""
        with _our_errors(key, "write"):
            try:
                self._refuse_links(key, itself=False)
                obstore.delete(self._backend, key)
            except FileNotFoundError:
                return

    def delete_prefix(self, prefix: str) -> int:
        """Remove every object below ``prefix + "/"``, one by one since stores may lack bulk deletes; return how many."""
        found = self.list(prefix.rstrip("/") + "/")
        for info in found:
            self.delete(info.key)
        return len(found)

    def local_path(self, key: str) -> Path | None:
        """Return the file of ``key`` when the store is a directory of this machine."""
        return None if self._root is None else self._root / key

    def _head(self, key: str, operation: str) -> ObjectInfo:
        with _our_errors(key, operation):
            self._refuse_links(key)
            return _info(obstore.head(self._backend, key))

    def _still_there(self, keys: Iterable[str]) -> Iterator[ObjectInfo]:
        for key in keys:
            with suppress(ObjectNotFoundError):
                yield self.head(key)

    def _read_once(self, key: str, expected: ObjectInfo, offset: int) -> Iterator[bytes]:
        with _our_errors(key, "read"):
            self._refuse_links(key)
            options: Any = {"range": (offset, expected.size_bytes)} if offset else {}
            answer = obstore.get(self._backend, key, options=options)
            if answer.meta["e_tag"] != expected.e_tag or answer.meta["size"] != expected.size_bytes:
                raise ObjectChangedError(f"{key} changed while it was read; try again when nobody writes it.")
            for chunk in answer.stream(min_chunk_size=CHUNK_BYTES):
                yield bytes(chunk)

    def _refuse_links(self, key: str, *, itself: bool = True) -> None:
        if self._leads_out(key, itself=itself):
            raise StoreDeniedError(f"{key} is or lies behind a link; copy the file itself into the bucket.")

    def _leads_out(self, key: str, *, itself: bool = True) -> bool:
        """Whether a link is on the way to ``key``: links may lead anywhere, so none is followed."""
        if self._root is None:
            return False
        steps = key.split("/")
        path = self._root
        for step in steps if itself else steps[:-1]:
            path = path / step
            if path.is_symlink():
                return True
        return False

    def _make_durable(self, key: str) -> None:
        if self._root is None:
            return
        for path in (self._root / key, (self._root / key).parent):
            handle = os.open(path, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)


class Buckets:
    """A place with named stores in it."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self._open: dict[str, Store] = {}
        url = urlsplit(place.url)
        self._root = Path(url.path) if url.scheme == "file" else None

    def open(self, name: str) -> Store:
        """Return the store of a bucket.

        Raises:
            ObjectNotFoundError: there is no such bucket.
        """
        check_bucket_name(name)
        if self._root is not None and not (self._root / name).is_dir():
            raise ObjectNotFoundError(name)
        if name not in self._open:
            url = f"{self.place.url.rstrip('/')}/{name}" if self._root is not None else f"s3://{name}"
            self._open[name] = Store(replace(self.place, url=url))
        return self._open[name]

    def create(self, name: str) -> None:
        """Make a bucket; one that is there and can be listed with our keys is fine.

        Raises:
            StoreDeniedError: the name is taken by somebody else at the S3 service.
        """
        check_bucket_name(name)
        if self._root is not None:
            with _our_errors(name, "write"):
                (self._root / name).mkdir(parents=True, exist_ok=True)
            return
        _create_s3_bucket(self.place, name)

    def is_empty(self, name: str) -> bool:
        """Whether no object is in a bucket."""
        return not self.open(name).list(limit=1)

    def delete(self, name: str) -> None:
        """Remove an empty bucket of a directory; with S3 the bucket itself stays with its operator."""
        self._open.pop(name, None)
        if self._root is not None:
            for directory, _, _ in os.walk(self._root / name, topdown=False):
                Path(directory).rmdir()


def _walk(root: Path, prefix: str) -> Iterator[str]:
    """Yield the keys of a directory store below a prefix; links and drafts of unfinished puts are no objects."""
    start = root / prefix.rpartition("/")[0]
    for directory, _, names in os.walk(start):
        for name in names:
            path = os.path.join(directory, name)
            key = os.path.relpath(path, root)
            if key.startswith(prefix) and not os.path.islink(path) and not _DRAFT.search(name):
                yield key


_DRAFT = re.compile(r"#\d+$")


def _s3_options(place: Place) -> dict[str, Any]:
    options: dict[str, Any] = {
        "region": place.region,
        "virtual_hosted_style_request": not place.path_style,
        "disable_bulk_delete": True,  # some stores answer bulk deletes in ways nobody can read
        "client_options": {
            "timeout": timedelta(seconds=place.timeout_s),
            "connect_timeout": timedelta(seconds=min(5.0, place.timeout_s)),
            "allow_http": place.endpoint.startswith("http://"),
        },
        "retry_config": {"max_retries": 3, "retry_timeout": timedelta(seconds=2 * place.timeout_s)},
    }
    if place.endpoint:
        options["endpoint"] = place.endpoint
    if place.access_key:
        options |= {"access_key_id": place.access_key, "secret_access_key": place.secret_key}
    return options


def _create_s3_bucket(place: Place, name: str) -> None:
    # obstore cannot make buckets; botocore is slow to import, so only this rare call pays for it.
    import botocore.session
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError

    config = Config(
        signature_version="s3v4",
        s3={"addressing_style": "path" if place.path_style else "virtual"},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        connect_timeout=5,
        read_timeout=place.timeout_s,
        retries={"max_attempts": 2},
    )
    client = botocore.session.get_session().create_client(
        "s3",
        region_name=place.region,
        endpoint_url=place.endpoint or None,
        aws_access_key_id=place.access_key or None,
        aws_secret_access_key=place.secret_key or None,
        config=config,
    )
    location = (
        {} if place.region in ("", "us-east-1") else {"CreateBucketConfiguration": {"LocationConstraint": place.region}}
    )
    try:
        client.create_bucket(Bucket=name, **location)
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") not in ("BucketAlreadyOwnedByYou", "BucketAlreadyExists"):
            raise StoreDeniedError(
                f"the S3 service does not make the bucket {name}: {error}", operation="write"
            ) from error
        Store(replace(place, url=f"s3://{name}")).list(limit=1)
    except BotoCoreError as error:
        raise StoreUnavailableError(f"the S3 service does not answer: {error}", operation="write") from error


def _info(meta: Mapping[str, Any]) -> ObjectInfo:
    return ObjectInfo(meta["path"], meta["size"], meta["e_tag"], meta["last_modified"])


@contextmanager
def _our_errors(key: str, operation: str) -> Iterator[None]:
    try:
        yield
    except (failures.NotFoundError, FileNotFoundError) as error:
        if "NoSuchBucket" in str(error):
            details = f"{key}: the store has no such bucket; make it, or correct the setting that names it."
            raise StoreDeniedError(details, operation=operation) from error
        raise ObjectNotFoundError(key) from error
    except FileExistsError:
        raise
    except (failures.PermissionDeniedError, failures.UnauthenticatedError, PermissionError) as error:
        raise StoreDeniedError(
            f"{key}: the store refuses access; check its keys and permissions.", operation=operation
        ) from error
    except (failures.BaseError, OSError, ValueError) as error:
        raise _translate(key, operation, error) from error


def _translate(key: str, operation: str, error: Exception) -> StoreError:
    text = str(error).partition("\n\nDebug source")[0].strip()
    for sign, make in _SIGNS:
        if sign in str(error):
            return make(f"{key}: {text}", operation=operation)
    return StoreUnavailableError(f"{key}: the store failed to {operation}: {text[:500]}", operation=operation)


_SIGNS: tuple[tuple[str, Callable[..., StoreError]], ...] = (
    (f"os error {errno.ENOSPC}", StoreFullError),
    (f"os error {errno.EDQUOT}", StoreFullError),
    (f"os error {errno.EACCES}", StoreDeniedError),
    (f"os error {errno.ENAMETOOLONG}", StoreDeniedError),
    ("AccessDenied", StoreDeniedError),
    ("InvalidAccessKeyId", StoreDeniedError),
    ("SignatureDoesNotMatch", StoreDeniedError),
    ("NoSuchBucket", StoreDeniedError),
)
