"""The seam of object stores: what every back-end does, and what they have in common. Knows no accounts, SQL or HTTP.

A ``Store`` holds objects by key. Writes appear whole or not at all. Reads notice when the object changes under them and go on
after a broken connection. Back-ends: ``directory.py``, ``s3.py``; ``buckets.py`` picks one by location.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import obstore

from footfall.errors import InvalidFieldError, ObjectNotFoundError, StoreError, StoreUnavailableError
from footfall.stores.errors import translate_errors
from footfall.stores.names import StoreLocation

CHUNK_BYTES = 8 << 20
READ_TRIES = 4
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """What a store says of an object. ``e_tag`` changes with its content and need not be an MD5; some services have none."""

    key: str
    size_bytes: int
    e_tag: str | None
    modified_at: datetime

    def is_same(self, other: "ObjectInfo") -> bool:
        """Whether both describe the same content; without two tags, size and time (to the second, as HTTP tells it) decide."""
        if self.size_bytes != other.size_bytes:
            return False
        if self.e_tag is None or other.e_tag is None:
            return self.modified_at.replace(microsecond=0) == other.modified_at.replace(microsecond=0)
        return _bare_tag(self.e_tag) == _bare_tag(other.e_tag)


class Listing(list[ObjectInfo]):
    """Objects by key. ``n_skipped`` keys were passed over: a store's other clients may put what is no path, as ``a//b``."""

    n_skipped = 0
    tables: Sequence[str] = ()
    """Prefixes below which a table of Delta Lake and the like lies, if a directory was listed."""


class ObjectChangedError(StoreError):
    """The object is not the one that the reader began with."""

    code = "object_changed"

    def __init__(self, key: str) -> None:
        super().__init__(f"{key} changed while it was read; try again when nobody writes it.")


class Store(ABC):
    """Objects by key, at one location. ``backend`` is obstore's; messages do not show ``root``, where the files are."""

    def __init__(self, location: StoreLocation, backend: Any, root: str = "") -> None:
        self.location = location
        self._backend = backend
        self._root_text = root

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

    @abstractmethod
    def list(self, prefix: str = "", *, after: str = "", limit: int | None = None) -> Listing:
        """Return the objects whose key starts with ``prefix``, sorted by key, from the first one after ``after``.

        With a ``limit`` no more of the store's listing is read than needed.
        """

    def is_empty(self) -> bool:
        """Whether there is no object."""
        return not self.list(limit=1)

    def read(self, key: str, *, info: ObjectInfo | None = None, offset: int = 0) -> Iterator[bytes]:
        """Yield the object's bytes, in chunks of at most ``CHUNK_BYTES``, going on after a broken connection.

        Args:
            info: what ``head`` returned; the object must still be that one.
            offset: first byte to yield.

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
        if not self.head(key).is_same(expected):
            raise ObjectChangedError(key)

    def read_bytes(self, key: str, *, limit_bytes: int | None = None) -> bytes:
        """Return the object, or only its first ``limit_bytes``."""
        with self._errors(key, "read"):
            self._check_path(key)
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
        with self._errors(key, "write"):
            self._check_path(key)
            self._put(key, content, overwrite)
            return info_of(obstore.head(self._backend, key))

    def move(self, key: str, path: Path) -> None:
        """Put a file that is given up.

        Raises:
            InvalidFieldError, StoreFullError, StoreDeniedError, StoreUnavailableError: as ``write`` does.
        """
        self.write(key, path)
        path.unlink()

    def delete(self, key: str) -> None:
        """Remove an object; one that is not there is fine."""
        with self._errors(key, "write"), suppress(FileNotFoundError):
            parent, slash, _ = key.rpartition("/")
            if slash:
                self._check_path(parent)  # a link itself may go
            obstore.delete(self._backend, key)

    def delete_prefix(self, prefix: str) -> int:
        """Remove every object below ``prefix + "/"``, one by one since stores may lack bulk deletes; return how many."""
        infos = self.list(prefix.rstrip("/") + "/")
        for info in infos:
            self.delete(info.key)
        return len(infos)

    def local_path(self, key: str) -> Path | None:
        """Return the file of ``key`` when the store is a directory of this machine."""
        return None

    def check_writable(self, key: str) -> None:
        """Refuse a key below an object, or in place of objects: not every store can hold both, and a path would mean two things.

        Raises:
            InvalidFieldError: rule ``path``.
        """
        if self._lies_above_objects(key):
            raise path_refusal(key, "other objects lie below it, so no object can be there; choose another name")
        steps = key.split("/")
        for parent in ("/".join(steps[:n]) for n in range(1, len(steps))):
            if self._is_object(parent):
                raise path_refusal(key, f"{parent} is an object, so nothing can lie below it; choose another name")

    def sweep_drafts(self, older_than_s: float) -> int:
        """Remove the unfinished files of writers that were killed; return how many."""
        return 0

    @abstractmethod
    def _lies_above_objects(self, key: str) -> bool: ...

    @abstractmethod
    def _is_object(self, key: str) -> bool: ...

    @abstractmethod
    def _read_once(self, key: str, expected: ObjectInfo, offset: int) -> Iterator[bytes]: ...

    def _put(self, key: str, content: bytes | Iterable[bytes] | Path, overwrite: bool) -> None:
        obstore.put(self._backend, key, content, mode="overwrite", chunk_size=CHUNK_BYTES, max_concurrency=4)

    def _check_path(self, key: str) -> None:  # noqa: B027 - only directories have links
        """Refuse a key that leads out of the store."""

    def _head(self, key: str, operation: str) -> ObjectInfo:
        with self._errors(key, operation):
            self._check_path(key)
            return info_of(obstore.head(self._backend, key))

    def _errors(self, key: str, operation: str) -> AbstractContextManager[None]:
        return translate_errors(key, operation, self._root_text)


def path_refusal(key: str, problem: str) -> InvalidFieldError:
    """Return the error for a key that a store cannot hold."""
    return InvalidFieldError("key", key, "path", f"{key}: {problem}.")


def info_of(meta: Mapping[str, Any]) -> ObjectInfo:
    """Return obstore's description of an object as ours."""
    return ObjectInfo(meta["path"], meta["size"], meta["e_tag"] or None, meta["last_modified"])


def is_path(key: str) -> bool:
    """Whether obstore can read a key; it refuses empty steps, ``.``, ``..`` and control characters."""
    return not _CONTROL.search(key) and all(step not in ("", ".", "..") for step in key.removesuffix("/").split("/"))


def _bare_tag(tag: str) -> str:
    """Return a tag without what listings, answers and proxies write differently: quotes, and a weak tag's mark."""
    return tag.removeprefix("W/").strip('"')
