import os
from pathlib import Path

import pytest

from footfall.config import load_settings
from footfall.errors import ConfigError
from footfall.runner import environment
from footfall.runner.environment import command_environment
from runner_bench import RunnerBench

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


def test_what_the_settings_give_every_run_is_there_at_every_level(home: Path) -> None:
    data = home / "datasets" / "faces"
    data.mkdir(parents=True)
    (data / "one").write_text("face\n")
    (data.parent / "other").write_text("other\n")
    variables = ("HF_HOME=$NSML_PRJ_DIR/hf", "PIP_INDEX_URL=https://a:b@index.example/simple?x=1", "MINE=of the operator")
    for level in ("bubblewrap", "landlock", "plain"):
        settings = load_settings(
            home / level, {}, isolation=level, allow_plain=True, run_environment=variables, run_data=(str(data),),
            data_directory=str(home / level / "d"),
        )  # fmt: skip
        bench = RunnerBench(settings)
        script = f"echo $HF_HOME $PIP_INDEX_URL $MINE; cat {data}/one; echo x > {data}/x || echo kept; cat {data}/../other"
        _, log = bench.run(script, environment={"MINE": "of the request"})
        lines = log.splitlines()
        assert lines[0] == f"{bench.project}/hf https://a:b@index.example/simple?x=1 of the request"
        assert lines[1] == "face"
        if level != "plain":
            assert "kept" in lines
            assert "other" not in lines
        for file in (home / level).rglob("*.json"):
            assert "a:b@index" not in file.read_text(), file


@pytest.mark.parametrize(("name", "value"), [("run_environment", "HF_HOME"), ("run_data", "datasets"), ("run_data", "/no/such")])
def test_what_is_no_variable_and_no_directory_is_refused(home: Path, name: str, value: str) -> None:
    with pytest.raises(ConfigError, match=name):
        load_settings(home, {}, **{name: (value,)})
