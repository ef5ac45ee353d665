"""``footfall demo``: the main job on a real data set, through the signed API of a server of its own.

Uses nothing but the public client. Starts a server as a child process on loopback and stops it, with its runs, however the
demo ends.
"""

import contextlib
import fcntl
import os
import selectors
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar

from footfall.cli import output
from footfall.cli.context import RunFailed, choices
from footfall.cli.files import size_text
from footfall.cli.report.page import make_page
from footfall.cli.report.report import NAMES
from footfall.client import Client
from footfall.client.replies import Resource
from footfall.errors import InputError, ServiceError

R = TypeVar("R", bound=Resource)

BUCKET = "demo"
RESULT = "scores.tsv"
REPORT = "report.html"
TASK, TASK_RUN = ": buys again", ": scores"
INPUTS = ("events.parquet", "train.tsv", "test.tsv")
OBSERVED_UNTIL = "2011-09-10"
ASKED_WRONGLY = 2
START_TIMEOUT_S, STOP_TIMEOUT_S = 60.0, 90.0
_MARKER = ".made-by-footfall-demo"


def run_demo(home: Path, *, fresh: bool, keep_running: bool = False) -> None:
    """Run the demo in a home directory; with ``fresh``, what an earlier demo left there is removed first.

    Raises:
        RunFailed: one of the runs failed.
        InputError: the directory is not the demo's, a server runs in it, or a setting is wrong.
        ServiceError: the server did not start.
    """
    started_at = time.monotonic()
    signal.signal(signal.SIGTERM, _interrupt)
    _prepare(home, fresh)
    _print("Footfall demo: which customers of a web shop buy again within 91 days?")
    _print("Data: 242,027 purchases of 3,370 customers (UCI Online Retail, CC BY 4.0).")
    _print()
    with _server(home), Client(home=home) as client:
        _step("server", f"ready at {client.endpoint}", time.monotonic() - started_at)
        outcome = _play(client, home)
        _print()
        _print(f"All of it took {time.monotonic() - started_at:.0f} s.")
        if keep_running:
            _print("The server stays until Ctrl-C.")
            signal.pause()
    _print_next_steps(home, str(outcome["task"]["task_name"]), fresh)
    _print()
    _print(f"The report, a page with charts to open in a browser: {_relative(Path(outcome['report']))}")
    if choices().json:
        output.json_value({"home": str(home), **outcome})


def _play(client: Client, home: Path) -> dict[str, Any]:
    name = _free_name(client, "online-retail")
    _upload(client)
    feature = client.features.create(name, BUCKET, INPUTS[0], observed_until=OBSERVED_UNTIL)
    feature = _watch(client, "feature", feature)
    _step("", f"{feature.user_count or 0:,} users, {feature.token_count or 0:,} tokens, {size_text(feature.disk_usage or 0)}")
    task = client.tasks.create(
        f"{name}{TASK}", feature.id, BUCKET, INPUTS[1], test_feature_id=feature.id, test_bucket=BUCKET, test_file_path=INPUTS[2]
    )
    task = _watch(client, "task", task)
    _step("", f"AUROC {task.AUROC} on the customers of {INPUTS[2]}")
    key = f"{feature.id}/{RESULT}" if any(client.list_objects(BUCKET, RESULT)) else RESULT
    run = client.task_runs.create(f"{name}{TASK_RUN}", task.id, feature.id, BUCKET, key)
    run = _watch(client, "task run", run)
    page = _write_report(client, task, home)
    body = client.task_runs.get(run.id).wire
    _print()
    _print(f"Get task run: GET /api/v1/task-runs/{run.id}")
    _print(output.json_text(body))
    _print()
    _print(f"AUROC of the task: {task.AUROC}  (0.5 is guessing, 1 is perfect)")
    _print()
    content = b"".join(client.get_object(run.result_bucket, run.result_file_path)).decode("utf-8")
    scores = dict(text.split("\t") for text in content.splitlines())
    lift = _show_lift(client, {user: float(score) for user, score in scores.items()})
    _print()
    _print(f"First lines of {run.result_bucket}/{run.result_file_path}, customer and probability to buy again:")
    for text in content.splitlines()[:5]:
        _print("  " + text)
    _print()
    _print("Where things are")
    for kind, found in (("feature", feature), ("task", task), ("task-run", run)):
        log = home / "logs" / f"{kind}.log"
        log.parent.mkdir(exist_ok=True)
        log.write_bytes(b"".join(client.log(found)))
    _print(f"  logs of the three jobs, and of the server   {_relative(home / 'logs')}/")
    _print(f"  buckets, database and artefacts             {_relative(home / 'data')}/")
    _print(f"  keys for clients                            {_relative(home / 'credentials.toml')}")
    return {"feature": feature.wire, "task": task.wire, "task_run": body, "lift": lift, "report": str(page)}


def _write_report(client: Client, task: Resource, home: Path) -> Path:
    """Write the task's report as a page into the home, beside what an earlier demo left; return where it is."""
    started_at = time.monotonic()
    page = home / REPORT
    if page.exists():
        page = home / f"report-{task.id}.html"
    page.write_text(make_page(client.tasks.report(task.id), NAMES), "utf-8")
    _step("report", f"{_relative(page)} ({size_text(page.stat().st_size)})", time.monotonic() - started_at)
    return page


def _prepare(home: Path, fresh: bool) -> None:
    if home.is_symlink() or (home.exists() and not home.is_dir()):
        raise InputError(f"{home} is no directory; move it away, or name another with --home.")
    if fresh and home.exists() and any(home.iterdir()) and not (home / _MARKER).exists():
        raise InputError(f"{home} was not made by the demo, so it is left alone; name another directory with --home.")
    if _is_served(home):
        raise InputError(f"A server runs in {home}; stop it, or give the demo another directory with --home.")
    if fresh and home.exists():
        shutil.rmtree(home)
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    (home / "logs").mkdir(exist_ok=True)
    if fresh:
        (home / _MARKER).touch()


def _is_served(home: Path) -> bool:
    """Whether a server holds the lock of this home."""
    try:
        lock = (home / "up.lock").open("rb")
    except FileNotFoundError:
        return False
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


@contextlib.contextmanager
def _server(home: Path) -> Iterator[None]:
    log = home / "logs" / "server.log"
    command = [sys.executable, "-m", "footfall", "up", "--home", str(home), "--host", "127.0.0.1", "--port", "0"]
    with log.open("ab") as errors:
        process = subprocess.Popen(
            [*command, "--cancel-runs"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,  # Ctrl-C must reach only this process, which stops the server in order
        )
    try:
        _wait_until_ready(process, log)
        yield
    finally:
        _stop(process)


def _wait_until_ready(process: "subprocess.Popen[bytes]", log: Path) -> None:
    assert process.stdout is not None
    deadline, line = time.monotonic() + START_TIMEOUT_S, b""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while b"\n" not in line:
            if not selector.select(max(0.0, deadline - time.monotonic())):
                raise _no_server(f"The server was not ready after {START_TIMEOUT_S:.0f} s. {_tail(log)}")
            chunk = os.read(process.stdout.fileno(), 4096)
            if not chunk:
                code = process.wait()
                details = f"The server ended with exit code {code}. {_tail(log)}"
                raise InputError(details) if code == ASKED_WRONGLY else _no_server(details)
            line += chunk


def _no_server(details: str) -> ServiceError:
    return ServiceError(0, "", "NOT_STARTED", details)


def _stop(process: "subprocess.Popen[bytes]") -> None:
    """Send SIGTERM, which lets the server stop its runs, then SIGKILL; a second Ctrl-C does not cut this short."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        process.terminate()
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    finally:
        signal.signal(signal.SIGINT, before)
        if process.stdout is not None:
            process.stdout.close()


def _tail(log: Path) -> str:
    lines = log.read_text("utf-8", "replace").splitlines()[-8:]
    return f"Its log is {_relative(log)}" + (" and ends:\n  " + "\n  ".join(lines) if lines else " and is empty.")


def _free_name(client: Client, name: str) -> str:
    taken = {feature.name for feature in client.features.list()}
    taken |= {task.name.removesuffix(TASK) for task in client.tasks.list()}
    taken |= {run.name.removesuffix(TASK_RUN) for run in client.task_runs.list()}
    return next(each for each in (name, *(f"{name} {n}" for n in range(2, len(taken) + 3))) if each not in taken)


def _upload(client: Client) -> None:
    started_at = time.monotonic()
    source = files("footfall") / "data" / "online-retail"
    size = 0
    for name in INPUTS:
        content = (source / name).read_bytes()
        client.put_object(BUCKET, name, content)
        size += len(content)
    _step("bucket", f"{BUCKET}: {', '.join(INPUTS)} ({size_text(size)})", time.monotonic() - started_at)


def _watch(client: Client, kind: str, resource: R) -> R:
    started_at = time.monotonic()
    with output.watching(f"  {kind:<9} {resource.name}") as callback:
        ended = client.wait(resource, callback)
    if ended.status != "completed":
        log = b"".join(client.log(ended)).decode("utf-8", "replace").splitlines()[-15:]
        output.note("\n".join(log))
        raise RunFailed(f"The {kind} {ended.name} failed with {ended.fail_message}: {ended.fail_details}")
    _step(kind, f"{ended.name}: completed", time.monotonic() - started_at)
    return ended


def _print(text: str = "") -> None:
    """Print a line; with ``--json`` to stderr, so that stdout holds nothing but the JSON."""
    if choices().json:
        output.note(text)
    else:
        output.line(text)


def _step(what: str, text: str, seconds: float | None = None) -> None:
    _print(f"  {what:<9} {text}" + (f"  ({seconds:.1f} s)" if seconds is not None else ""))


def _show_lift(client: Client, scores: Mapping[str, float]) -> list[dict[str, object]]:
    """Print the lift by decile: of the test customers, best scores first."""
    labels: dict[str, int] = {}
    for text in b"".join(client.get_object(BUCKET, INPUTS[2])).decode("utf-8").splitlines():
        user, _, label = text.partition("\t")
        labels[user] = int(label)
    scored = sorted(((score, labels[user]) for user, score in scores.items() if user in labels), reverse=True)
    buyers = sum(label for _, label in scored)
    rows, met = [], 0
    for decile in range(10):
        part = scored[len(scored) * decile // 10 : len(scored) * (decile + 1) // 10]
        bought = sum(label for _, label in part)
        met += bought
        rate, mean = bought / len(part), sum(score for score, _ in part) / len(part)
        lift, reached = rate * len(scored) / buyers, 100 * met / buyers
        rows.append([str(decile + 1), f"{mean:.2f}", len(part), bought, f"{rate:.2f}", f"{lift:.2f}", f"{reached:.0f} %"])
    _print(f"Lift: the {len(scored):,} customers of {INPUTS[2]} by score, best first; {buyers:,} of them bought again.")
    columns = ["DECILE", "MEAN SCORE", "CUSTOMERS", "BOUGHT", "RATE", "LIFT", "BUYERS REACHED"]
    if not choices().json:
        output.table(columns, rows, numbers=range(7))
    return [dict(zip((column.lower().replace(" ", "_") for column in columns), row, strict=True)) for row in rows]


def _print_next_steps(home: Path, task: str, fresh: bool) -> None:
    command, where = _own_command(), shlex.quote(_relative(home))
    _print()
    _print("How to go on (the demo's server is stopped)")
    _print(f"  start it again, to stay    {command} up --home {where}")
    _print(f"  then, in another terminal  {command} task-run list --home {where}")
    _print(f"  what a job said            {command} logs task {shlex.quote(task)} --home {where}")
    _print("  with your own data         docs/tutorial.md")
    if fresh:
        _print(f"The next demo makes {where} anew; keep what is yours in another home.")


def _own_command() -> str:
    script = Path(sys.argv[0])
    if script.name != "footfall":
        return "python -m footfall"
    on_path = shutil.which("footfall")
    return "footfall" if on_path and Path(on_path).resolve() == script.resolve() else _relative(script)


def _relative(path: Path) -> str:
    """Return a path relative to the working directory, if it lies below it."""
    with contextlib.suppress(ValueError):
        return str(path.absolute().relative_to(Path.cwd()))
    return str(path)


def _interrupt(_: int, __: FrameType | None) -> None:
    raise KeyboardInterrupt
