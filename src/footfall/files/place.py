"""Put files into, and remove them from, a directory that runs write to meanwhile, without following links.

Reading is in ``untrusted.py``.
"""

import errno
import os
import stat
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from footfall.errors import InvalidFieldError, NotFoundError, StoreDeniedError, StoreError, StoreFullError
from footfall.files.directories import open_directory

MAX_PATH_BYTES, MAX_STEP_BYTES = 1024, 240


def check_path(path: str, field: str = "path") -> list[str]:
    """Return the steps of a path of a file of a project's storage.

    Raises:
        InvalidFieldError: rule ``path``.
    """
    steps = path.split("/")
    sizes = [len(step.encode()) for step in steps]
    problem = ""
    if any(step in ("", ".", "..") for step in steps):
        problem = "empty, '.' and '..' steps are not allowed"
    elif not path.isprintable():
        problem = "control characters are not allowed"
    elif sum(sizes) + len(steps) - 1 > MAX_PATH_BYTES or max(sizes) > MAX_STEP_BYTES:
        problem = f"at most {MAX_PATH_BYTES} bytes, and {MAX_STEP_BYTES} between two slashes, are allowed"
    elif unicodedata.normalize("NFC", path) != path:
        problem = "accents must be written composed (Unicode NFC), or two names would look the same"
    if problem:
        raise InvalidFieldError(field, path, "path", f"{field}: {problem}.")
    return steps


def place(root: Path, path: str, draft: Path, own: Callable[[int], None]) -> None:
    """Move a finished file to a path, over what file is there; directories on the way are made.

    Args:
        own: called with the descriptor of each directory that was made.

    Raises:
        StoreDeniedError: a link is on the way, or something that is no directory; or a directory is there.
    """
    *parents, name = check_path(path)
    with _translate_errors(path), _parent(root, parents, own) as parent:
        os.rename(draft, name, dst_dir_fd=parent)
        os.fsync(parent)


def remove(root: Path, path: str) -> None:
    """Remove a file, a link itself, or an empty directory.

    Raises:
        NotFoundError: nothing is there.
        StoreDeniedError: a link is on the way, or the directory is not empty.
    """
    *parents, name = check_path(path)
    with _translate_errors(path), _parent(root, parents, None) as parent:
        if stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode):
            os.rmdir(name, dir_fd=parent)
        else:
            os.unlink(name, dir_fd=parent)


@contextmanager
def _parent(root: Path, steps: Sequence[str], make: Callable[[int], None] | None) -> Iterator[int]:
    descriptor = open_directory(root, steps, make)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


_REFUSALS = {
    errno.ENOTDIR: "a step of it is a file, or a link, and links are not followed",
    errno.ELOOP: "it lies behind a link, and links are not followed",
    errno.EISDIR: "a directory is there",
    errno.ENOTEMPTY: "the directory is not empty",
    errno.EACCES: "the server may not",
    errno.EPERM: "the server may not",
}


@contextmanager
def _translate_errors(path: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise NotFoundError("file", path) from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StoreFullError("No space is left for the file; free some.", operation="write") from error
        refusal = _REFUSALS.get(error.errno or 0)
        if refusal is None:
            raise StoreError(f"{path} cannot be used: {error.strerror}.") from error
        raise StoreDeniedError(f"{path} cannot be written or removed: {refusal}.") from error
