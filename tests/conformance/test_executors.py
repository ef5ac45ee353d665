"""One suite for every executor, found by walking the folder; a new one is tested the moment it exists."""

import json
import os
import pkgutil
import signal
import time
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

import footfall.executors
from engine_helpers import eventually, processes_of
from footfall.config import Settings, load_settings
from footfall.contract.nodes import ImageSpec, VolumeSpec, WorkloadSpec
from footfall.errors import ConfigError, StoreFullError
from footfall.executor import Executor, Launch, Liveness, load_executor
from footfall.executors import local
from footfall.layout import STARTED, STATUS, node_dir
from footfall.records import Image, MountedVolume, RunSpec, Workload, new_id

NAMES = [module.name for module in pkgutil.iter_modules(footfall.executors.__path__)]


class Bench:
    def __init__(self, name: str, settings: Settings) -> None:
        self.name, self.settings = name, settings
        self.executor = self.fresh()

    def fresh(self) -> Executor:
        """Return an executor that remembers nothing, as after a restart of the server."""
        return load_executor(self.name, self.settings)

    def submit(self, *command: str, run_id: str | None = None, attempt: int = 0, **spec: object) -> tuple[str, str]:
        run_id = run_id or new_id()
        launch = Launch(run_id, attempt, RunSpec(tuple(command), **spec))  # type: ignore[arg-type]
        return run_id, self.executor.submit(launch)

    def node(self, run_id: str, rank: int = 0, attempt: int = 0) -> Path:
        return self.settings.runs_root / node_dir(run_id, attempt, rank)

    def liveness(self, handle: str) -> Liveness:
        return self.executor.poll([handle])[handle].liveness

    def wait_status(self, run_id: str, rank: int = 0, attempt: int = 0) -> dict[str, object]:
        file = self.node(run_id, rank, attempt) / STATUS
        eventually(file.exists, 20)
        status: dict[str, object] = json.loads(file.read_text())
        return status


@pytest.fixture(params=NAMES)
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Bench:
    settings = load_settings(tmp_path / "home", {})
    settings.data_dir.mkdir(parents=True)
    return Bench(request.param, settings)


def test_submit_twice_is_one_process(bench: Bench, tmp_path: Path) -> None:
    counted = tmp_path / "count"
    run_id, first = bench.submit("sh", "-c", f"echo x >> {counted}; sleep 0.3")
    _, again = bench.submit("sh", "-c", f"echo x >> {counted}; sleep 0.3", run_id=run_id)
    bench.executor = bench.fresh()
    _, after_restart = bench.submit("sh", "-c", f"echo x >> {counted}; sleep 0.3", run_id=run_id)
    assert first == again == after_restart
    assert bench.wait_status(run_id)["exit_code"] == 0
    _, _ = bench.submit("sh", "-c", f"echo x >> {counted}", run_id=run_id)
    time.sleep(0.3)
    assert counted.read_text() == "x\n"


def test_attempts_are_apart(bench: Bench, tmp_path: Path) -> None:
    run_id, _ = bench.submit("sh", "-c", "exit 3")
    assert bench.wait_status(run_id)["exit_code"] == 3
    bench.submit("true", run_id=run_id, attempt=1)
    assert bench.wait_status(run_id, attempt=1)["exit_code"] == 0
    assert bench.wait_status(run_id)["exit_code"] == 3


def test_many_are_polled_in_one_call(bench: Bench) -> None:
    handles = [bench.submit("sleep", "5", grace_s=0.2)[1] for _ in range(5)]
    seen = bench.executor.poll(handles)
    assert {handle: one.liveness for handle, one in seen.items()} == dict.fromkeys(handles, Liveness.RUNNING)
    for handle in handles:
        bench.executor.cancel(handle)
    eventually(lambda: {one.liveness for one in bench.executor.poll(handles).values()} == {Liveness.GONE}, 10)


def test_cancel_twice_or_of_nothing_does_no_harm(bench: Bench) -> None:
    run_id, handle = bench.submit("sleep", "60")
    eventually((bench.node(run_id) / STARTED).exists)
    bench.executor.cancel(handle)
    bench.executor.cancel(handle)
    assert bench.wait_status(run_id)["reason"] == "stopped"
    eventually(lambda: bench.liveness(handle) == Liveness.GONE)
    bench.executor.cancel(handle)
    bench.executor.cancel(handle.replace(run_id, new_id()))


def test_a_handle_of_another_host_is_unknown_and_of_another_boot_gone(bench: Bench) -> None:
    run_id, handle = bench.submit("sleep", "5", grace_s=0.2)
    kind, host, boot, *rest = handle.split(":")
    elsewhere = ":".join([kind, "another-host", boot, *rest])
    before = ":".join([kind, host, "another-boot", *rest])
    seen = bench.executor.poll([elsewhere, before])
    assert seen[elsewhere].liveness == Liveness.UNKNOWN
    assert "another-host" in seen[elsewhere].message
    assert seen[before].liveness == Liveness.GONE
    bench.executor.cancel(elsewhere)
    time.sleep(0.2)
    assert processes_of(run_id)
    bench.executor.cancel(handle)
    bench.wait_status(run_id)


def test_gone_is_said_only_when_the_whole_tree_is(bench: Bench) -> None:
    run_id, handle = bench.submit("sh", "-c", "setsid sleep 300 & setsid sh -c 'sleep 300 & wait' & wait")
    eventually(lambda: len(processes_of(run_id)) >= 5)
    os.kill(int((bench.node(run_id) / "start").read_text()), signal.SIGKILL)
    eventually(lambda: bench.liveness(handle) == Liveness.GONE)
    assert processes_of(run_id) == []


def test_all_nodes_of_a_run_start_with_their_ranks(bench: Bench) -> None:
    run_id, handle = bench.submit("sh", "-c", "echo $NSML_RANK of $NSML_WORLD_SIZE", n_nodes=3)
    said = []
    for rank in range(3):
        assert bench.wait_status(run_id, rank)["exit_code"] == 0
        said.append((bench.node(run_id, rank) / "log.txt").read_text())
    assert said == ["0 of 3\n", "1 of 3\n", "2 of 3\n"]
    eventually(lambda: bench.liveness(handle) == Liveness.GONE)


def test_a_command_sees_nothing_of_the_servers_environment(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOOTFALL_S3_SECRET_KEY", "very-secret")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "very-secret")
    run_id, _ = bench.submit("env", environment={"MINE": "yes"})
    bench.wait_status(run_id)
    seen = (bench.node(run_id) / "log.txt").read_text()
    assert "very-secret" not in seen
    assert "MINE=yes" in seen
    assert "FOOTFALL_JOB" not in seen


def test_a_runner_that_cannot_start_is_known_to_be_gone(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    run_id, handle = bench.submit("sleep", "60")
    eventually((bench.node(run_id) / STARTED).exists)
    bench.executor.cancel(handle)
    bench.wait_status(run_id)
    broken = new_id()
    node = bench.node(broken)
    node.mkdir(parents=True)
    (node / "spec.json").write_text("{ this is no JSON")
    monkeypatch.setattr(local, "START_TIMEOUT_S", 0.0)
    handle = handle.replace(run_id, broken)
    assert bench.liveness(handle) == Liveness.GONE
    bench.submit("touch", str(node / "ran"), run_id=broken)
    time.sleep(0.3)
    assert not (node / "ran").exists(), "it started after it was said to be gone"


def test_no_space_for_a_runs_files_is_said(bench: Bench) -> None:
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))
        with pytest.raises(Exception, match=r"space|cannot be written") as caught:
            bench.submit("true")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    assert isinstance(caught.value, StoreFullError) or caught.value.code == "executor_unavailable"


def test_an_executor_that_does_not_exist_is_a_setting_that_is_wrong(settings: Settings) -> None:
    with pytest.raises(ConfigError, match="no_such"):
        load_executor("no_such", settings)


@pytest.mark.parametrize(("record", "shape"), [(Workload, WorkloadSpec), (Image, ImageSpec), (MountedVolume, VolumeSpec)])
def test_a_node_gets_every_field_of_a_workload_by_its_name(record: type[Any], shape: type[Any]) -> None:
    assert [field.name for field in fields(record)] == list(shape.__annotations__)
