import os
import struct
import time
from pathlib import Path

import pytest

from engine_helpers import eventually, processes_of
from footfall.records import NodeShare
from footfall.runner.files import to_json
from runner_bench import RunnerBench


def test_row_27_a_command_that_talks_without_end_fills_no_disk_and_no_memory(bench: RunnerBench) -> None:
    run_id, handle = bench.submit("yes", log_limit_bytes=10_000_000, shares=(NodeShare((0,)),))
    eventually(
        lambda: (
            (bench.node(run_id) / "log.txt").stat().st_size > 10_000_000 if (bench.node(run_id) / "log.txt").exists() else False
        )
    )
    time.sleep(1.5)
    runner = int((bench.node(run_id) / "start").read_text())
    peak = next(line for line in Path(f"/proc/{runner}/status").read_text().splitlines() if line.startswith("VmHWM"))
    assert int(peak.split()[1]) < 60_000
    assert processes_of(run_id), "the run goes on"
    begun = time.monotonic()
    bench.executor.cancel(handle)
    assert bench.wait(run_id)["reason"] == "stopped"
    assert time.monotonic() - begun < 2
    log = (bench.node(run_id) / "log.txt").read_bytes()
    assert len(log) < 10_000_200
    assert log[:10_000_000] == b"y\n" * 5_000_000
    assert b"reached its limit of 10000000 bytes" in log[10_000_000:]


def test_row_27_one_line_of_a_gigabyte_takes_no_memory(bench: RunnerBench) -> None:
    run_id, _ = bench.submit("head -c 1G /dev/zero; echo; echo end; sleep 0.5", log_limit_bytes=1_000_000)
    eventually(lambda: (bench.node(run_id) / "log.txt").exists())
    runner = int((bench.node(run_id) / "start").read_text())
    peak = 0
    while Path(f"/proc/{runner}/status").exists():
        try:
            lines = Path(f"/proc/{runner}/status").read_text().splitlines()
        except OSError:
            break
        peak = max([peak, *(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))])
        time.sleep(0.02)
        if (bench.node(run_id) / "status.json").exists():
            break
    assert 0 < peak < 60_000
    assert bench.wait(run_id)["exit_code"] == 0


def test_a_log_limit_may_end_the_run(bench: RunnerBench) -> None:
    status, log = bench.run("yes", log_limit_bytes=100_000, log_limit_action="end")
    assert status["reason"] == "log_limit"
    assert "100,000 bytes" in status["details"]
    assert log.startswith("y\ny\n")


def test_bytes_that_are_no_text_survive_and_the_index_finds_each_second(bench: RunnerBench) -> None:
    run_id, _ = bench.submit("printf 'a\\377\\376b\\0c'; sleep 1.1; printf 'later'")
    bench.wait(run_id)
    assert (bench.node(run_id) / "log.txt").read_bytes() == b"a\xff\xfeb\0clater"
    entries = list(struct.iter_unpack("<QQ", (bench.node(run_id) / "log.index").read_bytes()))
    assert [offset for _, offset in entries] == [0, 6]
    assert 1 <= entries[1][0] - entries[0][0] <= 2


def test_the_time_limit_ends_the_run(any_bench: RunnerBench) -> None:
    status, _ = any_bench.run("sleep 60", timeout_s=0.5, grace_s=1.0)
    assert (status["reason"], status["exit_code"]) == ("timed_out", -15)
    assert status["ended_at"] - status["started_at"] < 3


def test_what_ignores_the_request_is_killed_after_its_grace(any_bench: RunnerBench) -> None:
    run_id, handle = any_bench.submit("trap '' TERM; echo up; while :; do sleep 0.05; done", grace_s=0.6)
    any_bench.wait_log(run_id, "up")
    begun = time.monotonic()
    any_bench.executor.cancel(handle)
    status = any_bench.wait(run_id)
    assert 0.5 < time.monotonic() - begun < 3
    assert (status["reason"], status["exit_code"]) == ("stopped", -9)


def test_a_stop_takes_a_moment_when_the_command_ends_on_request(any_bench: RunnerBench) -> None:
    taken = []
    for _ in range(3):
        run_id, handle = any_bench.submit("setsid sleep 60 & echo up; sleep 60", grace_s=10.0)
        any_bench.wait_log(run_id, "up")
        begun = time.monotonic()
        any_bench.executor.cancel(handle)
        any_bench.wait(run_id)
        taken.append(time.monotonic() - begun)
        eventually(lambda run_id=run_id: processes_of(run_id) == [], 2)
    assert min(taken) < 0.5


@pytest.mark.parametrize("after_s", [0.0, 0.05, 0.15])
def test_a_stop_at_any_moment_of_the_start_is_heard_at_once(any_bench: RunnerBench, after_s: float) -> None:
    run_id, handle = any_bench.submit("sleep 60", grace_s=10.0)
    time.sleep(after_s)
    begun = time.monotonic()
    any_bench.executor.cancel(handle)
    assert any_bench.wait(run_id)["reason"] == "stopped"
    assert time.monotonic() - begun < 5, "it was killed only when its grace was over"


def test_descriptors_that_a_daemon_keeps_do_not_hold_the_end(any_bench: RunnerBench) -> None:
    status, log = any_bench.run("setsid sleep 60 & echo done")
    assert (status["exit_code"], log) == (0, "done\n")
    assert status["ended_at"] - status["started_at"] < 5


def test_what_a_command_leaves_in_its_scratch_directory_goes_however_deep(bench: RunnerBench) -> None:
    dig = "import os; [(os.mkdir('d'), os.chdir('d')) for _ in range(1500)]; os.chmod('.', 0)"
    run_id, _ = bench.submit(f'cd $HOME; exec python -c "{dig}"')
    assert bench.wait(run_id)["exit_code"] == 0
    assert not (bench.node(run_id) / "scratch").exists()


def test_artifacts_stay_and_belong_to_the_commands_user(bench: RunnerBench) -> None:
    run_id, _ = bench.submit("echo model > $NSML_OUTPUT_DIR/model; ln -s /etc/passwd $NSML_OUTPUT_DIR/link")
    bench.wait(run_id)
    assert (bench.output(run_id) / "model").read_text() == "model\n"
    assert (bench.output(run_id) / "model").stat().st_uid == (os.geteuid() or bench.settings.run_uid)


@pytest.mark.parametrize(
    "value", [None, True, 3, -1.5, "plain", 'quote " and \\', "한국어 \x00\n\U0001f600", [1, "a"], {"k": {"n": None}}]
)
def test_what_a_runner_writes_is_json(value: object) -> None:
    import json

    assert json.loads(to_json(value)) == value
