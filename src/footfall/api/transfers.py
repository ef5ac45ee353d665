"""Uploads and downloads: bytes between the wire and a store, in a thread pool of their own, never whole in memory.

An upload is on the wire in the event loop and in the store's hands in a thread; the thread asks for the next piece when it
needs one, so that a fast client waits for a slow store. What breaks off leaves nothing. When the event loop gives a
transfer up, its thread notices within ``POLL_INTERVAL_S`` and ends.
"""

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

from footfall.api.http.bodies import ClientDisconnect, Receive, read_chunk
from footfall.api.http.errors import TIMED_OUT, TOO_LARGE, UNAVAILABLE, GatewayError
from footfall.api.http.responses import Download, Response, download_start
from footfall.api.request import Request
from footfall.config import Settings

CHUNK_BYTES = 1 << 20
POLL_INTERVAL_S = 0.5
MIN_BYTES_PER_S = 1024
"""A body that trickles slower than this, behind its first silence, holds a thread for nothing."""

T = TypeVar("T")
Send = Callable[[Any], Awaitable[None]]


class TransferAborted(Exception):
    """The other side of a transfer is gone."""


class Transfers:
    """The threads that move objects. More transfers at once than threads are refused."""

    def __init__(self, settings: Settings) -> None:
        self._pool = ThreadPoolExecutor(settings.transfer_threads, "transfer")
        self._free = threading.BoundedSemaphore(settings.transfer_threads)
        # Nobody may hold them all; with one account most of them are its own.
        self._most_of_account = max(1, settings.transfer_threads * 3 // 4)
        self._of_account: Counter[str] = Counter()  # touched in the event loop alone
        self._timeout_s, self._max_bytes = settings.body_timeout_s, settings.max_object_bytes

    async def upload(self, work: Callable[[Iterator[bytes]], Response], account_id: str, receive: Receive) -> Response:
        """Return what ``work`` makes of the body, in a transfer thread.

        Raises:
            GatewayError: every thread is busy; the body is too large, or silent for too long.
            ClientDisconnect: the connection broke off.
        """
        with self._slot(account_id) as bridge:
            return await bridge.run(self._pool, work, self._pieces(bridge, receive))

    async def download(self, work: Callable[[], Download], request: Request, receive: Receive, send: Send) -> None:
        """Send what ``work`` returns; stop reading the store when the client goes away or stops reading.

        Raises:
            GatewayError: every thread is busy.
            TransferAborted: nobody reads any more.
        """
        with self._slot(request.caller.account_id) as bridge:
            download = await bridge.run(self._pool, work)
            request.is_started = True
            await send(download_start(download, request.trace_id))
            watcher = asyncio.ensure_future(bridge.watch(receive))
            try:
                if download.chunks is not None:
                    await bridge.run(self._pool, self._push, bridge, download.chunks, send)
                await send({"type": "http.response.body", "body": b""})
            finally:
                watcher.cancel()

    @contextmanager
    def _slot(self, account_id: str) -> Iterator["_Bridge"]:
        if self._of_account[account_id] >= self._most_of_account or not self._free.acquire(blocking=False):
            raise GatewayError(UNAVAILABLE, "As many objects are under way as the server moves at once; try again.")
        self._of_account[account_id] += 1
        bridge = _Bridge()
        try:
            yield bridge
        finally:
            bridge.is_gone.set()
            self._free.release()
            self._of_account[account_id] -= 1
            if not self._of_account[account_id]:
                del self._of_account[account_id]

    def _pieces(self, bridge: "_Bridge", receive: Receive) -> Iterator[bytes]:
        async def next_chunk() -> tuple[bytes, bool] | Exception:
            chunks, size = [], 0
            while True:
                try:
                    chunk, more = await read_chunk(receive, self._timeout_s)
                except (ClientDisconnect, GatewayError) as error:
                    return error  # not raised here: when the thread is gone too, asyncio would log it as never seen
                chunks.append(chunk)
                size += len(chunk)
                if not more or size >= CHUNK_BYTES:
                    return b"".join(chunks), more
                if total + size < MIN_BYTES_PER_S * (time.monotonic() - started - self._timeout_s):
                    return GatewayError(TIMED_OUT, "The body comes too slowly.", [(b"connection", b"close")])

        total, more, started = 0, True, time.monotonic()
        while more:
            received = bridge.call(next_chunk())
            if isinstance(received, Exception):
                raise received
            chunk, more = received
            total += len(chunk)
            if total > self._max_bytes:
                raise GatewayError(TOO_LARGE, f"An object may have at most {self._max_bytes} bytes.")
            if chunk:
                yield chunk

    def _push(self, bridge: "_Bridge", chunks: Iterator[bytes], send: Send) -> None:
        async def push(chunk: bytes) -> bool:
            try:
                await asyncio.wait_for(send({"type": "http.response.body", "body": chunk, "more_body": True}), self._timeout_s)
            except TimeoutError:
                return False
            return True

        for chunk in chunks:
            for start in range(0, len(chunk), CHUNK_BYTES):
                if not bridge.call(push(chunk[start : start + CHUNK_BYTES])):
                    raise TransferAborted


class _Bridge:
    """Between the event loop and the thread of one transfer; made in the loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.is_gone = threading.Event()

    async def run(self, pool: ThreadPoolExecutor, work: Callable[..., T], *arguments: Any) -> T:
        """Return what ``work`` returns, in a thread of the pool."""
        return await self._loop.run_in_executor(pool, work, *arguments)

    async def watch(self, receive: Receive) -> None:
        """Notice when the client closes the connection."""
        while (await receive())["type"] != "http.disconnect":
            pass
        self.is_gone.set()

    def call(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Return what a coroutine returns in the event loop, from the thread.

        Raises:
            TransferAborted: the event loop, or the client, wants no more of this.
        """
        if self.is_gone.is_set():
            coroutine.close()
            raise TransferAborted
        future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        while not self.is_gone.is_set():
            try:
                return future.result(POLL_INTERVAL_S)
            except TimeoutError:
                continue
        future.cancel()
        raise TransferAborted
