"""A TCP proxy on loopback that fails on demand, between a server and its S3 store."""

import contextlib
import socket
import threading
from collections.abc import Iterator


class FaultyProxy:
    """Modes: pass; refuse (closes at once); hang (takes requests, answers none); deny (answers 403); cut (breaks answers off)."""

    def __init__(self, upstream: tuple[str, int]) -> None:
        self.mode = "pass"
        self.cut_after = 200_000
        self._upstream = upstream
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: set[socket.socket] = set()
        self.endpoint = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._listener.close()
        self.drop_all()

    def drop_all(self) -> None:
        """End every connection, so that a change of mode reaches clients that keep theirs."""
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()

    def set(self, mode: str) -> None:
        self.mode = mode
        self.drop_all()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._open.add(client)
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError), client:
            if self.mode == "refuse":
                return
            if self.mode == "hang":
                while client.recv(1 << 16):
                    pass
                return
            if self.mode == "deny":
                client.recv(1 << 16)
                body = b"<?xml version='1.0'?><Error><Code>AccessDenied</Code><Message>no</Message></Error>"
                client.sendall(b"HTTP/1.1 403 Forbidden\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(body) + body)
                return
            with socket.create_connection(self._upstream) as server:
                self._open.add(server)
                back = threading.Thread(target=self._pump, args=(server, client, self.mode == "cut"), daemon=True)
                back.start()
                self._pump(client, server, False)
                back.join()

    def _pump(self, source: socket.socket, sink: socket.socket, is_cut: bool) -> None:
        passed = 0
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                if is_cut and passed + len(data) > self.cut_after:
                    sink.sendall(data[: max(0, self.cut_after - passed)])
                    source.close()
                    sink.shutdown(socket.SHUT_RDWR)
                    return
                sink.sendall(data)
                passed += len(data)
            sink.shutdown(socket.SHUT_WR)


@contextlib.contextmanager
def faulty_proxy(endpoint: str) -> Iterator[FaultyProxy]:
    host, port = endpoint.removeprefix("http://").split(":")
    proxy = FaultyProxy((host, int(port)))
    try:
        yield proxy
    finally:
        proxy.close()
