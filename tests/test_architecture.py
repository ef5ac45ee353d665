"""The house: who imports whom, how big files are, what runs before a command, and what is pinned."""

import ast
import functools
import graphlib
import json
import re
import statistics
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "footfall"
FILES = sorted(SOURCE.rglob("*.py"))
BUDGETS = {  # lines a room may have; raise one knowingly
    "api": 5200, "behavior": 1900, "cli": 4450, "client": 3000, "compute": 4100, "contract": 2200, "db": 5000, "executors": 450,
    "files": 700, "jobs": 1050, "machine": 600, "modeling": 11_800, "runner": 6250, "stores": 1100,
}  # fmt: skip


def n_lines(path: Path) -> int:
    return len(path.read_text("utf-8").splitlines())


def test_no_file_is_longer_than_400_lines() -> None:
    assert [path.name for path in FILES if n_lines(path) > 400] == []


def test_the_package_is_small_and_so_are_its_files() -> None:
    lengths = [n_lines(path) for path in FILES]
    assert sum(lengths) <= 47_500
    assert statistics.median(lengths) <= 120


@pytest.mark.parametrize("room", sorted(BUDGETS))
def test_each_room_keeps_its_budget(room: str) -> None:
    assert sum(n_lines(path) for path in (SOURCE / room).rglob("*.py")) <= BUDGETS[room]


def test_every_folder_of_code_is_a_package() -> None:
    assert [path for path in {file.parent for file in FILES} if not (path / "__init__.py").exists()] == []


def test_names_that_mean_nothing_are_not_used() -> None:
    banned = {"utils", "common", "helpers", "base", "misc", "core", "types", "models", "manager"}
    assert [path for path in FILES if path.stem in banned] == []
    classes = re.compile(r"^class (\w*(?:Manager|Handler|Helper|Impl))\b", re.MULTILINE)
    assert [name for path in FILES for name in classes.findall(path.read_text("utf-8"))] == []


def module_of(path: Path) -> str:
    return ".".join(("footfall", *path.relative_to(SOURCE).with_suffix("").parts)).removesuffix(".__init__")


MODULES = {module_of(path): path for path in FILES}


def imports_of(path: Path) -> set[str]:
    """Return our modules that a file imports anywhere: at its top, in functions, for the types alone."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            names |= (inner & MODULES.keys()) or {node.module}
    return names & MODULES.keys()


@functools.cache
def import_graph() -> dict[str, set[str]]:
    return {module: imports_of(path) - {module} for module, path in MODULES.items()}


def test_no_files_import_each_other_in_a_circle() -> None:
    graphlib.TopologicalSorter(import_graph()).prepare()


ROOMS = sorted(module for module, path in MODULES.items() if path.name == "__init__.py")


@pytest.mark.parametrize("room", ROOMS)
def test_what_stands_in_a_room_does_not_climb(room: str) -> None:
    """Files and rooms side by side have an order in which each imports only those below it."""
    prefix = f"{room}."
    graph: dict[str, set[str]] = {}
    for module, imported in import_graph().items():
        if module.startswith(prefix):
            place = module.removeprefix(prefix).partition(".")[0]
            others = {other.removeprefix(prefix).partition(".")[0] for other in imported if other.startswith(prefix)}
            graph.setdefault(place, set()).update(others - {place})
    graphlib.TopologicalSorter(graph).prepare()


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_can_be_overlooked(room: str) -> None:
    folder = MODULES[room].parent
    modules = [path for path in folder.glob("*.py") if path.name != "__init__.py"]
    assert len(modules) <= (20 if folder == SOURCE else 18)


def test_imports_run_downwards_only() -> None:
    done = subprocess.run([Path(sys.executable).parent / "lint-imports", "--no-cache"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_the_readme_shows_every_file_of_the_tree() -> None:
    tree = (ROOT / "README.md").read_text("utf-8").partition("## The tree")[2]
    shown = set(re.findall(r"^(src/footfall/\S+\.py)", tree, re.MULTILINE))
    assert shown == {str(path.relative_to(ROOT)) for path in FILES}


def test_broad_catches_stand_only_at_the_doors() -> None:
    doors = {
        "api/app.py",
        "api/log_streaming.py",
        "cli/main.py",
        "compute/storage/housekeeping.py",
        "compute/reconciler/loop.py",
        "compute/reconciler/reconcile.py",
        "jobs/context.py",
        "runner/__main__.py",
    }
    broad = re.compile(r"^\s*except( \(?(Base)?Exception\b.*)?:", re.MULTILINE)
    found = {str(path.relative_to(SOURCE)) for path in FILES if broad.search(path.read_text("utf-8"))}
    assert found <= doors


def test_only_the_settings_and_the_edges_of_processes_read_the_environment() -> None:
    readers = {
        "config.py", "client/credentials.py", "client/code/git.py",  # settings of the server, and of clients
        "machine/isolation.py",  # PATH for the probe
        "runner/packages.py", "runner/probing/attempts.py",  # in the text of a program of the run's
        "executors/local.py", "runner/environment.py", "jobs/context.py",  # PATH for children; what a runner gives its job
    }  # fmt: skip
    found = {str(path.relative_to(SOURCE)) for path in FILES if re.search(r"\bos\.(environ|getenv)\b", path.read_text("utf-8"))}
    assert found - readers - {str(path.relative_to(SOURCE)) for path in (SOURCE / "cli").rglob("*.py")} <= {"modeling/threads.py"}


def loaded_by(statement: str) -> set[str]:
    code = f"import sys; {statement}; import json; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout))


def test_the_runner_loads_little_before_the_command_runs() -> None:
    code = (
        f"import sys; sys.path.append({str(SOURCE.parent)!r}); before = set(sys.modules)\n"
        "import footfall.runner.supervise, footfall.runner.user_command, footfall.runner.sandbox.seccomp\n"
        "print(*sorted(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True)
    ours = (
        "command directories environment errors exit_reason files image launch process process.poller process.spawn "
        "process.tree sandbox sandbox.bubblewrap sandbox.members sandbox.seccomp sandbox.shell supervise user_command"
    )
    wanted = {"footfall", "footfall.layout", "footfall.runner"} | {f"footfall.runner.{name}" for name in ours.split()}
    small = "__future__ _collections_abc _stat errno fcntl genericpath marshal os os.path posixpath select stat time"
    loaded = set(done.stdout.split())
    assert loaded >= wanted
    assert loaded - wanted <= set(small.split())


def test_the_server_loads_no_science() -> None:
    loaded = loaded_by("import footfall.server")
    assert {name.partition(".")[0] for name in loaded} & {
        "numpy",
        "scipy",
        "sklearn",
        "lightgbm",
        "numba",
        "torch",
        "polars",
    } == set()


@pytest.mark.parametrize("job", ["score_task_run", "make_custom_attributes", "make_shopping_intent"])
def test_a_scoring_job_loads_no_trainer(job: str) -> None:
    loaded = {name.partition(".")[0] for name in loaded_by(f"import footfall.jobs.{job}")}
    assert loaded & {"sklearn", "pyarrow", "lightgbm", "torch", "polars", "pandas"} == set()


def test_row_32_every_dependency_is_pinned_and_installed_as_pinned() -> None:
    pins = dict(
        line.split("==") for line in (ROOT / "requirements.lock").read_text("utf-8").splitlines() if line and line[0] != "#"
    )
    pinned = {re.sub(r"[-_.]+", "-", name).lower(): number for name, number in pins.items()}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    wanted = project["dependencies"] + project["optional-dependencies"]["test"]
    for requirement in wanted:
        name = re.split(r"[\[<>=!~ ]", requirement)[0]
        # A build for some machines, such as +cpu, is the same version; the index chooses.
        assert version(name).partition("+")[0] == pinned[re.sub(r"[-_.]+", "-", name).lower()], name
