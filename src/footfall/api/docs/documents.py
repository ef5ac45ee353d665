"""The OpenAPI document and its HTML page, each rendered on first use."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import msgspec

from footfall.api.docs.openapi import document
from footfall.api.docs.page import docs_page
from footfall.api.http.operations import Operation


class ApiDocuments:
    """The documents of a table of operations."""

    def __init__(self, operations: Sequence[Operation]) -> None:
        self._operations = operations

    @cached_property
    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document; do not change it."""
        return document(self._operations)

    @cached_property
    def openapi_json(self) -> bytes:
        """The OpenAPI document as JSON."""
        return msgspec.json.encode(self.openapi)

    @cached_property
    def page(self) -> tuple[bytes, bytes]:
        """The HTML page, and the content security policy that allows its style and nothing else."""
        return docs_page(self.openapi)
