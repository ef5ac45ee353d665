import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from footfall.config import load_settings
from runner_bench import RunnerBench


@pytest.fixture
def home() -> Iterator[Path]:
    """A home with a short path that an unprivileged user can reach, as Landlock needs it."""
    path = Path(tempfile.mkdtemp(prefix="ff-"))
    path.chmod(0o755)
    yield path
    subprocess.run(["rm", "-rf", str(path)], check=True)  # what hostile commands leave is too deep for Python


@pytest.fixture
def bench(home: Path) -> RunnerBench:
    """The level that this machine offers."""
    return RunnerBench(load_settings(home / "h", {}))


@pytest.fixture(params=["bubblewrap", "landlock", "plain"])
def any_bench(request: pytest.FixtureRequest, home: Path) -> RunnerBench:
    """Each level in turn."""
    made = RunnerBench(load_settings(home, {}, isolation=request.param, allow_plain=True, data_directory=str(home / "d")))
    os.chmod(home / "d", 0o755)
    return made
