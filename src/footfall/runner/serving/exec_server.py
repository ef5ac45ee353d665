"""The entrance to a live node: a local client asks for a program inside, beside the command, and gets its terminal.

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
from typing import TYPE_CHECKING, Any, NamedTuple

from footfall import layout
from footfall.runner.process import kernel, tree
from footfall.runner.process.spawn import fork
from footfall.runner.sandbox import bubblewrap, host, seccomp
from footfall.runner.serving import shell

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from footfall.runner.images.image import ImageView
    from footfall.runner.process.poller import Ears

MOST_BYTES = 64 << 10
PATIENCE_S = 2.0
_MOST_SILENT = 16
_PEER = struct.Struct("3i")


class Surroundings(NamedTuple):
    """What a node's command has around it. ``first`` is its sandbox's first process, 0 where there is none."""

    isolation: Mapping[str, Any]
    image: ImageView
    environment: Mapping[str, str]
    directory: str
    uid: int | None
    paths: tuple[Sequence[str], Sequence[str]] | None
    max_processes: int | None
    first: int


class Entrance:
    """Listens in a node's directory."""

    def __init__(self, directory: str, around: Surroundings, ears: Ears) -> None:
        self._around = around
        self._directory = directory
        self._ears = ears
        self._guests: dict[int, socket.socket] = {}
        self._silent: list[socket.socket] = []
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        # Through a descriptor, for a socket's path may have only a hundred bytes.
        handle = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            path = f"/proc/self/fd/{handle}/{layout.ENTRANCE}"
            self._listener.bind(f"{path}~")
            os.chmod(f"{path}~", 0o600)
            self._listener.listen(8)
            os.rename(f"{path}~", path)  # who finds it is heard at once
        except OSError:
            self._listener.close()
            raise
        finally:
            os.close(handle)
        self._listener.setblocking(False)
        ears.open(self._listener.fileno(), lambda _: self._let_in())

    def child_ended(self, pid: int, status: int) -> None:
        """Tell a guest that its program has ended."""
        guest = self._guests.pop(pid, None)
        if guest is None:
            return
        self._ears.close(guest.fileno(), keep=True)
        with guest:
            _tell(guest, {"exit_code": os.waitstatus_to_exitcode(status)})

    def _let_in(self) -> None:
        try:
            guest, _ = self._listener.accept()
        except OSError:
            return  # it thought better of it
        guest.setblocking(False)
        if len(self._silent) == _MOST_SILENT:
            self._drop(self._silent[0])
        self._silent.append(guest)
        self._ears.open(guest.fileno(), lambda _: self._hear(guest))

    def _drop(self, guest: socket.socket) -> None:
        self._silent.remove(guest)
        self._ears.close(guest.fileno(), keep=True)
        guest.close()

    def _hear(self, guest: socket.socket) -> None:
        """Serve a guest that says something: who comes and is silent must keep the runner from nothing."""
        self._silent.remove(guest)
        self._ears.close(guest.fileno(), keep=True)
        try:
            self._serve(guest)
        except (OSError, ValueError, KeyError, TypeError, struct.error, RecursionError) as error:
            _tell(guest, {"error": str(error)})
            guest.close()

    def _serve(self, guest: socket.socket) -> None:
        _, uid, _ = _PEER.unpack(guest.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size))
        if uid not in (0, os.geteuid()):
            raise PermissionError("another user's process")
        data, given, _, _ = socket.recv_fds(guest, MOST_BYTES, 4)
        guest.settimeout(PATIENCE_S)
        ours: list[int] = []
        try:
            self._check_proof(given)
            asked = json.loads(data)
            if len(given) == 4:
                descriptors = (given[1], given[2], given[3])
            else:
                master, slave = pty.openpty()
                ours = [master, slave]
                descriptors = (slave, slave, slave)
                size = struct.pack("HHHH", int(asked["rows"]), int(asked["columns"]), 0, 0)
                fcntl.ioctl(slave, termios.TIOCSWINSZ, size)
            pid = self._start([str(word) for word in asked["argv"]], str(asked["term"]), descriptors, bool(ours))
            self._guests[pid] = guest
            self._ears.open(guest.fileno(), lambda _: self._guest_left(pid))
            try:
                socket.send_fds(guest, [b'{"started": true}\n'], ours[:1])
            except OSError:
                self._guest_left(pid)  # it went while its program was started
        finally:
            for fd in (*given, *ours):
                os.close(fd)

    def _check_proof(self, given: Sequence[int]) -> None:
        """Let in only who could open a file of the node: commands of other runs may have our user, and find the socket."""
        own = os.stat(os.path.join(self._directory, layout.SPEC))
        shown = os.fstat(given[0]) if given else None
        if shown is None or not os.path.samestat(own, shown) or fcntl.fcntl(given[0], fcntl.F_GETFL) & os.O_PATH:
            raise PermissionError("the client has not shown that it may read the node's files")

    def _guest_left(self, pid: int) -> None:
        """End a program whose guest has gone; nobody sees what it does any more."""
        guest = self._guests.pop(pid, None)
        if guest is not None:
            self._ears.close(guest.fileno(), keep=True)
            guest.close()
            tree.signal_all([*tree.Tree().below(pid), pid], tree.SIGKILL)

    def _start(self, argv: list[str], term: str, descriptors: tuple[int, int, int], has_terminal: bool) -> int:
        around = self._around
        environment = {**around.environment, "TERM": term or "dumb"}
        argv = argv or [around.image.shell]
        if not around.first:
            return host.start(
                argv,
                environment,
                descriptors,
                directory=around.directory,
                uid=around.uid,
                max_processes=around.max_processes,
                paths=around.paths,
                has_terminal=has_terminal,
            )
        text = shell.write_script(
            environment, argv, around.directory, has_bash=around.image.has_bash, max_processes=around.max_processes
        )
        script = shell.memory_file("footfall", text)
        try:
            return self._join(environment, descriptors, script, has_terminal)
        finally:
            os.close(script)

    def _join(
        self, environment: Mapping[str, str], descriptors: tuple[int, int, int], script: int, has_terminal: bool
    ) -> int:
        """Start a shell in the namespaces of the sandbox; it drops its rights as the command's did."""
        around = self._around
        argv = ["nsenter", "--target", str(around.first), "--mount", "--uts", "--ipc", "--pid", "--wd=/"]
        argv += [] if around.uid is not None else ["--user", "--preserve-credentials"]
        argv += [
            "--",
            *bubblewrap.drop_rights(around.isolation, around.image),
            around.image.shell,
            "-c",
            shell.READ_SCRIPT,
        ]
        names = ("FOOTFALL_RUN_ID", "FOOTFALL_RUN_MARKER")
        bare = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", **{name: environment[name] for name in names}}
        calls = seccomp.build_filter(may_join=True)
        parent = os.getpid()

        def prepare() -> None:
            kernel.die_with_parent(parent)
            if has_terminal:
                fcntl.ioctl(0, termios.TIOCSCTTY, 0)
            if around.uid is None:
                # Bubblewrap made the others in one user namespace and its command's in a second one below that, which
                # has no rights over them: so enter by the first. nsenter joins a user namespace last where it can.
                kernel.join_owner(f"/proc/{around.first}/ns/mnt")
                kernel.gain_no_privileges()
            if calls is not None:
                kernel.filter_calls(calls)

        return fork(argv, bare, descriptors, directory="/", inherit={shell.SCRIPT_FD: script}, prepare=prepare)


def _tell(guest: socket.socket, content: Mapping[str, object]) -> None:
    try:
        guest.sendall(json.dumps(content).encode() + b"\n")
    except OSError:
        pass  # it has gone; there is nobody to tell
