"""Rendezvous: the nodes of a run wait for each other before any of their commands starts.

Each node's runner publishes its address in a file beside the others', once all that must precede its command is done, and
waits until every one has. The first node's runner may also make a network namespace for them all, which the others enter.
Knows nodes that share a data directory; a later executor over several hosts publishes through the store.
"""

from __future__ import annotations

import json
import os
import time

from footfall import layout
from footfall.runner.errors import LaunchError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from footfall.contract.nodes import NodeAddress, NodeSpec, WayOutSpec
    from footfall.runner.files import NodeFiles

LOOPBACK = "127.0.0.1"
_HOSTS = 254
_POLL_INTERVAL_S = 0.02


class Rendezvous:
    """The nodes of one attempt, seen from one of them.

    Args:
        wait: waits so many seconds while signals are handled; raises what ends the wait.
    """

    def __init__(self, files: NodeFiles, spec: NodeSpec, wait: Callable[[float], None]) -> None:
        self._files = files
        assert spec["workload"] is not None
        self._rank = spec["rank"]
        self._n_nodes = spec["n_nodes"]
        self._timeout_s = spec["workload"]["start_timeout_s"]
        self._deadline = time.monotonic() + self._timeout_s
        self._wait = wait

    def share_network(self, way_out: WayOutSpec | None) -> None:
        """Enter the network namespace of the run, with a way out or none: the first node makes it, the others wait for that.

        A way out is open until the last runner that has entered ends.
        """
        from footfall.runner.sandbox import network

        if self._rank:
            network.enter(self._wait_for(0)["pid"])
        if way_out is None:
            if not self._rank:
                network.make()
            return
        from footfall.runner.sandbox import way_out as outside

        pipe = os.path.join(self._directory_of(0), layout.WAY_OUT)
        if self._rank:
            outside.hold(pipe)
        else:
            outside.make(way_out, pipe)

    def publish(self, port: int, *, is_ready: bool = True) -> None:
        """Publish where this node is, and whether its command could start."""
        content: NodeAddress = {
            "host": address_of(self._rank, self._n_nodes),
            "port": port,
            "pid": os.getpid(),
            "is_ready": is_ready,
        }
        self._files.write_json(layout.ADDRESS, content)

    def wait_for_all(self) -> tuple[list[str], int]:
        """Return the address of every node, by rank, and the port of the rendezvous, once all are ready.

        Raises:
            LaunchError: not all came up in time.
        """
        addresses = [self._wait_for(rank, ready=True) for rank in range(self._n_nodes)]
        return [address["host"] for address in addresses], addresses[0]["port"]

    def _directory_of(self, rank: int) -> str:
        return os.path.join(os.path.dirname(self._files.directory), str(rank))

    def _wait_for(self, rank: int, *, ready: bool = False) -> NodeAddress:
        path = os.path.join(self._directory_of(rank), layout.ADDRESS)
        while True:
            address = _read(path)
            if address is not None and (address["is_ready"] or not ready):
                return address
            if time.monotonic() >= self._deadline:
                sentence = f"Node {rank} of {self._n_nodes} did not come up within {self._timeout_s:g} s."
                raise LaunchError(sentence, "start_timeout")
            self._wait(_POLL_INTERVAL_S)


def address_of(rank: int, n_nodes: int) -> str:
    """Return the address of a node: one of its own where there are several, for programs tell nodes apart by it."""
    return LOOPBACK if n_nodes == 1 else f"127.0.{1 + rank // _HOSTS}.{1 + rank % _HOSTS}"


def _read(path: str) -> NodeAddress | None:
    try:
        with open(path, "rb") as file:
            content: NodeAddress = json.load(file)
    except FileNotFoundError:
        return None
    return content
