"""The request that a handler gets, and the mutation that it may return."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

from footfall.api.context import AppContext
from footfall.api.http.operations import Operation
from footfall.api.http.query import Q, parse_query
from footfall.db.engine.engine import Connection
from footfall.records import Caller

NOBODY = Caller("", "", "", {})


@dataclass(slots=True)
class Request:
    """What a handler gets. ``caller`` is set when the signature was right, ``fields`` when the body was read."""

    context: AppContext
    operation: Operation
    params: dict[str, str]
    query: bytes
    headers: list[tuple[bytes, bytes]]
    scope: Any
    trace_id: str
    caller: Caller = NOBODY
    signature: bytes = b""
    timestamp_ms: int = 0
    body: bytes = b""
    fields: Any = None
    unknown: list[str] = field(default_factory=list)
    is_started: bool = False

    def read_query(self, kind: type[Q]) -> Q:
        """Return the query string as a struct; NSML's names are matched without case.

        Raises:
            GatewayError, InvalidFieldError: as ``parse_query``.
        """
        return parse_query(kind, self.query, ignore_case=self.operation.service == "nsml")


@dataclass(frozen=True, slots=True)
class Mutation:
    """The second half of a change: ``apply`` in the transaction that remembers the request, ``after`` when it is committed.

    ``within``: entered before the transaction and left behind ``after``. What ``after`` raises is the answer; the request
    counts as received all the same.
    """

    apply: Callable[[Connection], Any]
    after: Callable[[], None] | None = None
    within: AbstractContextManager[None] | None = None
