"""Users' runs by number and by page: whatever was deleted, a page is what sorting all of them would give."""

import random
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine_helpers import Engine
from footfall.compute.runs import delete_run
from footfall.config import load_settings
from footfall.db import run_pages, runs
from footfall.db.run_numbers import seek
from footfall.db.tables import projects
from footfall.errors import NotFoundError, WrongStateError
from footfall.records import Product
from footfall.states import RunState

NOTEBOOK = Product(4, "DEV", (1,), "notebook", "n1", 1, 256)
ENDS = {
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
    engine = Engine(load_settings(tmp_path / "home", {}))
    with engine.db.write() as tx:
        tx.execute(projects.insert().values(id="two", account_id="acc", name="two", is_system=False, created_at=1))
    return engine


def numbers(engine: Engine, **asked: object) -> tuple[list[tuple[str, int]], int]:
    with engine.db.read() as connection:
        found = run_pages.page(connection, "acc", **asked)  # type: ignore[arg-type]
    return [(row.project_id, row.number) for row in found.items], found.total


def project_row(engine: Engine, project_id: str) -> tuple[int, int, int]:
    with engine.db.read() as connection:
        row = connection.execute(projects.select().where(projects.c.id == project_id)).one()
    return row.last_run, row.n_runs, row.n_nodes


@given(
    last=st.integers(1, 6000), deleted=st.sets(st.integers(1, 6000)), block=st.tuples(st.integers(1, 6000), st.integers(0, 4000))
)  # fmt: skip
@settings(max_examples=200, deadline=None)
def test_seek_finds_the_place_that_counting_would(last: int, deleted: set[int], block: tuple[int, int]) -> None:
    gone = {n for n in deleted | set(range(block[0], block[0] + block[1])) if n <= last}
    gaps: dict[int, int] = {}
    for n in gone:
        gaps[n // 1000] = gaps.get(n // 1000, 0) + 1
    shown = [n for n in range(last, 0, -1) if n not in gone]
    for index in range(0, len(shown), max(1, len(shown) // 40)):
        upto, skip = seek(last, sorted(gaps.items(), reverse=True), index)
        assert skip < 1000
        assert [n for n in range(upto, max(0, upto - 2001), -1) if n not in gone][skip] == shown[index]


def test_pages_and_counts_are_those_of_all_runs_sorted(still: Engine) -> None:
    maker = random.Random(7)
    model: list[tuple[str, int, RunState, str]] = []
    for _ in range(150):
        project = maker.choice(["own", "two"])
        product = maker.choice([None, NOTEBOOK])
        made = still.create_command(project_id=project, **({"product": product} if product else {}))
        state = maker.choice(list(ENDS))
        still.move(made.id, *ENDS[state])
        if state.is_final and maker.random() < 0.4:
            with still.db.write() as tx:
                delete_run(tx, made)
            with pytest.raises(NotFoundError), still.db.write() as tx:
                delete_run(tx, made)
            continue
        assert made.number is not None
        assert made.run_type is not None
        model.insert(0, (project, made.number, state, made.run_type))
    for project in ("own", "two"):
        last, n_runs, n_nodes = project_row(still, project)
        assert (n_runs, n_nodes) == (len([row for row in model if row[0] == project]),) * 2
        assert last >= n_runs
    for project_id in (None, "own", "two"):
        for state in (None, *RunState):
            for run_type in (None, "NOTEBOOK", "TRAIN"):
                wanted = [
                    row[:2]
                    for row in model
                    if project_id in (None, row[0]) and state in (None, row[2]) and run_type in (None, row[3])
                ]
                for page_size in (7, 100):
                    pages = [
                        numbers(still, project_id=project_id, state=state, run_type=run_type, page=n, page_size=page_size)
                        for n in range(1, len(wanted) // page_size + 3)
                    ]
                    assert [row for items, _ in pages for row in items] == wanted
                    assert {total for _, total in pages} == {len(wanted)}


def test_a_run_that_lives_is_not_deleted_and_one_of_another_account_is_not_there(still: Engine) -> None:
    made = still.create_command()
    with pytest.raises(WrongStateError), still.db.write() as tx:
        delete_run(tx, made)
    with still.db.read() as connection:
        assert run_pages.get(connection, "acc", "own", 1).id == made.id
        for account, project, number in (("other", "own", 1), ("acc", "two", 1), ("acc", "own", 2)):
            with pytest.raises(NotFoundError):
                run_pages.get(connection, account, project, number)
        with pytest.raises(NotFoundError):
            run_pages.page(connection, "other", project_id="own", page=1, page_size=10)
        assert run_pages.page(connection, "other", page=1, page_size=10).total == 0


def test_a_row_tells_what_was_asked_and_how_it_went(still: Engine) -> None:
    made = still.create_command("echo hi", priority=3)
    still.move(made.id, *ENDS[RunState.IN_PROGRESS], RunState.FAILED, exit_code=3, fail_details="why")
    with still.db.read() as connection:
        row = run_pages.get(connection, "acc", "own", 1)
        assert runs.get(connection, made.id).spec.workload.run_name == "1"  # type: ignore[union-attr]
    assert (row.request.command, row.state, row.exit_code, row.fail_details) == ("echo hi", "failed", 3, "why")
    assert (row.user_number, row.priority, row.run_type, row.product_code) == (1, 3, "TRAIN", 1)
    assert row.created_at <= row.updated_at
    assert row.ended_at is not None


def test_a_project_that_is_not_open_takes_no_run_and_spends_no_number(still: Engine) -> None:
    still.create_command()
    for change, error in ((("status", "DELETING"), WrongStateError), (("is_system", True), NotFoundError)):
        with still.db.write() as tx:
            tx.execute(projects.update().where(projects.c.id == "own").values({change[0]: change[1]}))
        with pytest.raises(error):
            still.create_command()
        with still.db.write() as tx:
            tx.execute(projects.update().where(projects.c.id == "own").values(status="CREATED", is_system=False))
    assert project_row(still, "own") == (1, 1, 1)
    assert still.create_command().number == 2


def test_64_creates_at_once_and_refused_ones_between_give_dense_numbers(still: Engine) -> None:
    begin = threading.Barrier(64)
    made: list[int] = []

    def create(worker: int) -> None:
        begin.wait()
        for turn in range(3):
            try:
                with still.db.write() as tx:
                    seen = runs.get(tx, _create(tx)).number
                    if (worker + turn) % 4 == 0:
                        raise NotFoundError("anything", "what fails behind the insert")
                assert seen is not None
                made.append(seen)
            except NotFoundError:
                pass

    threads = [threading.Thread(target=create, args=(worker,)) for worker in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(made) == list(range(1, 145))
    assert project_row(still, "own") == (144, 144, 144)


def _create(tx) -> str:  # type: ignore[no-untyped-def]
    from engine_helpers import plan_command
    from footfall.records import Image, RunSpec, Workload

    return plan_command(RunSpec((), workload=Workload("true", Image("host", "host"), "own", "own", ""))).apply(tx).id
