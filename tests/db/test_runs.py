"""States are written by one guarded statement; these tests race it and try each arrow."""

import threading
from pathlib import Path

import pytest

from engine_helpers import Engine
from footfall.config import load_settings
from footfall.db import runs
from footfall.states import FINAL_STATES, TRANSITIONS, RunState

REASON = {RunState.FAILED: {"reason": "lost"}}
WAY = {
    RunState.REGISTERED: [],
    RunState.PENDING: [RunState.PENDING],
    RunState.IN_PROGRESS: [RunState.PENDING, RunState.IN_PROGRESS],
    RunState.COMPLETED: [RunState.PENDING, RunState.IN_PROGRESS, RunState.COMPLETED],
    RunState.FAILED: [RunState.FAILED],
    RunState.CANCELLED: [RunState.CANCELLED],
}


@pytest.fixture
def still(tmp_path: Path) -> Engine:
    """An engine whose loop does not run, so that only the test moves runs."""
    return Engine(load_settings(tmp_path / "home", {}))


def bring_to(engine: Engine, state: RunState) -> str:
    run_id = engine.create("true")
    at = RunState.REGISTERED
    for to in WAY[state]:
        with engine.db.write() as tx:
            assert runs.advance(tx, run_id, at, to, **REASON.get(to, {}))
        at = to
    return run_id


@pytest.mark.parametrize(("from_", "to"), sorted(TRANSITIONS))
def test_advance_takes_each_arrow_once_and_writes_one_event(still: Engine, from_: RunState, to: RunState) -> None:
    run_id = bring_to(still, from_)
    before = len(still.events(run_id))
    with still.db.write() as tx:
        assert runs.advance(tx, run_id, from_, to, **REASON.get(to, {}))
    with still.db.write() as tx:
        assert not runs.advance(tx, run_id, from_, to, **REASON.get(to, {}))
    assert still.get(run_id).state == to
    assert still.events(run_id)[before:] == [(from_.value, to.value)]


@pytest.mark.parametrize("final", sorted(FINAL_STATES))
def test_advance_does_not_move_a_finished_run(still: Engine, final: RunState) -> None:
    run_id = bring_to(still, final)
    with still.db.write() as tx:
        for from_, to in TRANSITIONS:
            assert not runs.advance(tx, run_id, from_, to, **REASON.get(to, {}))
    assert still.get(run_id).state == final


def test_racing_ends_decide_each_run_exactly_once(still: Engine) -> None:
    made = [bring_to(still, RunState.IN_PROGRESS) for _ in range(40)]
    wins: list[str] = []

    def race(to: RunState) -> None:
        for run_id in made:
            with still.db.write() as tx:
                if runs.advance(tx, run_id, RunState.IN_PROGRESS, to, **REASON.get(to, {})):
                    wins.append(run_id)

    threads = [threading.Thread(target=race, args=(to,)) for to in sorted(FINAL_STATES) * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(wins) == sorted(made)


def test_runs_of_one_turn_key_are_offered_one_at_a_time_in_order(still: Engine) -> None:
    first, second, other = (still.create("true", turn_key=key) for key in ("task:a", "task:a", "task:b"))
    free = still.create("true")
    with still.db.read() as connection:
        assert [run.id for run in runs.find_waiting(connection, 10)] == [first, other, free]
    with still.db.write() as tx:
        runs.advance(tx, first, RunState.REGISTERED, RunState.PENDING)
    with still.db.read() as connection:
        assert [run.id for run in runs.find_waiting(connection, 10)] == [other, free]
    with still.db.write() as tx:
        runs.advance(tx, first, RunState.PENDING, RunState.CANCELLED)
    with still.db.read() as connection:
        assert second in [run.id for run in runs.find_waiting(connection, 10)]


def test_a_thousand_blocked_runs_do_not_hide_the_one_behind_them(still: Engine) -> None:
    for _ in range(1000):
        still.create("true", turn_key="task:a")
    free = still.create("true")
    with still.db.read() as connection:
        assert free in [run.id for run in runs.find_waiting(connection, 5)]
