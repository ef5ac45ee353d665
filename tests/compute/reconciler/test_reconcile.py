"""Runs of real commands, from request to end, through the real executor and runner."""

import contextlib
import os
import signal
import sys
import time

import pytest
import structlog

from engine_helpers import Engine, eventually, open_engine, processes_of
from footfall.compute.outputs.logs import read_log
from footfall.compute.reconciler import nodes, reconcile
from footfall.compute.runs import cancel_run
from footfall.db import allocations
from footfall.states import FailureReason, RunState

WHOLE_LIFE = [(None, "registered"), ("registered", "pending"), ("pending", "in_progress"), ("in_progress", "completed")]


def log_of(engine: Engine, run_id: str) -> bytes:
    return read_log(engine.settings.runs_root, run_id, engine.get(run_id).attempt + 1).data


def test_a_command_that_ends_with_0_completes_its_run(engine: Engine) -> None:
    run = engine.run("sh", "-c", "echo hello; echo oops >&2")
    assert run.state == RunState.COMPLETED
    assert engine.events(run.id) == WHOLE_LIFE
    assert log_of(engine, run.id) == b"hello\noops\n"
    assert engine.hooks.ended == [(run.id, RunState.COMPLETED)]
    with engine.db.read() as connection:
        assert allocations.find_grants(connection) == {}


def test_a_command_that_fails_says_its_exit_code_and_is_not_tried_again(engine: Engine) -> None:
    run = engine.run("sh", "-c", "exit 3", max_attempts=3)
    assert (run.state, run.reason, run.attempt) == (RunState.FAILED, FailureReason.COMMAND_FAILED, 0)
    assert "exit code 3" in (run.fail_details or "")


def test_a_command_that_does_not_exist_is_rejected(engine: Engine) -> None:
    run = engine.run("no-such-command-at-all")
    assert (run.state, run.reason) == (RunState.FAILED, FailureReason.REJECTED)
    assert "no-such-command-at-all" in (run.fail_details or "")
    assert ("pending", "failed") in engine.events(run.id)


def test_a_command_that_outlives_its_limit_is_stopped_with_all_its_children(engine: Engine) -> None:
    script = "trap '' TERM; setsid sleep 300 & sleep 300 & wait"
    run = engine.run("sh", "-c", script, timeout_s=0.5, grace_s=0.3)
    assert (run.state, run.reason) == (RunState.FAILED, FailureReason.TIMED_OUT)
    eventually(lambda: processes_of(run.id) == [], 2.0)  # the runner itself takes a moment to go


def test_what_a_command_leaves_behind_ends_with_it(engine: Engine) -> None:
    run = engine.run("sh", "-c", "setsid sh -c 'setsid sleep 300 & sleep 300' >/dev/null 2>&1 & sleep 0.3; exit 0")
    assert run.state == RunState.COMPLETED
    eventually(lambda: processes_of(run.id) == [], 2.0)  # the runner itself takes a moment to go


def test_a_command_that_takes_too_much_memory_is_stopped(engine: Engine) -> None:
    script = "x = bytearray(b'1') * (200 << 20); import time; time.sleep(60)"
    run = engine.run(sys.executable, "-c", script, memory_mib=64)
    assert (run.state, run.reason) == (RunState.FAILED, FailureReason.OUT_OF_MEMORY)


def test_a_signal_that_nobody_here_sent_is_tried_again_as_often_as_asked(engine: Engine) -> None:
    run = engine.run("sh", "-c", "kill -9 $$", max_attempts=3)
    assert (run.state, run.reason, run.attempt) == (RunState.FAILED, FailureReason.SIGNALLED, 2)
    assert engine.events(run.id).count(("in_progress", "registered")) == 2


def test_a_run_is_rescued_when_its_runner_is_killed(engine: Engine) -> None:
    mark = engine.settings.home / "once"
    script = f"test -e {mark} && exit 0; touch {mark}; kill -9 $PPID; sleep 300"
    run = engine.run("sh", "-c", script, max_attempts=2)
    assert (run.state, run.attempt) == (RunState.COMPLETED, 1)
    eventually(lambda: processes_of(run.id) == [], 2.0)  # the runner itself takes a moment to go


def test_files_that_a_loss_of_power_left_empty_keep_no_run_from_ending(engine: Engine) -> None:
    run_id = engine.create_command("sleep 300").id
    run = engine.wait(run_id, RunState.IN_PROGRESS)
    engine.stop()
    for pid in processes_of(run_id):
        with contextlib.suppress(ProcessLookupError):  # some go with those before them
            os.kill(pid, signal.SIGKILL)
    eventually(lambda: processes_of(run_id) == [])
    for name in ("started.json", "metrics.json", "rescheduled.json"):
        (engine.node_dir(run) / name).write_bytes(bytes(40))
    engine.start()
    run = engine.wait(run_id)
    assert (run.state, run.reason) == (RunState.FAILED, FailureReason.LOST)


def test_an_attempt_leaves_no_scratch_files_also_when_its_runner_is_killed(engine: Engine) -> None:
    run = engine.run("sh", "-c", "touch here; mkdir sub; touch sub/there; kill -9 $PPID; sleep 300")
    assert run.state == RunState.FAILED
    eventually(lambda: not (engine.node_dir(run) / "scratch").exists())


def test_directories_deeper_than_recursion_keep_no_run_from_ending(engine: Engine) -> None:
    deep = "import os\nfor _ in range(1500): os.mkdir('x'); os.chdir('x')"
    run = engine.run("sh", "-c", f'{sys.executable} -c "{deep}"; kill -9 $PPID; sleep 300')
    assert run.state == RunState.FAILED
    eventually(lambda: not (engine.node_dir(run) / "scratch").exists())


def test_scratch_that_will_not_go_keeps_no_run_from_ending(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError("the disk is sick")

    monkeypatch.setattr(nodes, "remove_tree", refuse)
    assert engine.run("true").state == RunState.COMPLETED
    assert engine.run("true").state == RunState.COMPLETED


def test_cancelling_stops_the_whole_tree_and_then_says_cancelled(engine: Engine) -> None:
    run_id = engine.create("sh", "-c", "setsid sleep 300 & sleep 300", max_attempts=3)
    engine.wait(run_id, RunState.IN_PROGRESS)
    with engine.db.write() as tx:
        cancel_run(tx, run_id, "alice")
    assert engine.loop is not None
    engine.loop.wake()
    run = engine.wait(run_id)
    assert (run.state, run.cancelled_by, run.reason) == (RunState.CANCELLED, "alice", None)
    eventually(lambda: processes_of(run_id) == [], 2.0)  # the runner itself takes a moment to go


def cancel(engine: Engine, run_id: str) -> None:
    with engine.db.write() as tx:
        cancel_run(tx, run_id, "alice")
    assert engine.loop is not None
    engine.loop.wake()


def test_a_runner_that_was_halted_hears_a_cancel(engine: Engine) -> None:
    run_id = engine.create("sleep", "300", grace_s=5.0)
    run = engine.wait(run_id, RunState.IN_PROGRESS)
    os.kill(int((engine.node_dir(run) / "start").read_text()), signal.SIGSTOP)
    cancel(engine, run_id)
    assert engine.wait(run_id, timeout_s=10).state is RunState.CANCELLED
    eventually(lambda: processes_of(run_id) == [], 2.0)


@pytest.mark.parametrize("make", ["create", "create_command"])
def test_a_runner_that_does_not_stop_within_its_time_is_killed(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, make: str
) -> None:
    monkeypatch.setattr(reconcile, "STUCK_TIMEOUT_S", 0.5)
    monkeypatch.setattr(engine.executor, "cancel", lambda handle: None)  # as if it never heard
    made = engine.create("sleep", "300", grace_s=0.5) if make == "create" else engine.create_command("sleep 300", grace_s=0.5).id
    run = engine.wait(made, RunState.IN_PROGRESS)
    for pid in processes_of(made):
        os.kill(pid, signal.SIGSTOP)
    cancel(engine, made)
    assert engine.wait(made, timeout_s=15).state is RunState.CANCELLED
    eventually(lambda: processes_of(made) == [], 2.0)
    eventually(lambda: not (engine.node_dir(run) / "scratch").exists())


def test_a_run_that_was_cancelled_as_it_started_says_when_that_was(engine: Engine) -> None:
    """Start and end may both have come when the reconciler looks next."""
    run_id = engine.create("sh", "-c", "sleep 300", grace_s=1.0)
    engine.wait(run_id, RunState.PENDING)
    engine.stop()
    run = engine.get(run_id)
    eventually((engine.node_dir(run) / "started.json").exists)
    with engine.db.write() as tx:
        cancel_run(tx, run_id, "alice")
    engine.executor.cancel(str(run.handle))
    eventually((engine.node_dir(run) / "status.json").exists)
    assert engine.get(run_id).state in (RunState.PENDING, RunState.IN_PROGRESS)
    engine.start()
    assert engine.wait(run_id).state is RunState.CANCELLED
    assert engine.events(run_id)[-2:] == [("pending", "in_progress"), ("in_progress", "cancelled")]


def test_a_registered_run_is_cancelled_at_once_and_never_starts(tmp_path) -> None:  # type: ignore[no-untyped-def]
    with open_engine(tmp_path / "home") as engine:
        engine.stop()
        run_id = engine.create("true")
        with engine.db.write() as tx:
            cancel_run(tx, run_id, "alice")
        engine.start()
        time.sleep(0.3)
        assert engine.events(run_id) == [(None, "registered"), ("registered", "cancelled")]


def test_a_run_that_waits_for_cores_says_so_and_starts_when_they_are_free(tmp_path) -> None:  # type: ignore[no-untyped-def]
    with open_engine(tmp_path / "home", local_cores=1) as engine:
        gate = tmp_path / "gate"
        first = engine.create("sh", "-c", f"while ! test -e {gate}; do sleep 0.02; done")
        engine.wait(first, RunState.IN_PROGRESS)
        second = engine.create("true")
        eventually(lambda: "Waits for 1 of 1 cores" in (engine.get(second).message or ""))
        assert engine.get(second).state == RunState.PENDING
        gate.touch()
        assert engine.wait(second).state == RunState.COMPLETED


def test_a_run_that_is_stopped_while_it_waits_is_logged_as_any_other(tmp_path) -> None:  # type: ignore[no-untyped-def]
    with open_engine(tmp_path / "home", local_cores=1) as engine, structlog.testing.capture_logs() as said:
        engine.wait(engine.create("sleep", "60"), RunState.IN_PROGRESS)
        waits = engine.create("true")
        engine.wait(waits, RunState.PENDING)
        with engine.db.write() as tx:
            cancel_run(tx, waits, "alice")
        assert engine.loop is not None
        engine.loop.wake()
        assert engine.wait(waits, RunState.CANCELLED).state == RunState.CANCELLED
        eventually(lambda: [one["state"] for one in said if one.get("run_id") == waits] == ["cancelled"])


def test_a_restarted_engine_finds_the_run_that_went_on_without_it(engine: Engine) -> None:
    gate = engine.settings.home / "gate"
    run_id = engine.create("sh", "-c", f"while ! test -e {gate}; do sleep 0.02; done; echo done")
    engine.wait(run_id, RunState.IN_PROGRESS)
    engine.stop()
    gate.touch()
    eventually(lambda: not processes_of(run_id))
    assert engine.get(run_id).state == RunState.IN_PROGRESS
    engine.start()
    run = engine.wait(run_id)
    assert (run.state, run.attempt) == (RunState.COMPLETED, 0)


def test_a_server_that_died_between_submit_and_noting_the_handle_starts_nothing_twice(engine: Engine) -> None:
    count = engine.settings.home / "count"
    run_id = engine.create("sh", "-c", f"echo x >> {count}; sleep 1")
    run = engine.wait(run_id, RunState.IN_PROGRESS)
    engine.stop()
    with engine.db.write() as tx:  # as if the server had died before it wrote what it learned
        tx.exec_driver_sql(f"UPDATE runs SET handle = NULL, state = 'pending', started_at = NULL WHERE id = '{run.id}'")
    engine.start()
    assert engine.wait(run_id).state == RunState.COMPLETED
    assert count.read_text() == "x\n"


def test_two_engines_on_one_data_directory_move_each_run_once(tmp_path) -> None:  # type: ignore[no-untyped-def]
    with open_engine(tmp_path / "home") as one, open_engine(tmp_path / "home") as two:
        made = [engine.create("true") for engine in (one, two) * 5]
        assert {one.wait(run_id).state for run_id in made} == {RunState.COMPLETED}
        for run_id in made:
            assert one.events(run_id) == WHOLE_LIFE
        health = sorted(str(engine.loop.health()["reconciler"]) for engine in (one, two) if engine.loop)
        assert health == ["active", "standby"]
        holder = one if one.loop and one.loop.health()["reconciler"] == "active" else two
        holder.stop()
        other = two if holder is one else one
        assert other.wait(other.create("true")).state == RunState.COMPLETED


def test_a_paused_runner_is_not_taken_for_dead(engine: Engine) -> None:
    run_id = engine.create("sleep", "0.5")
    run = engine.wait(run_id, RunState.IN_PROGRESS)
    runner = int((engine.node_dir(run) / "start").read_text())
    os.kill(runner, signal.SIGSTOP)
    time.sleep(1.0)
    assert engine.get(run_id).state == RunState.IN_PROGRESS
    os.kill(runner, signal.SIGCONT)
    assert engine.wait(run_id).state == RunState.COMPLETED
    assert engine.get(run_id).attempt == 0
