"""What a command that means harm gets from the real server beside it: nothing, and it delays nobody."""

import contextlib
import os
import socket
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine_helpers import eventually
from footfall import Client
from footfall.client.nsml_replies import Run
from footfall.config import load_settings
from footfall.machine.isolation import find_isolation
from live_server import LiveServer, live_server

LONG = int(os.environ.get("FOOTFALL_FAULTS", "0")) >= 100
FLOOD_S = 30.0 if LONG else 3.0
LOG_LIMIT_BYTES = 20_000_000
REACH = """
import sys, urllib.error, urllib.request
for path in ("/nsml/v1/projects", "/api/v1/features", "/accounts/v1/accounts"):
    try:
        print("answered", urllib.request.urlopen(sys.argv[1] + path, timeout=5).status)
    except urllib.error.HTTPError as error:
        print("refused", error.code, error.read().decode())
    except OSError as error:
        print("unreachable", error)
"""


class Place:
    """A server with an operator and a second account, and what their runs printed."""

    def __init__(self, server: LiveServer, operator: Client) -> None:
        self.server = server
        self.operator = operator
        made = operator.accounts.create("other")
        assert made.access_key is not None
        assert made.secret_key is not None
        with Client(server.endpoint, made.access_key, made.secret_key) as new:
            api_key = new.api_keys.create("runs").primary_key
        self.other = Client(server.endpoint, made.access_key, made.secret_key, api_key=api_key)

    def start(self, client: Client, script: str, project: str, **given: str) -> Run:
        environment = {"REACH": REACH, **given}
        return client.runs.create(client.projects.create(project).id, script, product=1, image="host", environment=environment)

    def node(self, run: Run) -> Path:
        data = self.server.home / "data"
        with contextlib.closing(sqlite3.connect(data / "footfall.db")) as connection:
            query = "SELECT id FROM runs WHERE project_id = ? AND number = ?"
            [(id,)] = connection.execute(query, (run.project_id, int(run.number))).fetchall()
        return data / "runs" / id / "0" / "nodes" / "0"

    def log(self, run: Run) -> str:
        file = self.node(run) / "log.txt"
        return file.read_text("utf-8", "replace") if file.exists() else ""

    def run(self, client: Client, script: str, project: str, **given: str) -> str:
        run = client.runs.wait(self.start(client, script, project, **given), timeout_s=30)
        assert run.state == "completed", (run, self.log(run))
        return self.log(run)


@contextlib.contextmanager
def open_place(home: Path, **settings: object) -> Iterator[Place]:
    given = {"FOOTFALL_LOCAL_CORES": "4", "FOOTFALL_STOP_GRACE_S": "2"}
    environment = given | {f"FOOTFALL_{name.upper()}": str(value) for name, value in settings.items()}
    with live_server(home, environment=environment) as server, Client(home=home) as operator:
        if operator.health()["details"]["isolation"].split(":")[0] != "bubblewrap":
            pytest.skip("bubblewrap does not start on this machine")
        place = Place(server, operator)
        with place.other:
            yield place


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with open_place(tmp_path_factory.mktemp("beside") / "home", log_limit_bytes=LOG_LIMIT_BYTES, run_network="host") as made:
        yield made


def test_row_14_the_real_api_answers_a_run_without_a_key_with_401(place: Place) -> None:
    log = place.run(place.operator, f'python -c "$REACH" {place.server.endpoint}', "unsigned")
    lines = log.splitlines()
    assert [line.split()[:2] for line in lines] == [["refused", "401"]] * 3, log


def test_row_14_a_run_reads_nothing_of_the_real_server_or_of_another_accounts_run(place: Place) -> None:
    values = {"API_TOKEN": "of-the-victim", "SAYS": "in-its-log"}
    victim = place.start(place.other, "echo up $SAYS; sleep 60", "victim", **values)
    eventually(lambda: "up in-its-log" in place.log(victim), 30)
    home, node = place.server.home, place.node(victim)
    processes = [pid for pid in os.listdir("/proc") if pid.isdecimal() and is_of(pid, node)]
    assert processes, "the victim lives"
    readable = Path("/etc/passwd")
    files = [
        readable, home / "secret" / "key", home / "credentials.toml", home / "server.log", home / "data" / "footfall.db",
        home / "data" / "footfall.db-wal", node / "log.txt", node / "spec.json",
        *(Path("/proc", pid, name) for pid in processes for name in ("environ", "cmdline", "cwd", "root", "fd")),
    ]  # fmt: skip
    reading = (
        "for f in $FILES; do (cat $f || ls -l $f) >/dev/null 2>&1 && echo READ $f; done; cat /proc/*/environ | tr '\\0' '\\n'"
    )
    try:
        log = place.run(place.operator, f"{reading}; ls -R {home}; true", "thief", FILES=" ".join(map(str, files)))
    finally:
        place.other.runs.stop(victim)
    # What is at the same number in the thief's own processes is its own.
    own = {f"READ {readable}"} | {
        f"READ /proc/{pid}/{name}" for pid in processes for name in ("environ", "cmdline", "cwd", "root", "fd")
    }
    read = [line for line in log.splitlines() if line.startswith("READ") and line not in own]
    assert read == []
    assert f"READ {readable}\n" in log, "what it may read is read"
    assert "of-the-victim" not in log
    assert "in-its-log" not in log.replace("FILES=", "")
    assert "footfall.db\n" not in log.partition("FILES=")[0]


def is_of(pid: str, node: Path) -> bool:
    try:
        marker = f"FOOTFALL_RUN_MARKER={node.parents[2].name}.".encode()
        return marker in Path("/proc", pid, "environ").read_bytes()
    except OSError:
        return False


def test_row_14_a_run_with_a_network_of_its_own_does_not_reach_the_real_api(tmp_path: Path) -> None:
    with open_place(tmp_path / "home", run_network="run") as place:
        log = place.run(place.operator, f'python -c "$REACH" {place.server.endpoint}', "alone")
    assert [line.split()[0] for line in log.splitlines()] == ["unreachable"] * 3, log
    assert log.count("Connection refused") == 3, log


def test_row_14_with_a_second_account_a_run_reaches_neither_the_api_nor_the_ports_of_others(tmp_path: Path) -> None:
    with open_place(tmp_path / "home") as place, socket.create_server(("127.0.0.1", 0)) as listener:
        if find_isolation(load_settings(place.server.home, {})).no_way_out:
            pytest.skip("no way out can be made here (Debian: slirp4netns)")
        where = f"{place.server.endpoint} http://127.0.0.1:{listener.getsockname()[1]}"
        log = place.run(place.other, f'for each in {where}; do python -c "$REACH" $each; done', "apart")
    assert [line.split()[0] for line in log.splitlines()] == ["unreachable"] * 6, log


def test_row_27_a_run_that_talks_without_end_delays_nobodys_requests(place: Place) -> None:
    quiet = p95_ms(place, 1.0)
    run = place.start(place.other, "yes", "flood")
    try:
        eventually(lambda: len_of(place, run) > LOG_LIMIT_BYTES, 30)
        loud = p95_ms(place, FLOOD_S)
        assert len_of(place, run) < LOG_LIMIT_BYTES + 200
        size = sum(file.lstat().st_size for file in place.node(run).rglob("*") if file.is_file())  # links are as small as that
        assert size < LOG_LIMIT_BYTES + 2_000_000
        assert place.other.runs.get(run.project_id, run.number).state == "in_progress"
    finally:
        place.other.runs.stop(run)
    print(f"p95 of an answer: {quiet:.1f} ms alone, {loud:.1f} ms beside it")
    # Generous: such a run takes a core, and its runner a part of one; what it must not cost is seconds.
    assert loud < max(100.0, 10 * quiet), f"{quiet:.1f} ms before, {loud:.1f} ms beside it"


def len_of(place: Place, run: Run) -> int:
    file = place.node(run) / "log.txt"
    return file.stat().st_size if file.exists() else 0


def p95_ms(place: Place, duration_s: float) -> float:
    """Return how long 95 of 100 requests take at most while ``duration_s`` pass."""
    taken: list[float] = []
    deadline = time.monotonic() + duration_s
    pause = threading.Event()
    while time.monotonic() < deadline:
        begun = time.perf_counter()
        list(place.operator.projects.list())
        taken.append((time.perf_counter() - begun) * 1000)
        pause.wait(0.005)
    return sorted(taken)[int(len(taken) * 0.95)]
