"""The processes below one, found two ways."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from engine_helpers import eventually
from footfall.runner.process.tree import Tree, Watched

NESTED = (
    "import subprocess, threading; t = threading.Thread(target=lambda: subprocess.run(['sh', '-c', 'sleep 60 & sleep 60; :']));"
    "t.start(); subprocess.run(['sleep', '60'])"
)


@pytest.mark.parametrize("has_children", [True, False])
def test_who_watches_sees_what_is_there_children_of_threads_too(has_children: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not has_children:  # as on a kernel that was built without
        monkeypatch.setattr("footfall.runner.process.tree.os.path.exists", lambda path: not str(path).endswith("/children"))
    elif not Path("/proc/self/task", Path("/proc/self").resolve().name, "children").exists():
        pytest.skip("this kernel does not list children")
    program = subprocess.Popen([sys.executable, "-c", NESTED])
    try:
        eventually(lambda: len(Tree().descendants(program.pid)) == 4, 10)
        assert sorted(Watched().descendants(program.pid)) == sorted(Tree().descendants(program.pid))
        assert program.pid in Watched().descendants()
        assert bool(Watched().children) is not has_children
    finally:
        for pid in [*Tree().descendants(program.pid), program.pid]:
            subprocess.run(["kill", "-9", str(pid)], check=False)
        program.wait()
    assert Watched().descendants(program.pid) == []


def test_a_thread_that_has_ended_meanwhile_hides_no_child_of_another(monkeypatch: pytest.MonkeyPatch) -> None:
    program = subprocess.Popen([sys.executable, "-c", NESTED])
    try:
        eventually(lambda: len(Tree().descendants(program.pid)) == 4, 10)
        list_all = os.listdir
        ended = "999999999"  # no pid is that high
        monkeypatch.setattr("footfall.runner.process.tree.os.listdir", lambda path: [ended, *list_all(path)])
        assert len(Watched().descendants(program.pid)) == 4
    finally:
        monkeypatch.undo()
        for pid in [*Tree().descendants(program.pid), program.pid]:
            subprocess.run(["kill", "-9", str(pid)], check=False)
        program.wait()
