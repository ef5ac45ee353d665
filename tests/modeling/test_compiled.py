"""Compiled code on disk is never that of another state of the sources."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import footfall

PROBE = "from footfall.modeling.compiled import njit\n\n\n"
CALLEE = PROBE + "@njit(cache=True, nogil=True)\ndef callee(x):\n    return x + {number}\n"
BETWEEN = "from footfall.modeling import probe_callee\n\ncallee = probe_callee.callee\n"
CALLER = "from footfall.modeling.probe_between import callee\n" + PROBE
CALLER += "@njit(cache=True, nogil=True)\ndef caller(x):\n    return callee(x) * 10\n"
RUN = """
from footfall.modeling.probe_caller import caller
print(caller(3), sum(caller.stats.cache_hits.values()))
"""


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A copy of the package with a compiled function that calls one of another file."""
    source = Path(footfall.__file__).parent
    shutil.copytree(source, tmp_path / "footfall", ignore=shutil.ignore_patterns("__pycache__"))
    modeling = tmp_path / "footfall" / "modeling"
    (modeling / "probe_callee.py").write_text(CALLEE.format(number=1))
    (modeling / "probe_between.py").write_text(BETWEEN)
    (modeling / "probe_caller.py").write_text(CALLER)
    return modeling


def run(modeling: Path, **environment: str) -> tuple[int, int]:
    """Return what the caller gives, and how often it came from the cache."""
    command = [sys.executable, "-c", RUN]
    variables = {"PYTHONPATH": str(modeling.parent.parent), "PATH": "/usr/bin:/bin"} | environment
    done = subprocess.run(command, env=variables, cwd=modeling, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    value, hits = done.stdout.split()
    return int(value), int(hits)


@pytest.mark.parametrize("place", ["beside the code", "a directory of its own"])
def test_a_caller_does_not_keep_a_callee_that_changed(package: Path, tmp_path: Path, place: str) -> None:
    environment = {} if place == "beside the code" else {"NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    assert run(package, **environment) == (40, 0)
    assert run(package, **environment) == (40, 1)
    files = sorted(path.name for path in tmp_path.rglob("probe_*.nb[ic]"))
    (package / "probe_callee.py").write_text(CALLEE.format(number=5))  # as many bytes as before
    assert run(package, **environment) == (80, 0)
    assert run(package, **environment) == (80, 1)
    (package / "linear.py").write_text("# of no concern to it\n")
    assert run(package, **environment) == (80, 1)
    assert sorted(path.name for path in tmp_path.rglob("probe_*.nb[ic]")) == files  # it took the place of the old
