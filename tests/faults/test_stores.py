"""The whole job on an S3 store, and what becomes of it when that store refuses, hangs, denies, or breaks off."""

import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from faulty_proxy import FaultyProxy, faulty_proxy

from footfall import Client
from footfall.errors import ServiceError
from live_server import live_server
from s3_servers import ACCESS_KEY, SECRET_KEY, juicefs_gateway, moto_server

USERS = 400


@dataclass
class World:
    client: Client
    proxy: FaultyProxy
    feature_id: str
    task_id: str


def s3_settings(endpoint: str, **more: str) -> dict[str, str]:
    settings = {
        "store_url": "s3://", "s3_endpoint": endpoint, "s3_access_key": ACCESS_KEY, "s3_secret_key": SECRET_KEY,
        "behavior_cores": "1",
    } | more  # fmt: skip
    return {f"FOOTFALL_{name.upper()}": value for name, value in settings.items()}


def put_data(client: Client) -> None:
    maker = random.Random(0)
    lines = (
        f"u{n}\t" + "->".join(f"do {maker.choice('abcdef' if n % 2 else 'defghi')}" for _ in range(9)) + "\n"
        for n in range(USERS)
    )
    client.buckets.create("shop")
    client.put_object("shop", "sequences.csv", "".join(lines).encode())
    client.put_object("shop", "labels.tsv", "".join(f"u{n}\t{n % 2}\n" for n in range(USERS)).encode())


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    directory = tmp_path_factory.mktemp("faulty")
    with moto_server(directory) as endpoint, faulty_proxy(endpoint) as proxy:
        environment = s3_settings(proxy.endpoint, s3_timeout_s="1", max_attempts="1")
        with live_server(directory / "home", environment=environment), Client(home=directory / "home") as client:
            put_data(client)
            feature = client.wait(client.features.create("f", "shop", "sequences.csv"), timeout_s=120)
            assert feature.status == "completed", feature.fail_details
            task = client.wait(client.tasks.create("t", feature.id, "shop", "labels.tsv"), timeout_s=120)
            assert task.status == "completed", task.fail_details
            yield World(client, proxy, feature.id, task.id)


@pytest.fixture(autouse=True)
def whole(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if "world" in request.fixturenames:
        request.getfixturevalue("world").proxy.set("pass")


@pytest.mark.parametrize("server", [moto_server, partial(juicefs_gateway, keep_etag=False)], ids=["moto", "no-etags"])
def test_the_whole_job_runs_on_an_s3_store_with_artefacts_there_too(server, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    with server(tmp_path) as endpoint:
        with live_server(tmp_path / "home", environment=s3_settings(endpoint)), Client(home=tmp_path / "home") as client:
            client.buckets.create("artefacts")
        settings = s3_settings(endpoint, internal_url="s3://artefacts/footfall")
        with live_server(tmp_path / "home", environment=settings), Client(home=tmp_path / "home") as client:
            put_data(client)
            feature = client.wait(client.features.create("f", "shop", "sequences.csv"), timeout_s=120)
            assert feature.status == "completed", feature.fail_details
            task = client.wait(client.tasks.create("t", feature.id, "shop", "labels.tsv"), timeout_s=120)
            assert task.status == "completed", task.fail_details
            run = client.wait(client.task_runs.create("r", task.id, feature.id, "shop", "out/"), timeout_s=120)
            assert run.status == "completed", run.fail_details
            assert client.scores(run).height == USERS
            assert run.result_file_path.startswith("out/nclue_")
            assert not list((tmp_path / "home/data").glob("internal/*"))


@pytest.mark.parametrize("mode", ["refuse", "hang", "deny"])
def test_a_store_that_fails_while_the_result_is_written_fails_the_run_truly(world: World, mode: str) -> None:
    run = world.client.task_runs.create(f"upload {mode}", world.task_id, world.feature_id, "shop", f"{mode}.tsv")
    world.proxy.set(mode)
    run = world.client.wait(run, timeout_s=60)
    name = "OBS_USER_FILE_ACCESS_ERROR" if mode == "deny" else "OBS_UPLOAD_FAILED"
    assert (run.status, run.fail_message) == ("failed", name), run.fail_details
    world.proxy.set("pass")
    assert f"{mode}.tsv" not in [item.key for item in world.client.list_objects("shop")]


@pytest.mark.parametrize("mode", ["refuse", "hang"])
def test_a_store_that_is_away_at_the_request_is_a_503_and_leaves_nothing(world: World, mode: str) -> None:
    world.proxy.set(mode)
    with pytest.raises(ServiceError) as caught:
        world.client.features.create(f"request {mode}", "shop", "sequences.csv")
    world.proxy.set("pass")
    assert (caught.value.status, caught.value.error_code) == (503, "500")
    assert f"request {mode}" not in [feature.name for feature in world.client.features.list()]


def test_a_store_that_denies_access_at_the_request_is_a_path_that_is_not_there(world: World) -> None:
    world.proxy.set("deny")
    with pytest.raises(ServiceError) as caught:
        world.client.features.create("request denied", "shop", "sequences.csv")
    assert (caught.value.status, caught.value.error_code) == (404, "10106")


def test_a_store_that_breaks_off_is_read_on_from_where_it_broke(world: World) -> None:
    content = b"".join(b"u%d\tdo a->do b->do c\n" % n for n in range(100_000))
    world.client.put_object("shop", "long.csv", content)
    world.proxy.cut_after = len(content) * 2 // 3
    world.proxy.set("cut")
    feature = world.client.wait(world.client.features.create("cut off", "shop", "long.csv"), timeout_s=120)
    assert feature.status == "completed", feature.fail_details
    assert feature.user_count == 100_000


def test_a_file_that_changes_while_it_is_read_fails_the_feature(world: World) -> None:
    content = b"".join(b"u%d\tdo a->do b->do c->do d->do e\n" % n for n in range(600_000))
    world.client.put_object("shop", "moving.csv", content)
    feature = world.client.features.create("moving", "shop", "moving.csv")
    deadline = time.monotonic() + 60
    number = 0
    while time.monotonic() < deadline:
        number += 1
        world.client.put_object("shop", "moving.csv", content + b"x%d\tdo z\n" % number)
        feature = world.client.features.get(feature.id)
        if feature.is_final:
            break
    assert (feature.status, feature.fail_message) == ("failed", "OBS_DOWNLOAD_FAILED"), feature.fail_details
    assert "changed" in (feature.fail_details or "")


def test_a_store_that_is_back_lets_the_next_attempt_finish(world: World, tmp_path: Path) -> None:
    environment = s3_settings(world.proxy.endpoint, s3_timeout_s="1", max_attempts="3")
    with live_server(tmp_path / "home", environment=environment), Client(home=tmp_path / "home") as client:
        maker = b"".join(b"u%d\tdo a->do b\n" % n for n in range(100))
        client.buckets.create("other")
        client.put_object("other", "s.csv", maker)
        feature = client.features.create("patient", "other", "s.csv")
        world.proxy.set("refuse")
        deadline = time.monotonic() + 60
        while client.features.get(feature.id).status == "registered" and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(6)
        world.proxy.set("pass")
        feature = client.wait(feature, timeout_s=90)
        assert feature.status == "completed", feature.fail_details
