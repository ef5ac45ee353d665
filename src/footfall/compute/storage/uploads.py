"""Uploads to a project: code archives and files of its storage, written to a temporary file and renamed.

The draft lies on the same file system but where no run sees it. What breaks off leaves nothing, and what a killed server left
is swept by the next upload.
"""

import errno
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path

from footfall import layout
from footfall.compute.storage import usage
from footfall.config import Settings
from footfall.errors import InvalidFieldError, StoreError, StoreFullError
from footfall.files import place
from footfall.files.durable import sync
from footfall.records import new_id

OLD_DRAFT_S = 86_400.0
_GZIP = b"\x1f\x8b"


class Upload:
    """A file that is whole and durable, and not yet in its place."""

    def __init__(self, path: Path, size_bytes: int, digest: str) -> None:
        self.path, self.size_bytes, self.digest = path, size_bytes, digest


@contextmanager
def receive(settings: Settings, project_id: str, pieces: Iterable[bytes]) -> Iterator[Upload]:
    """Write pieces to a draft that is gone when the block ends, unless it was moved.

    Raises:
        StoreFullError: no space is left.
    """
    path = settings.data_dir / layout.project_dir(project_id) / "drafts" / new_id()
    try:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _sweep(path.parent)
            upload = _write(path, pieces)
        except OSError as error:
            raise _store_error(error) from error
        yield upload
    finally:
        path.unlink(missing_ok=True)


def check_code(upload: Upload, digest: str) -> None:
    """Refuse what is no archive, or not the one that was announced.

    Raises:
        InvalidFieldError: rule ``pattern``.
    """
    if upload.digest != digest:
        details = f"The body has the SHA-256 {upload.digest}, the path says {digest}; send the archive that it names."
        raise InvalidFieldError("sha256", digest, "pattern", details)
    with open(upload.path, "rb") as file:
        if file.read(2) != _GZIP:
            raise InvalidFieldError("body", None, "pattern", "The body is not gzip; send a tar.gz archive.")


def place_code(settings: Settings, project_id: str, upload: Upload) -> None:
    """Move an archive to where runs find it."""
    target = settings.data_dir / layout.code_path(project_id, upload.digest)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        upload.path.replace(target)
        sync(target.parent)
    except OSError as error:
        raise _store_error(error) from error


def place_file(settings: Settings, project_id: str, path: str, upload: Upload) -> None:
    """Move a file into the storage of a project, owned by who runs commands.

    Raises:
        StoreDeniedError: a link is on the way, or a directory is there.
    """
    root = usage.make_nas(settings, project_id)
    with open(upload.path, "rb") as file:
        os.fchmod(file.fileno(), 0o644)
        usage.give_to_runs(settings, file.fileno())
    place.place(root, path, upload.path, lambda made: usage.give_to_runs(settings, made))


def _write(path: Path, pieces: Iterable[bytes]) -> Upload:
    digest, size = sha256(), 0
    with open(path, "xb", buffering=0) as file:
        for piece in pieces:
            view = memoryview(piece)
            while view:
                view = view[file.write(view) :]
            digest.update(piece)
            size += len(piece)
        os.fsync(file.fileno())
    return Upload(path, size, digest.hexdigest())


def _sweep(directory: Path) -> None:
    for path in directory.iterdir():
        with suppress(FileNotFoundError):
            if time.time() - path.stat().st_mtime > OLD_DRAFT_S:
                path.unlink()


def _store_error(error: OSError) -> StoreError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StoreFullError("No space is left for what was sent; free some.", operation="write")
    return StoreError(f"What was sent cannot be kept: {error.strerror}.", operation="write")
