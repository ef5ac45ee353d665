"""The operations on every kind of resource that a job makes. Knows no kind."""

import time
from collections.abc import Iterator
from typing import Generic, TypeVar
from urllib.parse import quote

import msgspec

from footfall.client.replies import Resource, reply
from footfall.client.transport import Transport
from footfall.client.waiting import FIRST_PAUSE_S, MAX_PAUSE_S, Patience
from footfall.errors import InputError, ServiceError

R = TypeVar("R", bound=Resource)

PAGE = 100
LOG_CHUNK_BYTES = 1 << 20


def object_path(bucket: str, key: str) -> str:
    """Return the route of an object."""
    return f"/data/v1/{quote(bucket, safe='')}/{quote(key, safe='/')}"


class Resources(Generic[R]):
    """The verbs that every kind has: get, list, delete, cancel, log."""

    def __init__(self, transport: Transport, kind: type[R], path: str, array: str) -> None:
        self._transport, self._kind, self._path, self._array = transport, kind, path, array

    def get(self, id: str) -> R:
        """Return one, with its status and progress as they are now."""
        return reply(self._kind, self._transport.json("GET", self._one(id)))

    def list(self, limit: int | None = None) -> Iterator[R]:
        """Yield all of the account's, newest first, requesting more pages as they are needed."""
        index, seen = 0, set[str]()
        while limit is None or len(seen) < limit:
            page = self._transport.json("GET", self._path, {"index": index, "limit": PAGE})
            items = page[self._array]
            for item in items:
                resource = reply(self._kind, item)
                if resource.id in seen:  # one that was made meanwhile pushed it to this page
                    continue
                seen.add(resource.id)
                yield resource
                if limit is not None and len(seen) >= limit:
                    return
            index += len(items)
            if not items or index >= page["total"]:
                return

    def find(self, name_or_id: str) -> R:
        """Return the one with this id, or else with this name.

        Raises:
            InputError: there is none.
        """
        if len(name_or_id) == 36 and name_or_id.count("-") == 4:
            try:
                return self.get(name_or_id)
            except ServiceError as error:
                if error.status != 404:
                    raise
        for resource in self.list():
            if resource.name == name_or_id:
                return self.get(resource.id)
        what = self._path.rpartition("/")[2][:-1].replace("-", " ")
        raise InputError(f"There is no {what} with the id or name {name_or_id!r}; list them to see which there are.")

    def delete(self, id: str) -> None:
        """Delete one that is not running and that nothing unfinished depends on."""
        self._transport.json("DELETE", self._one(id))

    def cancel(self, id: str) -> None:
        """Stop one that has not ended; it becomes ``failed`` with ``CANCELLED``."""
        self._transport.json("POST", self._one(id) + "/cancel")

    def log(self, id: str, *, follow: bool = False, offset: int = 0) -> Iterator[bytes]:
        """Yield the log of the job from a byte offset; with ``follow``, until the job has ended."""
        pause_s, patience = FIRST_PAUSE_S, Patience()
        while True:
            query = {"offset": offset, "limit": LOG_CHUNK_BYTES}
            try:
                answer = self._transport.call("GET", self._one(id) + "/log", query)
                chunk = self._transport.read(answer)
            except ServiceError as error:
                if not follow:
                    raise
                patience.bear(error)
                time.sleep(MAX_PAUSE_S)
                continue
            patience.reset()
            if chunk:
                yield chunk
                pause_s = FIRST_PAUSE_S
            offset = int(answer.headers.get("x-next-offset", offset + len(chunk)))
            if answer.headers.get("x-log-complete", "").lower() == "true":
                return
            if not chunk:
                if not follow:
                    return
                time.sleep(pause_s)
                pause_s = min(MAX_PAUSE_S, pause_s * 1.5)

    def _one(self, id: str) -> str:
        return f"{self._path}/{quote(id, safe='')}"

    def _create(self, request: msgspec.Struct) -> R:
        return reply(self._kind, self._transport.json("POST", self._path, body=request))
