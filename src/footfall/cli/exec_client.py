"""Run a program in a live node of a run on this host: the client of its runner's exec server. Knows no run, only a directory.

Only the user that the server runs as, or root, can reach a node's directory.
"""

import contextlib
import fcntl
import json
import os
import select
import shutil
import signal
import socket
import struct
import sys
import termios
import tty
from collections.abc import Iterator, Sequence
from pathlib import Path

from footfall import layout
from footfall.contract.nodes import ExecReply, ExecRequest, shell_exit_code
from footfall.errors import NotFoundError, WrongStateError

_MAX_BYTES = 1 << 16


def enter(node_dir: Path, argv: Sequence[str]) -> int:
    """Run a program next to the command of a node and return its exit code, 128 + n for signal n.

    With a terminal on standard input the program gets one of its own, which is relayed to this one; else it gets this process's
    standard input, output and error.

    Args:
        argv: the program and its arguments; nothing starts the image's shell.

    Raises:
        NotFoundError: the node does not run, here.
        WrongStateError: the node's runner could not start the program; the state says why.
    """
    with _connect(node_dir) as connection:
        is_terminal = os.isatty(0)
        size = shutil.get_terminal_size()
        term = os.environ.get("TERM", "")
        request = ExecRequest(argv=list(argv), rows=size.lines, columns=size.columns, term=term)
        # Proof of access: a command of the same user, confined by Landlock, reaches the socket but not this file.
        proof = os.open(node_dir / layout.SPEC, os.O_RDONLY | os.O_CLOEXEC)
        try:
            socket.send_fds(connection, [json.dumps(request).encode()], [proof] if is_terminal else [proof, 0, 1, 2])
            data, descriptors, _, _ = socket.recv_fds(connection, _MAX_BYTES, 1)
        except ConnectionError as error:  # the node ended between accepting the connection and answering
            raise NotFoundError("running node", str(node_dir)) from error
        finally:
            os.close(proof)
        first, _, rest = data.partition(b"\n")
        reply: ExecReply = json.loads(first or b'{"error": "its runner ended"}')
        if "error" in reply:
            raise WrongStateError("node", node_dir.name, str(reply["error"]), ["a node that runs"])
        if descriptors:
            with _raw_terminal(descriptors[0]):
                _relay(descriptors[0])
            os.close(descriptors[0])
        return _exit_code(connection, rest)


def _connect(node_dir: Path) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        handle = os.open(node_dir, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            # A socket's path may have only a hundred bytes.
            connection.connect(f"/proc/self/fd/{handle}/{layout.EXEC_SOCKET}")
        finally:
            os.close(handle)
    except OSError as error:
        connection.close()
        raise NotFoundError("running node", str(node_dir)) from error
    return connection


def _exit_code(connection: socket.socket, data: bytes) -> int:
    while b"\n" not in data:
        chunk = connection.recv(_MAX_BYTES)
        if not chunk:
            return shell_exit_code(-signal.SIGKILL)  # the node ended, and the program with it
        data += chunk
    reply: ExecReply = json.loads(data)
    return shell_exit_code(reply["exit_code"])


@contextlib.contextmanager
def _raw_terminal(terminal: int) -> Iterator[None]:
    """Pass every key and each change of the terminal's size on."""

    def resize(*_: object) -> None:
        size = shutil.get_terminal_size()
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", size.lines, size.columns, 0, 0))

    before = termios.tcgetattr(0)
    previous = signal.signal(signal.SIGWINCH, resize)
    try:
        tty.setraw(0, termios.TCSADRAIN)  # what was typed ahead is for the program
        yield
    finally:
        termios.tcsetattr(0, termios.TCSADRAIN, before)
        signal.signal(signal.SIGWINCH, previous)


def _relay(terminal: int) -> None:
    """Relay bytes between this terminal and the program's until that is closed."""
    sources = [0, terminal]
    while True:
        for source in select.select(sources, [], [])[0]:
            try:
                data = os.read(source, _MAX_BYTES)
            except OSError:
                data = b""  # what Linux returns when the last program on a terminal has exited
            if not data and source == terminal:
                return
            if not data:
                sources.remove(0)
            elif source == terminal:
                sys.stdout.buffer.write(data)
                sys.stdout.buffer.flush()
            else:
                os.write(terminal, data)
