"""The client against a real server."""

import contextlib
import random
import subprocess
import threading
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import footfall
from footfall import Client
from footfall.client.replies import Feature, Task, TaskRun, reply
from footfall.errors import InputError, ServiceError
from live_server import LiveServer, live_server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    with live_server(tmp_path_factory.mktemp("client") / "home") as server:
        yield server


@pytest.fixture
def client(server: LiveServer) -> Iterator[Client]:
    with Client(home=server.home) as client:
        yield client


def sequences(n_users: int, seed: int = 1) -> bytes:
    chance = random.Random(seed)
    words = ["tea", "coffee", "bread", "red shoes", "a teapot", "milk 1l"]
    lines = [f"u{n}\t" + "->".join("buy " + chance.choice(words) for _ in range(6)) for n in range(n_users)]
    return ("\n".join(lines) + "\n").encode()


def labels(content: bytes) -> bytes:
    lines = content.decode().splitlines()
    return "".join(f"{line.split(chr(9))[0]}\t{int('tea->' in line or 'coffee' in line)}\n" for line in lines).encode()


def test_public_names_are_there_and_loaded_lazily() -> None:
    for name in footfall.__all__:
        assert getattr(footfall, name)
    assert set(footfall.__all__) == set(dir(footfall))
    with pytest.raises(AttributeError, match="nothing"):
        footfall.nothing  # noqa: B018


def test_health_needs_no_signature(server: LiveServer) -> None:
    with Client(server.endpoint, "no-such-key", "no-such-secret") as stranger:
        assert stranger.health()["status"] == "ok"
        with pytest.raises(ServiceError) as caught:
            list(stranger.features.list())
    assert (caught.value.status, caught.value.error_code) == (401, "200")
    assert caught.value.trace_id


def test_an_object_round_trip_in_pieces(client: Client, tmp_path: Path) -> None:
    content = random.Random(3).randbytes(5_000_001)
    (tmp_path / "a.bin").write_bytes(content)
    sent: list[int] = []
    assert client.put_object("pieces", "dir/a.bin", str(tmp_path / "a.bin")).size_bytes == len(content)
    put = client.put_object("pieces", "dir/a.bin", tmp_path / "a.bin", sent.append)
    assert (put.key, put.size_bytes, sent[-1]) == ("dir/a.bin", len(content), len(content))
    pieces = list(client.get_object("pieces", "dir/a.bin"))
    assert len(pieces) > 1
    assert b"".join(pieces) == content
    assert client.open_object("pieces", "dir/a.bin")[0] == len(content)
    client.delete_object("pieces", "dir/a.bin")
    with pytest.raises(ServiceError) as caught:
        list(client.get_object("pieces", "dir/a.bin"))
    assert caught.value.status == 404


@pytest.mark.parametrize("content", [b"", b"x"])
def test_small_objects_round_trip(client: Client, content: bytes) -> None:
    client.put_object("small", "x", content)
    assert b"".join(client.get_object("small", "x")) == content


def test_an_upload_whose_source_fails_leaves_nothing(client: Client) -> None:
    def broken() -> Iterator[bytes]:
        yield b"x" * 100_000
        raise RuntimeError("the source broke")

    client.put_object("broken", "whole", b"1")
    with pytest.raises(RuntimeError, match="the source broke"):
        client.put_object("broken", "half", broken())
    assert [each.key for each in client.list_objects("broken")] == ["whole"]


def test_objects_are_listed_over_pages(client: Client) -> None:
    names = [f"k{n:04}" for n in range(1005)]
    threads = [
        threading.Thread(target=lambda part: [client.put_object("many", n, b"") for n in part], args=(names[n::8],))
        for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [each.key for each in client.list_objects("many")] == names
    assert [each.key for each in client.list_objects("many", "k0009")] == ["k0009"]


def test_one_client_serves_many_threads_without_a_replay(client: Client) -> None:
    errors: list[Exception] = []

    def work() -> None:
        try:
            for _ in range(20):
                key = client.api_keys.create("many")
                client.api_keys.delete(key.id)
        except ServiceError as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not [error for error in errors if error.args and "already received" in str(error)]
    assert not errors


def test_a_name_that_is_taken_is_a_service_error(client: Client) -> None:
    client.put_object("names", "s.csv", sequences(5))
    client.features.create("taken", "names", "s.csv")
    with pytest.raises(ServiceError, match="taken") as caught:
        client.features.create("taken", "names", "s.csv")
    assert (caught.value.status, caught.value.error_code, caught.value.symbol) == (409, "10102", "DUPLICATE_NAME")


def test_find_takes_an_id_or_a_name(client: Client) -> None:
    client.put_object("find", "s.csv", sequences(5))
    made = client.features.create("findable", "find", "s.csv")
    assert client.features.find("findable").id == client.features.find(made.id).id == made.id
    with pytest.raises(InputError, match="no feature"):
        client.features.find("00000000-0000-0000-0000-000000000000")


def test_wait_gives_up_but_the_feature_goes_on(client: Client) -> None:
    client.put_object("patience", "s.csv", sequences(5))
    made = client.features.create("patience", "patience", "s.csv")
    with pytest.raises(TimeoutError, match="it goes on"):
        client.wait(made, timeout_s=0)
    assert client.wait(made).is_final


def test_scores_of_an_unfinished_task_run_are_refused(client: Client) -> None:
    wire = {"run_id": "r", "run_name": "n", "task_id": "t", "feature_id": "f", "result_bucket": "b", "result_file_path": "k"}
    with pytest.raises(InputError, match=r"wait\(\)"):
        client.scores(reply(TaskRun, wire))


def test_an_answer_of_another_shape_is_a_service_error() -> None:
    with pytest.raises(ServiceError, match="not as documented"):
        reply(Feature, {"feature_id": 3})


def test_times_are_aware_and_auroc_is_a_number() -> None:
    wire = {
        "task_id": "t",
        "task_name": "n",
        "created_at": "2024-11-03T15:02:24",
        "train_feature_id": "f",
        "train_bucket": "b",
        "train_file_path": "p",
        "AUROC": "0.8731",
        "a_field_of_tomorrow": 1,
    }
    task = reply(Task, wire)
    assert task.created_at is not None
    assert task.created_at.isoformat() == "2024-11-03T15:02:24+00:00"
    assert task.auroc == 0.8731
    assert task.wire == wire
    assert repr(task) == "Task('n', status='registered', id='t')"


def test_security_02_replies_with_secrets_do_not_show_them(client: Client) -> None:
    key = client.keys.create()
    assert key.secret_key
    assert key.secret_key not in repr(key)
    client.keys.stop(key.id)
    client.keys.delete(key.id)


def test_from_sequences_to_scores(client: Client) -> None:
    content = sequences(800)
    client.put_object("main", "s.csv", content)
    client.put_object("main", "l.tsv", labels(content))
    stages: list[str] = []
    feature = client.wait(
        client.features.create("main", "main", "s.csv"),
        lambda now: stages.append(now.progress.stage if now.progress else now.status),
    )
    assert (feature.status, feature.user_count) == ("completed", 800), feature.fail_details
    assert stages[-1] == "completed"
    task = client.wait(client.tasks.create("main", feature.id, "main", "l.tsv"))
    assert task.status == "completed", task.fail_details
    assert task.auroc is not None
    assert task.auroc > 0.9
    run = client.wait(client.task_runs.create("main", task.id, feature.id, "main", "scores.tsv"))
    scores = client.scores(run)
    assert scores.columns == ["user_id", "score"]
    assert scores["user_id"].to_list() == [f"u{n}" for n in range(800)]
    assert scores["score"].is_between(0, 1).all()
    assert [each.name for each in client.encoders()][:1]
    assert b"".join(client.log(task)) is not None
    assert [each.id for each in client.task_runs.list()] == [run.id]


def test_two_pages_of_features_hold_every_feature_once(server: LiveServer, client: Client) -> None:
    client.put_object("pages", "s.csv", sequences(3))
    made = [client.features.create(f"page {n}", "pages", "s.csv").id for n in range(105)]
    listed = [each.id for each in client.features.list() if each.name.startswith("page ")]
    assert listed == made[::-1]
    assert len(list(client.features.list(7))) == 7
    for id in made:
        with contextlib.suppress(ServiceError):  # one that has ended cannot be cancelled
            client.features.cancel(id)


def test_the_credentials_file_is_all_a_client_needs(server: LiveServer) -> None:
    written = tomllib.loads((server.home / "credentials.toml").read_text())
    assert set(written) == {"endpoint", "access_key", "secret_key", "api_key"}
    with Client(written["endpoint"], written["access_key"], written["secret_key"], written["api_key"]) as client:
        assert client.endpoint == server.endpoint
        assert client.accounts.list()


def test_a_certificate_that_nobody_here_trusts_is_refused(tmp_path: Path) -> None:
    certificate, key = str(tmp_path / "cert.pem"), str(tmp_path / "key.pem")
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key, "-out", certificate]
    name = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"]
    subprocess.run(["openssl", "req", "-x509", *curve, *name], check=True, capture_output=True)
    with live_server(tmp_path / "home", "--tls-cert", certificate, "--tls-key", key) as server:
        assert server.endpoint.startswith("https://")
        with Client(home=server.home) as stranger, pytest.raises(ServiceError, match=r"not trusted.*ca_file") as caught:
            stranger.health()
        assert caught.value.status == 0
        with Client(home=server.home, ca_file=certificate) as client:
            assert client.accounts.list()


def test_following_a_log_ends_with_the_job(client: Client) -> None:
    client.put_object("following", "s.csv", sequences(300))
    made = client.features.create("followed", "following", "s.csv")
    followed = b"".join(client.log(made, follow=True))
    assert client.features.get(made.id).is_final
    assert followed == b"".join(client.log(made))


@pytest.mark.parametrize("is_elsewhere", [False, True])
def test_waiting_survives_a_server_that_is_killed_and_started_again(tmp_path: Path, is_elsewhere: bool) -> None:
    home = tmp_path / "home"
    with live_server(home) as first, Client(home=home) as client:
        client.put_object("restart", "s.csv", sequences(20_000))
        made = client.features.create("restarted", "restart", "s.csv")
        seen: list[str] = []
        waiting = threading.Thread(target=lambda: seen.append(client.wait(made).status))
        logs: list[bytes] = []
        following = threading.Thread(target=lambda: logs.extend(client.log(made, follow=True)))
        for thread in (waiting, following):
            thread.start()
        first.process.kill()
        first.process.wait()
        with live_server(home, "--port", "0" if is_elsewhere else first.endpoint.rpartition(":")[2]) as second:
            waiting.join(60)
            following.join(60)
            assert client.endpoint == second.endpoint
            assert b"".join(logs) == b"".join(client.log(made))
        assert seen == ["completed"]
