import contextlib
import json
import os
import socket
import time
from pathlib import Path
from typing import Any

from engine_helpers import eventually
from footfall.runner.serving.metric_files import HAS_STEP, IS_NON_FINITE, IS_RESET, MAX_KEYS, POINT, Metrics
from runner_bench import RunnerBench

CLIENT = """
import json, os, sys, time, urllib.error, urllib.request
def call(method, body=None, url=os.environ["NSML_METRIC_API"], headers={}):
    data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data, dict(headers), method=method), timeout=20) as answer:
            text = answer.read()
            return answer.status, json.loads(text) if text else None
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
"""


def in_run(bench: RunnerBench, program: str, **given: object) -> tuple[dict[str, object], str, Path]:
    """Run a Python program that has ``call``; return the final status, the log and the node's directory."""
    (bench.project / "main.py").write_text(CLIENT + program)
    run_id, _ = bench.submit("exec python main.py", **given)
    status = bench.wait(run_id, timeout_s=60)
    assert status["exit_code"] == 0, bench.log(run_id)
    return status, bench.log(run_id), bench.node(run_id)


def points_of(node: Path) -> list[tuple[str, int, float, float]]:
    keys = [json.loads(line) for line in (node / "metrics.keys").read_text().splitlines()]
    return [
        ("reset" if flags & IS_RESET else keys[number], flags, step, value)
        for number, flags, step, _, value in POINT.iter_unpack((node / "metrics.dat").read_bytes())
    ]


def test_points_are_kept_and_given_back_as_they_were_posted(bench: RunnerBench) -> None:
    _, log, node = in_run(
        bench,
        """
print(call("POST", {"loss": 0.5, "lr": 1, "@step": 10, "@time": 1000.5, "@epoch": 1}))
print(call("POST", [{"loss": 0.25}, {"loss": float("nan"), "@step": 12}, {"loss": float("-inf")}, {"loss": None}]))
print(call("POST", {}))
print(json.dumps(call("GET")[1]))
""",
    )
    *answers, got = log.splitlines()
    assert answers == ["(204, None)"] * 3
    first, second, third, fourth, fifth = json.loads(got)
    assert first == {"@step": 10, "@time": 1000.5, "loss": 0.5, "lr": 1, "@epoch": 1}
    assert (second["loss"], "@step" in second, third["@step"]) == (0.25, False, 12)
    assert (str(third["loss"]), fourth["loss"]) == ("nan", float("-inf"))
    assert str(fifth["loss"]) == "nan"
    kept = points_of(node)
    assert kept[:4] == [("loss", HAS_STEP, 10, 0.5), ("lr", HAS_STEP, 10, 1), ("@epoch", HAS_STEP, 10, 1), ("loss", 0, 1, 0.25)]
    assert [flags for _, flags, _, _ in kept[4:]] == [HAS_STEP | IS_NON_FINITE, IS_NON_FINITE, IS_NON_FINITE]
    summary = json.loads((node / "metrics.json").read_text())
    assert summary["droppedPoints"] == 0
    assert summary["keys"]["loss"] == {
        "last": 0.25, "min": 0.25, "max": 0.5, "count": 5, "nonFinite": 3, "lastNonFiniteStep": 4,
    }  # fmt: skip


def test_what_is_wrong_is_refused_with_its_key_and_nothing_of_it_is_kept(bench: RunnerBench) -> None:
    _, log, node = in_run(
        bench,
        """
wrong = [{"good": 1, "text": "x"}, {"flag": True}, {"a": 1, "@step": None}, {"list": [1]}, {"a": 1, "@step": "x"}, 3, "x",
         [{"fine": 1}, {"bad_one": {}}], {"": 1}, {"k" * 251: 1}, {"x": 1, "@time": float("inf")},
         {"half \\ud800": 3}, {"bell \\x07": 1}, {"two\\nlines": 1}, {"del \\x7f": 1}]
for body in wrong:
    print(call("POST", body))
for body in (b"{", b"", b"[" * 100_000, b'{"x": 1, "@step": ' + b"9" * 5000 + b"}", b"\\xff"):
    print(call("POST", body)[0])
print(call("POST", {f"k{n}": n for n in range(1000)}), call("POST", {"one_more": 1}))
print(call("POST", [{"k1": 1}] * 10_001)[0], call("PATCH")[0])
print(call("POST", {"k1": 1}, url=os.environ["NSML_METRIC_API"][:-9] + "x/metrics")[0])
""",
    )
    lines = log.splitlines()
    assert all(line.startswith("(400") for line in lines[:15]), lines
    for key, line in zip(["text", "flag", "@step", "list", "@step"], lines, strict=False):
        assert key in line
    assert "bad_one" in lines[7]
    for key, line in zip([r"half \\\\ud800", r"bell \\\\x07", r"two\\\\nlines", r"del \\\\x7f"], lines[11:15], strict=True):
        assert key in line
    assert lines[15:20] == ["400"] * 5
    assert lines[20].startswith("(204, None) (400")
    assert "one_more" in lines[20]
    assert lines[21:] == ["400 405", "404"]
    assert len(points_of(node)) == MAX_KEYS


def test_a_number_too_large_to_be_kept_is_not_finite_however_many_digits_it_has(bench: RunnerBench) -> None:
    _, log, node = in_run(
        bench,
        """
for digits in (b"1e999", b"1" + b"0" * 310, b"-1" + b"0" * 310, b"9" * 5000, b"-" + b"9" * 100_000):
    print(call("POST", b'{"loss": ' + digits + b"}"))
print(call("POST", {"loss": 12345678901234567890}))
""",
    )
    assert log.splitlines() == ["(204, None)"] * 6
    infinity = float("inf")
    values = [value for _, _, _, value in points_of(node)]
    assert values == [infinity, infinity, -infinity, infinity, -infinity, 12345678901234567890.0]
    assert json.loads((node / "metrics.json").read_text())["keys"]["loss"]["nonFinite"] == 5


def test_what_was_not_published_when_the_endpoints_were_lost_is_summed_up(tmp_path: Path) -> None:
    def published() -> dict[str, Any]:
        content: dict[str, Any] = json.loads((tmp_path / "metrics.json").read_text())
        return content

    def begun_again() -> dict[str, Any]:
        metrics = Metrics(str(tmp_path))
        assert metrics.is_changed, "or nothing would publish it until more comes"
        metrics.publish()
        return published()

    metrics = Metrics(str(tmp_path))
    assert not metrics.is_changed
    metrics.post({"loss": 5})
    assert begun_again()["keys"]["loss"]["count"] == 1
    metrics = Metrics(str(tmp_path))
    for begin in range(0, 40_000, 10_000):
        metrics.post([{"loss": n, "@step": n} for n in range(begin, begin + 10_000)])
    metrics.post({"loss": float("nan")})
    loss = begun_again()["keys"]["loss"]
    assert (loss["count"], loss["last"], loss["nonFinite"], loss["lastNonFiniteStep"]) == (40_002, 39_999, 1, 40_001)
    metrics = Metrics(str(tmp_path))
    metrics.reset()
    metrics.post({"acc": 1})
    found = begun_again()
    assert (found["keys"].keys(), found["keys"]["acc"]["count"]) == ({"acc"}, 1)
    assert found["resetAt"] is not None
    os.truncate(tmp_path / "metrics.dat", 3 * POINT.size)
    assert begun_again()["keys"]["loss"]["count"] == 3


def test_delete_hides_all_earlier_points(bench: RunnerBench) -> None:
    _, log, node = in_run(
        bench,
        """
call("POST", [{"loss": n} for n in range(5)])
print(call("DELETE"), call("GET"))
call("POST", {"loss": 7})
print(len(call("GET")[1]))
""",
    )
    assert log.splitlines() == ["(204, None) (200, [])", "1"]
    assert [name for name, *_ in points_of(node)] == ["loss"] * 5 + ["reset", "loss"]
    summary = json.loads((node / "metrics.json").read_text())
    assert summary["keys"]["loss"]["count"] == 1
    assert summary["resetAt"] is not None


def test_many_points_a_second_and_a_quick_answer_to_each(bench: RunnerBench) -> None:
    status, log, node = in_run(
        bench,
        """
import http.client, urllib.parse
to = urllib.parse.urlsplit(os.environ["NSML_METRIC_API"])
time.sleep(0.5)
line = http.client.HTTPConnection(to.hostname, to.port)
def post(body):
    line.request("POST", to.path, body)
    answer = line.getresponse()
    answer.read()
    assert answer.status == 204
taken = []
for n in range(100):
    begun = time.perf_counter()
    post(json.dumps({"loss": n, "@step": n}))
    taken.append(time.perf_counter() - begun)
batch = json.dumps([{"loss": n / 7, "@step": n} for n in range(10_000)])
begun = time.perf_counter()
for _ in range(12):
    post(batch)
print(sorted(taken)[50] * 1000, 120_000 / (time.perf_counter() - begun))
""",
    )
    answer_ms, points_per_s = map(float, log.split())
    assert status["dropped_points"] == 0
    assert len((node / "metrics.dat").read_bytes()) == 120_100 * POINT.size
    assert answer_ms < 5
    assert points_per_s > 20_000


def test_the_wish_to_be_attempted_again_is_kept_and_said_at_the_end(bench: RunnerBench) -> None:
    program = """
url = os.environ["NSML_RUN_METADATA_API"] + "/v1/rescheduled"
secret = {"X-NSML-Run-Secret": os.environ["NSML_RUN_SECRET"]}
print(call("PUT", {"rescheduled": True}, url)[0], call("PUT", {"rescheduled": "yes"}, url, secret)[0])
print(call("PUT", {"rescheduled": True}, url, secret))
"""
    status, log, node = in_run(bench, program)
    assert log.splitlines() == ["401 400", "(200, {'rescheduled': True})"]
    assert status["rescheduled"] is True
    assert json.loads((node / "rescheduled.json").read_text()) == {"rescheduled": True}
    status, _, _ = in_run(bench, program + 'call("PUT", {"rescheduled": False}, url, secret)')
    assert status["rescheduled"] is False
    assert in_run(bench, "")[0]["rescheduled"] is False


def test_row_25_slow_and_hostile_clients_neither_stop_the_answers_nor_the_runner(bench: RunnerBench) -> None:
    _, log, _ = in_run(
        bench,
        """
import socket, urllib.parse
to = urllib.parse.urlsplit(os.environ["NSML_METRIC_API"])
slow = []
for n in range(60):
    each = socket.create_connection((to.hostname, to.port))
    each.send(b"POST / HTTP/1.1\\r\\nContent-Le" if n % 2 else b"POST / HTTP/1.1\\r\\nContent-Length: 9000\\r\\n\\r\\nx")
    slow.append(each)
def raw(data):
    with socket.create_connection((to.hostname, to.port)) as one:
        one.sendall(data)
        try:
            return one.recv(100)[:12].decode()
        except ConnectionResetError:
            return "reset"
post = b"POST " + to.path.encode()
print(raw(b"POST / HTTP/1.1\\r\\nContent-Length: 9\\r\\n\\r\\n"))
print(raw(post + b" HTTP/1.1\\r\\nContent-Length: 99999999999\\r\\n\\r\\n"))
print(raw(post + b" HTTP/1.1\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n0\\r\\n\\r\\n"))
print(raw(b"x" * 20_000))
print(repr(raw(b"nonsense\\r\\n\\r\\n")))
print(call("POST", {"loss": 1}))
""",
    )
    assert log.splitlines() == ["HTTP/1.1 404", "HTTP/1.1 413", "HTTP/1.1 411", "HTTP/1.1 400", "''", "(204, None)"]


def test_row_25_connections_of_another_run_take_nobodys_place(bench: RunnerBench) -> None:
    post = (
        "import os, urllib.request as u\n"
        'for _ in range(20): u.urlopen(u.Request(os.environ["NSML_METRIC_API"], b"{\\"loss\\": 1}", method="POST"), timeout=5)'
    )
    wait = "while [ ! -e $NSML_PRJ_DIR/go ]; do sleep 0.02; done"
    run_id, _ = bench.submit(f"echo $NSML_METRIC_API; {wait}; python -c '{post}' && echo posted")
    bench.wait_log(run_id, "metrics")
    port = int(bench.log(run_id).split(":")[2].split("/")[0])
    with contextlib.ExitStack() as stack:
        for n in range(200):
            stranger = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            stranger.sendall(b"" if n % 2 else b"POST /x/metrics HTTP/1.1\r\nContent-Length: 16000000\r\n\r\n" + bytes(9))
        (bench.project / "go").touch()
        status = bench.wait(run_id)
    assert (status["exit_code"], bench.log(run_id).split()[-1]) == (0, "posted")


def test_endpoints_that_were_killed_come_back_and_go_on(bench: RunnerBench) -> None:
    (bench.project / "main.py").write_text(
        CLIENT
        + """
print(call("POST", {"loss": 1}), flush=True)
time.sleep(1.2)
print("kill", flush=True)
while not os.path.exists("go"):
    time.sleep(0.05)
while True:
    try:
        print(call("POST", {"loss": 2, "new": 3}))
        break
    except OSError:
        time.sleep(0.05)
print(len(call("GET")[1]))
"""
    )
    run_id, _ = bench.submit("exec python main.py")
    bench.wait_log(run_id, "kill")
    runner = int((bench.node(run_id) / "start").read_text())
    children = Path(f"/proc/{runner}/task/{runner}/children").read_text().split()
    server = next(pid for pid in map(int, children) if b"runner" in Path(f"/proc/{pid}/cmdline").read_bytes())
    import signal

    os.kill(server, signal.SIGKILL)
    (bench.project / "go").touch()
    assert bench.wait(run_id)["exit_code"] == 0
    assert bench.log(run_id).splitlines()[2:] == ["(204, None)", "2"]
    assert json.loads((bench.node(run_id) / "metrics.json").read_text())["keys"]["loss"]["count"] == 2


def test_with_a_full_disk_the_endpoint_answers_and_counts_what_it_drops(bench: RunnerBench) -> None:
    import pytest

    from footfall.runner.serving import metric_files as module

    directory = bench.settings.data_dir / "small"
    directory.mkdir()
    metrics = module.Metrics(str(directory))
    metrics.post({"loss": 1})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "MAX_FILE_BYTES", POINT.size)
        metrics.post([{"loss": 2}, {"loss": 3}])
    assert metrics.n_dropped == 2
    metrics.post({"loss": 4})
    metrics.publish()
    summary = json.loads((directory / "metrics.json").read_text())
    assert (summary["droppedPoints"], summary["keys"]["loss"]["count"], summary["keys"]["loss"]["last"]) == (2, 2, 4)


def test_a_short_command_pays_nothing_for_endpoints_that_it_does_not_use(bench: RunnerBench) -> None:
    run_id, _ = bench.submit("true")
    bench.wait(run_id)
    assert not (bench.node(run_id) / "metrics.dat").exists()
    begun = time.monotonic()
    run_id, _ = bench.submit("sleep 1")
    eventually((bench.node(run_id) / "metrics.dat").exists)
    assert time.monotonic() - begun < 2
    bench.wait(run_id)
