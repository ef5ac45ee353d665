"""The unsigned routes: health, Prometheus metrics, OpenAPI."""

import ipaddress
import os
from collections.abc import Mapping
from typing import Any

import msgspec

from footfall import __version__
from footfall.api.http.errors import NOT_FOUND, GatewayError
from footfall.api.http.operations import Operation
from footfall.api.http.responses import Response
from footfall.api.request import Request
from footfall.db import queue_stats
from footfall.db.access import accounts
from footfall.errors import DatabaseUnavailableError
from footfall.machine.peers import find_user


class Health(msgspec.Struct):
    """Whether the server can work. ``details`` depends on what runs beside it."""

    status: str
    version: str
    database: str
    details: Mapping[str, Any]


def get_health(request: Request) -> Response:
    """Return 200 if the database answers and runs are looked at, else 503."""
    details = request.context.health()
    status, database = "stuck" if details.get("queue") == "stuck" else "ok", "ok"
    try:
        with request.context.database.read() as connection:
            accounts.count_accounts(connection)
    except DatabaseUnavailableError:
        status = database = "unavailable"
    health = Health(status, __version__, database, details)
    return Response(msgspec.json.encode(health), 200 if status == "ok" else 503)


def get_metrics(request: Request) -> Response:
    """Return what this server counts of itself, for Prometheus. It names nobody, and is for this machine alone by default."""
    context = request.context
    access = context.settings.metrics_access
    client = request.scope.get("client")
    # A proxy on this machine would make everybody a neighbour.
    is_near = bool(client) and ipaddress.ip_address(client[0]).is_loopback and not context.settings.behind_proxy
    if access == "off" or (access == "loopback" and not is_near):
        raise GatewayError(NOT_FOUND)
    if access == "loopback" and _may_be_run(request):
        raise GatewayError(NOT_FOUND)
    with context.database.read() as connection:
        live, ended = queue_stats.count_live(connection), queue_stats.count_ended(connection)
    text = context.metrics.render(live, ended, context.health())
    return Response(text, content_type=b"text/plain; version=0.0.4; charset=utf-8")


def _may_be_run(request: Request) -> bool:
    """Whether a neighbour may be a command of a run, which has the host's loopback where it has no network of its own."""
    isolation = request.context.launcher.machine.isolation
    if isolation is None:
        return False
    with request.context.database.read() as connection:
        is_shared = accounts.count_accounts(connection) > 1
    if isolation.user == os.geteuid() and not is_shared:
        return False  # one account on a machine of its own: whoever runs the server may read what it counts
    user = find_user(request.scope["client"], request.scope["server"])
    return user is None or user == isolation.user


def get_openapi(request: Request) -> Response:
    """Return the OpenAPI document."""
    return Response(request.context.documents.openapi_json)


def get_docs(request: Request) -> Response:
    """Return a page made from the OpenAPI document."""
    page, policy = request.context.documents.page
    return Response(page, content_type=b"text/html; charset=utf-8", headers=[(b"content-security-policy", policy)])


OPERATIONS: tuple[Operation, ...] = (
    Operation("get_health", "GET", "/healthz", "Is the server well?", get_health, "open", "none", response=Health),
    Operation(
        "get_metrics", "GET", "/metrics", "What the server counts of itself, for Prometheus.", get_metrics, "open", "none",
        content_type="text/plain",
    ),
    Operation("get_openapi", "GET", "/openapi.json", "This API as an OpenAPI document.", get_openapi, "open", "none"),
    Operation("get_docs", "GET", "/docs", "This API as a page.", get_docs, "open", "none", content_type="text/html"),
)  # fmt: skip
