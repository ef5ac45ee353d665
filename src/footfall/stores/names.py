"""Where a store is, and what names buckets and keys may have. Pure: opens nothing.

Source: the path rule is NCLUE's, as the reference page on data formats restates it; see nclue-postfeature.
"""

import re
from dataclasses import asdict, dataclass
from typing import Any

from footfall.errors import InvalidFieldError

FORBIDDEN_CHARACTERS = "&$@;:+,?*\\{}^%`[]<>~#|\"'"
MAX_KEY_BYTES = 1024
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_IP = re.compile(r"\d+\.\d+\.\d+\.\d+")


@dataclass(frozen=True, slots=True)
class StoreLocation:
    """Where a store is and how to reach it; travels to jobs as JSON. ``url``: ``file:///dir`` or ``s3://[bucket/prefix]``."""

    url: str
    endpoint: str = ""
    region: str = ""
    access_key: str = ""
    secret_key: str = ""
    path_style: bool = True
    timeout_s: float = 30.0

    def __repr__(self) -> str:
        return f"StoreLocation({self.url!r})"

    def to_json(self) -> dict[str, Any]:
        """Return the fields, secrets included, for a file that only its reader may see."""
        return asdict(self)


def check_bucket_name(name: str) -> str:
    """Return ``name`` if it is 3 to 63 of ``a-z 0-9 . -`` and no IP address.

    Raises:
        InvalidFieldError: otherwise.
    """
    if not _BUCKET.fullmatch(name) or ".." in name or _IP.fullmatch(name):
        form = "3 to 63 lower-case letters, digits, '.' and '-', a letter or digit at both ends"
        raise InvalidFieldError("bucket", name, "bucket_name", f"{name!r} is no bucket name: take {form}.")
    return name


def check_key(key: str, *, field: str = "key", allow_directory: bool = False) -> str:
    """Return ``key`` if it obeys the path rule of the contract (``docs/reference/data-formats.md``).

    Raises:
        InvalidFieldError: rule ``path``, with what is wrong in its sentence.
    """
    problem = _key_problem(key, allow_directory)
    if problem:
        raise InvalidFieldError(field, key, "path", f"{field}: {problem}")
    return key


def _key_problem(key: str, allow_directory: bool) -> str | None:
    for position, character in enumerate(key):
        if not 33 <= ord(character) <= 126 or character in FORBIDDEN_CHARACTERS:
            return (
                f"the character {character!a} at position {position + 1} is not allowed; "
                f"use ASCII without blanks and without {FORBIDDEN_CHARACTERS}"
            )
    if len(key) > MAX_KEY_BYTES:
        return f"it has {len(key)} bytes; at most {MAX_KEY_BYTES} are allowed"
    if key.startswith("/"):
        return "it starts with '/'; give the path inside the bucket"
    body = key[:-1] if allow_directory and key.endswith("/") else key
    if not body and not allow_directory:
        return "it is empty; name an object"
    if body and any(part in ("", ".", "..") for part in body.split("/")):
        return "empty, '.' and '..' segments are not allowed; write the path without them"
    return None
