"""A server that is struck and started again, and what can be seen of its runs from outside."""

import contextlib
import os
import sqlite3
import time
from collections.abc import Mapping
from pathlib import Path

from footfall import Client
from footfall.executors.local import MARKER_VARIABLE
from live_server import LiveServer, live_server

ROUNDS = int(os.environ.get("FOOTFALL_FAULTS", "10"))
SEED = int(os.environ.get("FOOTFALL_SEED", str(time.time_ns() % 1_000_000)))
FINAL = {"completed", "failed", "cancelled"}
ENVIRONMENT = {"FOOTFALL_BEHAVIOR_CORES": "1", "FOOTFALL_STOP_GRACE_S": "2"}


def marked_processes() -> dict[int, tuple[str, bool]]:
    """Return every process of a run of ours: pid → (marker, whether it is a runner)."""
    found = {}
    for entry in os.listdir("/proc"):
        if not entry.isdecimal():
            continue
        with contextlib.suppress(OSError):
            for variable in Path("/proc", entry, "environ").read_bytes().split(b"\0"):
                if variable.startswith(MARKER_VARIABLE.encode() + b"="):
                    words = Path("/proc", entry, "cmdline").read_bytes().split(b"\0")
                    is_runner = any(word.endswith((b"footfall.runner", b"runner/__main__.py")) for word in words)
                    found[int(entry)] = (variable.partition(b"=")[2].decode(), is_runner)
    return found


class House:
    """A server that is started again whenever it was killed."""

    def __init__(self, home: Path, environment: Mapping[str, str] | None = None) -> None:
        self.home = home
        self._environment = ENVIRONMENT | dict(environment or {})
        self._stack = contextlib.ExitStack()
        self.server: LiveServer
        self.start()

    def start(self) -> None:
        self.server = self._stack.enter_context(live_server(self.home, environment=self._environment))
        self.client = Client(home=self.home)

    def kill(self) -> None:
        self.server.process.kill()
        self.server.process.wait()
        self._stack.close()

    def close(self) -> None:
        self._stack.close()

    def rows(self, query: str) -> list[sqlite3.Row]:
        with contextlib.closing(sqlite3.connect(self.home / "data" / "footfall.db")) as connection:
            connection.row_factory = sqlite3.Row
            return connection.execute(query).fetchall()

    def markers(self) -> list[str]:
        mine = {row["id"] for row in self.rows("SELECT id FROM runs")}
        return [marker for marker, _ in marked_processes().values() if marker.partition(".")[0] in mine]
