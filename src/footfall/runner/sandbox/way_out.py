"""A way out of the network of a run's own: slirp4netns beside it makes the run's connections its own, as far as routes allow.

The program stays as long as a node's runner holds the pipe below the first node's directory open. What a run may not reach has
routes that prohibit it, which no command can change: it has no rights over its network. There is no IPv6 but loopback.

Source: slirp4netns(1), rtnetlink(7), linux/rtnetlink.h.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import struct

from footfall.runner.errors import LaunchError
from footfall.runner.process.spawn import fork_python
from footfall.runner.sandbox import network

TYPE_CHECKING = False
if TYPE_CHECKING:
    from footfall.contract.nodes import WayOutSpec

NAMESERVER = "240.0.2.3"
_NETWORK, _GATEWAY, _DEVICE = "240.0.2.0/25", "240.0.2.2", "tap0"  # of a range that is nobody's
_READY_TIMEOUT_S = 10.0
_NEW_ROUTE, _ERROR = 24, 2
_REQUEST_ACK_CREATE = 0x1 | 0x4 | 0x400
_MAIN_TABLE, _STATIC, _UNICAST, _PROHIBIT, _DESTINATION, _BY = 254, 4, 1, 8, 1, 5


def make(spec: WayOutSpec, pipe: str) -> int:
    """Make a network with a way out and enter it; return a descriptor that keeps the way open, as this process does if it stays.

    Args:
        pipe: the path at which the other nodes find the pipe.

    Raises:
        LaunchError: this machine does not let us.
    """
    denied = [*spec["denied"], *_own_addresses()]
    try:
        os.mkfifo(pipe, 0o600)
    except OSError as error:
        raise LaunchError(f"{pipe} cannot be made for the run's network: {error.strerror}.") from error
    held = os.open(pipe, os.O_RDWR | os.O_CLOEXEC)
    end = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    go_read, go_write = os.pipe2(os.O_CLOEXEC)
    ready_read, ready_write = os.pipe2(os.O_CLOEXEC)
    messages = os.memfd_create("slirp4netns", os.MFD_CLOEXEC)
    runner = os.getpid()

    def become_slirp() -> None:
        if not os.read(go_read, 1):
            os._exit(0)  # the network was not made
        for fd in (end, ready_write):
            os.set_inheritable(fd, True)
        for fd in (1, 2):
            os.dup2(messages, fd)
        options = ["--configure", "--mtu=65520", "--disable-host-loopback", f"--cidr={_NETWORK}"]
        options += [f"--ready-fd={ready_write}", f"--exit-fd={end}", str(runner), _DEVICE]
        os.execve(spec["program"], ["slirp4netns", *options], {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"})

    # Before the network is made: it needs the host's. Not tied to us: other nodes may need it longer.
    pid = fork_python(become_slirp, (end, go_read, ready_write, messages), is_tied=False)
    for fd in (end, go_read, ready_write):
        os.close(fd)
    is_made = False
    try:
        network.make()
        os.write(go_write, b"g")
        if not (select.select([ready_read], [], [], _READY_TIMEOUT_S)[0] and os.read(ready_read, 1)):
            said = os.pread(messages, 2000, 0).decode("utf-8", "replace").split()
            raise LaunchError(
                f"A way out of the run's own network (slirp4netns) did not come up: {' '.join(said) or 'no reason given'}."
            )
        _route(denied, spec["allowed"])
        is_made = True
    finally:
        if not is_made:
            os.close(held)
            os.kill(pid, signal.SIGKILL)
        for fd in (go_write, ready_read, messages):
            os.close(fd)
    return held


def hold(pipe: str) -> int:
    """Return a descriptor that keeps the way open which another node has made; call it once its network is entered.

    Raises:
        LaunchError: it has been closed.
    """
    try:
        return os.open(pipe, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise LaunchError(f"The way out of the run's network is gone: {error.strerror}; its first node has ended.") from error


def _own_addresses() -> list[str]:
    """Return the addresses of this machine but for loopback: what listens on them trusts its neighbours more than strangers."""
    found, address = set(), ""
    with open("/proc/net/fib_trie", encoding="ascii") as file:
        for line in file:
            words = line.split()
            if words[0] == "Id":
                break  # the tables that follow are the operator's own
            if words[0] == "|--":
                address = words[1]
            elif words[-1] == "LOCAL" and not address.startswith("127."):
                found.add(f"{address}{words[0]}")
    return sorted(found)


def _route(denied: list[str], allowed: list[str]) -> None:
    """Prohibit networks, and let through what lies in them: of two routes the narrower one counts."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as routes:
        for kind, networks in ((_PROHIBIT, denied), (_UNICAST, allowed)):
            for each in networks:
                address, _, bits = each.partition("/")
                body = struct.pack("=8BI", socket.AF_INET, int(bits or 32), 0, 0, _MAIN_TABLE, _STATIC, 0, kind, 0)
                body += struct.pack("=HH4s", 8, _DESTINATION, socket.inet_aton(address))
                if kind == _UNICAST:
                    body += struct.pack("=HH4s", 8, _BY, socket.inet_aton(_GATEWAY))
                routes.send(struct.pack("=IHHII", 16 + len(body), _NEW_ROUTE, _REQUEST_ACK_CREATE, 1, 0) + body)
                _, kind_of_answer, *_, number = struct.unpack_from("=IHHIIi", routes.recv(4096))
                if kind_of_answer == _ERROR and number:
                    raise LaunchError(f"The route for {each} cannot be set: {os.strerror(-number)}.")
