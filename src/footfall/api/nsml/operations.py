"""What operations of ``/nsml/v1`` share: paging, 201 responses, timestamps, the errors of each."""

from datetime import datetime
from typing import Any

from footfall.api.http.errors import NSML_BAD_REQUEST, NSML_NOT_ACCEPTED, NSML_NOT_FOUND, Code
from footfall.api.http.operations import Kind, Operation
from footfall.api.http.responses import Response, encode_json
from footfall.contract.queries import Page
from footfall.errors import NotFoundError

ROOT = "/nsml/v1"
MAX_PAGE = 1_000_000_000
"""Pages behind it are as empty as it is; products of larger numbers would not fit into a database's."""


def stamp(time: datetime) -> str:
    """Return a time as the contract writes it: UTC, ``YYYY-MM-DD HH:MM:SS``."""
    return time.isoformat(" ")[:19]


def stamp_or_none(time: datetime | None) -> str | None:
    """As ``stamp``; None stays None."""
    return None if time is None else time.isoformat(" ")[:19]


def page_of(query: Page) -> tuple[int, int]:
    """Return page, from 1, and page size."""
    return min(max(query.page, 1), MAX_PAGE), query.page_size


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
