"""The six operations that every kind of resource of ``/api/v1`` has, four of them documented."""

from collections.abc import Callable
from typing import Any

from footfall.api.http.errors import (
    ALREADY_ENDED,
    DUPLICATE_NAME,
    IN_USE,
    INVALID_JSON,
    INVALID_REQUEST,
    LIMIT_REACHED,
    NAME_TOO_LONG,
    NO_SUCH,
    Code,
)
from footfall.api.http.operations import Operation
from footfall.api.http.responses import Response
from footfall.api.nclue import wire as wire
from footfall.api.request import Mutation, Request
from footfall.behavior.resources import cancel
from footfall.compute.outputs.logs import read_log
from footfall.compute.reconciler.nodes import read_progress
from footfall.contract import nclue as shapes
from footfall.contract.queries import JobLogQuery, ResourcePage
from footfall.db.engine.engine import Connection
from footfall.db.resources import Resources
from footfall.records import RunStatus
from footfall.states import RunState


def progress_of(request: Request, run: RunStatus) -> shapes.ProgressBody | None:
    """Return how far a job is, None while it does not run."""
    if run.state is not RunState.IN_PROGRESS:
        return None
    progress = read_progress(request.context.settings.runs_root, run.run_id, run.attempt)
    return None if progress is None else shapes.ProgressBody(progress["stage"], progress["done"], progress["total"])


def _getter(kind: Resources[Any], parameter: str, body: Callable[..., Any]) -> Callable[[Request], Any]:
    def get_one(request: Request) -> Any:
        with request.context.database.read() as connection:
            resource = kind.get(connection, request.caller.account_id, request.params[parameter])
        return body(resource, progress_of(request, resource.run))

    return get_one


def _lister(
    kind: Resources[Any], body: Callable[..., Any], shape: Callable[..., shapes.ListPage]
) -> Callable[[Request], shapes.ListPage]:
    def list_page(request: Request) -> shapes.ListPage:
        query = request.read_query(ResourcePage)
        with request.context.database.read() as connection:
            page = kind.page(connection, request.caller.account_id, query.index, query.limit)
        return shape(query.index, query.limit, page.total, [body(item) for item in page.items])

    return list_page


def _deleter(parameter: str, delete: Callable[..., Any], shape: Callable[[str], Any]) -> Callable[[Request], Mutation]:
    def delete_one(request: Request) -> Mutation:
        apply = delete(request.caller, request.params[parameter])
        return Mutation(lambda tx: shape(apply(tx).id))

    return delete_one


def _canceller(kind: Resources[Any], parameter: str, body: Callable[[str, shapes.Status], Any]) -> Callable[[Request], Mutation]:
    def cancel_one(request: Request) -> Mutation:
        apply = cancel(request.context.behavior, request.caller, kind, request.params[parameter])

        def response(tx: Connection) -> Any:
            resource = apply(tx)
            return body(resource.id, wire.wire_status(resource.run))

        return Mutation(response)

    return cancel_one


def _log_reader(kind: Resources[Any], parameter: str) -> Callable[[Request], Response]:
    def get_log(request: Request) -> Response:
        query = request.read_query(JobLogQuery)
        with request.context.database.read() as connection:
            run = kind.get(connection, request.caller.account_id, request.params[parameter]).run
        page = read_log(request.context.settings.runs_root, run.run_id, run.attempt + 1, 0, query.offset, query.limit)
        is_complete = run.state.is_final and page.next_offset >= query.offset and (page.is_complete or not page.data)
        headers = [
            (b"x-next-offset", b"%d" % page.next_offset),
            (b"x-log-complete", b"true" if is_complete else b"false"),
            (b"content-disposition", b'attachment; filename="log.txt"'),
        ]
        return Response(page.data, content_type=b"text/plain; charset=utf-8", headers=headers)

    return get_log


_FIELDS = (INVALID_JSON, INVALID_REQUEST, NAME_TOO_LONG)
_NEW = (DUPLICATE_NAME, LIMIT_REACHED)
_LOG_HEADERS = (
    ("x-next-offset", "Offset of the first byte behind this piece."),
    ("x-log-complete", "`true` when the job has ended and this is the end of its log."),
)


def operations_of(
    noun: str,
    parameter: str,
    kind: Resources[Any],
    post: tuple[Any, type, type, tuple[Code, ...]],
    body: tuple[Callable[..., Any], type],
    list_: type,
    delete: tuple[Callable[..., Any], type],
    cancelled: type,
    *,
    listed: Callable[..., Any] | None = None,
) -> tuple[Operation, ...]:
    """Return the six operations of a kind; four are documented.

    Args:
        post: handler, shape of the request, shape of the answer, errors.
        body: what makes the shape that is shown of one, and that shape.
        list_: shape of a page.
        listed: what makes the shape that a list shows, if it is another.
        delete: ``(caller, id)`` to what deletes in a transaction, and the shape of the answer.
        cancelled: shape of the answer to cancel.
    """
    word, base = kind.kind, f"/api/v1/{noun}"
    one = f"{base}/{{{parameter}}}"
    id = word.replace(" ", "_")
    plural = f"{id}s"
    documented: dict[str, Any] = {"is_documented": True}
    return (
        Operation(
            f"create_{id}", "POST", base, f"Create a {word}.", post[0], "change", request=post[1], response=post[2],
            errors=_FIELDS + post[3] + _NEW, creates=True, wakes=True, **documented,
        ),
        Operation(
            f"get_{id}", "GET", one, f"Get a {word}.", _getter(kind, parameter, body[0]), response=body[1],
            errors=(NO_SUCH,), is_quick=True, **documented,
        ),
        Operation(
            f"list_{plural}", "GET", base, f"List {word}s, newest first.", _lister(kind, listed or body[0], list_),
            response=list_, query=ResourcePage, errors=(INVALID_REQUEST,), **documented,
        ),
        Operation(
            f"delete_{id}", "DELETE", one, f"Delete a {word}.", _deleter(parameter, *delete), "change", response=delete[1],
            errors=(NO_SUCH, IN_USE), wakes=True, **documented,
        ),
        Operation(
            f"cancel_{id}", "POST", f"{one}/cancel", f"Stop a {word} that has not ended.",
            _canceller(kind, parameter, cancelled), "change", response=cancelled, errors=(NO_SUCH, ALREADY_ENDED), wakes=True,
        ),
        Operation(
            f"get_{id}_log", "GET", f"{one}/log", f"Read the log of the job that makes a {word}.",
            _log_reader(kind, parameter), query=JobLogQuery, errors=(NO_SUCH, INVALID_REQUEST),
            content_type="text/plain", response_headers=_LOG_HEADERS,
        ),
    )  # fmt: skip
