"""The record of an operation, read by routing, OpenAPI, the reference page and the contract tests."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from footfall.api.http.errors import Code

Kind = Literal["read", "change", "upload", "download", "stream", "open"]
"""``read``: signed, no change. ``change``: signed, remembered. ``upload``, ``download``: moved through a transfer thread.
``stream``: as ``read``, but may go on for as long as a run lives. ``open``: unsigned."""

Service = Literal["nclue", "nsml", "accounts", "data", "none"]
"""Which chapter of the API it belongs to."""

Permission = Literal["nobody", "key", "member", "viewer", "manager", "nsml_viewer", "nsml_manager", "owner"]
"""Who may call, see ``PERMISSIONS``."""

PERMISSIONS: dict[Permission, str] = {
    "nobody": "anybody, without a signature",
    "key": "any user of the account, whatever the roles",
    "member": "VIEWER or MANAGER of any service",
    "viewer": "VIEWER or MANAGER of NCLUE",
    "manager": "MANAGER of NCLUE",
    "nsml_viewer": "VIEWER or MANAGER of NSML",
    "nsml_manager": "MANAGER of NSML",
    "owner": "MANAGER of every service, who manages the account",
}
"""The rule of roles. What is NCLUE's, and the data that it works on, is read by its viewers and changed by its managers; the
account is seen by all who have a role in it and changed by who manages every service; everybody sees the own keys."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One thing that can be asked for.

    Args:
        path: a template; ``{name}`` is one segment, ``{name...}`` at the end is all that follow.
        handler: gets a ``Request``. A ``read`` returns a struct or a ``Response``, a ``change`` returns a ``Mutation``; an
            ``upload`` also gets the pieces of the body and the ``RequestMemory``, and returns a ``Response``.
        requires: None: to read needs a viewer of the service (NCLUE if it has no roles of its own), all else a manager.
        query: the struct of its query string, see ``api/http/query.py``.
        creates: it makes something that takes space and starts a run or an upload.
        wakes: it may make, cancel or free something that the reconciler waits for.
        is_quick: it reads one row by its key.
        content_type: of the answer, where it is not JSON.
        status: of the answer when all went well.
        has_own_answer: the operation is documented, the body of its answer is ours.
    """

    id: str
    method: str
    path: str
    summary: str
    handler: Callable[..., Any]
    kind: Kind = "read"
    service: Service = "nclue"
    requires: Permission | None = None
    request: type[Any] | None = None
    response: type[Any] | None = None
    query: type[msgspec.Struct] | None = None
    errors: tuple[Code, ...] = ()
    creates: bool = False
    wakes: bool = False
    is_quick: bool = False
    is_documented: bool = False
    content_type: str = "application/json"
    response_headers: tuple[tuple[str, str], ...] = ()
    status: int = 200
    has_own_answer: bool = False

    @property
    def permission(self) -> Permission:
        """Who may call it."""
        if self.kind == "open":
            return "nobody"
        if self.requires is not None:
            return self.requires
        may_view = self.kind in ("read", "download", "stream")
        if self.service == "nsml":
            return "nsml_viewer" if may_view else "nsml_manager"
        return "viewer" if may_view else "manager"
