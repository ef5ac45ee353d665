"""Environment variables of a request: which names are refused, which values are secret, how values become text. Pure.

Source: CLOVA NSML's page on creating a run, whose sample has numbers as values and a hyphen in a name.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import msgspec

from footfall.errors import InvalidFieldError

Value = str | int | float | bool
MASK = "****"
MAX_VARIABLES = 1000
MAX_VALUE_BYTES = 100_000
"""Linux takes 131,072 for one variable, name included."""
_RESERVED_PREFIX = "NSML_"
_GPUS = frozenset({"CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES"})
_SECRET = ("SECRET", "TOKEN", "PASSW", "PASSPHRASE", "CREDENTIAL", "APIKEY", "ACCESSKEY", "PRIVATEKEY")
_SECRET_WORDS = frozenset({"PWD", "PASS", "AUTH", "DSN"})
_SEPARATOR = re.compile("[^A-Z0-9]")
_LOGIN = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,30}://[^\s/@:]{0,256}:[^\s/@]{1,1024}@")
"""A URL with a password: ``postgresql://user:password@host``."""
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Variables:
    """Variables of a request. ``shown``: all, secret values masked; ``plain`` and ``secret``: as text, with their values."""

    shown: dict[str, Value]
    plain: dict[str, str]
    secret: dict[str, str]


def split(variables: Mapping[str, Value], declared_secret: Iterable[str] = ()) -> Variables:
    """Check variables, and tell those whose values nobody may see: they or their names look like it, or they were declared.

    Raises:
        InvalidFieldError: rule ``pattern``, ``choice`` or ``too_long``: no process can have it, or it is ours to set.
    """
    _check(variables)
    declared = frozenset(declared_secret)
    secret = {name for name, value in variables.items() if name in declared or sounds_secret(name) or _holds_login(value)}
    return Variables(
        {name: MASK if name in secret else value for name, value in variables.items()},
        {name: text(value) for name, value in variables.items() if name not in secret},
        {name: text(value) for name, value in variables.items() if name in secret},
    )


def sounds_secret(name: str) -> bool:
    """Return whether a name says that its value is a password, a token or a key."""
    words = [word for word in _SEPARATOR.split(name.upper()) if word]
    together = "".join(words)
    return (
        any(sign in together for sign in _SECRET)
        or not _SECRET_WORDS.isdisjoint(words)
        or together.endswith("PWD")
        or (len(words) > 1 and words[-1] in ("KEY", "KEYS"))
    )


def _holds_login(value: Value) -> bool:
    return isinstance(value, str) and "@" in value and _LOGIN.search(value) is not None


def _check(variables: Mapping[str, Value]) -> None:
    if len(variables) > MAX_VARIABLES:
        details = f"envs has {len(variables)} variables; give at most {MAX_VARIABLES}."
        raise InvalidFieldError("envs", None, "too_long", details)
    for name, value in variables.items():
        if not name or "=" in name or "\0" in name:
            details = f"envs has the name {name[:60]!r}; a name is not empty and holds neither '=' nor a NUL character."
            raise InvalidFieldError("envs", name, "pattern", details)
        if name.startswith(_RESERVED_PREFIX) or name in _GPUS:
            details = f"envs has the name {name[:60]!r}, which the server sets itself; choose another."
            raise InvalidFieldError("envs", name, "choice", details)
        written = text(value)
        if "\0" in written:
            details = f"The value of {name[:60]} in envs holds a NUL character; leave it out."
            raise InvalidFieldError("envs", name, "pattern", details)
        if len(name.encode()) + len(written.encode()) > MAX_VALUE_BYTES:
            details = f"{name[:60]} in envs has more than {MAX_VALUE_BYTES} bytes; put it into a file."
            raise InvalidFieldError("envs", name, "too_long", details)


def text(value: Value) -> str:
    """Return a value as processes see it: a text as it is, others as JSON writes them."""
    return value if isinstance(value, str) else _encode(value).decode()
