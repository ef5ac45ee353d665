"""Read request bodies, and parse JSON bodies into structs. An unknown field is named, not refused.

Rules: whatever Content-Type says it is JSON; a field given twice counts as given last; NaN is refused; no number beyond
64 bits; at most ``MAX_DEPTH`` levels.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar
from urllib.parse import quote

import msgspec

from footfall.api.http.errors import TIMED_OUT, TOO_LARGE, GatewayError
from footfall.errors import InvalidFieldError

S = TypeVar("S")
Receive = Callable[[], Awaitable[Any]]

MAX_DEPTH = 32
MAX_UNKNOWN, MAX_UNKNOWN_LENGTH = 20, 64
_INT_LIMIT = 1 << 63
_decode = msgspec.json.Decoder().decode
_WRONG_TYPE = re.compile(r"Expected `([^`]+)`, got `([^`]+)`")
_WORDS = {
    "str": "a text", "int": "a whole number", "float": "a number", "bool": "true or false", "object": "an object",
    "array": "a list", "null": "null",
}  # fmt: skip


class ClientDisconnect(Exception):
    """The client closed the connection in the middle of its request."""


async def read_body(receive: Receive, limit_bytes: int, timeout_s: float) -> bytes:
    """Return the whole body.

    Raises:
        GatewayError: it is too large, or silent for too long.
        ClientDisconnect: the connection broke off.
    """
    chunks: list[bytes] = []
    size = 0
    while True:
        chunk, more = await read_chunk(receive, timeout_s)
        size += len(chunk)
        if size > limit_bytes:
            # Without closing: uvicorn throws away what still comes, so that a client that sends first reads its answer.
            raise GatewayError(TOO_LARGE, f"The body is larger than {limit_bytes} bytes; send less.")
        chunks.append(chunk)
        if not more:
            return b"".join(chunks)


async def read_chunk(receive: Receive, timeout_s: float) -> tuple[bytes, bool]:
    """Return the next piece of a body, and whether there is more.

    Raises:
        GatewayError: nothing came for too long.
        ClientDisconnect: the connection broke off.
    """
    try:
        message = await asyncio.wait_for(receive(), timeout_s)
    except TimeoutError as error:
        raise GatewayError(TIMED_OUT, headers=[(b"connection", b"close")]) from error
    if message["type"] == "http.disconnect":
        raise ClientDisconnect
    return message.get("body", b""), message.get("more_body", False)


def parse_body(kind: type[S], body: bytes) -> tuple[S, list[str]]:
    """Return a body as a struct, and the names of fields that the struct does not have; none is one where nothing is required.

    Raises:
        InvalidFieldError: rule ``json``, ``missing``, ``type`` or ``range``.
    """
    known = _field_names(kind)
    if not body and kind not in _kinds_with_required:
        return kind(), []
    value = _parse_json(body)
    if not isinstance(value, dict):
        raise InvalidFieldError("body", None, "type", "The body is no JSON object; send an object with the documented fields.")
    try:
        struct = msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise _field_error(str(error)) from error
    return struct, [name for name in value if name not in known]


_names_by_kind: dict[Any, frozenset[str]] = {}
_kinds_with_required: set[Any] = set()


def _field_names(kind: Any) -> frozenset[str]:
    known = _names_by_kind.get(kind)
    if known is None:
        fields = msgspec.structs.fields(kind)
        known = _names_by_kind[kind] = frozenset(field.encode_name for field in fields)
        if any(field.required for field in fields):
            _kinds_with_required.add(kind)
    return known


def name_unknown(names: list[str]) -> bytes:
    """Return the value of ``x-unknown-fields``: percent-encoded names, cut to a bounded length."""
    return ",".join(quote(name[:MAX_UNKNOWN_LENGTH], safe="") for name in names[:MAX_UNKNOWN]).encode("ascii")


def _parse_json(body: bytes) -> Any:
    try:
        value = _decode(body)
        _check(value, MAX_DEPTH)
    except msgspec.ValidationError as error:
        raise InvalidFieldError("body", None, "range", f"A number is too large: {error}.") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidFieldError("body", None, "json", f"The body is no JSON that we read: {_short(error)}.") from error
    return value


def _short(error: Exception) -> str:
    return f"it has more than {MAX_DEPTH} levels" if isinstance(error, RecursionError) else str(error)[:200]


def _check(value: Any, depth: int) -> None:
    if isinstance(value, int):
        if not -_INT_LIMIT <= value < _INT_LIMIT:
            raise msgspec.ValidationError("integers have at most 64 bits")
    elif isinstance(value, dict | list):
        if not depth:
            raise RecursionError
        for item in value.values() if isinstance(value, dict) else value:
            _check(item, depth - 1)


def _field_error(text: str) -> InvalidFieldError:
    if text.startswith("Object missing required field `"):
        field = text.split("`")[1]
        return InvalidFieldError(field, None, "missing", f"{field} is missing; it is required.")
    what, _, path = text.partition(" - at `$.")
    field = path.rstrip("`") or "body"
    wrong = _WRONG_TYPE.fullmatch(what)
    if wrong is not None:
        expected, got = ([word.strip() for word in each.split("|")] for each in wrong.groups())
        unsaid = {"null", "int"} if "float" in expected else {"null"}
        expected_words = " or ".join(dict.fromkeys(_WORDS.get(word, word) for word in expected if word not in unsaid))
        name = f"A value of {field.removesuffix('[...]')}" if field.endswith("[...]") else field
        remedy = " or leave it out" if "null" in expected else ""
        details = f"{name} is {_WORDS.get(got[0], got[0])}; give {expected_words}{remedy}."
        return InvalidFieldError(field, None, "type", details)
    return InvalidFieldError(field, None, "type", f"{field}: {what[:200]}.")
