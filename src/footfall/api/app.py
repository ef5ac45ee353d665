"""The ASGI app: route, authenticate, read the body, run the handler in a thread. The only broad exception handler of the API."""

import asyncio
import functools
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import structlog
from structlog.contextvars import bound_contextvars

from footfall.api.auth import Authenticator, check_access
from footfall.api.context import AppContext
from footfall.api.http.bodies import ClientDisconnect, Receive, read_body
from footfall.api.http.errors import UNAVAILABLE, error_response, plain_error_response, unexpected
from footfall.api.http.operations import Operation
from footfall.api.http.responses import Response, json_response, new_trace_id, response_start
from footfall.api.http.routing import Router
from footfall.api.log_streaming import LogBroadcaster, StreamClosed
from footfall.api.mutations import handle_mutation, handle_upload
from footfall.api.request import Request
from footfall.api.transfers import Send, TransferAborted, Transfers
from footfall.errors import FootfallError

log = structlog.get_logger("footfall.api")

Scope = Any
T = TypeVar("T")
OPERATION = "footfall.operation"
"""Where a scope names the operation that answers it, for the count of requests; all that reach none count as ``none``."""


class Application:
    """One app a process."""

    def __init__(self, context: AppContext, operations: Sequence[Operation]) -> None:
        self._context = context
        self._router = Router(operations)
        self._authenticator = Authenticator(context)
        self._threads = ThreadPoolExecutor(context.settings.threads, "answer")
        self._transfers = Transfers(context.settings)
        # SQLite's readers wait for nobody, and a row by its key costs less than a change of threads.
        self._may_answer_inline = context.database.is_sqlite
        self._handlers_by_kind: dict[str, Callable[[Request, Receive, Send], Awaitable[Response | None]]] = {
            "open": self._open,
            "read": self._read,
            "change": self._change,
            "upload": self._upload,
            "download": self._download,
            "stream": self._stream,
        }
        self._broadcaster = LogBroadcaster()
        self._metrics = context.metrics

    def end_streams(self) -> None:
        """Break off whatever would go on for ever; called in the event loop when the server stops."""
        self._broadcaster.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            raise RuntimeError(f"only HTTP is served here, not {scope['type']}")
        trace_id = new_trace_id()
        started = time.perf_counter()
        try:
            response = await self._answer(scope, receive, send, trace_id)
        except (ClientDisconnect, TransferAborted, StreamClosed) as error:
            log.info("client_disconnected", trace_id=trace_id, error=repr(error))
            return
        if response is None:
            return
        self._metrics.observe_request(scope.get(OPERATION, "none"), response.status, time.perf_counter() - started)
        await send(response_start(response, trace_id))
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else response.body})

    async def _answer(self, scope: Scope, receive: Receive, send: Send, trace_id: str) -> Response | None:
        request: Request | None = None
        try:
            operation, params = self._router.match(scope["method"], scope["raw_path"])
            scope[OPERATION] = operation.id
            request = Request(self._context, operation, params, scope["query_string"], scope["headers"], scope, trace_id)
            return await self._handlers_by_kind[operation.kind](request, receive, send)
        except FootfallError as error:
            response = error_response(error, _service_of(request))
            if response.status >= 500:
                log.warning("request_refused", trace_id=trace_id, status=response.status, error=repr(error))
        except (ClientDisconnect, TransferAborted, StreamClosed):
            raise
        except asyncio.CancelledError:
            # uvicorn waited long enough for its end; swallowed here, for it would log whatever comes out as broken.
            log.info("request_cancelled", trace_id=trace_id)
            response = plain_error_response(UNAVAILABLE, "The server stops. See whether this was done, and send it again if not.")
        except Exception:  # the app's door: whatever broke is logged, and answered with its trace id
            log.exception("request_failed", trace_id=trace_id, method=scope["method"])
            response = plain_error_response(unexpected(_service_of(request)))
        if request is not None and request.is_started:
            log.info("response_aborted", trace_id=trace_id, status=response.status)
            return None  # too late for an answer: the server closes the connection, and the client sees a short body
        return response

    async def _open(self, request: Request, _receive: Receive, _send: Send) -> Response:
        response: Response = await self._in_thread(request.operation.handler, request)
        return response

    async def _read(self, request: Request, _receive: Receive, _send: Send) -> Response:
        if self._may_answer_inline and request.operation.is_quick:
            return self._authenticate_and_read(request)
        return await self._in_thread(self._authenticate_and_read, request)

    async def _change(self, request: Request, receive: Receive, _send: Send) -> Response:
        settings = self._context.settings
        await self._authenticate(request)
        request.body = await read_body(receive, settings.max_body_bytes, settings.body_timeout_s)
        return await self._in_thread(_traced, handle_mutation, request)

    async def _upload(self, request: Request, receive: Receive, _send: Send) -> Response:
        await self._authenticate(request)
        return await self._transfers.upload(
            functools.partial(_traced, handle_upload, request), request.caller.account_id, receive
        )

    async def _download(self, request: Request, receive: Receive, send: Send) -> None:
        await self._authenticate(request)
        await self._transfers.download(functools.partial(_traced, _checked, request), request, receive, send)

    async def _stream(self, request: Request, receive: Receive, send: Send) -> Response | None:
        await self._authenticate(request)
        result = await self._in_thread(_checked, request)
        if isinstance(result, Response):
            return result
        request.is_started = True
        await self._broadcaster.stream(result, request.trace_id, receive, send)
        return None

    async def _authenticate(self, request: Request) -> None:
        if self._may_answer_inline:
            self._authenticator.authenticate(request)
        else:
            await self._in_thread(self._authenticator.authenticate, request)

    def _authenticate_and_read(self, request: Request) -> Response:
        self._authenticator.authenticate(request)
        check_access(request)
        value = request.operation.handler(request)
        return value if isinstance(value, Response) else json_response(value)

    async def _in_thread(self, work: Callable[..., T], *arguments: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work, *arguments)


def _traced(work: Callable[..., T], request: Request, *arguments: Any) -> T:
    with bound_contextvars(trace_id=request.trace_id):
        response = work(request, *arguments)
        log.info("request_answered", operation=request.operation.id, account_id=request.caller.account_id)
        return response


def _service_of(request: Request | None) -> str:
    return "" if request is None else request.operation.service


def _checked(request: Request) -> Any:
    check_access(request)
    return request.operation.handler(request)
