"""Connections of strangers: what they may cost after the head was read, and when descriptors run out."""

import contextlib
import resource
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from footfall import Client
from footfall.api.http import protocol
from live_server import LiveServer, live_server

POST = b"POST /api/v1/features HTTP/1.1\r\nHost: a\r\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    home = tmp_path_factory.mktemp("connections") / "home"
    with live_server(home, environment={"FOOTFALL_HEADER_TIMEOUT_S": "1.5", "FOOTFALL_KEEP_ALIVE_S": "2"}) as server:
        yield server


@contextlib.contextmanager
def connection(server: LiveServer) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", int(server.endpoint.rpartition(":")[2])), timeout=8) as made:
        yield made


def is_closed(made: socket.socket) -> bool:
    """Return whether the server ends a connection within the time of the socket."""
    try:
        while made.recv(1 << 16):
            pass
    except TimeoutError:
        return False
    except OSError:
        return True
    return True


@pytest.mark.parametrize(
    ("head", "more"),
    [
        (POST + b"Content-Length: 10\r\n\r\n", b"x"),
        (POST + b"Content-Length: 10\r\n\r\n", b""),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n", b"0\r\nx: y\r\n"),
        (b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n", b"\r\n"),
        (b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n", b"G"),
    ],
)
def test_row_25_what_comes_after_an_answer_keeps_no_connection_open(head: bytes, more: bytes, server: LiveServer) -> None:
    with connection(server) as made:
        made.sendall(head)
        assert made.recv(1 << 16).startswith(b"HTTP/1.1 ")
        made.sendall(more)
        assert is_closed(made)


def test_row_25_the_next_request_and_the_rest_of_a_body_are_no_such_thing(server: LiveServer) -> None:
    with connection(server) as made:
        for _ in range(3):
            made.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
            time.sleep(0.8)  # together longer than the time of a head; head and content are there by now
            assert made.recv(1 << 16).startswith(b"HTTP/1.1 200")
    with connection(server) as made:  # many requests in few packets
        made.sendall(2_000 * b"GET /nothing-that-is-there HTTP/1.1\r\nHost: a\r\n\r\n")
        answers = b""
        while answers.count(b"HTTP/1.1 404") < 2_000 and (more := made.recv(1 << 16)):
            answers += more
        assert answers.count(b"HTTP/1.1 404") == 2_000
    with connection(server) as made:
        made.sendall(POST + b"Content-Length: 200000\r\n\r\n")
        made.sendall(200_000 * b"x")
        assert made.recv(1 << 16).startswith(b"HTTP/1.1 401")


def test_row_08_trailers_are_bounded_and_are_no_headers(server: LiveServer) -> None:
    with connection(server) as made:
        made.sendall(POST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n")
        with pytest.raises(OSError):  # closed while they come
            made.sendall(b"".join(b"trailer-%d: %s\r\n" % (n, 4_000 * b"y") for n in range(4_000)))
    with connection(server) as made:
        made.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nx: y\r\n\r\n")
        assert made.recv(1 << 16).startswith(b"HTTP/1.1 200")


def test_row_08_a_target_with_a_fragment_is_refused(server: LiveServer) -> None:
    with connection(server) as made:
        made.sendall(b"GET /healthz#x HTTP/1.1\r\nHost: a\r\n\r\n")
        assert made.recv(1 << 16).startswith(b"HTTP/1.1 400")


def test_row_25_connections_leave_descriptors_to_everything_else(monkeypatch: pytest.MonkeyPatch) -> None:
    for soft, fit in ((1_024, 768), (256, 192), (100, 36), (20_000, 1_024), (resource.RLIM_INFINITY, 1_024)):
        monkeypatch.setattr(resource, "getrlimit", lambda _, soft=soft: (soft, soft))
        assert protocol.fit_connections(1_024) == fit


def test_row_25_a_server_without_descriptors_lives_and_goes_on_when_there_are_some(tmp_path: Path) -> None:
    with live_server(tmp_path / "home") as server, Client(home=tmp_path / "home") as client:
        project = client.projects.create("trial").id
        lives = client.runs.create(project, "sleep 60", product=1, image="host")
        pid = server.process.pid
        before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (60, before[1]))
        with contextlib.ExitStack() as stack:
            for _ in range(150):
                stack.enter_context(connection(server))
            time.sleep(4)  # every interval of the reconciler's loop is shorter
            assert server.process.poll() is None
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
        client.runs.stop(lives)
        ended = client.runs.wait(client.runs.create(project, "true", product=1, image="host"), timeout_s=60)
        assert ended.state == "completed"
        assert "reconcile_failed" in (tmp_path / "home" / "server.log").read_text()
