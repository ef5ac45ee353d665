"""As much of HTTP/1.1 as programs that post metrics use, with every size and time bounded. Knows no metrics.

Not h11: loading it takes 40 % more processor time than all else that a runner loads, and 1.8 MB, for every run.

Source: RFC 9112.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from typing import NamedTuple

HEAD_S = 10.0
BODY_S = 30.0
IDLE_S = 300.0
MAX_HEAD_BYTES = 16 << 10
MAX_BODY_BYTES = 16 << 20
_CHUNK = 256 << 10
_MEANINGS = {
    200: "OK", 204: "No Content", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found", 405: "Method Not Allowed",
    411: "Length Required", 413: "Content Too Large",
}  # fmt: skip


class Request(NamedTuple):
    """One request; the names of its headers are in lower case."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


class Connection:
    """One client, and what it has sent so far.

    ``is_known``: it has requested a path that cannot be guessed.

    Args:
        knows: whether the target of a request is such a thing; a body is taken for no other.
    """

    def __init__(self, accepted: socket.socket, now: float, knows: Callable[[str], bool]) -> None:
        self.socket = accepted
        self.is_known = False
        self._is_known_target = knows
        self.is_open = True
        self._data = bytearray()
        self._head: tuple[str, str, dict[str, str], int, int] | None = None
        self._deadline = now + HEAD_S

    def is_late(self, now: float) -> bool:
        """Whether it has been silent for too long."""
        return now >= self._deadline

    def receive(self, now: float) -> list[Request]:
        """Read what there is and return the requests that are whole.

        Raises:
            OSError: the connection broke.
            ValueError: this is no HTTP, or more than is taken; an answer was sent where one is due.
        """
        try:
            data = self.socket.recv(_CHUNK)
        except BlockingIOError:
            return []
        if not data:
            self.is_open = False
            return []
        self._data += data
        requests: list[Request] = []
        while (request := self._take(now)) is not None:
            requests.append(request)
        return requests

    def send(self, answer: bytes) -> None:
        """Send an answer, or raise OSError when the client does not take it within a moment."""
        try:
            sent = self.socket.send(answer)
        except BlockingIOError:
            sent = 0
        if sent < len(answer):
            # Only the answer to GET is longer than what the kernel keeps for a client; that one may take a moment.
            self.socket.settimeout(1.0)
            self.socket.sendall(answer[sent:])
            self.socket.setblocking(False)

    def _take(self, now: float) -> Request | None:
        if self._head is None and not self._parse_head():
            return None
        assert self._head is not None
        method, target, headers, start, length = self._head
        if len(self._data) < start + length:
            self._deadline = now + BODY_S
            return None
        body = bytes(self._data[start : start + length])
        del self._data[: start + length]
        self._head = None
        self._deadline = now + (HEAD_S if self._data else IDLE_S)
        if headers.get("connection", "").lower() == "close":
            self.is_open = False
        return Request(method, target, headers, body)

    def _parse_head(self) -> bool:
        end = self._data.find(b"\r\n\r\n", 0, MAX_HEAD_BYTES)
        if end < 0:
            if len(self._data) >= MAX_HEAD_BYTES:
                self._refuse(400, "The head of the request is too long.")
            return False
        first, *lines = bytes(self._data[:end]).decode("latin-1").split("\r\n")
        method, target, version = first.split(" ")
        if not version.startswith("HTTP/1."):
            raise ValueError("no HTTP/1")
        if not self._is_known_target(target):
            self._refuse(404, "There is nothing here; take the address from NSML_METRIC_API.")
        self.is_known = True
        pairs = [line.partition(":") for line in lines]
        headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
        if version == "HTTP/1.0":
            headers["connection"] = "close"
        length = self._length(headers)
        self._head = method, target, headers, end + 4, length
        if headers.get("expect", "").lower() == "100-continue":
            self.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        return True

    def _length(self, headers: dict[str, str]) -> int:
        if "transfer-encoding" in headers:
            self._refuse(411, "Send the body with a Content-Length.")
        text = headers.get("content-length", "0")
        if not text.isascii() or not text.isdecimal():
            self._refuse(400, "The Content-Length is no number.")
        if len(text) > 10 or int(text) > MAX_BODY_BYTES:
            self._refuse(413, f"The body is larger than {MAX_BODY_BYTES:,} bytes; post fewer points at once.")
        return int(text)

    def _refuse(self, status: int, sentence: str) -> None:
        self.send(respond(status, {"error": sentence}, close=True))
        raise ValueError(sentence)


def respond(status: int, content: object = None, *, close: bool = False) -> bytes:
    """Return an answer with a JSON body, or with none for 204."""
    head = f"HTTP/1.1 {status} {_MEANINGS[status]}\r\n"
    if close:
        head += "Connection: close\r\n"
    if status == 204:
        return f"{head}\r\n".encode()
    body = json.dumps(content).encode()
    return f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
