"""The exec server of a live node: a local client has a program started inside, beside the command, and gets its terminal.

A socket in the node's directory, which only the server's user can reach. The program has the command's user, its variables
and nothing more. A terminal is made here and its other end is handed to the client: the client's own terminal never is in
reach of what runs in the node.

The client sends one JSON object {``argv``, ``rows``, ``columns``, ``term``} with a descriptor of the node's ``spec.json`` that
can be read, which proves that it may read there, and three more unless it wants a terminal. It is answered with
``{"started": true}``, the terminal's descriptor with it, and at the end ``{"exit_code": N}``.
"""

from __future__ import annotations

import fcntl
import json
import os
import pty
import socket
import struct
import termios
from typing import TYPE_CHECKING, NamedTuple

from footfall import layout
from footfall.runner.process import kernel, tree
from footfall.runner.process.spawn import fork
from footfall.runner.sandbox import bubblewrap, host, seccomp, shell

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from footfall.contract.nodes import ExecReply, ExecRequest, IsolationSpec
    from footfall.runner.image import ImageView
    from footfall.runner.process.poller import Poller

MAX_BYTES = 64 << 10
REQUEST_TIMEOUT_S = 2.0
_MAX_UNAUTHENTICATED = 16
_PEER = struct.Struct("3i")


class ExecContext(NamedTuple):
    """What a program needs to run beside a node's command. ``first`` is its sandbox's first process, 0 where there is none."""

    isolation: IsolationSpec
    image: ImageView
    environment: Mapping[str, str]
    directory: str
    uid: int | None
    paths: tuple[Sequence[str], Sequence[str]] | None
    max_processes: int | None
    first: int


class ExecServer:
    """Listens in a node's directory."""

    def __init__(self, directory: str, context: ExecContext, poller: Poller) -> None:
        self._context = context
        self._directory = directory
        self._poller = poller
        self._clients: dict[int, socket.socket] = {}
        self._unauthenticated: list[socket.socket] = []
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        # Through a descriptor, for a socket's path may have only a hundred bytes.
        handle = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            path = f"/proc/self/fd/{handle}/{layout.EXEC_SOCKET}"
            self._listener.bind(f"{path}~")
            os.chmod(f"{path}~", 0o600)
            self._listener.listen(8)
            os.rename(f"{path}~", path)  # a client that finds it is served at once
        except OSError:
            self._listener.close()
            raise
        finally:
            os.close(handle)
        self._listener.setblocking(False)
        poller.register(self._listener.fileno(), lambda _: self._accept())

    def child_ended(self, pid: int, status: int) -> None:
        """Send a client the exit code of its program."""
        client = self._clients.pop(pid, None)
        if client is None:
            return
        self._poller.unregister(client.fileno(), keep=True)
        with client:
            _send(client, {"exit_code": os.waitstatus_to_exitcode(status)})

    def _accept(self) -> None:
        try:
            client, _ = self._listener.accept()
        except OSError:
            return  # the client has gone
        client.setblocking(False)
        if len(self._unauthenticated) == _MAX_UNAUTHENTICATED:
            self._drop(self._unauthenticated[0])
        self._unauthenticated.append(client)
        self._poller.register(client.fileno(), lambda _: self._on_request(client))

    def _drop(self, client: socket.socket) -> None:
        self._unauthenticated.remove(client)
        self._poller.unregister(client.fileno(), keep=True)
        client.close()

    def _on_request(self, client: socket.socket) -> None:
        """Serve a client that has sent something: one that connects and stays silent must not delay the runner."""
        self._unauthenticated.remove(client)
        self._poller.unregister(client.fileno(), keep=True)
        try:
            self._serve(client)
        except (OSError, ValueError, KeyError, TypeError, struct.error, RecursionError) as error:
            _send(client, {"error": str(error)})
            client.close()

    def _serve(self, client: socket.socket) -> None:
        _, uid, _ = _PEER.unpack(client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size))
        if uid not in (0, os.geteuid()):
            raise PermissionError("another user's process")
        data, received, _, _ = socket.recv_fds(client, MAX_BYTES, 4)
        client.settimeout(REQUEST_TIMEOUT_S)
        terminal: list[int] = []
        try:
            self._check_proof(received)
            request: ExecRequest = json.loads(data)
            if len(received) == 4:
                descriptors = (received[1], received[2], received[3])
            else:
                master, slave = pty.openpty()
                terminal = [master, slave]
                descriptors = (slave, slave, slave)
                size = struct.pack("HHHH", int(request["rows"]), int(request["columns"]), 0, 0)
                fcntl.ioctl(slave, termios.TIOCSWINSZ, size)
            pid = self._start([str(word) for word in request["argv"]], str(request["term"]), descriptors, bool(terminal))
            self._clients[pid] = client
            self._poller.register(client.fileno(), lambda _: self._client_left(pid))
            try:
                socket.send_fds(client, [b'{"started": true}\n'], terminal[:1])
            except OSError:
                self._client_left(pid)  # it went while its program was started
        finally:
            for fd in (*received, *terminal):
                os.close(fd)

    def _check_proof(self, received: Sequence[int]) -> None:
        """Serve only clients that could open a file of the node: other runs' commands may have our user, and find the socket."""
        own = os.stat(os.path.join(self._directory, layout.SPEC))
        shown = os.fstat(received[0]) if received else None
        if shown is None or not os.path.samestat(own, shown) or fcntl.fcntl(received[0], fcntl.F_GETFL) & os.O_PATH:
            raise PermissionError("the client has not shown that it may read the node's files")

    def _client_left(self, pid: int) -> None:
        """End a program whose client has gone; nobody sees what it does any more."""
        client = self._clients.pop(pid, None)
        if client is not None:
            self._poller.unregister(client.fileno(), keep=True)
            client.close()
            tree.signal_all([*tree.Tree().descendants(pid), pid], tree.SIGKILL)

    def _start(self, argv: list[str], term: str, descriptors: tuple[int, int, int], has_terminal: bool) -> int:
        context = self._context
        environment = {**context.environment, "TERM": term or "dumb"}
        argv = argv or [context.image.shell]
        if not context.first:
            return host.start(
                argv,
                environment,
                descriptors,
                directory=context.directory,
                uid=context.uid,
                max_processes=context.max_processes,
                paths=context.paths,
                has_terminal=has_terminal,
            )
        text = shell.write_script(
            environment, argv, context.directory, has_bash=context.image.has_bash, max_processes=context.max_processes
        )
        script = shell.memory_file("footfall", text)
        try:
            return self._join(environment, descriptors, script, has_terminal)
        finally:
            os.close(script)

    def _join(self, environment: Mapping[str, str], descriptors: tuple[int, int, int], script: int, has_terminal: bool) -> int:
        """Start a shell in the namespaces of the sandbox; it drops its rights as the command's did."""
        context = self._context
        argv = ["nsenter", "--target", str(context.first), "--mount", "--uts", "--ipc", "--pid"]
        argv += [] if context.uid is not None else ["--user", "--preserve-credentials"]
        argv += ["--", *bubblewrap.drop_rights(context.isolation, context.image), context.image.shell, "-c", shell.READ_SCRIPT]
        names = ("FOOTFALL_RUN_ID", "FOOTFALL_RUN_MARKER")
        bare = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", **{name: environment[name] for name in names}}
        calls = seccomp.build_filter(may_join=True)
        parent = os.getpid()

        def prepare() -> None:
            kernel.die_with_parent(parent)
            if has_terminal:
                fcntl.ioctl(0, termios.TIOCSCTTY, 0)
            if context.uid is None:
                # Bubblewrap made the others in one user namespace and its command's in a second one below that, which
                # has no rights over them: so enter by the first. nsenter joins a user namespace last where it can.
                kernel.join_owner(f"/proc/{context.first}/ns/mnt")
                kernel.gain_no_privileges()
            if calls is not None:
                kernel.filter_calls(calls)

        return fork(argv, bare, descriptors, directory="/", inherit={shell.SCRIPT_FD: script}, prepare=prepare)


def _send(client: socket.socket, content: ExecReply) -> None:
    try:
        client.sendall(json.dumps(content).encode() + b"\n")
    except OSError:
        pass  # the client has gone
