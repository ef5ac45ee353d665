"""What goes, and when: files of runs, code, projects, each only when its time has come."""

import json
import os
from datetime import timedelta
from pathlib import Path

import pytest

from engine_helpers import Engine
from footfall import layout
from footfall.compute.reconciler.nodes import NodeView, read_nodes
from footfall.compute.runs import delete_run
from footfall.compute.storage import housekeeping
from footfall.compute.storage.housekeeping import Housekeeper
from footfall.config import load_settings
from footfall.db import code_archives as code
from footfall.db import projects, run_pages, volumes
from footfall.db.tables import code_archives, run_counts, run_gaps, runs
from footfall.db.tables import projects as project_rows
from footfall.errors import NotFoundError
from footfall.records import Caller, Run, utc_now
from footfall.states import RunState
from footfall.stores.buckets import Buckets, open_store
from footfall.stores.directory import DirectoryStore

ENDED = (RunState.PENDING, RunState.IN_PROGRESS, RunState.COMPLETED)
CALLER = Caller("acc", "usr", "key", {})


@pytest.fixture
def still(tmp_path: Path) -> Engine:
    return Engine(load_settings(tmp_path / "home", {}))


@pytest.fixture
def housekeeper(still: Engine) -> Housekeeper:
    internal, buckets = open_store(still.settings.internal_location()), Buckets(still.settings.buckets_location())
    return Housekeeper(still.settings, still.db, internal, buckets, lambda: True)


def with_files(engine: Engine, run: Run) -> Path:
    directory = engine.settings.runs_root / layout.run_dir(run.id)
    (directory / "0/nodes/0").mkdir(parents=True)
    (directory / "0/nodes/0/log.txt").write_text("hello")
    return directory


def age(engine: Engine, table: str, column: str, by: timedelta) -> None:
    with engine.db.write() as tx:
        tx.exec_driver_sql(f"UPDATE {table} SET {column} = {column} - {int(by.total_seconds() * 1e6)}")


def test_files_of_an_ended_run_go_after_the_retention_time_and_the_run_says_when(still: Engine, housekeeper: Housekeeper) -> None:
    old, live = still.create_command(), still.create_command()
    still.move(old.id, *ENDED)
    still.move(live.id, *ENDED[:2])
    files = [with_files(still, run) for run in (old, live)]
    housekeeper.keep()
    assert all(each.exists() for each in files)
    age(still, "runs", "ended_at", timedelta(days=still.settings.run_retention_days))
    housekeeper.keep()
    assert [each.exists() for each in files] == [False, True]
    with still.db.read() as connection:
        assert run_pages.get(connection, "acc", "own", 1).data_removed_at is not None
        assert run_pages.get(connection, "acc", "own", 2).data_removed_at is None


def test_nodes_of_a_run_past_retention_show_what_the_run_itself_knows(still: Engine, housekeeper: Housekeeper) -> None:
    run = still.create_command()
    still.move(run.id, *ENDED[:2], RunState.FAILED, exit_code=3, started_at=1_000_000, ended_at=2_000_000)
    node = with_files(still, run) / "0/nodes/0"
    ending = {"exit_code": 3, "started_at": 1.0, "ended_at": 2.0, "reason": None, "rescheduled": False}
    (node / layout.STATUS).write_text(json.dumps(ending))

    def views() -> list[NodeView]:
        with still.db.read() as connection:
            return read_nodes(still.settings.runs_root, run_pages.get(connection, "acc", "own", 1))

    before = views()
    housekeeper.keep()
    assert not node.exists()
    assert views() == before
    assert before[0].exit_code == 3
    assert before[0].started_at is not None


def test_files_of_a_deleted_run_go_at_once(still: Engine, housekeeper: Housekeeper) -> None:
    run = still.create_command()
    still.move(run.id, *ENDED)
    files = with_files(still, run)
    with still.db.write() as tx:
        delete_run(tx, run)
    housekeeper.keep()
    assert not files.exists()


def keep_code(engine: Engine, digest: str) -> Path:
    path = engine.settings.runs_root / layout.code_path("own", digest)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")
    with engine.db.write() as tx:
        code.keep(tx, "own", digest, 1)
    return path


def test_code_goes_with_what_runs_left_and_no_live_run_names_it(still: Engine, housekeeper: Housekeeper) -> None:
    unused, used, fresh = (keep_code(still, letter * 64) for letter in "abc")
    run = still.create_command(code_digest="b" * 64)
    age(still, "code_archives", "used_at", timedelta(days=89))
    housekeeper.keep()
    assert unused.exists()
    age(still, "code_archives", "used_at", timedelta(days=2))
    keep_code(still, "c" * 64)
    housekeeper.keep()
    assert [path.exists() for path in (unused, used, fresh)] == [False, True, True]
    still.move(run.id, RunState.CANCELLED)
    age(still, "code_archives", "used_at", timedelta(days=91))
    housekeeper.keep()
    assert not used.exists()
    with still.db.read() as connection:
        assert connection.execute(code_archives.select()).all() == []


def close_project(engine: Engine) -> list[Path]:
    made = [engine.create_command() for _ in range(3)]
    files = [with_files(engine, run) for run in made]
    for run in made:
        engine.move(run.id, *ENDED)
    nas = engine.settings.runs_root / layout.nas_dir("own")
    nas.mkdir(parents=True)
    (nas / "link").symlink_to("/etc")
    with engine.db.write() as tx:
        tx.exec_driver_sql("INSERT INTO resource_counts (account_id, kind, n) VALUES ('acc', 'projects', 1)")
        volume = volumes.insert(tx, account_id="acc", project_id="own", name="v", size_gb=1, limit=10)
        assert projects.begin_delete(tx, "acc", "own")
    disk = engine.settings.runs_root / layout.volume_dir(volume.number)
    disk.mkdir(parents=True)
    return [*files, nas, disk, keep_code(engine, "d" * 64)]


def refuse(*_: object) -> None:
    raise OSError("the disk is sick")


def status(engine: Engine) -> str | None:
    with engine.db.read() as connection:
        return connection.exec_driver_sql("SELECT status FROM projects WHERE id = 'own'").scalar()


def test_a_closed_project_loses_all_its_files_and_then_is_deleted(still: Engine, housekeeper: Housekeeper) -> None:
    paths = close_project(still)
    housekeeper.keep()
    assert [path for path in paths if path.exists()] == []
    assert Path("/etc/passwd").exists()
    assert status(still) == "DELETED"
    with still.db.read() as connection:
        assert run_pages.page(connection, "acc", page=1, page_size=10).total == 0
        with pytest.raises(NotFoundError):
            run_pages.get(connection, "acc", "own", 1)


def test_a_closed_project_whose_files_cannot_all_go_stays_deleting_until_they_can(
    still: Engine, housekeeper: Housekeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = close_project(still)
    with monkeypatch.context() as broken:
        broken.setattr(housekeeping, "remove_tree", refuse)
        housekeeper.keep()
    assert status(still) == "DELETING"
    housekeeper.keep()
    assert status(still) == "DELETED"
    assert [path for path in paths if path.exists()] == []


def test_the_rows_of_a_deleted_project_go_after_30_days_and_numbers_of_the_account_stay_right(
    still: Engine, housekeeper: Housekeeper
) -> None:
    close_project(still)
    housekeeper.keep()
    age(still, "projects", "deleted_at", timedelta(days=29))
    housekeeper.keep()
    assert status(still) == "DELETED"
    age(still, "projects", "deleted_at", timedelta(days=2))
    housekeeper.keep()
    assert status(still) is None
    with still.db.write() as tx:
        assert tx.execute(runs.select()).all() == []
        assert tx.execute(run_counts.select().where(run_counts.c.scope == "own")).all() == []
        assert tx.execute(run_gaps.select().where(run_gaps.c.scope == "own")).all() == []
        tx.execute(project_rows.insert().values(id="new", account_id="acc", name="new", is_system=False, created_at=1))
    made = still.create_command(project_id="new")
    with still.db.read() as connection:
        assert [row.id for row in run_pages.page(connection, "acc", page=1, page_size=10).items] == [made.id]
    assert made.created_at <= utc_now()


def test_a_step_that_fails_leaves_the_others_their_turn(
    still: Engine, housekeeper: Housekeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = still.create_command()
    still.move(run.id, *ENDED)
    files = with_files(still, run)
    with still.db.write() as tx:
        delete_run(tx, run)
    monkeypatch.setattr(DirectoryStore, "sweep_drafts", refuse)
    housekeeper.keep()
    assert not files.exists()


def test_directories_deeper_than_recursion_go_with_their_run(still: Engine, housekeeper: Housekeeper) -> None:
    run = still.create_command()
    still.move(run.id, *ENDED)
    files = with_files(still, run)
    here = os.open(files, os.O_RDONLY)
    for _ in range(1_500):
        os.mkdir("deep", dir_fd=here)
        inside = os.open("deep", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inside
    os.close(here)
    with still.db.write() as tx:
        delete_run(tx, run)
    housekeeper.keep()
    assert not files.exists()


def test_one_bad_directory_stops_nothing_whatever_it_raises(
    still: Engine, housekeeper: Housekeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = []
    for _ in range(3):
        run = still.create_command()
        still.move(run.id, *ENDED)
        files.append(with_files(still, run))
        with still.db.write() as tx:
            delete_run(tx, run)
    remove = housekeeping.remove_tree

    def remove_tree(path: Path) -> None:
        if path == files[0]:
            raise RecursionError("too deep")
        remove(path)

    assert housekeeper.last_round_s is None
    with monkeypatch.context() as broken:
        broken.setattr(housekeeping, "remove_tree", remove_tree)
        housekeeper.keep()
    assert [path.exists() for path in files] == [True, False, False]
    assert housekeeper.last_round_s is not None
    assert 0 <= housekeeper.last_round_s < 30
    housekeeper.keep()
    assert not files[0].exists()
