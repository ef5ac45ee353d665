"""Objects in and out: bytes between the wire and a store, in threads of their own, never whole in memory.

An upload is on the wire in the event loop and in the store's hands in a thread; the thread asks for the next piece when it
needs one, so that a fast client waits for a slow store. What breaks off leaves nothing.
"""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from footfall.api.bodies import Receive, read_piece
from footfall.api.errors import TOO_LARGE, UNAVAILABLE, GatewayError
from footfall.api.operations import Request
from footfall.api.responses import Answer, Download, head_of_download
from footfall.config import Settings

PIECE_BYTES = 1 << 20

Send = Callable[[Any], Awaitable[None]]
Upload = Callable[[Request, Iterator[bytes]], Answer]


class ReaderGoneError(Exception):
    """Nobody reads a download any more."""


class Transfers:
    """The threads that move objects. More transfers at once than threads are refused."""

    def __init__(self, settings: Settings) -> None:
        self._pool = ThreadPoolExecutor(settings.transfer_threads, "transfer")
        self._free = threading.BoundedSemaphore(settings.transfer_threads)
        self._timeout_s, self._max_bytes = settings.body_timeout_s, settings.max_object_bytes

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Hold one of the threads until the block ends.

        Raises:
            GatewayError: every thread is busy.
        """
        if not self._free.acquire(blocking=False):
            raise GatewayError(UNAVAILABLE, "As many objects are under way as the server moves at once; try again.")
        try:
            yield
        finally:
            self._free.release()

    async def run(self, work: Callable[..., Any], *arguments: Any) -> Any:
        """Return what ``work`` returns, in a transfer thread; call it within a ``slot``."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, work, *arguments)

    def pieces(self, receive: Receive) -> Iterator[bytes]:
        """Return the body of a request as an iterator for a transfer thread; call this in the event loop.

        Raises, from the iterator:
            GatewayError: too large, or silent for too long.
            ClientGoneError: the connection broke off.
        """
        loop, limit = asyncio.get_running_loop(), self._max_bytes

        async def next_piece() -> tuple[bytes, bool]:
            pieces, size = [], 0
            while True:
                piece, more = await read_piece(receive, self._timeout_s)
                pieces.append(piece)
                size += len(piece)
                if not more or size >= PIECE_BYTES:
                    return b"".join(pieces), more

        def iterate() -> Iterator[bytes]:
            total, more = 0, True
            while more:
                piece, more = asyncio.run_coroutine_threadsafe(next_piece(), loop).result()
                total += len(piece)
                if total > limit:
                    raise GatewayError(TOO_LARGE, f"An object may have at most {limit} bytes.")
                if piece:
                    yield piece

        return iterate()

    async def download(self, download: Download, request: Request, receive: Receive, send: Send) -> None:
        """Send a download; stop reading the store when the client goes away or stops reading."""
        loop, is_gone = asyncio.get_running_loop(), threading.Event()

        async def watch() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass
            is_gone.set()

        def push(chunks: Iterator[bytes]) -> None:
            for chunk in chunks:
                for start in range(0, len(chunk), PIECE_BYTES):
                    if is_gone.is_set():
                        raise ReaderGoneError
                    message = {
                        "type": "http.response.body",
                        "body": chunk[start : start + PIECE_BYTES],
                        "more_body": True,
                    }
                    sending = asyncio.run_coroutine_threadsafe(asyncio.wait_for(send(message), self._timeout_s), loop)
                    sending.result()

        request.is_started = True
        await send(head_of_download(download, request.trace_id))
        watcher = asyncio.ensure_future(watch())
        try:
            if download.chunks is not None:
                await loop.run_in_executor(self._pool, push, download.chunks)
            await send({"type": "http.response.body", "body": b""})
        finally:
            watcher.cancel()

    def close(self) -> None:
        """Let the threads end when they are done."""
        self._pool.shutdown(wait=False)
