"""Users' commands through the real executor and runner, as far as the engine answers for them."""

import json
import signal
from pathlib import Path

import pytest

from engine_helpers import PRODUCT, Engine, eventually, open_engine, plan_command, processes_of
from footfall import layout
from footfall.compute.reconciler.nodes import NodeState, read_nodes
from footfall.compute.runs import cancel_run
from footfall.db import allocations, code_archives, run_pages
from footfall.records import Image, Product, RunSpec, Workload
from footfall.states import FailureReason, RunState


def row_of(engine: Engine, number: int) -> run_pages.RunRow:
    with engine.db.read() as connection:
        return run_pages.get(connection, "acc", "own", number)


def spec_of(engine: Engine, run_id: str, rank: int = 0) -> dict[str, object]:
    path = engine.settings.runs_root / layout.node_dir(run_id, 0, rank) / layout.SPEC
    content: dict[str, object] = json.loads(path.read_text())
    return content


def test_the_nodes_of_a_run_get_units_of_their_own_and_one_port(tmp_path: Path) -> None:
    with open_engine(tmp_path / "home", local_cores=4, fake_gpus=2) as engine:
        product = Product(1, "TRAIN", (2,), "p", "p", 2, 256, 1)
        run = engine.wait(engine.create_command("exit 0", product=product, n_nodes=2).id)
        assert run.state == RunState.COMPLETED, run.fail_details
        specs = [spec_of(engine, run.id, rank) for rank in range(2)]
        shares = [spec["share"] for spec in specs]
        assert sorted(core for share in shares for core in share["cores"]) == [0, 1, 2, 3]  # type: ignore[index]
        assert sorted(gpu for share in shares for gpu in share["gpus"]) == ["GPU-fake-0000", "GPU-fake-0001"]  # type: ignore[index]
        assert specs[0]["port"] == specs[1]["port"]
        assert 29_500 <= int(str(specs[0]["port"])) <= 30_499
        views = read_nodes(engine.settings.runs_root, row_of(engine, 1))
        assert [(view.state, view.exit_code, len(view.gpu_ids)) for view in views] == [(NodeState.ENDED, 0, 1)] * 2
        with engine.db.read() as connection:
            assert allocations.find_grants(connection) == {}
            assert connection.exec_driver_sql("SELECT COUNT(*) FROM held_units").scalar() == 0


def test_two_runs_at_once_share_no_core_no_gpu_and_no_port(tmp_path: Path) -> None:
    with open_engine(tmp_path / "home", local_cores=2, fake_gpus=2) as engine:
        product = Product(1, "TRAIN", (1,), "p", "p", 1, 256, 1)
        made = [engine.create_command("sleep 60", product=product) for _ in range(3)]
        for run in made[:2]:
            engine.wait(run.id, RunState.IN_PROGRESS)
        eventually(lambda: row_of(engine, 3).message == "Waits for 1 of 2 cores and 1 of 2 GPUs.")
        with engine.db.read() as connection:
            units = connection.exec_driver_sql("SELECT kind, unit FROM held_units").all()
        assert len(units) == len(set(units)) == 6
        with engine.db.write() as tx:
            for run in made:
                cancel_run(tx, run.id, "test")
        for run in made:
            assert engine.wait(run.id).state == RunState.CANCELLED


@pytest.mark.parametrize(("script", "code"), [("exit 3", 3), ("kill -9 $$", 137)])
def test_a_failed_command_shows_its_exit_code_and_is_not_attempted_again(engine: Engine, script: str, code: int) -> None:
    engine.wait(engine.create_command(script).id)
    row = row_of(engine, 1)
    assert (row.state, row.exit_code, row.attempt) == (RunState.FAILED, code, 0)


def test_a_node_that_fails_stops_the_others_and_one_that_ends_well_does_not(tmp_path: Path) -> None:
    with open_engine(tmp_path / "home", local_cores=4, stop_grace_s=2.0) as engine:
        well = engine.create_command('if [ "$NSML_RANK" = 1 ]; then sleep 0.5; echo done; fi', n_nodes=2)
        assert engine.wait(well.id).state == RunState.COMPLETED
        ill = engine.create_command('if [ "$NSML_RANK" = 1 ]; then exit 7; fi; sleep 60', n_nodes=2)
        run = engine.wait(ill.id)
        assert (run.state, run.reason) == (RunState.FAILED, FailureReason.COMMAND_FAILED)
        row = row_of(engine, 2)
        assert row.exit_code == 7
        assert (row.fail_details or "").startswith("Node 1:")
        eventually(lambda: processes_of(ill.id) == [])


def test_a_node_whose_runner_vanishes_stops_the_others(tmp_path: Path) -> None:
    import os

    with open_engine(tmp_path / "home", local_cores=4, stop_grace_s=1.0) as engine:
        made = engine.create_command("sleep 60", n_nodes=2)
        run = engine.wait(made.id, RunState.IN_PROGRESS)
        os.kill(int((engine.node_dir(run, 1) / "start").read_text()), signal.SIGKILL)
        run = engine.wait(made.id, timeout_s=15)
        assert (run.state, run.reason) == (RunState.FAILED, FailureReason.LOST)
        states = [view.state for view in read_nodes(engine.settings.runs_root, row_of(engine, 1))]
        assert states == [NodeState.ENDED, NodeState.LOST]
        eventually(lambda: processes_of(made.id) == [])


def test_code_that_is_gone_refuses_the_run_and_says_so(engine: Engine) -> None:
    workload = Workload("true", Image("host", "host"), "own", "own", "", code_digest="a" * 64)
    with engine.db.write() as tx:
        code_archives.keep(tx, "own", "a" * 64, 1)
        made = plan_command(RunSpec((), workload=workload)).apply(tx)
        tx.exec_driver_sql("DELETE FROM code_archives")  # as housekeeping does, between the request and the start
    run = engine.wait(made.id)
    assert (run.state, run.reason) == (RunState.FAILED, FailureReason.REJECTED)
    assert "send the code again with `footfall run`" in (run.fail_details or "")


def test_block_storages_are_free_again_when_their_run_has_ended(engine: Engine) -> None:
    made = engine.create_command("sleep 0.2", product=PRODUCT)
    with engine.db.write() as tx:
        tx.exec_driver_sql(
            "INSERT INTO volumes (account_id, project_id, name, size_gb, run_id, created_at, updated_at) "
            f"VALUES ('acc', 'own', 'v', 1, '{made.id}', 1, 1)"
        )
    engine.wait(made.id)
    with engine.db.read() as connection:
        assert connection.exec_driver_sql("SELECT run_id FROM volumes").scalar() is None
