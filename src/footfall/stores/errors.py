"""Translate errors of obstore and the operating system into ours. Knows no store."""

import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from obstore import exceptions as failures

from footfall.errors import ObjectNotFoundError, StoreDeniedError, StoreError, StoreFullError, StoreUnavailableError


@contextmanager
def translate_errors(key: str, operation: str, root: str = "") -> Iterator[None]:
    """Raise the errors of a block of store calls as ours, with ``key`` in their message.

    Args:
        operation: read, write or list.
        root: the directory of a local store, which messages must not show.
    """
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
        raise _translate(key, operation, error, root) from error


def _translate(key: str, operation: str, error: Exception, root: str) -> StoreError:
    if operation != "write" and any(
        f"os error {number}" in str(error) or getattr(error, "errno", 0) == number for number in _NO_FILE
    ):
        return ObjectNotFoundError(key)
    text = str(error).partition("\n\nDebug source")[0].strip()
    if root:  # the server's paths must not leak
        text = text.replace(root + "/", "").replace(root, "")
    for sign, make in _SIGNS:
        if sign in str(error):
            return make(f"{key}: {text}", operation=operation)
    return StoreUnavailableError(f"{key}: the store failed to {operation}: {text[:500]}", operation=operation)


_NO_FILE = (errno.ENAMETOOLONG, errno.ENOTDIR)
_SIGNS: tuple[tuple[str, Callable[..., StoreError]], ...] = (
    (f"os error {errno.ENOSPC}", StoreFullError),
    (f"os error {errno.EDQUOT}", StoreFullError),
    (f"os error {errno.EACCES}", StoreDeniedError),
    ("AccessDenied", StoreDeniedError),
    ("InvalidAccessKeyId", StoreDeniedError),
    ("SignatureDoesNotMatch", StoreDeniedError),
    ("NoSuchBucket", StoreDeniedError),
)
