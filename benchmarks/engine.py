"""The engine: how soon a request runs, how many short runs a second, how soon a run stops. Options: ``--quick``.

The first row goes through the signed API of a server of its own: a task run is requested, and the clock stops when its job's
process runs, as the runner's own file says. The others drive the engine below HTTP, with the same reconciler and runner.
"""

import argparse
import os
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from engine_helpers import open_engine
from footfall import Client
from footfall.compute.runs import cancel_run
from footfall.db.tables import task_runs
from footfall.layout import STARTED, node_dir
from footfall.logging_setup import configure_logging
from footfall.states import RunState
from machine import describe, median, report, server


def through_the_api(home: Path, times: int) -> list[float]:
    """Return milliseconds from a request's sending to its job's process, one after the other on an idle machine."""
    import json

    from footfall.db.engine.engine import Database, sqlite_url

    taken = []
    with server(home, behavior_cores=1) as credentials:
        client = Client(credentials["endpoint"], credentials["access_key"], credentials["secret_key"])
        maker = random.Random(0)
        client.buckets.create("bench")
        lines = [f"u{n}\t" + "->".join(f"do {maker.choice('abcdefgh')}" for _ in range(9)) + "\n" for n in range(400)]
        client.put_object("bench", "s.csv", "".join(lines).encode())
        client.put_object("bench", "l.tsv", "".join(f"u{n}\t{n % 2}\n" for n in range(400)).encode())
        feature = client.wait(client.features.create("f", "bench", "s.csv"))
        task = client.wait(client.tasks.create("t", feature.id, "bench", "l.tsv"))
        assert task.status == "completed", task.fail_details
        database = Database(sqlite_url(home / "data" / "footfall.db"))
        for number in range(times):
            time.sleep(0.3)
            begun = time.time()
            run = client.task_runs.create(f"r {number}", task.id, feature.id, "bench", f"out/{number}.tsv")
            run = client.wait(run)
            assert run.status == "completed", run.fail_details
            with database.read() as connection:
                row = connection.execute(task_runs.select().where(task_runs.c.id == run.id)).one()
            started = json.loads((home / "data" / node_dir(row.run_id, 0, 0) / STARTED).read_text())
            taken.append((started["started_at"] - begun) * 1000)
        database.close()
    return taken


def short_runs_per_s(home: Path, times: int) -> float:
    """Return how many runs of ``true`` on two slots are requested, run and ended a second."""
    with open_engine(home, local_cores=2) as engine:
        engine.run("true")
        begun = time.monotonic()
        made = [engine.create("true") for _ in range(times)]
        for run_id in made:
            assert engine.wait(run_id, timeout_s=120).state == RunState.COMPLETED
        return times / (time.monotonic() - begun)


def stop_ms(home: Path, times: int) -> list[float]:
    """Return milliseconds from a cancel to the state that says nothing is left, for a command with a detached grandchild."""
    taken = []
    with open_engine(home) as engine:
        for _ in range(times):
            run_id = engine.create("sh", "-c", "setsid sleep 60 & sleep 60")
            engine.wait(run_id, RunState.IN_PROGRESS)
            time.sleep(0.2)
            begun = time.monotonic()
            with engine.db.write() as tx:
                cancel_run(tx, run_id, "bench")
            assert engine.loop is not None
            engine.loop.wake()
            assert engine.wait(run_id).state == RunState.CANCELLED
            taken.append((time.monotonic() - begun) * 1000)
    return taken


def rescue_ms(home: Path, times: int) -> list[float]:
    """Return milliseconds from the ``kill -9`` of a runner to the next attempt's command running."""
    taken = []
    with open_engine(home) as engine:
        for _ in range(times):
            run_id = engine.create("sleep", "60", max_attempts=2, grace_s=0.5)
            run = engine.wait(run_id, RunState.IN_PROGRESS)
            begun = time.monotonic()
            os.kill(int((engine.node_dir(run) / "start").read_text()), 9)
            while not (engine.get(run_id).attempt == 1 and engine.get(run_id).state == RunState.IN_PROGRESS):
                time.sleep(0.005)
            taken.append((time.monotonic() - begun) * 1000)
            with engine.db.write() as tx:
                cancel_run(tx, run_id, "bench")
            engine.wait(run_id)
    return taken


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="fewer rounds, to see that it works")
    times = 5 if parser.parse_args().quick else 30
    machine = describe()
    home = Path(tempfile.mkdtemp(prefix="footfall-bench-"))
    rows = []

    def row(measure: str, values: list[float], bar: str) -> None:
        ordered = sorted(values)
        text = f"p50 {median(values):.0f} ms, p95 {ordered[int(len(ordered) * 0.95) - 1]:.0f} ms"
        rows.append({"measure": measure, "measured": text, "bar": bar, "ms": [round(value, 1) for value in values]})
        print(f"{measure}: {text}")

    try:
        configure_logging("error")
        row("request accepted -> job's process running, idle machine", through_the_api(home / "a", times), "p50 <= 300 ms")
        rate = short_runs_per_s(home / "b", times * 3)
        rows.append({"measure": f"{times * 3} runs of true on two slots", "measured": f"{rate:.1f} runs/s", "bar": ""})
        row("cancel -> nothing of it left, state cancelled", stop_ms(home / "c", times), "")
        row("kill -9 of a runner -> next attempt runs", rescue_ms(home / "d", max(5, times // 3)), "")
        report("engine", rows, machine)
    finally:
        shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    os.environ.pop("FOOTFALL_HOME", None)
    main()
