"""uvicorn's HTTP protocol with what it lacks: limits of time and size for all but bodies that are read, and our error bodies.

That is a request's head, what comes after an answer until the next head is there, and what stands between and behind parts of
a chunked body. Trailers are dropped: they are never headers.
"""

import asyncio
import resource

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from footfall.records import new_id

MAX_HEAD_BYTES = 64 << 10
LINGER_S = 1.0
_RESERVE = 64
"""Descriptors that connections leave to runs, the database and stores."""


class GuardedProtocol(HttpToolsProtocol):
    """One connection."""

    header_timeout_s = 10.0
    max_connections = 1024

    _head_timer: asyncio.TimerHandle | None = None
    _unused_bytes = 0
    """So many came since a head ended or a part of a body was read."""
    _has_used = False
    _is_in_body = False
    _is_refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > self.max_connections:
            self._refuse(503, "500", "Endpoint Error", "Too many connections are open; try again in a moment.")
            return
        self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        self._unused_bytes = 0
        self._is_in_body = False
        self._start_timer()
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._is_in_body:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._stop_timer()
        self._is_in_body = self._has_used = True
        if len(self.url) + sum(len(name) + len(value) for name, value in self.headers) > MAX_HEAD_BYTES:
            self._refuse_head()
            # httptools hands this to send_400_response, which sees that we have answered.
            raise ValueError("the head is too large")
        if b"#" in self.url:
            raise ValueError("a fragment is never sent, and would be no part of what was signed")
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._has_used = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        if self._is_answered():  # before its body was read; whoever sends on has the time of a head for it
            self._stop_timer()
            self.transport.close()
        super().on_message_complete()

    def data_received(self, data: bytes) -> None:
        if self._is_refused or self.transport.is_closing():
            return
        if self._is_answered():  # uvicorn's clock stops with the first byte, and starts with the next answer
            self._start_timer()
        self._has_used = False
        super().data_received(data)
        self._unused_bytes = 0 if self._has_used else self._unused_bytes + len(data)
        if self._unused_bytes > MAX_HEAD_BYTES:
            if self._is_in_body:
                self._give_up()
            else:
                self._refuse_head()

    def _is_answered(self) -> bool:
        return self.cycle is not None and self.cycle.response_complete

    def send_400_response(self, msg: str) -> None:
        if not self._is_refused:
            self._refuse(400, "100", "Bad Request Exception", "The request is not valid HTTP/1.1.")

    def _refuse_head(self) -> None:
        self._refuse(431, "430", "Request Entity Too Large", f"A request's head may have {MAX_HEAD_BYTES} bytes.")

    def _start_timer(self) -> None:
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(self.header_timeout_s, self._give_up)

    def _give_up(self) -> None:
        self._stop_timer()
        self.transport.abort()

    def _stop_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _refuse(self, status: int, code: str, message: str, details: str) -> None:
        body = f'{{"error":{{"errorCode":"{code}","message":"{message}","details":"{details}"}}}}'.encode()
        head = f"HTTP/1.1 {status} {message}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n"
        head += f"x-ncp-trace-id: {new_id()}\r\n"
        self._is_refused = True
        self.transport.write(head.encode() + b"connection: close\r\n\r\n" + body)
        # Closing on bytes that are still coming would reset the connection before the client has read why.
        if self.transport.can_write_eof():
            self.transport.write_eof()
            self.loop.call_later(LINGER_S, self.transport.close)
        else:
            self.transport.close()


def fit_connections(wanted: int) -> int:
    """Return how many connections may be open at once: as many as wanted, if descriptors are left for everything else."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return wanted if soft == resource.RLIM_INFINITY else max(1, min(wanted, soft - max(_RESERVE, soft // 4)))


def make_protocol(header_timeout_s: float, max_connections: int = 1024) -> type[HttpToolsProtocol]:
    """Return a protocol class that closes connections whose request head takes longer, and refuses more connections."""
    limits = {"header_timeout_s": header_timeout_s, "max_connections": max_connections}
    return type("LimitedProtocol", (GuardedProtocol,), limits)
