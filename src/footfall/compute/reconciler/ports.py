"""Ports on which the nodes of a run meet. Knows no runs."""

import contextlib
import socket
from collections.abc import Container
from itertools import chain

FIRST_PORT, LAST_PORT = 29_500, 30_499


class Ports:
    """Hands out one port after the other, so that one that was just given back rests the longest."""

    def __init__(self) -> None:
        self._next = FIRST_PORT

    def find_free(self, taken: Container[int]) -> int | None:
        """Return a port that is not taken and that a program could listen on now, or None."""
        for port in chain(range(self._next, LAST_PORT + 1), range(FIRST_PORT, self._next)):
            if port not in taken and _can_listen(port):
                self._next = port + 1 if port < LAST_PORT else FIRST_PORT
                return port
        return None


def _can_listen(port: int) -> bool:
    with contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_STREAM)) as probe:
        # As launchers listen: what rests in TIME_WAIT is no hindrance to them.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
            probe.listen(1)
        except OSError:
            return False
    return True
