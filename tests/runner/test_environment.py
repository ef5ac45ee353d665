import os
from pathlib import Path

import pytest

from footfall.runner import environment
from footfall.runner.environment import command_environment

SPEC = {
    "n_cores": 2, "run_id": "r", "marker": "r.0", "attempt": 1, "rank": 0, "n_nodes": 3, "is_job": True,
    "environment": {"LANG": "ko_KR.UTF-8", "NSML_RANK": "7"}, "wake": "/data/wake",
}  # fmt: skip


def test_the_users_variables_win_over_ours_but_not_over_the_names_of_the_platform() -> None:
    seen = command_environment(SPEC, "/scratch")
    assert seen["LANG"] == "ko_KR.UTF-8"
    assert (seen["NSML_RANK"], seen["NSML_WORLD_SIZE"], seen["NSML_SESSION"]) == ("0", "3", "1")


def test_threads_do_not_spin() -> None:
    seen = command_environment(SPEC, "/scratch")
    assert (seen["OMP_WAIT_POLICY"], seen["GOMP_SPINCOUNT"], seen["OMP_NUM_THREADS"]) == ("PASSIVE", "0", "2")


def test_nothing_else_of_the_servers_environment_is_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    assert "secret" not in command_environment(SPEC, "/scratch").values()


def test_jobs_of_an_installation_that_cannot_be_written_keep_their_compiled_code_in_the_data_directory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(environment.os, "access", lambda path, mode: True)
    assert "NUMBA_CACHE_DIR" not in command_environment(SPEC, "/scratch")
    monkeypatch.setattr(environment.os, "access", lambda path, mode: not path.endswith("modeling"))
    assert command_environment(SPEC, "/scratch")["NUMBA_CACHE_DIR"] == "/data/cache/numba"
    assert "NUMBA_CACHE_DIR" not in command_environment(SPEC | {"is_job": False}, "/scratch")
    assert os.path.isdir(Path(environment.__file__).parent.parent / "modeling")
