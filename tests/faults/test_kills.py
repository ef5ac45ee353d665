"""``kill -9`` of the server, a runner or a job at random moments: nothing lost, nothing twice, nothing half, nothing left.

20 rounds in ``make test``, 100 in ``make faults``; the seed is printed and ``FOOTFALL_SEED`` sets it.
"""

import contextlib
import hashlib
import itertools
import json
import os
import random
import signal
import time

import pytest
from house import FINAL, ROUNDS, SEED, House, marked_processes

from engine_helpers import eventually
from footfall import Client
from footfall.errors import ServiceError

USERS = 2000


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory):  # type: ignore[no-untyped-def]
    house = House(tmp_path_factory.mktemp("kills") / "home")
    maker = random.Random(0)
    client = house.client
    client.buckets.create("data")
    lines = (
        f"u{n}\t" + "->".join(f"do {maker.choice('abcdef' if n % 2 else 'defghi')}" for _ in range(maker.randint(1, 9))) + "\n"
        for n in range(USERS)
    )
    client.put_object("data", "sequences.csv", "".join(lines).encode())
    client.put_object("data", "labels.tsv", "".join(f"u{n}\t{n % 2}\n" for n in range(USERS)).encode())
    feature = client.wait(client.features.create("base", "data", "sequences.csv"), timeout_s=120)
    task = client.wait(client.tasks.create("base", feature.id, "data", "labels.tsv"), timeout_s=120)
    assert task.status == "completed", task.fail_details
    yield house, feature.id, task.id
    house.close()


def strike(house: House, maker: random.Random) -> str:
    """Kill something with SIGKILL and say what; start the server again if it was the server."""
    mine = {row["id"] for row in house.rows("SELECT id FROM runs WHERE state NOT IN ('completed', 'failed', 'cancelled')")}
    alive = {pid: is_runner for pid, (marker, is_runner) in marked_processes().items() if marker.partition(".")[0] in mine}
    target = maker.choice(["server", "runner", "job"])
    candidates = [pid for pid, is_runner in alive.items() if is_runner == (target == "runner")]
    if target == "server" or not candidates:
        house.kill()
        time.sleep(maker.choice([0.0, 0.3, 1.5]))
        house.start()
        return "server"
    with contextlib.suppress(ProcessLookupError):
        os.kill(maker.choice(candidates), signal.SIGKILL)
    return target


@pytest.mark.parametrize("round_", range(ROUNDS))
def test_kill_9_at_any_moment_loses_doubles_and_leaves_nothing(house, round_: int) -> None:  # type: ignore[no-untyped-def]
    house, feature_id, task_id = house
    seed = SEED * 1000 + round_
    print(f"seed {seed}")
    maker = random.Random(seed)
    client = house.client
    feature = client.features.create(f"feature {round_}", "data", "sequences.csv")
    scored = client.task_runs.create(f"scores {round_}", task_id, feature_id, "data", f"out/{round_}.tsv")
    struck = []
    for _ in range(maker.choice([1, 2])):
        time.sleep(maker.uniform(0.0, 2.5))
        struck.append(strike(house, maker))
    client = house.client
    feature = client.wait(client.features.get(feature.id), timeout_s=90)
    scored = client.wait(client.task_runs.get(scored.id), timeout_s=90)
    said = f"seed {seed}, killed {struck}: {feature.fail_details}, {scored.fail_details}"
    # Two kills at most and three attempts: whatever was struck, the work gets done.
    assert (feature.status, scored.status) == ("completed", "completed"), said
    content = b"".join(client.get_object("data", f"out/{round_}.tsv"))
    assert content.count(b"\n") == USERS, said
    check_books(house, feature.id, scored.id, hashlib.sha256(content).hexdigest(), said)
    eventually(lambda: not house.markers(), 10.0)


def check_books(house: House, feature_id: str, scored_id: str, sha256: str, said: str) -> None:
    """The database tells one whole story of each run, and nothing is held."""
    for table, id in (("features", feature_id), ("task_runs", scored_id)):
        run = house.rows(f"SELECT runs.* FROM runs JOIN {table} t ON t.run_id = runs.id WHERE t.id = '{id}'")[0]
        events = house.rows(f"SELECT * FROM run_events WHERE run_id = '{run['id']}' ORDER BY id")
        chain = [(event["from_state"], event["to_state"]) for event in events]
        assert chain[0] == (None, "registered"), said
        assert all(before[1] == after[0] for before, after in itertools.pairwise(chain)), said
        assert [to for _, to in chain if to in FINAL] == ["completed"], said
        starts = [event["attempt"] for event in events if event["to_state"] == "in_progress"]
        assert len(starts) == len(set(starts)), said
        assert chain.count(("in_progress", "registered")) + chain.count(("pending", "registered")) == run["attempt"], said
        if table == "task_runs":
            assert json.loads(run["result"])["sha256"] == sha256, said
    assert house.rows("SELECT * FROM allocations") == [], said
    assert house.rows("SELECT * FROM result_reservations") == [], said
    scratch = list(house.home.glob("data/runs/*/*/nodes/*/scratch"))
    assert scratch == [], said


def test_200_concurrent_creates_of_one_name_give_one_success(house) -> None:  # type: ignore[no-untyped-def]
    house, _, _ = house
    from concurrent.futures import ThreadPoolExecutor

    def create(_: int) -> str:
        with Client(home=house.home) as client:
            try:
                client.features.create("one of many", "data", "sequences.csv")
            except ServiceError as error:
                return f"{error.status} {error.error_code} {error.symbol}"
            return "200"

    with ThreadPoolExecutor(32) as pool:
        answers = sorted(pool.map(create, range(200)))
    assert answers == ["200"] + ["409 10102 DUPLICATE_NAME"] * 199
