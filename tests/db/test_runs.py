"""States are written by one guarded statement; these tests race it and try each arrow."""

import threading
from pathlib import Path

import pytest

from engine_helpers import Engine
from footfall.config import load_settings
from footfall.db import runs
from footfall.db.engine.engine import now_us
from footfall.db.tables import projects
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
        assert waiting(connection) == [first, other, free]
    with still.db.write() as tx:
        runs.advance(tx, first, RunState.REGISTERED, RunState.PENDING)
    with still.db.read() as connection:
        assert waiting(connection) == [other, free]
    with still.db.write() as tx:
        runs.advance(tx, first, RunState.PENDING, RunState.CANCELLED)
    with still.db.read() as connection:
        assert second in waiting(connection)


def test_ten_thousand_runs_of_a_project_hide_neither_another_project_nor_its_own_urgent_run(still: Engine) -> None:
    with still.db.write() as tx:
        tx.execute(projects.insert().values(id="two", account_id="acc", name="two", is_system=False, created_at=1))
    first = still.create_command()
    with still.db.write() as tx:
        tx.exec_driver_sql(
            "WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < 10000) INSERT INTO runs "
            "(id, account_id, project_id, kind, state, attempt, spec, n_cores, memory_mib, created_at, number, serial, run_type) "
            "SELECT '1' || substr(runs.id, 2, 20) || i, account_id, project_id, kind, state, 0, spec, 1, 1, created_at, i, i, "
            f"'TRAIN' FROM n, runs WHERE runs.id = '{first.id}'"
        )
        tx.exec_driver_sql("UPDATE projects SET last_run = 10000 WHERE id = 'own'")
        tx.exec_driver_sql("UPDATE accounts SET last_serial = 10000")
    urgent = still.create_command(priority=1)
    other = still.create_command(project_id="two")
    blocked = [still.create("true", turn_key="task:a") for _ in range(3)]
    with still.db.read() as connection:
        found = waiting(connection)
    assert found[:2] == [blocked[0], urgent.id]
    assert found[2] == first.id
    assert found[-1] == other.id
    assert len(found) == 1 + 8 + 1


def test_a_delay_ends_also_when_the_clock_was_set_back(still: Engine) -> None:
    made = [still.create_command().id, still.create("true", turn_key="task:a")]
    for delay_s, is_offered in ((60, False), (3600, True), (-1, True)):
        with still.db.write() as tx:
            tx.exec_driver_sql(f"UPDATE runs SET not_before = {now_us() + delay_s * 1_000_000}")
        with still.db.read() as connection:
            assert sorted(waiting(connection)) == (sorted(made) if is_offered else [])


def test_projects_take_turns_where_there_are_more_than_one_look_takes(still: Engine) -> None:
    with still.db.write() as tx:
        for n in range(7):
            values = {"id": f"p{n}", "account_id": "acc", "name": f"p{n}", "is_system": False, "created_at": 1}
            tx.execute(projects.insert().values(**values))
    made = [still.create_command(project_id=f"p{n}").id for n in range(7)]
    after, seen = "", []
    with still.db.read() as connection:
        for _ in range(6):
            found, after = runs.find_waiting(connection, 8, 3, after)
            assert len(found) == len({run.id for run in found}) <= 3
            seen += [run.id for run in found]
    assert {seen.count(id) for id in made} <= {2, 3}


def waiting(connection) -> list[str]:  # type: ignore[no-untyped-def]
    return [run.id for run in runs.find_waiting(connection, 8, 100)[0]]
