"""``pip install`` in a run: the packages are the run's own, beside the image's, which stays as it is."""

import subprocess
import sys
from pathlib import Path

import pytest

from footfall.config import load_settings
from footfall.records import Image
from runner_bench import RunnerBench

BACKEND = """
import base64, hashlib, os, zipfile

def _wheel(directory, files):
    name = f"mine-{os.environ.get('VERSION', '1.0')}-py3-none-any.whl"
    info = name.split("-py3")[0] + ".dist-info"
    files = {
        **files,
        f"{info}/METADATA": f"Metadata-Version: 2.1\\nName: mine\\nVersion: {name.split('-')[1]}\\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\\nGenerator: x\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
        f"{info}/entry_points.txt": "[console_scripts]\\nmine-says = mine:say\\n",
    }
    files[f"{info}/RECORD"] = "".join(f"{path},,\\n" for path in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(os.path.join(directory, name), "w") as archive:
        for path, text in files.items(): archive.writestr(path, text)
    return name

def build_wheel(directory, config=None, metadata=None):
    return _wheel(directory, {"mine.py": open("src/mine.py").read()})

def build_editable(directory, config=None, metadata=None):
    return _wheel(directory, {"mine_editable.pth": os.path.abspath("src")})
"""
PROJECT = (
    '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n[project]\nname = "mine"\nversion = "1.0"\n'
)
SHOW = "python -c 'import mine, sys; print(mine.X, sys.prefix)'"


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Image:
    """A virtual environment with pip, an older copy of the package, and a program of its own that imports it."""
    venv = tmp_path_factory.mktemp("image") / "venv"
    subprocess.run(["/usr/bin/python3", "-m", "venv", str(venv)], check=False)
    if not (venv / "bin" / "pip").exists():
        subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
    project = make_project(venv.parent / "old", "old")
    install = [venv / "bin/pip", "install", "-q", "--no-index", "--no-build-isolation", project]
    subprocess.run(install, check=True, env={"PATH": "/usr/bin:/bin", "VERSION": "0.5"})
    return Image("v", "venv", str(venv))


def make_project(path: Path, word: str) -> Path:
    (path / "src").mkdir(parents=True)
    (path / "pyproject.toml").write_text(PROJECT)
    (path / "backend.py").write_text(BACKEND)
    (path / "src" / "mine.py").write_text(f"X = {word!r}\ndef say(): print('says', X)\n")
    return path


@pytest.mark.parametrize("level", ["bubblewrap", "plain"])
@pytest.mark.parametrize("pip", ["pip", "python -m pip", "python3 -m pip", "pip3"])
@pytest.mark.parametrize("option", ["", "-e"])
def test_pip_installs_into_the_run(home: Path, image: Image, level: str, pip: str, option: str) -> None:
    bench = RunnerBench(load_settings(home / "h", {}, isolation=level, allow_plain=True))
    make_project(bench.project / "mine", "new")
    install = f"{pip} install -q --no-index --no-build-isolation {option} ./mine 2>&1"
    script = f"cp -r mine $HOME/; cd $HOME; {SHOW} && mine-says; {install}; {SHOW} && mine-says; pip list 2>/dev/null | grep mine"
    status, log = bench.run(script, image=image)
    assert status["exit_code"] == 0, log
    lines = [line for line in log.splitlines() if "notice" not in line]
    assert lines[:2] == [f"old {image.path}", "says old"]
    assert lines[-3:-1] == [f"new {image.path}", "says new"], log
    assert lines[-1].split()[:2] == ["mine", "1.0"]
    _, log = bench.run(f"{SHOW}; ls -a $HOME", image=image)
    assert log.startswith("old"), "nothing of it is left for the next run"


def test_a_virtual_environment_of_the_command_is_its_own(bench: RunnerBench, image: Image) -> None:
    make_project(bench.project / "mine", "new")
    script = (
        "cp -r mine $HOME/; cd $HOME; python3 -m venv own && . own/bin/activate && "
        f"pip install -q --no-index --no-build-isolation ./mine; {SHOW}; ls own/lib/*/site-packages | grep mine.py"
    )
    status, log = bench.run(script, image=image)
    assert status["exit_code"] == 0, log
    assert log.splitlines()[-2:] == ["new /run/home/own", "mine.py"]


def test_a_python_path_of_the_request_comes_first_and_hides_nothing(bench: RunnerBench, image: Image) -> None:
    make_project(bench.project / "mine", "new")
    script = f"echo $PYTHONPATH; cp -r mine $HOME/; pip install -q --no-index --no-build-isolation $HOME/mine; {SHOW}"
    _, log = bench.run(script, image=image, environment={"PYTHONPATH": "/tmp/lib"})
    lines = log.splitlines()
    assert lines[0].startswith("/tmp/lib:/run/home/")
    assert lines[-1].startswith("new")
