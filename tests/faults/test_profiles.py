"""``kill -9`` of the job of a profile in the middle of its work: it is done again, once, and nothing is left.

What it was doing is on disk as its progress; the size makes it long enough to be struck.
"""

import contextlib
import json
import os
import random
import signal
import time
from collections.abc import Iterator

import pytest
from house import House, marked_processes

from engine_helpers import eventually
from footfall.client import Client
from footfall.client.profiles import Profile

USERS = 20_000


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[House, str, str]]:
    house = House(tmp_path_factory.mktemp("profiles") / "home")
    maker = random.Random(0)
    lines = []
    for n in range(USERS):
        acts = maker.choices("abcdef" if n % 2 else "defghi", k=6)
        lines.append(f"u{n}\t{'->'.join(f'do {act}' for act in acts)}\n")
    client = house.client
    client.buckets.create("data")
    client.put_object("data", "sequences.csv", "".join(lines).encode())
    client.put_object("data", "labels.tsv", "".join(f"u{n}\t{n % 2}\n" for n in range(2000)).encode())
    feature = client.wait(client.features.create("base", "data", "sequences.csv"), timeout_s=120)
    task = client.wait(client.tasks.create("base", feature.id, "data", "labels.tsv"), timeout_s=120)
    assert task.status == "completed", task.fail_details
    yield house, feature.id, task.id
    house.close()


def kill_its_job(house: House, profile: Profile) -> int:
    """Kill the job's process as soon as there is one, and return its id."""
    table = "shopping_intents" if profile.kind == "shopping intent" else "custom_attributes"
    run_id = house.rows(f"SELECT run_id FROM {table} WHERE id = '{profile.id}'")[0]["run_id"]
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for pid, (marker, is_runner) in marked_processes().items():
            if marker.partition(".")[0] == run_id and not is_runner:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                    return pid
        time.sleep(0.01)
    raise AssertionError("its job never ran")


def end(house: House, client: Client, profile: Profile) -> Profile:
    ended = client.wait(profile, timeout_s=120)
    assert ended.status == "completed", (ended.fail_message, ended.fail_details)
    assert ended.line_count == USERS
    eventually(lambda: not house.markers(), 10.0)
    assert house.rows("SELECT * FROM result_reservations") == []
    assert house.rows("SELECT * FROM allocations") == []
    return ended


def test_custom_attributes_are_whole_after_their_job_was_killed(house: tuple[House, str, str]) -> None:
    home, feature_id, _ = house
    client = home.client
    made = client.custom_attributes.create("struck", feature_id, ["a", "b"], "data", "struck.tsv")
    kill_its_job(home, made)
    end(home, client, made)
    content = b"".join(client.get_object("data", "struck.tsv"))
    assert content.count(b"\n") == USERS
    run = home.rows("SELECT runs.* FROM runs JOIN custom_attributes p ON p.run_id = runs.id")[0]
    assert run["attempt"] == 1
    again = client.custom_attributes.create("calm", feature_id, ["a", "b"], "data", "calm.tsv")
    end(home, client, again)
    assert b"".join(client.get_object("data", "calm.tsv")) == content
    assert json.loads(run["result"])["object"] == "data/struck.tsv"


def test_a_shopping_intent_is_whole_after_its_job_was_killed(house: tuple[House, str, str]) -> None:
    home, _, task_id = house
    client = home.client
    made = client.shopping_intents.create("struck", task_id)
    kill_its_job(home, made)
    end(home, client, made)
    table = client.shopping_intents.table(made.id)
    assert table["name"].to_list()
    again = client.shopping_intents.create("calm", task_id)
    end(home, client, again)
    assert client.shopping_intents.download(again.id) == client.shopping_intents.download(made.id)
    client.shopping_intents.delete(made.id)
    left = home.home / "data" / "internal" / "shopping_intents"
    eventually(lambda: [each.parent.parent.name for each in left.rglob("profile.tsv")] == [again.id], 60.0)
