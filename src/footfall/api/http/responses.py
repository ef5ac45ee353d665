"""Responses and the headers that each of them carries."""

import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec

Headers = list[tuple[bytes, bytes]]

TRACE_HEADER = b"x-ncp-trace-id"
JSON_TYPE = b"application/json"
encode_json = msgspec.json.Encoder().encode

FIXED_HEADERS: Headers = [
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
]


@dataclass(slots=True)
class Response:
    """A whole answer. ``headers`` are those beside content type, length, trace id and the fixed ones."""

    body: bytes
    status: int = 200
    content_type: bytes = JSON_TYPE
    headers: Headers = field(default_factory=list)


@dataclass(slots=True)
class Download:
    """An answer that is streamed. ``chunks`` is read in a transfer thread; None for HEAD."""

    chunks: Iterator[bytes] | None
    size_bytes: int
    headers: Headers


def new_trace_id() -> str:
    """Return a name for a request that no other has."""
    return secrets.token_hex(16)


def json_response(value: Any) -> Response:
    """Return a struct as JSON, with status 200."""
    return Response(encode_json(value))


def response_start(response: Response, trace_id: str) -> dict[str, Any]:
    """Return the ASGI message that starts an answer."""
    headers = [
        (b"content-type", response.content_type),
        (b"content-length", b"%d" % len(response.body)),
        (TRACE_HEADER, trace_id.encode()),
    ]
    own_names = {name for name, _ in response.headers}
    headers += [pair for pair in FIXED_HEADERS if pair[0] not in own_names] if own_names else FIXED_HEADERS
    headers += response.headers
    return {"type": "http.response.start", "status": response.status, "headers": headers}


def download_start(download: Download, trace_id: str) -> dict[str, Any]:
    """Return the ASGI message that starts a download."""
    headers = [
        (b"content-type", b"application/octet-stream"),
        (b"content-length", b"%d" % download.size_bytes),
        (TRACE_HEADER, trace_id.encode()),
        *FIXED_HEADERS,
        *download.headers,
    ]
    return {"type": "http.response.start", "status": 200, "headers": headers}
