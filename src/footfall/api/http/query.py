"""Parse query strings into structs: one type gives the fields, their limits and their documentation."""

import functools
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints
from urllib.parse import unquote_to_bytes

import msgspec

from footfall.api.http.errors import BAD_REQUEST, GatewayError
from footfall.errors import InvalidFieldError

Q = TypeVar("Q", bound=msgspec.Struct)

_MAX_DIGITS = 18
"""What has more is taken for the least such number: beyond every limit, and cheap to read."""


@dataclass(frozen=True, slots=True)
class QueryField:
    """A field of a query as the documents show it."""

    name: str
    schema: dict[str, Any]
    description: str
    is_ours: bool
    is_required: bool


@functools.cache
def query_fields(kind: type[msgspec.Struct]) -> tuple[QueryField, ...]:
    """Return the fields of a query's struct: each is ``Annotated`` with a ``Meta`` that describes it, or that or None."""
    hints = get_type_hints(kind, include_extras=True)
    fields = []
    for field in msgspec.structs.fields(kind):
        hint = hints[field.name]
        annotated = hint if hasattr(hint, "__metadata__") else next(e for e in get_args(hint) if hasattr(e, "__metadata__"))
        meta, of = annotated.__metadata__[0], annotated.__origin__
        schema: dict[str, Any] = {"type": "integer" if of is int else "string"}
        limits = {"minimum": meta.ge, "maximum": meta.le, "maxLength": meta.max_length, "default": field.default}
        if get_origin(of) is Literal:
            schema["enum"] = list(get_args(of))
        schema |= {name: limit for name, limit in limits.items() if limit not in (None, msgspec.NODEFAULT)}
        is_ours = "x-ours" in (meta.extra_json_schema or {})
        fields.append(QueryField(field.encode_name, schema, meta.description, is_ours, field.required))
    return tuple(fields)


def parse_query(kind: type[Q], query: bytes, *, ignore_case: bool = False) -> Q:
    """Return a query string as a struct; what the struct does not have is passed over.

    Raises:
        GatewayError: it is not UTF-8.
        InvalidFieldError: a field came twice, is missing, or breaks its limits.
    """
    texts = _split(query, ignore_case)
    values: dict[str, Any] = {}
    for field in query_fields(kind):
        text = texts.get(field.name.lower() if ignore_case else field.name)
        if text is None:
            if field.is_required:
                details = f"{field.name} is missing from the query: {field.description}"
                raise InvalidFieldError(field.name, None, "missing", details)
            continue
        values[field.name] = _number(field, text) if field.schema["type"] == "integer" else text
    try:
        return msgspec.convert(values, kind)
    except msgspec.ValidationError as error:
        name = str(error).rpartition("`$.")[2].rstrip("`")
        field = next(each for each in query_fields(kind) if each.name == name)
        raise _refusal(field, texts[name.lower() if ignore_case else name]) from error


def _split(query: bytes, ignore_case: bool) -> dict[str, str]:
    """Return the fields by name, decoded once; their names in lower case if case does not matter."""
    fields: dict[str, str] = {}
    for pair in query.split(b"&") if query else ():
        name, _, value = pair.partition(b"=")
        try:
            key, text = (unquote_to_bytes(part.replace(b"+", b" ")).decode("utf-8") for part in (name, value))
        except UnicodeDecodeError as error:
            raise GatewayError(BAD_REQUEST, "The query is not UTF-8; percent-encode UTF-8 bytes.") from error
        if ignore_case:
            key = key.lower()
        if key in fields:
            # Two readers could understand it differently.
            raise InvalidFieldError(key, text, "range", f"{key} is given twice; give it once.")
        fields[key] = text
    return fields


def _number(field: QueryField, text: str) -> int:
    # Not msgspec's lax mode, which takes 1e3 for a whole number and refuses 007.
    if not (text.isascii() and text.isdigit()):
        raise _refusal(field, text)
    digits = text.lstrip("0")
    return int(digits or "0") if len(digits) <= _MAX_DIGITS else 10**_MAX_DIGITS


def _refusal(field: QueryField, text: str) -> InvalidFieldError:
    schema, name = field.schema, field.name
    if "enum" in schema:
        details = f"{name} is {text[:40]!r}; give one of {', '.join(schema['enum'])}."
        return InvalidFieldError(name, text, "choice", details)
    if schema["type"] == "string":
        details = f"{name} has {len(text)} characters; give at most {schema['maxLength']}."
        return InvalidFieldError(name, None, "too_long", details)
    low, high = schema["minimum"], schema.get("maximum")
    limits = f"of at least {low}" if high is None else f"from {low} to {high}"
    return InvalidFieldError(name, text, "range", f"{name} is {text[:40]!r}; give a whole number {limits}.")
