"""Buckets and keys over obstore: what the product adds to it. Knows no accounts, SQL or HTTP.

A ``Store`` is one place with keys below it; ``Buckets`` is a place with named stores in it, a directory or an S3 service.
Writes appear whole or not at all. Reads notice when the object changes under them and go on after a broken connection.

Rules learned from real stores: listings come in any order and conditional puts may be absent, so neither is relied on;
a local store would follow links out of its root, so links are refused.
"""

import os
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import obstore
from obstore import exceptions as failures
from obstore.store import LocalStore, S3Store

from footfall.errors import (
    BucketNotFoundError,
    InvalidFieldError,
    ObjectNotFoundError,
    StoreDeniedError,
    StoreError,
    StoreUnavailableError,
)
from footfall.files.durable import sync
from footfall.stores.errors import our_errors
from footfall.stores.names import Place, check_bucket_name
from footfall.stores.s3 import create_bucket, s3_options

CHUNK_BYTES = 8 << 20
READ_TRIES = 4
MAX_SEGMENT_BYTES = 240
"""Of a key's part between slashes in a directory; file systems take 255 and drafts add to it."""


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


def _changed(key: str) -> ObjectChangedError:
    return ObjectChangedError(f"{key} changed while it was read; try again when nobody writes it.")


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
            self._backend = S3Store(url.netloc, prefix=url.path.strip("/") or None, **s3_options(place))
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
            if not _is_prefix(prefix) or self._leads_out(prefix):
                return []
            keys = sorted(key for key in _walk(self._root, prefix) if key > after)
            return list(self._still_there(keys[:limit]))
        directory, _, _ = prefix.rpartition("/")
        found: list[ObjectInfo] = []
        with self._errors(prefix, "list"):
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
            raise _changed(key)

    def read_bytes(self, key: str, *, limit_bytes: int | None = None) -> bytes:
        """Return the object, or only its first ``limit_bytes``."""
        with self._errors(key, "read"):
            self._refuse_links(key)
            if limit_bytes is None:
                return bytes(obstore.get(self._backend, key).bytes())
            size = min(limit_bytes, obstore.head(self._backend, key)["size"])
            return bytes(obstore.get_range(self._backend, key, start=0, end=size)) if size else b""

    def write(self, key: str, content: bytes | Iterable[bytes] | Path, *, overwrite: bool = True) -> ObjectInfo:
        """Put an object, whole or not at all; an exception of an iterable passes through and leaves nothing.

        Raises:
            InvalidFieldError: see ``check_writable``.
            FileExistsError: ``overwrite`` is off and something is there. Atomic on a directory; elsewhere uniqueness is the
                caller's, since stores may ignore conditional puts.
            StoreFullError, StoreDeniedError, StoreUnavailableError.
        """
        if not overwrite:
            with suppress(ObjectNotFoundError):
                self._head(key, "write")
                raise FileExistsError(key)
        self.check_writable(key)
        mode: Literal["create", "overwrite"] = "create" if self._root is not None and not overwrite else "overwrite"
        with self._errors(key, "write"):
            self._refuse_links(key)
            try:
                obstore.put(self._backend, key, content, mode=mode, chunk_size=CHUNK_BYTES, max_concurrency=4)
            except failures.AlreadyExistsError as error:
                raise FileExistsError(key) from error
            self._make_durable(key)
            return _info(obstore.head(self._backend, key))

    def move(self, key: str, path: Path) -> None:
        """Put a file that is given up; in a directory store it is renamed, which costs nothing, if its disk is the same.

        Raises:
            InvalidFieldError, StoreFullError, StoreDeniedError, StoreUnavailableError: as ``write`` does.
        """
        if self._root is not None and path.stat().st_dev == self._root.stat().st_dev:
            self.check_writable(key)
            with self._errors(key, "write"):
                self._refuse_links(key)
                (self._root / key).parent.mkdir(parents=True, exist_ok=True)
                sync(path)  # before it gets its name, so that the name never stands for less
                path.replace(self._root / key)
                sync((self._root / key).parent)
            return
        self.write(key, path)
        path.unlink()

    def delete(self, key: str) -> None:
        """Remove an object; one that is not there is fine."""
        with self._errors(key, "write"):
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

    def check_writable(self, key: str) -> None:
        """Refuse a key that a directory cannot hold: below an object, in place of a directory, or with a long segment.

        Raises:
            InvalidFieldError: rule ``path``.
        """
        if self._root is None:
            return
        problem = None
        *parents, name = key.split("/")
        if any(len(part) > MAX_SEGMENT_BYTES for part in (*parents, name)):
            problem = f"a part between slashes is longer than {MAX_SEGMENT_BYTES} characters; shorten it"
        elif (self._root / key).is_dir():
            problem = "other objects lie below it, so no object can be there; choose another name"
        else:
            path = self._root
            for part in parents:
                path = path / part
                if path.is_file():
                    problem = (
                        f"{path.relative_to(self._root)} is an object, so nothing can lie below it; choose another name"
                    )
                    break
        if problem:
            raise InvalidFieldError("key", key, "path", f"{key}: {problem}.")

    def sweep_drafts(self, older_than_s: float) -> int:
        """Remove what puts left that were killed in a directory store; return how many files."""
        if self._root is None:
            return 0
        swept = 0
        for directory, _, names in os.walk(self._root):
            for name in names:
                path = Path(directory, name)
                with suppress(FileNotFoundError):
                    if _DRAFT.search(name) and time.time() - path.lstat().st_mtime > older_than_s:
                        path.unlink()
                        swept += 1
        return swept

    @contextmanager
    def _errors(self, key: str, operation: str) -> Iterator[None]:
        with our_errors(key, operation, str(self._root or "")):
            yield

    def _head(self, key: str, operation: str) -> ObjectInfo:
        with self._errors(key, operation):
            self._refuse_links(key)
            return _info(obstore.head(self._backend, key))

    def _still_there(self, keys: Iterable[str]) -> Iterator[ObjectInfo]:
        for key in keys:
            with suppress(ObjectNotFoundError):
                yield self.head(key)

    def _read_once(self, key: str, expected: ObjectInfo, offset: int) -> Iterator[bytes]:
        with self._errors(key, "read"):
            self._refuse_links(key)
            if self._root is not None:
                yield from self._read_file(self._root / key, key, expected, offset)
                return
            options: Any = {"range": (offset, expected.size_bytes)} if offset else {}
            answer = obstore.get(self._backend, key, options=options)
            if answer.meta["e_tag"] != expected.e_tag or answer.meta["size"] != expected.size_bytes:
                raise _changed(key)
            for chunk in answer.stream(min_chunk_size=CHUNK_BYTES):
                yield bytes(chunk)

    def _read_file(self, path: Path, key: str, expected: ObjectInfo, offset: int) -> Iterator[bytes]:
        """Yield a file's bytes: twenty times as fast as through the back-end, whose pieces have to be joined."""
        with path.open("rb", buffering=0) as file:
            if self.head(key) != expected:  # asked after opening: what is open is what is named
                raise _changed(key)
            file.seek(offset)
            while chunk := file.read(CHUNK_BYTES):
                yield chunk

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
        sync(self._root / key)
        sync((self._root / key).parent)


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
            BucketNotFoundError: there is no such bucket.
        """
        check_bucket_name(name)
        if self._root is not None and not (self._root / name).is_dir():
            raise BucketNotFoundError(name)
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
            with our_errors(name, "write", str(self._root)):
                (self._root / name).mkdir(parents=True, exist_ok=True)
            return
        create_bucket(self.place, name)
        Store(replace(self.place, url=f"s3://{name}")).list(limit=1)

    def is_empty(self, name: str) -> bool:
        """Whether no object is in a bucket."""
        return not self.open(name).list(limit=1)

    def delete(self, name: str) -> None:
        """Remove an empty bucket of a directory; with S3 the bucket itself stays with its operator.

        Raises:
            StoreDeniedError: files that are no objects, such as links, lie in it.
        """
        self._open.pop(name, None)
        if self._root is None or not (self._root / name).is_dir():
            return
        Store(replace(self.place, url=f"{self.place.url.rstrip('/')}/{name}")).sweep_drafts(0.0)
        try:
            for directory, _, _ in os.walk(self._root / name, topdown=False):
                Path(directory).rmdir()
        except OSError as error:
            details = (
                f"The directory of the bucket {name} holds files that are no objects, such as links; remove them first."
            )
            raise StoreDeniedError(details, operation="write") from error

    def sweep_drafts(self, older_than_s: float) -> int:
        """As ``Store.sweep_drafts``, over every bucket."""
        return 0 if self._root is None else Store(self.place).sweep_drafts(older_than_s)


def _is_prefix(text: str) -> bool:
    """Whether any key can start so; others must not choose where a walk begins."""
    return not text or all(part not in ("", ".", "..") for part in text.split("/")[:-1])


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


def _info(meta: Mapping[str, Any]) -> ObjectInfo:
    return ObjectInfo(meta["path"], meta["size"], meta["e_tag"], meta["last_modified"])
