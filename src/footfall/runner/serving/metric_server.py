"""The endpoints of a user's command: metric points, and whether it wants to be attempted again. Loopback, plain HTTP/1.1.

Few lines on purpose: its input was written by the command, so everything about it is bounded, and it runs in a process of
its own. One thread answers, for no request takes long.

Source: the in-node contract, D2 and D4 rows 6 and 7.
"""

from __future__ import annotations

import hmac
import json
import os
import resource
import selectors
import signal
import socket
import time
from typing import TYPE_CHECKING, Any

from footfall import layout
from footfall.runner.files import replace_file
from footfall.runner.serving.http_wire import Connection, Request, respond
from footfall.runner.serving.metric_files import Metrics, PointError

if TYPE_CHECKING:
    from footfall.runner.environment import Endpoints

MAX_CONNECTIONS = 64
MAX_MEMORY_BYTES = 1 << 30
PUBLISH_S = 1.0
READ_POINTS = 10_000


def serve_endpoints(directory: str, endpoints: Endpoints, listener: int, report_fd: int) -> None:
    """Serve until SIGTERM; then write the summary.

    Args:
        directory: the node's, where the points go.
        report_fd: takes lines: ``dropped COUNT`` and ``rescheduled 0|1``.
    """
    resource.setrlimit(resource.RLIMIT_DATA, (MAX_MEMORY_BYTES, MAX_MEMORY_BYTES))
    with socket.socket(fileno=listener) as bound:
        bound.setblocking(False)
        Server(directory, endpoints, bound, report_fd).run()


class Server:
    """One command's endpoints."""

    def __init__(self, directory: str, endpoints: Endpoints, listener: socket.socket, report_fd: int) -> None:
        self._directory = directory
        self._endpoints = endpoints
        self._rescheduled = f"{endpoints.metadata}/v1/rescheduled".encode()
        self._listener = listener
        self._report_fd = report_fd
        self._metrics = Metrics(directory)
        self._reported_dropped = 0
        self._publish_at = 0.0
        self._selector = selectors.DefaultSelector()
        self._connections: dict[int, Connection] = {}
        self._is_over = False

    def run(self) -> None:
        """Answer until SIGTERM."""
        read_end, write_end = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(write_end)
        signal.signal(signal.SIGTERM, lambda *_: None)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        self._selector.register(read_end, selectors.EVENT_READ)
        self._selector.register(self._listener, selectors.EVENT_READ)
        while not self._is_over:
            for key, _ in self._selector.select(0.5 if self._connections or self._metrics.is_changed else 5.0):
                if key.fd == read_end:
                    self._is_over = True
                elif key.fileobj is self._listener:
                    self._accept()
                elif (connection := self._connections.get(key.fd)) and connection.socket is key.fileobj:
                    self._read(connection)
            self._tidy()
        self._publish()

    def _accept(self) -> None:
        try:
            accepted, _ = self._listener.accept()
        except OSError:
            return  # the client has gone already
        if len(self._connections) >= MAX_CONNECTIONS and not self._make_room():
            accepted.close()
            return
        accepted.setblocking(False)
        self._connections[accepted.fileno()] = Connection(accepted, time.monotonic(), self._is_known_target)
        self._selector.register(accepted, selectors.EVENT_READ)

    def _make_room(self) -> bool:
        """Close the oldest connection that has asked for no known path: the host's other runs can reach this port."""
        unknown = next((each for each in self._connections.values() if not each.is_known), None)
        if unknown is not None:
            self._close(unknown)
        return unknown is not None

    def _is_known_target(self, target: str) -> bool:
        path = target.partition("?")[0].encode()
        is_metrics = hmac.compare_digest(path, self._endpoints.metrics.encode())
        return is_metrics or hmac.compare_digest(path, self._rescheduled)

    def _read(self, connection: Connection) -> None:
        try:
            requests = connection.receive(time.monotonic())
            for request in requests:
                connection.send(self._answer(request))
            is_open = connection.is_open
        except (OSError, ValueError, MemoryError):
            is_open = False  # it broke off, is no HTTP, or all connections together send too much
        if not is_open:
            self._close(connection)

    def _answer(self, request: Request) -> bytes:
        try:
            return self._route(request)
        except PointError as error:
            return respond(400, {"error": str(error)})
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            return respond(400, {"error": f"The body is not JSON: {error}."})
        except (RecursionError, ValueError, ArithmeticError):
            return respond(400, {"error": "The body is nested too deep, or has a number that is too long."})
        except MemoryError:
            return respond(413, {"error": "The body takes too much memory; post fewer points at once."})

    def _route(self, request: Request) -> bytes:
        path = request.target.partition("?")[0].encode()
        if hmac.compare_digest(path, self._rescheduled):
            return self._answer_rescheduled(request)
        return self._answer_metrics(request)

    def _answer_metrics(self, request: Request) -> bytes:
        if request.method == "POST":
            # Integers become what is kept of them at once, however many digits they have.
            self._metrics.post(json.loads(request.body, parse_int=float))
            return respond(204)
        if request.method == "DELETE":
            self._metrics.reset()
            return respond(204)
        if request.method == "GET":
            return respond(200, self._metrics.read(READ_POINTS))
        return respond(405, {"error": f"{request.method} is none of GET, POST and DELETE."})

    def _answer_rescheduled(self, request: Request) -> bytes:
        if request.method != "PUT":
            return respond(405, {"error": f"{request.method} is not PUT."})
        secret = request.headers.get("x-nsml-run-secret", "")
        if not hmac.compare_digest(secret.encode(), self._endpoints.secret.encode()):
            return respond(401, {"error": "The header X-NSML-Run-Secret must hold the value of NSML_RUN_SECRET."})
        body: Any = json.loads(request.body)
        if not isinstance(body, dict) or not isinstance(body.get("rescheduled"), bool):
            return respond(400, {"error": 'The body must be {"rescheduled": true} or {"rescheduled": false}.'})
        self._report(f"rescheduled {int(body['rescheduled'])}")
        # Found here should the runner be lost; on a full disk it is enough that the runner has been told.
        replace_file(os.path.join(self._directory, layout.RESCHEDULED), json.dumps({"rescheduled": body["rescheduled"]}))
        return respond(200, {"rescheduled": body["rescheduled"]})

    def _tidy(self) -> None:
        now = time.monotonic()
        for connection in [each for each in self._connections.values() if each.is_late(now)]:
            self._close(connection)
        if self._metrics.is_changed and now >= self._publish_at:
            self._publish_at = now + PUBLISH_S
            self._publish()

    def _publish(self) -> None:
        self._metrics.publish()
        if self._metrics.n_dropped != self._reported_dropped:
            self._reported_dropped = self._metrics.n_dropped
            self._report(f"dropped {self._reported_dropped}")

    def _report(self, line: str) -> None:
        try:
            os.write(self._report_fd, f"{line}\n".encode())
        except BlockingIOError:
            pass  # the runner is busy; the next line replaces this one

    def _close(self, connection: Connection) -> None:
        self._selector.unregister(connection.socket)
        del self._connections[connection.socket.fileno()]
        connection.socket.close()
