"""Stream logs as they grow to any number of followers; the only responses of unbounded length.

Every follower reads the log from an offset of its own, so that a slow one falls behind and loses nothing; what they share is
who looks for news. Followers are told of news a few at a time, so that other requests get their turn between them. One that
takes nothing for ``STALL_S`` is dropped, and goes on from its offset when it comes back.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from footfall.api.http.responses import FIXED_HEADERS, TRACE_HEADER
from footfall.compute.outputs.logs import LogTail
from footfall.errors import DatabaseUnavailableError, FootfallError
from footfall.lines import LinePicker

POLL_INTERVAL_S = 0.1
CROWD = 50
"""With more followers than this the log is looked at less often, in proportion, down to every ``CROWD_LOOK_S``."""
CROWD_LOOK_S = 0.4
AT_ONCE = 20
QUERY_INTERVAL_S = 1.0
STALL_S = 60.0
CHUNK_BYTES = 1 << 18

Send = Callable[[Any], Any]
Receive = Callable[[], Any]


class StreamClosed(Exception):
    """A stream ends before its log does; the connection is closed without an end, so that the client knows."""


@dataclass(frozen=True, slots=True)
class RunNow:
    """What a follower needs to know of a run: how many attempts before this one, and whether it has ended."""

    attempt: int
    is_final: bool


@dataclass(frozen=True, slots=True)
class LogStream:
    """A log to follow. ``ask`` reads the run's row; it raises when the run is gone.

    Args:
        key: of the run and node: followers with one key share the looking.
        needle: only lines that hold it.
    """

    key: tuple[str, int]
    open_tail: Callable[[], LogTail]
    ask: Callable[[], RunNow]
    offset: int
    needle: bytes = b""


class LogBroadcaster:
    """All streams of one server; lives in its event loop."""

    def __init__(self) -> None:
        self._watched: dict[tuple[str, int], _WatchedLog] = {}
        self._followers: set[asyncio.Task[Any]] = set()
        self._is_closing = False

    @property
    def n_followers(self) -> int:
        """How many streams are open."""
        return len(self._followers)

    def close(self) -> None:
        """Break every stream off: the server stops, and its clients come back with their offsets."""
        self._is_closing = True
        for task in self._followers:
            task.cancel()

    async def stream(self, stream: LogStream, trace_id: str, receive: Receive, send: Send) -> None:
        """Send a log until its run has ended or the client has gone.

        Raises:
            StreamClosed: the server stops, the run was deleted, or the client took nothing for too long.
        """
        await send(_head(stream.offset, trace_id))
        follower = asyncio.ensure_future(self._follow(stream, send))
        gone = asyncio.ensure_future(_until_gone(receive))
        self._followers.add(follower)
        try:
            if self._is_closing:
                follower.cancel()
            await asyncio.wait((follower, gone), return_when=asyncio.FIRST_COMPLETED)
            if follower.done():
                with contextlib.suppress(asyncio.CancelledError):
                    await follower
                    await send({"type": "http.response.body", "body": b""})
                    return
                raise StreamClosed
        finally:
            self._followers.discard(follower)
            for task in (follower, gone):
                task.cancel()

    async def _follow(self, stream: LogStream, send: Send) -> None:
        watched = self._watched.get(stream.key)
        if watched is None:
            watched = self._watched[stream.key] = _WatchedLog(stream)
            watched.task = asyncio.ensure_future(watched.poll())
        watched.n_followers += 1
        lines = LinePicker(stream.needle) if stream.needle else None
        offset = stream.offset
        try:
            while True:
                while offset < watched.tail.size:
                    data = watched.tail.read(offset, CHUNK_BYTES)
                    if not data:
                        break
                    offset += len(data)
                    await _push(send, lines.take(data) if lines else data)
                    # A send that need not wait, or none at all, would keep everybody else from their turn.
                    await asyncio.sleep(0)
                if watched.error is not None:
                    raise StreamClosed from watched.error
                if watched.is_over:
                    if lines:
                        await _push(send, lines.rest())
                    return
                await watched.wait()
        finally:
            watched.n_followers -= 1
            if not watched.n_followers and self._watched.get(stream.key) is watched:
                del self._watched[stream.key]
                watched.close()


class _WatchedLog:
    """One log that somebody follows: its end, and those who wait for it to move."""

    def __init__(self, stream: LogStream) -> None:
        self._ask = stream.ask
        self.tail = stream.open_tail()
        self.n_followers = 0
        self.is_over = False
        self.error: Exception | None = None
        self.task: asyncio.Task[None] | None = None
        self._waiting: list[asyncio.Future[None]] = []

    async def wait(self) -> None:
        """Return when there is news."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        await future

    async def poll(self) -> None:
        """Look for news until the run has ended."""
        try:
            await self._poll()
        except Exception as error:  # whatever it is, those who wait must hear of it
            self.error = error
            await self._notify()
            raise

    async def _poll(self) -> None:
        queried_at = -QUERY_INTERVAL_S
        while not self.is_over and self.error is None:
            has_grown = self.tail.poll()
            if not has_grown and time.monotonic() - queried_at >= (POLL_INTERVAL_S if self.tail.has_ended else QUERY_INTERVAL_S):
                queried_at = time.monotonic()
                has_grown = await self._compare()
            if has_grown or self.is_over or self.error is not None:
                await self._notify()
            crowd = max(1.0, self.n_followers / CROWD)
            await asyncio.sleep(min(CROWD_LOOK_S, POLL_INTERVAL_S * crowd))

    async def _compare(self) -> bool:
        """Compare the log with the run's row; True when there is more to read."""
        try:
            now = await asyncio.get_running_loop().run_in_executor(None, self._ask)
        except DatabaseUnavailableError:
            return False  # it is asked again soon, and the log goes on without it
        except FootfallError as error:
            self.error = error
            return False
        size = self.tail.size
        if self.tail.attempt < now.attempt:
            self.tail.poll()
            self.tail.go_on()
        elif now.is_final:
            self.tail.poll()
            self.is_over = True
        return self.tail.size > size

    async def _notify(self) -> None:
        waiting, self._waiting = self._waiting, []
        for index, future in enumerate(waiting):
            if not future.done():
                future.set_result(None)
            if index % AT_ONCE == AT_ONCE - 1:
                await asyncio.sleep(0)

    def close(self) -> None:
        if self.task is not None:
            self.task.cancel()
        self.tail.close()


async def _push(send: Send, data: bytes) -> None:
    if not data:
        return
    try:
        async with asyncio.timeout(STALL_S):
            await send({"type": "http.response.body", "body": data, "more_body": True})
    except TimeoutError as error:
        raise StreamClosed from error


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _head(offset: int, trace_id: str) -> dict[str, Any]:
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (TRACE_HEADER, trace_id.encode()),
        (b"x-start-offset", b"%d" % offset),
        *FIXED_HEADERS,
    ]
    return {"type": "http.response.start", "status": 200, "headers": headers}
