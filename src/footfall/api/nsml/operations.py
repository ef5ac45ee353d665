"""What all operations of ``/nsml/v1`` have in common: paging, answers of what was made, times, the errors of each."""

from datetime import datetime
from typing import Any

from footfall.api.http.bodies import parse_query
from footfall.api.http.errors import NSML_BAD_REQUEST, NSML_NOT_ACCEPTED, NSML_NOT_FOUND, Code
from footfall.api.http.operations import Kind, Operation, QueryField
from footfall.api.http.responses import Response, encode_json
from footfall.api.request import Request
from footfall.errors import InvalidFieldError, NotFoundError

ROOT = "/nsml/v1"
MAX_PAGE = 1_000_000_000
"""Pages behind it are as empty as it is; products of larger numbers would not fit into a database's."""
_MAX_DIGITS = 18
"""What has more is taken for the least such number: as far beyond everything, and cheap to read."""

PAGE = QueryField("page", {"type": "integer", "minimum": 0, "default": 1}, "Page, from 1; 0 is read as 1.")
PAGE_SIZE = QueryField(
    "pageSize", {"type": "integer", "minimum": 1, "maximum": 100, "default": 10}, "How many on a page."
)
OURS_INTERNAL = QueryField(
    "internal",
    {"type": "string", "enum": ["true", "false"], "default": "false"},
    "Also the project that holds the runs of features and tasks.",
    is_ours=True,
)


def stamp(time: datetime) -> str:
    """Return a time as the contract writes it: UTC, ``YYYY-MM-DD HH:MM:SS``."""
    return time.isoformat(" ")[:19]


def stamp_or_none(time: datetime | None) -> str | None:
    """As ``stamp``; None stays None."""
    return None if time is None else time.isoformat(" ")[:19]


def query_of(request: Request) -> dict[str, str]:
    """Return the fields of the query by their names in lower case, for case does not matter."""
    return parse_query(request.query, ignore_case=True)


def page_of(query: dict[str, str]) -> tuple[int, int]:
    """Return page, from 1, and page size.

    Raises:
        InvalidFieldError: they are no numbers, or out of range.
    """
    page = number_of(query, "page", 1, 0, None)
    return min(max(page, 1), MAX_PAGE), number_of(query, "pageSize", 10, 1, 100)


def number_of(query: dict[str, str], name: str, default: int, low: int, high: int | None) -> int:
    """Return a number of a query of ``query_of``.

    Args:
        high: None: as high as anybody likes.

    Raises:
        InvalidFieldError: it is no number, or out of range.
    """
    text = query.get(name.lower())
    if text is None:
        return default
    if text.isascii() and text.isdigit():
        digits = text.lstrip("0")
        number = int(digits or "0") if len(digits) <= _MAX_DIGITS else 10**_MAX_DIGITS
        if low <= number and (high is None or number <= high):
            return number
    limits = f"of at least {low}" if high is None else f"from {low} to {high}"
    raise InvalidFieldError(name, text, "range", f"{name} is {text[:40]!r}; give a whole number {limits}.")


def choice_of(query: dict[str, str], name: str, choices: dict[str, Any]) -> Any:
    """Return what a word of a query stands for, None when it is not given.

    Raises:
        InvalidFieldError: rule ``choice``.
    """
    text = query.get(name.lower())
    if text is None:
        return None
    if text not in choices:
        details = f"{name} is {text[:40]!r}; give one of {', '.join(choices)}."
        raise InvalidFieldError(name, text, "choice", details)
    return choices[text]


def is_true(query: dict[str, str], name: str) -> bool:
    """Whether a switch of a query is on.

    Raises:
        InvalidFieldError: rule ``choice``.
    """
    return bool(choice_of(query, name, {"true": True, "false": False}))


def id_number(text: str, kind: str) -> int:
    """Return the number by which something is called in a path.

    Raises:
        NotFoundError: nothing can be called so: it is no number, is written in another way, or is too large.
    """
    if text.isascii() and text.isdigit() and len(text) <= 9 and text[0] != "0":
        return int(text)
    raise NotFoundError(kind, text)


def created(value: Any, location: str) -> Response:
    """Return the answer for something that was made: 201, where it is, and how it looks."""
    return Response(encode_json(value), 201, headers=[(b"location", location.encode("ascii"))])


def operation(id: str, method: str, path: str, summary: str, handler: Any, **more: Any) -> Operation:
    """Return an operation of NSML. What has a field, or an id in its path, can be refused for it."""
    kind: Kind = more.pop("kind", "read" if method == "GET" else "change")
    errors: list[Code] = list(more.pop("errors", ()))
    if more.get("request") is not None or more.get("query") or kind == "upload":
        errors.append(NSML_BAD_REQUEST)
    if "{" in path:
        errors.append(NSML_NOT_FOUND)
    if kind in ("change", "upload"):
        errors.append(NSML_NOT_ACCEPTED)
    if more.get("status") == 201:
        more["response_headers"] = (("location", "Where the new thing is."),)
    unique = tuple(dict.fromkeys(errors))
    return Operation(id, method, ROOT + path, summary, handler, kind, "nsml", errors=unique, **more)
