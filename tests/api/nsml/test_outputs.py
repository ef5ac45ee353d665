"""Logs, metrics and artifacts over HTTP: the same bytes for history and for following, for one and for many."""

import http.client
import json
import os
import struct
import threading
import time
from pathlib import Path
from urllib.parse import quote

import pytest

from footfall import layout
from footfall.compute.outputs import metrics
from footfall.db.engine.engine import now_us
from footfall.db.tables import runs as runs_table
from footfall.states import RunState
from nsml_service import ROOT, make_project, make_run, move_run, row_of
from service import Caller, Service


class OneRun:
    """A run whose files the test writes, as its runner would."""

    def __init__(self, service: Service, caller: Caller, **fields: object) -> None:
        self.service, self.caller = service, caller
        self.project_id = make_project(caller)
        self.name = make_run(caller, self.project_id, **fields)
        self.path = f"{ROOT}/projects/{self.project_id}/runs/{self.name}"
        self.id = row_of(service, caller, self.project_id, self.name).id
        self.root = service.settings.runs_root

    def node(self, rank: int = 0, attempt: int = 0) -> Path:
        node = self.root / layout.node_dir(self.id, attempt, rank)
        node.mkdir(parents=True, exist_ok=True)
        return node

    def log(self, data: bytes, rank: int = 0, attempt: int = 0) -> None:
        with open(self.node(rank, attempt) / layout.LOG, "ab") as file:
            file.write(data)

    def end(self, attempt: int = 0) -> None:
        (self.node(attempt=attempt) / layout.STATUS).write_text("{}")
        move_run(
            self.service, self.caller, self.project_id, self.name,
            RunState.PENDING, RunState.IN_PROGRESS, RunState.COMPLETED,
        )  # fmt: skip

    def logs(self, query: str = "") -> tuple[bytes, str, str]:
        reply = self.caller.get(f"{self.path}/logs{query}")
        assert reply.status == 200, reply.body
        return reply.body, reply.headers["x-next-offset"], reply.headers["x-log-complete"]

    def follow(self, query: str = "") -> "Follower":
        return Follower(self.caller, f"{self.path}/logs?follow=true{query}")


class Follower(threading.Thread):
    """Reads a stream to its end, or to where it breaks off."""

    def __init__(self, caller: Caller, target: str) -> None:
        super().__init__(daemon=True)
        self.got = b""
        self.is_whole = False
        self.connection = http.client.HTTPConnection("127.0.0.1", caller.port, timeout=20)
        self.connection.request("GET", target, headers=caller.signed("GET", target))
        self.response = self.connection.getresponse()
        assert self.response.status == 200, self.response.read()
        self.start()

    def run(self) -> None:
        try:
            while chunk := self.response.read1(1 << 16):
                self.got += chunk
            self.is_whole = True
        except (http.client.IncompleteRead, ConnectionError):
            pass
        finally:
            self.connection.close()

    def wait_for(self, data: bytes, timeout_s: float = 5.0) -> None:
        deadline = time.monotonic() + timeout_s
        while data not in self.got and time.monotonic() < deadline:
            time.sleep(0.01)
        assert data in self.got, self.got


@pytest.fixture
def run(service: Service) -> OneRun:
    return OneRun(service, service.account("alice"))


def test_a_log_is_read_by_offset_tail_since_and_search(run: OneRun) -> None:
    assert run.logs() == (b"", "0", "false")
    run.log(b"one\ntwo \xff\nthree\n")
    (run.node() / layout.LOG_INDEX).write_bytes(struct.pack("<QQQQ", 1_700_000_000, 0, 1_700_000_060, 4))
    assert run.logs("?offset=4&limit=3") == (b"two", "7", "false")
    assert run.logs("?tail=1") == (b"three\n", "16", "false")
    assert run.logs("?since=1700000030")[0] == b"two \xff\nthree\n"
    assert run.logs(f"?since={quote('2023-11-14T22:14:20+00:00')}")[0] == b"two \xff\nthree\n"
    assert run.logs("?grep=o")[0] == b"one\ntwo \xff\n"
    assert run.logs("?offset=99") == (b"", "99", "false")
    run.end()
    assert run.logs("?offset=4") == (b"two \xff\nthree\n", "16", "true")


@pytest.mark.parametrize(
    ("query", "word"),
    [
        ("node=1", "node"), ("node=x", "node"), ("offset=-1", "offset"), ("limit=0", "limit"), ("tail=1&offset=1", "tail"),
        ("since=yesterday", "since"), ("follow=maybe", "follow"), ("grep=" + "x" * 1025, "grep"), ("offset=1e3", "offset"),
        ("since=" + "9" * 13, "since"), ("offset=1&offset=2", "offset"),
    ],
)  # fmt: skip
def test_a_wrong_query_of_a_log_is_refused_by_name(run: OneRun, query: str, word: str) -> None:
    reply = run.caller.get(f"{run.path}/logs?{query}")
    assert reply.error == (400, "400", "Bad Request")
    assert word in reply.details


def test_another_accounts_run_has_no_log(run: OneRun) -> None:
    bob = run.service.account("bob")
    for path in ("logs", "logs?follow=true", "metrics", "artifacts", "artifacts/0/x"):
        assert bob.get(f"{run.path}/{path}").status == 404


def test_following_gives_what_is_there_what_comes_and_an_end(run: OneRun) -> None:
    run.log(b"first\n")
    follower = run.follow()
    follower.wait_for(b"first\n")
    run.log(b"second\n")
    follower.wait_for(b"second\n")
    run.end()
    follower.join(5)
    assert (follower.got, follower.is_whole) == (b"first\nsecond\n", True)


def test_following_goes_on_through_the_next_attempt(run: OneRun) -> None:
    run.log(b"first attempt\n")
    follower = run.follow()
    follower.wait_for(b"first")
    (run.node() / layout.STATUS).write_text("{}")
    with run.service.database.write() as tx:
        tx.execute(runs_table.update().where(runs_table.c.id == run.id).values(attempt=1))
    run.log(b"second attempt\n", attempt=1)
    follower.wait_for(b"second")
    run.end(attempt=1)
    follower.join(5)
    assert (follower.got, follower.is_whole) == (b"first attempt\nsecond attempt\n", True)


def test_whoever_comes_back_with_an_offset_gets_the_rest(run: OneRun) -> None:
    run.log(b"0123456789")
    first = run.follow()
    first.wait_for(b"0123456789")
    first.connection.sock.close() if first.connection.sock else None
    run.log(b"abc")
    second = run.follow("&offset=10")
    second.wait_for(b"abc")
    run.end()
    second.join(5)
    assert (second.got, second.is_whole) == (b"abc", True)
    assert second.response.headers["x-start-offset"] == "10"


def test_following_a_search_gives_whole_lines_only(run: OneRun) -> None:
    follower = run.follow("&grep=loss")
    run.log(b"loss 1\nacc 2\nlo")
    run.log(b"ss 3\nloss 4")
    follower.wait_for(b"loss 3\n")
    assert follower.got == b"loss 1\nloss 3\n"
    run.end()
    follower.join(5)
    assert follower.got == b"loss 1\nloss 3\nloss 4"


def test_a_search_that_finds_nothing_in_a_large_log_keeps_nobody_waiting(run: OneRun) -> None:
    run.log(b"y\n" * (32 << 20))
    run.log(b"needle\n")
    followers = [run.follow("&grep=needle") for _ in range(2)]
    waits = []
    while len(waits) < 20:
        started = time.monotonic()
        assert run.caller.get(run.path).status == 200
        waits.append(time.monotonic() - started)
    assert max(waits) < 1.0
    for follower in followers:
        follower.wait_for(b"needle\n", 20.0)
    started = time.monotonic()
    assert run.logs("?grep=needle&offset=0&limit=1000")[0] == b""
    assert time.monotonic() - started < 2.0


def test_a_search_does_not_wait_for_a_line_that_has_not_ended(run: OneRun) -> None:
    run.log(b"start\nno newline yet, start")
    reply = run.caller.get(f"{run.path}/logs?grep=start&offset=6")
    assert (reply.body, reply.headers["x-next-offset"], reply.headers["x-log-end"]) == (b"", "6", "true")
    run.log(b"\n")
    assert run.logs("?grep=start&offset=6")[0] == b"no newline yet, start\n"
    assert run.caller.get(f"{run.path}/logs?grep=a%0Ab").error == (400, "400", "Bad Request")


def test_a_run_that_is_deleted_breaks_its_followers_off(run: OneRun) -> None:
    run.log(b"x\n")
    follower = run.follow()
    follower.wait_for(b"x")
    with run.service.database.write() as tx:
        tx.execute(runs_table.update().where(runs_table.c.id == run.id).values(deleted_at=now_us()))
    follower.join(5)
    assert not follower.is_whole


def test_one_that_reads_slowly_loses_nothing_and_holds_nobody_up(run: OneRun) -> None:
    line = b"x" * 1023 + b"\n"
    target = f"{run.path}/logs?follow=true"
    slow = http.client.HTTPConnection("127.0.0.1", run.caller.port, timeout=20)
    slow.request("GET", target, headers=run.caller.signed("GET", target))
    response = slow.getresponse()
    quick = run.follow()
    for _ in range(20):
        run.log(line * 1024)
    quick.wait_for(line)
    run.end()
    quick.join(15)
    assert len(quick.got) == 20 << 20
    taken = time.monotonic()
    run.caller.get(run.path)
    assert time.monotonic() - taken < 2.0
    data = response.read()
    assert len(data) == 20 << 20
    slow.close()


def test_a_hundred_followers_see_the_same(run: OneRun) -> None:
    followers = [run.follow() for _ in range(100)]
    for number in range(20):
        run.log(b"line %d\n" % number)
        time.sleep(0.02)
    run.end()
    for follower in followers:
        follower.join(10)
    assert {follower.got for follower in followers} == {b"".join(b"line %d\n" % number for number in range(20))}
    assert all(follower.is_whole for follower in followers)


def test_metrics_are_curves_and_summaries(run: OneRun) -> None:
    assert run.caller.get(f"{run.path}/metrics").json == {"series": [], "summary": {}, "droppedPoints": 0}
    node = run.node()
    (node / layout.METRIC_KEYS).write_text('"loss"\n"a,b"\n')
    points = [struct.pack("<IIddd", 0, 1, step, 1000.0 + step, 1 / (step + 1)) for step in range(1000)]
    (node / layout.METRICS).write_bytes(b"".join(points))
    one = {"last": 0.001, "min": 0.001, "max": 1.0, "count": 1000, "nonFinite": 2, "lastNonFiniteStep": 7.0}
    (node / layout.METRIC_SUMMARY).write_text(json.dumps({"keys": {"loss": one}, "droppedPoints": 3, "resetAt": None}))
    found = run.caller.get(f"{run.path}/metrics?maxPoints=50&keys=loss").json
    [series] = found["series"]
    assert (series["key"], series["node"], series["pointCount"]) == ("loss", 0, 1000)
    assert 4 <= len(series["points"]) <= 50
    assert series["points"][0] == [0.0, 1.0, 1000.0]
    assert found["summary"] == {"loss": one}
    assert found["droppedPoints"] == 3
    assert run.caller.get(f"{run.path}/metrics?keys=other").json["series"] == []
    for query, word in (("maxPoints=3", "maxPoints"), ("maxPoints=x", "maxPoints"), ("keys=" + ",".join("k" * 1002), "keys")):
        reply = run.caller.get(f"{run.path}/metrics?{query}")
        assert reply.error == (400, "400", "Bad Request")
        assert word in reply.details


@pytest.mark.parametrize(
    ("keys", "found"),
    [
        (r"a\,b", [r"a,b"]), ("a,b", ["a", "b"]), (r"a\\,b", ["a\\", "b"]), (r"a\\\,b,a", ["a", r"a\,b"]), (r"\d", [r"\d"]),
        (r"\\d", [r"\d"]), (",,b,", ["b"]), (",", []), ("", [",", r"\d", "a", "a,b", "a\\", r"a\,b", "b"]),
        (r"\,", [","]),
    ],
)  # fmt: skip
def test_a_comma_within_a_key_is_escaped(run: OneRun, keys: str, found: list[str]) -> None:
    names = ["a", "b", "a,b", "a\\", r"a\,b", r"\d", ","]
    node = run.node()
    (node / layout.METRIC_KEYS).write_text("".join(json.dumps(name) + "\n" for name in names))
    points = [struct.pack("<IIddd", key, 1, 1.0, 1000.0, 2.0) for key in range(len(names))]
    (node / layout.METRICS).write_bytes(b"".join(points))
    (node / layout.METRIC_SUMMARY).write_text(json.dumps({"keys": {}, "droppedPoints": 0, "resetAt": None}))
    reply = run.caller.get(f"{run.path}/metrics?keys={quote(keys)}")
    assert [series["key"] for series in reply.json["series"]] == sorted(found)


def test_one_account_has_one_chart_made_at_a_time_and_others_do_not_wait(
    service: Service, run: OneRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    now: list[str] = []
    most: list[int] = []
    are_two = threading.Event()

    def slow(_root: Path, run_id: str, *_: object, **__: object) -> list[metrics.Series]:
        now.append(run_id)
        most.append(now.count(run_id))
        if len(set(now)) == 2:
            are_two.set()
        are_two.wait(10)
        time.sleep(0.05)
        now.remove(run_id)
        return []

    monkeypatch.setattr(metrics, "read_series", slow)
    other = OneRun(service, service.account("bob"))
    targets = [run, run, run, other]
    askers = [threading.Thread(target=each.caller.get, args=(f"{each.path}/metrics",)) for each in targets]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join(20)
    assert are_two.is_set()
    assert most == [1, 1, 1, 1]


def test_row_12_artifacts_are_files_and_never_what_links_lead_to_elsewhere(run: OneRun) -> None:
    assert run.caller.get(f"{run.path}/artifacts").json == {
        "artifacts": [], "totalCount": 0, "unlistedCount": 0, "leftOut": [],
    }  # fmt: skip
    output = run.root / layout.output_dir(run.id, 0)
    (output / "deep").mkdir(parents=True)
    (output / "deep/mödel 1.bin").write_bytes(b"\x00\x01")
    (output / "link").symlink_to("/etc/passwd")
    (output / "up").symlink_to("..")
    (output / "latest").symlink_to(output / "deep")
    os.link(run.service.settings.key_file, output / "hard")
    listed = run.caller.get(f"{run.path}/artifacts").json
    assert [(one["node"], one["path"], one["sizeBytes"]) for one in listed["artifacts"]] == [
        (0, "deep/mödel 1.bin", 2), (0, "latest/mödel 1.bin", 2),
    ]  # fmt: skip
    assert [(one["node"], one["path"], one["reason"]) for one in listed["leftOut"]] == [
        (0, "hard", "a file with several names (hard links)"), (0, "link", "a link that leads out of the directory"),
        (0, "up", "a link that leads out of the directory"),
    ]  # fmt: skip
    assert run.caller.get(f"{run.path}/artifacts/0/latest/{quote('mödel 1.bin')}").body == b"\x00\x01"
    reply = run.caller.get(f"{run.path}/artifacts/0/{quote('deep/mödel 1.bin')}")
    assert (reply.status, reply.body) == (200, b"\x00\x01")
    assert reply.headers["content-disposition"] == "attachment; filename*=UTF-8''m%C3%B6del%201.bin"
    for path in ("link", "up/0/deep", "hard", "deep", "nothing", "..%2fx", "deep/../link"):
        assert run.caller.get(f"{run.path}/artifacts/0/{path}").status == 404
    assert run.caller.get(f"{run.path}/artifacts/1/deep/x").status == 404


def test_names_that_are_no_text_are_counted_and_do_not_break_the_list(run: OneRun) -> None:
    output = run.root / layout.output_dir(run.id, 0)
    output.mkdir(parents=True)
    (output / "good").touch()
    (Path(os.fsdecode(bytes(output) + b"/bad\xff"))).touch()
    listed = run.caller.get(f"{run.path}/artifacts").json
    assert [one["path"] for one in listed["artifacts"]] == ["good"]
    assert listed["unlistedCount"] == 1


def test_what_was_removed_by_retention_is_404_with_the_date(run: OneRun) -> None:
    with run.service.database.write() as tx:
        changed = {"data_removed_at": 1_700_000_000_000_000}
        tx.execute(runs_table.update().where(runs_table.c.id == run.id).values(**changed))
    for path in ("logs", "metrics", "artifacts"):
        reply = run.caller.get(f"{run.path}/{path}")
        assert reply.error == (404, "404", "Not Found")
        assert "2023-11-14 22:13:20" in reply.details
