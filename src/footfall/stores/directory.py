"""A store that is a directory of this machine. Links are refused: they may lead anywhere."""

import heapq
import os
import re
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import obstore
from obstore import exceptions as failures
from obstore.store import LocalStore

from footfall.errors import ObjectNotFoundError, StoreDeniedError
from footfall.files.durable import publish, sync
from footfall.stores.errors import translate_errors
from footfall.stores.names import StoreLocation
from footfall.stores.store import CHUNK_BYTES, Listing, ObjectChangedError, ObjectInfo, Store, path_refusal

MAX_SEGMENT_BYTES = 240
"""A file name may have 255 bytes, and drafts add to it."""
_DRAFT = re.compile(r"#\d+$")


class DirectoryStore(Store):
    """Every object is a file; a bucket is a directory."""

    def __init__(self, location: StoreLocation) -> None:
        self._root = Path(urlsplit(location.url).path)
        super().__init__(location, LocalStore(self._root, mkdir=True), str(self._root))

    @staticmethod
    def bucket_location(location: StoreLocation, name: str) -> StoreLocation:
        """Return where a bucket is."""
        return replace(location, url=f"{location.url.rstrip('/')}/{name}")

    @staticmethod
    def has_bucket(location: StoreLocation, name: str) -> bool:
        """Whether a bucket is there."""
        return _bucket_path(location, name).is_dir()

    @staticmethod
    def create_bucket(location: StoreLocation, name: str) -> None:
        """Make a bucket; one that is there is fine."""
        path = _bucket_path(location, name)
        with translate_errors(name, "write", str(path.parent)):
            path.mkdir(parents=True, exist_ok=True)

    @classmethod
    def delete_bucket(cls, location: StoreLocation, name: str) -> None:
        """Remove an empty bucket.

        Raises:
            StoreDeniedError: files that are no objects, such as links, lie in it.
        """
        path = _bucket_path(location, name)
        if not path.is_dir():
            return
        cls(cls.bucket_location(location, name)).sweep_drafts(0.0)
        try:
            for directory, _, _ in os.walk(path, topdown=False):
                Path(directory).rmdir()
        except OSError as error:
            details = f"The directory of the bucket {name} holds files that are no objects, such as links; remove them first."
            raise StoreDeniedError(details, operation="write") from error

    def list(self, prefix: str = "", *, after: str = "", limit: int | None = None) -> Listing:
        """See ``Store``."""
        if not _is_prefix(prefix) or self._is_behind_link(prefix):
            return Listing()
        return Listing(islice(self._existing(_walk(self._root, prefix, after)), limit))

    def move(self, key: str, path: Path) -> None:
        """Put a file that is given up; it is renamed, which costs nothing, if its disk is the same."""
        if path.stat().st_dev != self._root.stat().st_dev:
            super().move(key, path)
            return
        self.check_writable(key)
        with self._errors(key, "write"):
            self._check_path(key)
            (self._root / key).parent.mkdir(parents=True, exist_ok=True)
            publish(path, self._root / key)

    def local_path(self, key: str) -> Path | None:
        """Return the file of ``key``."""
        return self._root / key

    def check_writable(self, key: str) -> None:
        """Refuse a key below an object, in place of a directory, or with a long segment.

        Raises:
            InvalidFieldError: rule ``path``.
        """
        if any(len(step) > MAX_SEGMENT_BYTES for step in key.split("/")):
            raise path_refusal(key, f"a part between slashes is longer than {MAX_SEGMENT_BYTES} characters; shorten it")
        super().check_writable(key)

    def _lies_above_objects(self, key: str) -> bool:
        return (self._root / key).is_dir()

    def _is_object(self, key: str) -> bool:
        return (self._root / key).is_file()

    def sweep_drafts(self, older_than_s: float) -> int:
        """See ``Store``."""
        n_swept = 0
        for directory, _, names in os.walk(self._root):
            for name in names:
                path = Path(directory, name)
                with suppress(FileNotFoundError):
                    if _DRAFT.search(name) and time.time() - path.lstat().st_mtime > older_than_s:
                        path.unlink()
                        n_swept += 1
        return n_swept

    def _put(self, key: str, content: bytes | Iterable[bytes] | Path, overwrite: bool) -> None:
        mode: Literal["create", "overwrite"] = "overwrite" if overwrite else "create"
        try:
            obstore.put(self._backend, key, content, mode=mode, chunk_size=CHUNK_BYTES, max_concurrency=4)
        except failures.AlreadyExistsError as error:
            raise FileExistsError(key) from error
        sync(self._root / key)
        sync((self._root / key).parent)

    def _existing(self, keys: Iterable[str]) -> Iterator[ObjectInfo]:
        for key in keys:
            with suppress(ObjectNotFoundError):
                yield self.head(key)

    def _read_once(self, key: str, expected: ObjectInfo, offset: int) -> Iterator[bytes]:
        """Yield a file's bytes: twenty times as fast as through the back-end, whose pieces have to be joined."""
        with self._errors(key, "read"):
            self._check_path(key)
            with (self._root / key).open("rb", buffering=0) as file:
                if self.head(key) != expected:  # looked at after opening: what is open is what has the name
                    raise ObjectChangedError(key)
                file.seek(offset)
                while chunk := file.read(CHUNK_BYTES):
                    yield chunk

    def _check_path(self, key: str) -> None:
        if self._is_behind_link(key):
            raise StoreDeniedError(f"{key} is or lies behind a link; copy the file itself into the bucket.")

    def _is_behind_link(self, key: str) -> bool:
        """Whether a link is on the way to ``key``: the back-end would follow it out of the root."""
        path = self._root
        for step in key.split("/"):
            path = path / step
            if os.path.islink(path):  # False, too, for a name that is longer than any
                return True
        return False


def _bucket_path(location: StoreLocation, name: str) -> Path:
    return Path(urlsplit(location.url).path, name)


def _is_prefix(text: str) -> bool:
    """Whether any key can start so; others must not choose where a walk begins."""
    return not text or all(part not in ("", ".", "..") for part in text.split("/")[:-1])


def _walk(root: Path, prefix: str, after: str) -> Iterator[str]:
    """Yield the keys below a prefix and behind ``after``, in order; links and drafts of unfinished writes are no objects.

    A directory is read when its turn comes, into a heap: whoever wants the first few keys sorts neither the tree nor a directory.
    """
    above, _, _ = prefix.rpartition("/")
    levels = [_entries(root, above + "/" if above else "", prefix, after)]
    while levels:
        if not levels[-1]:
            levels.pop()
            continue
        key = heapq.heappop(levels[-1])
        if key.endswith("/"):
            levels.append(_entries(root, key, prefix, after))
        else:
            yield key


def _entries(root: Path, directory: str, prefix: str, after: str) -> list[str]:
    """Return a heap of the keys in a directory, and of its directories with a slash at the end, which gives their order."""
    keys = []
    with suppress(OSError), os.scandir(root / directory) as entries:  # one that has gone meanwhile has no keys
        for entry in entries:
            key = directory + entry.name
            if entry.is_symlink():
                continue
            if entry.is_dir(follow_symlinks=False):
                key += "/"
            elif _DRAFT.search(entry.name):
                continue
            if key.startswith(prefix) and (key > after or (key.endswith("/") and after.startswith(key))):
                keys.append(key)
    heapq.heapify(keys)
    return keys
