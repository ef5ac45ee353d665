"""Match method and raw path to an operation: the path that was signed, decoded once, segment by segment.

An empty segment, ``.`` or ``..``, an encoded ``/`` and control characters reach no handler, whatever they would mean to others;
where a name may stand they are refused as a name.
"""

from collections.abc import Iterable
from urllib.parse import unquote_to_bytes

from footfall.api.http.errors import BAD_REQUEST, NOT_FOUND, NSML_NOT_FOUND, WRONG_METHOD, GatewayError
from footfall.api.http.operations import Operation
from footfall.files.untrusted import has_controls


class _Node:
    __slots__ = ("child", "literals", "operations", "rest")

    def __init__(self) -> None:
        self.literals: dict[str, _Node] = {}
        self.child: _Node | None = None
        self.rest: _Node | None = None
        self.operations: dict[str, tuple[Operation, tuple[str, ...]]] = {}


class Router:
    """A tree of path segments."""

    def __init__(self, operations: Iterable[Operation]) -> None:
        self._root = _Node()
        for operation in operations:
            self._add(operation)

    def match(self, method: str, raw_path: bytes) -> tuple[Operation, dict[str, str]]:
        """Return the operation and its path parameters.

        Raises:
            GatewayError: no such path, or not by this method.
        """
        segments = _segments(raw_path)
        node, values = self._walk(segments)
        if not node.operations:
            raise GatewayError(NOT_FOUND)
        odd = next((each for each in segments if each in ("", ".", "..") or "/" in each or has_controls(each)), None)
        if odd is not None:
            details = f"{odd[:80]!r} in the path is no name: one is not empty, . or .., and has no / and no control characters."
            is_nsml = any(operation.service == "nsml" for operation, _ in node.operations.values())
            raise GatewayError(NSML_NOT_FOUND if is_nsml else NOT_FOUND, details)
        match = node.operations.get(method)
        if match is None:
            allowed = ", ".join(sorted(node.operations))
            raise GatewayError(WRONG_METHOD, f"This URL knows {allowed} only.", [(b"allow", allowed.encode("ascii"))])
        operation, names = match
        return operation, dict(zip(names, values, strict=True))

    def _walk(self, segments: list[str]) -> tuple[_Node, list[str]]:
        node, values = self._root, []
        for position, segment in enumerate(segments):
            literal = node.literals.get(segment)
            if literal is not None:
                node = literal
            elif node.child is not None:
                node = node.child
                values.append(segment)
            elif node.rest is not None:
                values.append("/".join(segments[position:]))
                return node.rest, values
            else:
                raise GatewayError(NOT_FOUND)
        return node, values

    def _add(self, operation: Operation) -> None:
        node, names = self._root, []
        for segment in operation.path.split("/")[1:]:
            if not segment.startswith("{"):
                node = node.literals.setdefault(segment, _Node())
                continue
            name = segment.strip("{}")
            names.append(name.removesuffix("..."))
            if name.endswith("..."):
                node.rest = node.rest or _Node()
                node = node.rest
            else:
                node.child = node.child or _Node()
                node = node.child
        node.operations[operation.method] = (operation, tuple(names))


def _segments(raw_path: bytes) -> list[str]:
    if not raw_path.startswith(b"/"):
        raise GatewayError(NOT_FOUND)
    return [_decode(segment) for segment in raw_path.split(b"/")[1:]]


def _decode(segment: bytes) -> str:
    try:
        text = (unquote_to_bytes(segment) if b"%" in segment else segment).decode("utf-8")
    except UnicodeDecodeError as error:
        raise GatewayError(BAD_REQUEST, "The path is not UTF-8; percent-encode UTF-8 bytes.") from error
    return text
