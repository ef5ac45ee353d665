"""Users' runs under ``kill -9`` of anything, paused and doubled servers, and a clock that is set back.

Each command keeps a ledger in its project's storage, so that what it really did can be held against what the service says.
20 rounds in ``make test``, 100 in ``make faults``; the seed is printed and ``FOOTFALL_SEED`` sets it.
"""

import contextlib
import itertools
import json
import os
import random
import re
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from house import FINAL, ROUNDS, SEED, House, marked_processes

from engine_helpers import eventually
from footfall import Client
from footfall.client.nsml_replies import Run
from footfall.credentials import read_credentials
from footfall.errors import FootfallError
from live_server import live_server

LINES = 20
RESCHEDULE = """import json, os, urllib.request as u
url = os.environ["NSML_RUN_METADATA_API"] + "/v1/rescheduled"
headers = {"X-NSML-Run-Secret": os.environ["NSML_RUN_SECRET"]}
u.urlopen(u.Request(url, b'{"rescheduled": true}', headers, method="PUT"))"""
SCRIPT = """
ledger="$NSML_PRJ_DIR/ledger/$TOKEN.$NSML_SESSION.$NSML_RANK"
mkdir -p "$NSML_PRJ_DIR/ledger"; echo start >> "$ledger"
if [ "$AGAIN" = 1 ] && [ "$NSML_SESSION" = 0 ]; then python -c "$RESCHEDULE"; fi
setsid sleep 300 >/dev/null 2>&1 &
for i in $(seq 1 $LINES); do echo "line $i"; sleep $PAUSE; done
echo "end $CODE" >> "$ledger"; exit $CODE
"""


@dataclass(frozen=True)
class Asked:
    """A run that was asked for, and what it would do if nobody disturbed it."""

    run: Run
    token: str
    code: int
    nodes: int
    is_again: bool


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    house = House(tmp_path_factory.mktemp("runs") / "home", {"FOOTFALL_LOCAL_CORES": "6", "FOOTFALL_FAKE_GPUS": "2"})
    yield house
    house.close()


def ask(client: Client, project_id: str, maker: random.Random) -> Asked:
    code, nodes, is_again = maker.choice([0, 0, 3]), maker.choice([1, 1, 2]), maker.random() < 0.3
    token = f"t{maker.getrandbits(64):x}"
    environment = {
        "TOKEN": token, "CODE": code, "AGAIN": int(is_again), "RESCHEDULE": RESCHEDULE, "LINES": LINES,
        "PAUSE": f"{maker.uniform(0.01, 0.08):.3f}",
    }  # fmt: skip
    run = client.runs.create(project_id, SCRIPT, product=1, image="host", nodes=nodes, environment=environment)
    return Asked(run, token, code, nodes, is_again)


def alive(house: House) -> dict[int, bool]:
    mine = {row["id"] for row in house.rows("SELECT id FROM runs WHERE state IN ('pending', 'in_progress')")}
    return {pid: is_runner for pid, (marker, is_runner) in marked_processes().items() if marker.partition(".")[0] in mine}


def kill(pids: list[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def kill_server(house: House, maker: random.Random) -> None:
    house.kill()
    time.sleep(maker.choice([0.0, 0.3, 1.5]))
    house.start()


def kill_runner(house: House, maker: random.Random) -> None:
    runners = [pid for pid, is_runner in alive(house).items() if is_runner]
    kill(maker.sample(runners, min(1, len(runners))))


def kill_command(house: House, maker: random.Random) -> None:
    commands = [pid for pid, is_runner in alive(house).items() if not is_runner]
    kill(maker.sample(commands, min(1, len(commands))))


def kill_all_but_the_runner(house: House, maker: random.Random) -> None:
    commands = [pid for pid, is_runner in alive(house).items() if not is_runner]
    house.kill()
    kill(commands)
    house.start()


def pause_server(house: House, maker: random.Random) -> None:
    house.server.process.send_signal(signal.SIGSTOP)
    time.sleep(maker.choice([0.5, 2.0]))
    house.server.process.send_signal(signal.SIGCONT)


STRIKES: list[Callable[[House, random.Random], None]] = [
    kill_server,
    kill_runner,
    kill_command,
    kill_all_but_the_runner,
    pause_server,
]


@pytest.mark.parametrize("round_", range(ROUNDS))
def test_whatever_is_struck_every_run_ends_once_and_truly_and_leaves_nothing(house: House, round_: int) -> None:
    seed = SEED * 1000 + round_
    print(f"seed {seed}")
    maker = random.Random(seed)
    project = house.client.projects.create(f"faults-{round_}")
    asked = [ask(house.client, project.id, maker) for _ in range(maker.choice([2, 4]))]
    struck = []
    stopped: set[str] = set()
    for _ in range(maker.choice([1, 2])):
        time.sleep(maker.uniform(0.0, 1.2))
        strike = maker.choice(STRIKES)
        strike(house, maker)
        struck.append(strike.__name__)
    if maker.random() < 0.3:
        victim = maker.choice(asked)
        with contextlib.suppress(FootfallError):
            house.client.runs.stop(victim.run)
            stopped.add(victim.token)
    said = f"seed {seed}, struck {struck}, stopped {stopped}"
    wait_all(house, project.id, said)
    for one in asked:
        check_truth(house, one, is_stopped=one.token in stopped, said=said)
    check_books(house, project.id, said)


def wait_all(house: House, project_id: str, said: str) -> None:
    query = f"SELECT number, state, message FROM runs WHERE project_id = '{project_id}' AND ended_at IS NULL"
    deadline = time.monotonic() + 90
    while left := house.rows(query):
        assert time.monotonic() < deadline, f"{said}: {[tuple(row) for row in left]}"
        time.sleep(0.05)


def check_truth(house: House, asked: Asked, *, is_stopped: bool, said: str) -> None:
    """What the service says of a run is what its commands did."""
    [run] = house.rows(f"SELECT * FROM runs WHERE project_id = '{asked.run.project_id}' AND number = {asked.run.number}")
    said = f"{said}, run {run['number']} {run['state']} {run['reason']} {run['fail_details']}"
    nas = house.home / "data/projects" / asked.run.project_id / "nas/ledger"
    ledgers = {
        (attempt, rank): nas / f"{asked.token}.{attempt}.{rank}"
        for attempt in range(run["attempt"] + 1)
        for rank in range(asked.nodes)
    }
    texts = {key: path.read_text().split("\n")[:-1] if path.exists() else [] for key, path in ledgers.items()}
    for lines in texts.values():
        assert lines.count("start") <= 1, f"{said}: a command ran twice in one attempt"
    assert not list(nas.glob(f"{asked.token}.{run['attempt'] + 1}.*")), said
    last = [texts[run["attempt"], rank] for rank in range(asked.nodes)]
    ends = [lines[-1] for lines in last if lines and lines[-1].startswith("end")]
    if run["state"] == "completed":
        assert ends == ["end 0"] * asked.nodes, said
        assert run["exit_code"] == 0, said
    elif run["state"] == "cancelled":
        assert is_stopped, said
    elif run["reason"] == "command_failed":
        assert f"end {run['exit_code']}" in ends, said
        assert run["exit_code"] == asked.code != 0, said
    else:
        assert run["reason"] in ("lost", "signalled"), said
        assert run["reason"] != "signalled" or run["exit_code"] == 137, said
    assert asked.is_again or run["attempt"] == 0, said
    assert run["attempt"] <= 1, said
    for attempt, rank in ledgers:
        check_log(house, run["id"], attempt, rank, is_whole=texts[attempt, rank][-1:] == ["end 0"], said=said)


def check_log(house: House, run_id: str, attempt: int, rank: int, *, is_whole: bool, said: str) -> None:
    """A log is a gap-free prefix of what was printed, and whole unless its runner was killed."""
    node = house.home / f"data/runs/{run_id}/{attempt}/nodes/{rank}"
    log = (node / "log.txt").read_text() if (node / "log.txt").exists() else ""
    numbers = [int(number) for number in re.findall(r"^line (\d+)$", log, re.MULTILINE)]
    assert numbers == list(range(1, len(numbers) + 1)), f"{said}: {log!r}"
    if is_whole and (node / "status.json").exists() and json.loads((node / "status.json").read_text())["exit_code"] == 0:
        assert len(numbers) == LINES, f"{said}: {log!r}"


def check_books(house: House, project_id: str, said: str) -> None:
    """Numbers are dense, counts are right, each history is one story, and nothing is held or left."""
    rows = house.rows(f"SELECT * FROM runs WHERE project_id = '{project_id}' ORDER BY number")
    assert [row["number"] for row in rows] == list(range(1, len(rows) + 1)), said
    [project] = house.rows(f"SELECT * FROM projects WHERE id = '{project_id}'")
    assert (project["last_run"], project["n_runs"]) == (len(rows), len(rows)), said
    counted = house.rows(f"SELECT state, SUM(n) AS n FROM run_counts WHERE scope = '{project_id}' GROUP BY state")
    assert {row["state"]: row["n"] for row in counted if row["n"]} == Counter(row["state"] for row in rows), said
    for row in rows:
        events = house.rows(f"SELECT * FROM run_events WHERE run_id = '{row['id']}' ORDER BY id")
        chain = [(event["from_state"], event["to_state"]) for event in events]
        assert chain[0] == (None, "registered"), said
        assert all(before[1] == after[0] for before, after in itertools.pairwise(chain)), said
        assert [to for _, to in chain if to in FINAL] == [row["state"]], said
        starts = [event["attempt"] for event in events if event["to_state"] == "in_progress"]
        assert len(starts) == len(set(starts)), said
    assert house.rows("SELECT * FROM allocations") == [], said
    assert house.rows("SELECT * FROM held_units") == [], said
    eventually(lambda: not house.markers(), 10.0)
    assert list(house.home.glob("data/runs/*/*/nodes/*/scratch")) == [], said


def test_numbers_stay_dense_under_64_creates_with_the_server_killed_in_the_middle(house: House) -> None:
    project = house.client.projects.create("dense")
    endpoint = house.server.endpoint
    keys = read_credentials(house.home / "credentials.toml")
    answered: list[int] = []
    begun = threading.Event()

    def create(_: int) -> None:
        with contextlib.suppress(FootfallError, OSError):
            with Client(endpoint, keys["access_key"], keys["secret_key"], api_key=keys["api_key"]) as client:
                for _ in range(4):
                    run = client.runs.create(project.id, "true", product=1, image="host")
                    answered.append(int(run.number))
                    begun.set()

    with ThreadPoolExecutor(64) as pool:
        waiting = [pool.submit(create, n) for n in range(64)]
        assert begun.wait(30)
        time.sleep(0.1)
        house.server.process.kill()
        for each in waiting:
            each.result()
    house.kill()
    house.start()
    for _ in range(5):
        answered.append(int(house.client.runs.create(project.id, "true", product=1, image="host").number))
    deleted = house.client.runs.get(project.id, answered[-1])
    house.client.runs.delete(house.client.runs.wait(deleted, timeout_s=120))
    wait_all(house, project.id, "dense")
    rows = house.rows(f"SELECT number FROM runs WHERE project_id = '{project.id}' ORDER BY number")
    assert [row["number"] for row in rows] == list(range(1, len(rows) + 1))
    assert len(answered) == len(set(answered)), "one number was given to two"
    assert set(answered) <= {row["number"] for row in rows}, "a run that was promised is gone"
    assert house.rows("SELECT * FROM held_units") == []


def test_two_servers_and_one_of_them_paused_move_each_run_once(tmp_path: Path) -> None:
    home, other = tmp_path / "home", tmp_path / "other"
    environment = {"FOOTFALL_LOCAL_CORES": "4"}
    house = House(home, environment)
    with contextlib.ExitStack() as stack:
        stack.callback(house.close)
        (other / "secret").mkdir(parents=True, mode=0o700)
        (other / "secret/key").write_bytes((home / "secret/key").read_bytes())
        (other / "secret/key").chmod(0o600)
        shared = environment | {"FOOTFALL_DATA_DIRECTORY": str(home / "data")}
        second = stack.enter_context(live_server(other, environment=shared))
        keys = read_credentials(home / "credentials.toml")
        two = stack.enter_context(Client(second.endpoint, keys["access_key"], keys["secret_key"], api_key=keys["api_key"]))
        project = house.client.projects.create("shared")
        maker = random.Random(SEED)
        asked = [ask(client, project.id, maker) for client in (house.client, two) * 2]
        holder = house.server if house.client.health()["details"]["reconciler"] == "active" else second
        for _ in range(2):
            time.sleep(maker.uniform(0.1, 0.6))
            holder.process.send_signal(signal.SIGSTOP)
            time.sleep(1.5)
            holder.process.send_signal(signal.SIGCONT)
        asked += [ask(client, project.id, maker) for client in (house.client, two)]
        said = f"seed {SEED}"
        wait_all(house, project.id, said)
        for one in asked:
            check_truth(house, one, is_stopped=False, said=said)
        check_books(house, project.id, said)


FAKETIME = next(iter(Path("/usr/lib").glob("*/faketime/libfaketime.so.1")), None)


@pytest.mark.skipif(FAKETIME is None, reason="Debian's package faketime is not installed")
def test_a_clock_that_is_set_back_loses_no_run(tmp_path: Path) -> None:
    """By less than the five minutes for which a signature holds, so that the client is still heard."""
    clock = tmp_path / "clock"
    clock.write_text("+0")
    environment = {
        "LD_PRELOAD": str(FAKETIME),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_DONT_RESET": "1",
        "NO_FAKE_STAT": "1",
    }
    house = _start_under_faketime(tmp_path / "home", environment)
    try:
        project = house.client.projects.create("clock")
        maker = random.Random(SEED)
        asked = [ask(house.client, project.id, maker) for _ in range(3)]
        time.sleep(0.4)
        clock.write_text("-200")
        asked += [ask(house.client, project.id, maker) for _ in range(3)]
        said = f"seed {SEED}"
        wait_all(house, project.id, said)
        for one in asked:
            check_truth(house, one, is_stopped=False, said=said)
            [run] = house.rows(f"SELECT reason FROM runs WHERE project_id = '{project.id}' AND number = {one.run.number}")
            assert run["reason"] == (None if one.code == 0 else "command_failed"), said
        check_books(house, project.id, said)
        ids = house.rows(f"SELECT created_at FROM runs WHERE project_id = '{project.id}' ORDER BY number")
        assert ids[-1]["created_at"] < ids[0]["created_at"], "the clock was not set back"
        listed = [run.number for run in house.client.runs.list(project.id)]
        assert listed == ["6", "5", "4", "3", "2", "1"]
    finally:
        house.close()


def _start_under_faketime(home: Path, environment: dict[str, str]) -> House:
    """Start a server; ``time.sleep`` fails under faketime with EINVAL, in some builds of Python always."""
    for _ in range(4):
        try:
            return House(home, environment)
        except AssertionError as error:
            if "Invalid argument" not in str(error):
                raise
            (home / "server.log").unlink()
    pytest.skip("time.sleep fails under faketime in this Python, and so no server starts")
