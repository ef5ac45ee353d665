"""The probe of isolation: its attempts are no vain ones, and a level that breaks a promise is not believed."""

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from footfall.config import load_settings
from footfall.machine.isolation import find_isolation
from footfall.runner.probing import attempts, probe
from footfall.runner.sandbox import bubblewrap


def test_outside_every_level_each_attempt_that_a_level_refuses_works(home: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("an ordinary user may not do all of it anyway")
    (home / "secret").write_text("secret")
    with contextlib.ExitStack() as kept:
        variables = probe._lay_out(kept) | {"PROBE_SECRET": str(home / "secret"), "PROBE_PID": str(os.getpid())}
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-c", variables["PROBE_ATTEMPTS"], "--probe"],
            env=os.environ | variables, capture_output=True, text=True, check=True,
        )  # fmt: skip
    ends = [line.split(": ")[1] for line in done.stdout.splitlines()]
    assert {what: end for (what, _, _), end in zip(attempts.ATTEMPTS, ends, strict=True) if end != attempts.WORKS} == {}


def test_a_level_at_which_an_attempt_ends_otherwise_does_not_work_and_says_which(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    isolation = find_isolation(load_settings(home, {}, allow_plain=True))
    if isolation.level != "bubblewrap":
        pytest.skip("bubblewrap does not start on this machine")
    assert probe._try(isolation.details, str(home)) == (None, "")
    with monkeypatch.context() as without:
        without.setattr("footfall.runner.sandbox.seccomp.build_filter", lambda **_: None)
        trouble, _ = probe._try(isolation.details, str(home))
        assert "a command was to try to" in (trouble or "")
        assert "io_uring" in (trouble or "")
    with monkeypatch.context() as shared:
        names = bubblewrap.namespaces

        def without_ipc(*given: object) -> list[str]:
            words = [word for word in names(*given) if word != "--unshare-ipc"]  # type: ignore[arg-type]
            all_others = ["--unshare-user", "--unshare-pid", "--unshare-uts", "--unshare-cgroup"]
            return [each for word in words for each in (all_others if word == "--unshare-all" else [word])]

        shared.setattr(bubblewrap, "namespaces", without_ipc)
        trouble, _ = probe._try(isolation.details, str(home))
        assert "System V" in (trouble or "")


def test_what_cannot_be_tried_is_said(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    isolation = find_isolation(load_settings(home, {}, allow_plain=True))
    monkeypatch.setattr(probe, "_SCRIPT", probe._SCRIPT.replace('[ -x "$python" ]', "false"))
    if isolation.level == "bubblewrap":
        trouble, note = probe._try(isolation.details, str(home))
        assert (trouble, "Not tried" in note) == (None, True)


PYTHON = "/usr/bin/python3"


def test_a_server_that_is_not_root_gets_the_best_level_too(home: Path) -> None:
    become = ["setpriv", "--reuid=1234", "--regid=1234", "--clear-groups"]
    if os.geteuid() != 0 or not Path(PYTHON).exists():
        pytest.skip("only root can be somebody else, and that one needs a Python of the system's")
    if subprocess.run([*become, "unshare", "-Ur", "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine forbids user namespaces")
    (home / "h").mkdir()
    os.chown(home / "h", 1234, 1234)
    program = f"""
import sys
sys.path[:0] = {[str(Path(__file__).parents[1]), *sys.path]!r}
from footfall.config import load_settings
from footfall.machine.isolation import find_isolation
for level in ("bubblewrap", "landlock"):
    found = find_isolation(load_settings({str(home / "h")!r}, {{}}, isolation=level))
    print(found.level, found.why)
"""
    done = subprocess.run([*become, PYTHON, "-c", program], capture_output=True, text=True, check=False, env={"PATH": os.defpath})
    if "ModuleNotFoundError" in done.stderr:
        pytest.skip("no Python here that another user can run")
    assert done.stdout == "bubblewrap \nlandlock \n", done.stderr
