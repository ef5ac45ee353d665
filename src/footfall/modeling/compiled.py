"""How functions compiled by Numba are kept on disk. Knows no array.

Numba keeps compiled code by the file of each function alone (``get_source_stamp`` in numba 0.68): after an update of another file
a caller would go on with the old callee, or with the old value of a constant. Here the stamp is that of all files of modeling, so
code of another state of them is compiled anew, in the place of the old.
"""

import hashlib
import os
from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar, cast

import numba
from numba.core import caching, config

_SETTING = "CACHE_LOCATOR_CLASSES"
F = TypeVar("F", bound=Callable[..., Any])


def njit(*, cache: bool, nogil: bool, fastmath: bool = False) -> Callable[[F], F]:
    """Compile a function as ``numba.njit`` does; what it keeps on disk is of this state of modeling alone."""

    def decorate(function: F) -> F:
        others = getattr(config, _SETTING)  # of this process: other packages keep their way
        setattr(config, _SETTING, ",".join(f"{__name__}.{each.__name__}" for each in _LOCATORS))
        try:
            return cast("F", numba.njit(cache=cache, nogil=nogil, fastmath=fastmath)(function))
        finally:
            setattr(config, _SETTING, others)

    return decorate


@cache
def source_stamp() -> str:
    """Return the digest of all source files of modeling; about two milliseconds."""
    digest = hashlib.blake2b(digest_size=16)
    root = os.path.dirname(__file__)
    for directory, _, names in sorted(os.walk(root)):
        for name in sorted(each for each in names if each.endswith(".py")):
            with open(os.path.join(directory, name), "rb") as file:
                content = file.read()
            digest.update(f"{directory[len(root) :]}/{name} {len(content)}\n".encode() + content)
    return digest.hexdigest()


class _InUserDirectory(caching.UserProvidedCacheLocator):
    def get_source_stamp(self) -> str:
        return source_stamp()


class _BesideCode(caching.InTreeCacheLocator):
    def get_source_stamp(self) -> str:
        return source_stamp()


class _InUserCache(caching.UserWideCacheLocator):
    def get_source_stamp(self) -> str:
        return source_stamp()


_LOCATORS = (_InUserDirectory, _BesideCode, _InUserCache)
