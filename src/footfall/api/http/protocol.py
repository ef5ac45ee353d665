"""uvicorn's HTTP protocol with what it lacks: a time limit and a size limit for a request's head, and our error bodies."""

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from footfall.records import new_id

MAX_HEAD_BYTES = 64 << 10
LINGER_S = 1.0


class GuardedProtocol(HttpToolsProtocol):
    """One connection."""

    header_timeout_s = 10.0
    max_connections = 1024

    _head_timer: asyncio.TimerHandle | None = None
    _head_bytes = 0
    _is_refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > self.max_connections:
            self._refuse(503, "500", "Endpoint Error", "Too many connections are open; try again in a moment.")
            return
        self._head_timer = self.loop.call_later(self.header_timeout_s, self._give_up)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        self._head_bytes = 0
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(self.header_timeout_s, self._give_up)
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._stop_timer()
        if len(self.url) + sum(len(name) + len(value) for name, value in self.headers) > MAX_HEAD_BYTES:
            self._refuse_head()
            # httptools hands this to send_400_response, which sees that we have answered.
            raise ValueError("the head is too large")
        super().on_headers_complete()

    def data_received(self, data: bytes) -> None:
        if self._is_refused or self.transport.is_closing():
            return
        super().data_received(data)
        if self._head_timer is not None:  # the head goes on; a body never gets here
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                self._refuse_head()

    def send_400_response(self, msg: str) -> None:
        if not self._is_refused:
            self._refuse(400, "100", "Bad Request Exception", "The request is not valid HTTP/1.1.")

    def _refuse_head(self) -> None:
        self._refuse(431, "430", "Request Entity Too Large", f"A request's head may have {MAX_HEAD_BYTES} bytes.")

    def _give_up(self) -> None:
        self._head_timer = None
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


def make_protocol(header_timeout_s: float, max_connections: int = 1024) -> type[HttpToolsProtocol]:
    """Return a protocol class that closes connections whose request head takes longer, and refuses more connections."""
    limits = {"header_timeout_s": header_timeout_s, "max_connections": max_connections}
    return type("LimitedProtocol", (GuardedProtocol,), limits)
