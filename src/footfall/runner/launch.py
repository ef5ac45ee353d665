"""The launch of a node: its share of a run, its secrets and its isolation.

It comes through a memory file whose descriptor the executor leaves open, so that no secret of it ever is on a disk, in an
argument or in the runner's environment. Marshal, not JSON: both ends are one interpreter, started one from the other, and
loading a JSON parser would take as long as the rest of the start.
"""

from __future__ import annotations

import marshal
import os

from footfall import layout

_MAX_DESCRIPTORS = 1 << 20

TYPE_CHECKING = False
if TYPE_CHECKING:
    from footfall.contract.nodes import LaunchContent


class Launch:
    """The launch of one node; ``workload`` and ``isolation`` are None for a job of ours."""

    def __init__(self, content: LaunchContent) -> None:
        self.spec = content["spec"]
        self.secrets = content["secrets"]
        self.isolation = content["isolation"]
        self.workload = self.spec["workload"]
        self.is_job = self.spec["is_job"]
        self.metric_port = content["metric_port"]


def read_launch() -> Launch:
    """Return what the executor left on its descriptor; close that, and whatever else the server was started with."""
    try:
        data = os.pread(layout.LAUNCH_FD, os.fstat(layout.LAUNCH_FD).st_size, 0)
    finally:
        os.close(layout.LAUNCH_FD)
    launch = Launch(marshal.loads(data))
    os.closerange(layout.LISTENER_FD + (launch.metric_port is not None), _MAX_DESCRIPTORS)
    return launch
