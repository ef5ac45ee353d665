"""MLflow as the peer of the API rows: ``mlflow server`` with SQLite, as its own documentation starts it.

The environment is made once, under ``build/`` of the project, and is no part of Footfall.
"""

import contextlib
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path

VERSION = "3.17.2"
ENVIRONMENT = Path(__file__).parent.parent / "build" / f"mlflow-{VERSION}"
REQUEST_TIMEOUT_S = 90.0


def environment() -> Path:
    """Return the ``bin`` directory of an environment that has MLflow."""
    if not (ENVIRONMENT / "bin" / "mlflow").exists():
        print(f"installing mlflow {VERSION} into {ENVIRONMENT}, once")
        subprocess.run([sys.executable, "-m", "venv", str(ENVIRONMENT)], check=True)
        subprocess.run([str(ENVIRONMENT / "bin" / "pip"), "install", "-q", f"mlflow=={VERSION}"], check=True)
    return ENVIRONMENT / "bin"


class Peer:
    """A running MLflow server."""

    def __init__(self, endpoint: str, database: Path) -> None:
        self.endpoint, self._database = endpoint, database
        self.experiment_id = str(self._post("experiments/create", {"name": "bench"})["experiment_id"])

    def fill(self, n: int) -> list[str]:
        """Put ``n`` runs like one that its own API made into its database; return their ids."""
        made = self._post("runs/create", {"experiment_id": self.experiment_id, "start_time": 1, "run_name": "bench"})
        first = made["run"]["info"]["run_id"]
        ids = [uuid.uuid4().hex for _ in range(n)]
        with contextlib.closing(sqlite3.connect(self._database, timeout=30)) as connection, connection:
            names = [row[1] for row in connection.execute("PRAGMA table_info(runs)")]
            others = ", ".join(name for name in names if name != "run_uuid")
            sql = f"INSERT INTO runs (run_uuid, {others}) SELECT ?, {others} FROM runs WHERE run_uuid = ?"
            connection.executemany(sql, [(id, first) for id in ids])
            tags = [row[1] for row in connection.execute("PRAGMA table_info(tags)")]
            others = ", ".join(name for name in tags if name != "run_uuid")
            sql = f"INSERT INTO tags (run_uuid, {others}) SELECT ?, {others} FROM tags WHERE run_uuid = ?"
            connection.executemany(sql, [(id, first) for id in ids])
        return ids

    def _post(self, name: str, body: dict[str, object]) -> dict[str, dict[str, dict[str, str]]]:
        request = urllib.request.Request(
            f"{self.endpoint}/api/2.0/mlflow/{name}", json.dumps(body).encode(), {"content-type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            found: dict[str, dict[str, dict[str, str]]] = json.load(answer)
        return found


@contextlib.contextmanager
def mlflow_server(directory: Path) -> Iterator[Peer]:
    """Run ``mlflow server`` on loopback until the block ends."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    directory.mkdir()
    database = directory / "mlflow.db"
    command = [
        str(environment() / "mlflow"), "server", "--host", "127.0.0.1", "--port", str(port),
        "--backend-store-uri", f"sqlite:///{database}", "--artifacts-destination", str(directory / "artifacts"),
    ]  # fmt: skip
    variables = {"PATH": f"{environment()}:{os.environ['PATH']}", "HOME": str(directory), "MLFLOW_DISABLE_TELEMETRY": "true"}
    with open(directory / "server.log", "wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=variables, start_new_session=True, cwd=directory)
    endpoint = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + REQUEST_TIMEOUT_S
        while True:
            try:
                urllib.request.urlopen(f"{endpoint}/health", timeout=2).close()
                break
            except (urllib.error.URLError, OSError):
                if time.monotonic() > deadline or process.poll() is not None:
                    raise AssertionError((directory / "server.log").read_text()[-2000:]) from None
                time.sleep(0.5)
        yield Peer(endpoint, database)
    finally:
        os.killpg(process.pid, signal.SIGTERM)  # its workers are in its session
        process.wait(30)
