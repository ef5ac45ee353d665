"""Wrong files, through the wire and the job: each ends with the contract's name, the place, and what to do; others work."""

import gzip
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from footfall import Client, ServiceError
from live_server import live_server

WORDS = ("tea", "cup", "plate", "clock", "jar", "bag", "candle", "lamp", "spoon", "mirror")


def sequences(n: int = 300, *, prefix: str = "u", newline: str = "\n") -> bytes:
    """Users whose label shows in what they do."""
    maker = random.Random(1)
    lines = []
    for number in range(n):
        words = WORDS[:6] if number % 2 else WORDS[4:]
        lines.append(f"{prefix}{number}\t" + "->".join(f"buy {maker.choice(words)}" for _ in range(maker.randint(1, 9))))
    return newline.join(lines).encode() + newline.encode()


def labels(n: int = 300) -> bytes:
    return "".join(f"u{number}\t{number % 2}\n" for number in range(n)).encode()


@dataclass
class World:
    client: Client
    feature_id: str


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    home = tmp_path_factory.mktemp("bad") / "home"
    with live_server(home, environment={"FOOTFALL_BEHAVIOR_CORES": "1"}), Client(home=home) as client:
        client.buckets.create("data")
        put(client, "good.csv", sequences())
        feature = client.wait(client.features.create("good", "data", "good.csv"), timeout_s=120)
        assert feature.status == "completed", feature.fail_details
        yield World(client, feature.id)


def put(client: Client, key: str, content: bytes) -> None:
    client.put_object("data", key, content)


def good(n: int) -> bytes:
    return sequences(n)


SEQUENCES: dict[str, tuple[dict[str, bytes], str, tuple[str, ...]]] = {
    "an empty file": ({"": b""}, "NOT_EXIST_FILE", ()),
    "no tab": ({"": b"u1\tbuy tea\nu2 buy tea\n"}, "UNEXPECTED_TXT_FORMAT", ("line 2", "tab")),
    "too many tabs": ({"": b"u1\tbuy\ttea\n"}, "UNEXPECTED_TXT_FORMAT", ("line 1", "tab")),
    "a blank line": ({"": b"u1\tbuy tea\n\nu2\tbuy cup\n"}, "UNEXPECTED_TXT_FORMAT", ("line 2",)),
    "a user twice": ({"": b"u1\ta\nu2\tb\nu1\tc\n"}, "DUPLICATE_USERID", ("line 3",)),
    "a user in two files": (
        {"/part-0": b"u1\ta\nu2\tb\n", "/part-1": b"u3\ta\nu2\tb\n"}, "DUPLICATE_USERID", ("part-1", "line 2")),
    "an id of 101 characters": ({"": b"u1\ta\n" + b"x" * 101 + b"\ta\n"}, "LIMIT_ERROR_MID_LENGTH", ("line 2", "100")),
    "NUL": ({"": b"u1\tbuy \x00 tea\n"}, "UNEXPECTED_TXT_FORMAT", ("line 1",)),
    "a control character": ({"": b"u1\tbuy tea\nu2\tbuy \x07 tea\n"}, "UNEXPECTED_TXT_FORMAT", ("line 2",)),
    "invalid UTF-8": ({"": b"u1\tbuy tea\nu2\tbuy \xff tea\n"}, "UNEXPECTED_TXT_FORMAT", ("line 2", "UTF-8")),
    "row 24 a line over 64 MiB": (
        {"": b"u1\ta\nu2\t" + b"buy tea->" * (65 << 17)}, "UNEXPECTED_TXT_FORMAT", ("line 2", "64 MiB")),
    "row 23 a gzip bomb": ({"": gzip.compress(b"u1\t" + b"a" * (256 << 20), 9)}, "UNEXPECTED_FILE_TYPE", ()),
    "truncated gzip": ({"": gzip.compress(sequences(5000))[:-2000]}, "UNEXPECTED_FILE_TYPE", ()),
    "personal data deep inside": (
        {"": sequences(1500) + b"last\twrite to somebody@example.com\n"}, "PERSONAL_DATA_NOT_ALLOWED", ("line 1501",)),
}  # fmt: skip


@pytest.mark.parametrize("case", SEQUENCES)
def test_a_wrong_sequence_file_fails_the_feature_with_name_place_and_remedy(world: World, case: str) -> None:
    files, name, words = SEQUENCES[case]
    key = case.replace(" ", "-") + ".csv"
    for suffix, content in files.items():
        put(world.client, key + suffix, content)
    feature = world.client.wait(world.client.features.create(case, "data", key), timeout_s=120)
    assert (feature.status, feature.fail_message) == ("failed", name), feature.fail_details
    details = feature.fail_details or ""
    assert key in details
    for word in words:
        assert word in details
    assert "somebody@" not in details
    log = b"".join(world.client.log(feature)).decode()
    assert details.split(": ")[-1] in log
    assert "Traceback" not in log


LABELS: dict[str, tuple[bytes, str, tuple[str, ...]]] = {
    "only ones": (b"".join(b"u%d\t1\n" % n for n in range(250)), "NUM_OF_LABEL_INSUFFICIENT", ("100",)),
    "99 zeros": (
        b"".join(b"u%d\t%d\n" % (n, n >= 99) for n in range(250)), "NUM_OF_LABEL_INSUFFICIENT", ("99", "100")),
    "unknown users only": (b"".join(b"x%d\t%d\n" % (n, n % 2) for n in range(300)), "NUM_OF_LABEL_INSUFFICIENT", ("100",)),
    "a contradiction": (labels() + b"u3\t0\n", "UNEXPECTED_LABEL", ("line 301",)),
    "a label of 2": (labels() + b"u3\t2\n", "UNEXPECTED_LABEL", ("line 301",)),
    "empty labels": (b"", "NOT_EXIST_FILE", ()),
}  # fmt: skip


@pytest.mark.parametrize("case", LABELS)
def test_a_wrong_label_file_fails_the_task_with_name_place_and_remedy(world: World, case: str) -> None:
    content, name, words = LABELS[case]
    key = "labels-" + case.replace(" ", "-") + ".tsv"
    put(world.client, key, content)
    task = world.client.wait(world.client.tasks.create(case, world.feature_id, "data", key), timeout_s=120)
    assert (task.status, task.fail_message) == ("failed", name), task.fail_details
    for word in words:
        assert word in (task.fail_details or "")
    assert task.AUROC is None


def test_a_file_that_begins_with_no_labels_is_refused_at_the_request(world: World) -> None:
    for key, content, words in (
        ("one-column.tsv", b"u1 1\n", "line 1: there is one column"),
        ("sequences.tsv", b"u1\tred->blue\nu2\tred\n", "no column of its first lines holds labels alone"),
    ):
        put(world.client, key, content)
        with pytest.raises(ServiceError, match=words) as caught:
            world.client.tasks.create(key, world.feature_id, "data", key)
        assert (caught.value.status, caught.value.error_code) == (422, "10200")
        assert key not in {task.name for task in world.client.tasks.list()}


def test_a_test_set_of_one_class_fails_the_task(world: World) -> None:
    put(world.client, "train.tsv", labels())
    put(world.client, "ones.tsv", b"u1\t1\nu3\t1\n")
    made = world.client.tasks.create(
        "one class to test",
        world.feature_id,
        "data",
        "train.tsv",
        test_feature_id=world.feature_id,
        test_bucket="data",
        test_file_path="ones.tsv",
    )
    task = world.client.wait(made, timeout_s=120)
    assert (task.status, task.fail_message) == ("failed", "NUM_OF_LABEL_INSUFFICIENT")
    assert "ones.tsv" in (task.fail_details or "")


def part_files() -> dict[str, bytes]:
    lines = sequences().splitlines(keepends=True)
    return {
        "/part-00000": b"".join(lines[:150]),
        "/part-00001": b"".join(lines[150:]),
        "/_SUCCESS": b"",
        "/.part-00000.crc": b"\x00\xff crc",
    }


WORKING: dict[str, tuple[Any, int]] = {
    "a BOM": (lambda: {"": b"\xef\xbb\xbf" + sequences()}, 300),
    "CRLF": (lambda: {"": sequences(newline="\r\n")}, 300),
    "no newline at the end": (lambda: {"": sequences().rstrip()}, 300),
    "gzip of many members": (lambda: {"": b"".join(map(gzip.compress, sequences().splitlines(keepends=True)))}, 300),
    "part files with _SUCCESS and crc beside them": (part_files, 300),
    "a user of two million behaviors": (lambda: {"": sequences() + b"big\t" + b"buy tea->" * 2_000_000 + b"buy cup\n"}, 301),
    "a user of no behavior": (lambda: {"": sequences() + b"none\t\nempty\t->->\n"}, 302),
}


@pytest.mark.parametrize("case", WORKING)
def test_an_unusual_but_right_file_works(world: World, case: str) -> None:
    files, users = WORKING[case]
    key = case.replace(" ", "-") + ".csv"
    for suffix, content in files().items():
        put(world.client, key + suffix, content)
    feature = world.client.wait(world.client.features.create(case, "data", key), timeout_s=120)
    assert feature.status == "completed", feature.fail_details
    assert feature.user_count == users


def test_labels_of_as_many_users_as_there_are_sequences_work_and_repeats_do_no_harm(world: World, tmp_path: Path) -> None:
    put(world.client, "all.tsv", labels() + labels(50) + b"stranger\t1\n")
    task = world.client.wait(world.client.tasks.create("all labelled", world.feature_id, "data", "all.tsv"), timeout_s=120)
    assert task.status == "completed", task.fail_details
    assert float(task.AUROC or 0) > 0.8
    run = world.client.wait(
        world.client.task_runs.create("all scored", task.id, world.feature_id, "data", "scores.tsv"), timeout_s=120
    )
    scores = world.client.scores(run)
    assert scores["user_id"].to_list() == [f"u{number}" for number in range(300)]
    assert scores["score"].is_between(0, 1).all()
