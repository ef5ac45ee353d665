"""How functions compiled by Numba are kept on disk. Knows no array.

Numba keeps compiled code by the file of each function alone (``get_source_stamp`` in numba 0.68): after an update of another file
a caller would go on with the old callee, or with the old value of a constant. Here the stamp is that of the file and of all that
it imports of this package, so code of another state of them is compiled anew, in the place of the old.
"""

import hashlib
import os
import re
from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar, cast

import numba
from numba.core import caching, config

_ROOT = os.path.dirname(os.path.dirname(__file__))
_IMPORT = re.compile(r"^[ \t]{0,80}from (footfall(?:\.\w+)*) import (\([^)]{0,4000}\)|.*)$", re.MULTILINE)
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
def source_stamp(path: str) -> str:
    """Return the digest of a file and of all files of this package that it imports, directly or not."""
    digests, waiting = {}, [path]
    while waiting:
        file = waiting.pop()
        if file not in digests:
            digests[file], imports = _read(file)
            waiting += imports
    lines = sorted(f"{file.removeprefix(_ROOT)} {digest}" for file, digest in digests.items())
    return hashlib.blake2b("\n".join(lines).encode(), digest_size=16).hexdigest()


@cache
def _read(path: str) -> tuple[str, list[str]]:
    """Return a file's digest, and the files of this package that it imports by ``from``, which the lint asks for."""
    with open(path, "rb") as file:
        content = file.read()
    imports: list[str] = []
    for module, names in _IMPORT.findall(content.decode()):
        base = _ROOT + module.removeprefix("footfall").replace(".", "/")
        if os.path.isdir(base):
            candidates = [f"{base}/__init__.py", *(f"{base}/{name}.py" for name in re.findall(r"\w+", names))]
            imports += filter(os.path.isfile, candidates)
        else:
            imports.append(f"{base}.py")
    return hashlib.blake2b(content, digest_size=16).hexdigest(), imports


class _InUserDirectory(caching.UserProvidedCacheLocator):
    def get_source_stamp(self) -> str:
        return source_stamp(self._py_file)


class _BesideCode(caching.InTreeCacheLocator):
    def get_source_stamp(self) -> str:
        return source_stamp(self._py_file)


class _InUserCache(caching.UserWideCacheLocator):
    def get_source_stamp(self) -> str:
        return source_stamp(self._py_file)


_LOCATORS = (_InUserDirectory, _BesideCode, _InUserCache)
