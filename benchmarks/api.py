"""The API under load: Get task run, create task run, list pages, a server at rest. ``python benchmarks/api.py [--quick]``.

A server of its own on loopback, one process, with 100,000 ended task runs in its database. wrk shares the two cores with it.
Signatures are made before each measurement: GETs may repeat theirs, each POST has its own body.
"""

import argparse
import json
import os
import random
import shutil
import tempfile
import time
from pathlib import Path

from footfall.client import Client
from footfall.db.engine.engine import Database, now_us, sqlite_url
from footfall.db.tables import encoders, features, projects, resource_counts, runs, task_runs, tasks
from footfall.records import new_id
from machine import describe, median, report, resident_mib, server, synchronous_commits_per_s, write_requests, wrk

CLIENTS = 32


def fill(home: Path, account_id: str, n: int) -> tuple[str, str, list[str]]:
    """Put an encoder, a feature, a task and ``n`` ended task runs into a database; return the ids."""
    database = Database(sqlite_url(home / "data" / "footfall.db"))
    made: list[str] = []
    with database.write() as tx:
        project_id = tx.execute(projects.select().where(projects.c.account_id == account_id)).one().id

        def ended_run(kind: str, result: dict[str, object]) -> str:
            run_id, at = new_id(), now_us()
            rows.append(
                {
                    "id": run_id, "account_id": account_id, "project_id": project_id, "kind": kind, "state": "completed",
                    "attempt": 0, "spec": "{}", "n_cores": 2, "memory_mib": 4096, "created_at": at, "started_at": at,
                    "ended_at": at, "result": json.dumps(result),
                }
            )  # fmt: skip
            return run_id

        rows: list[dict[str, object]] = []
        encoder_id, feature_id, task_id, at = new_id(), new_id(), new_id(), now_us()
        feature_run = ended_run(
            "feature", {"user_count": 1_209_478, "token_count": 9, "disk_usage": 9, "artefact": "features/x/0"}
        )
        task_run = ended_run("task", {"AUROC": "0.8731", "disk_usage": 9, "artefact": "tasks/x/0"})
        tx.execute(runs.insert(), rows)
        common = {"account_id": account_id, "created_at": at}
        tx.execute(
            encoders.insert().values(
                id=encoder_id, name="e", feature_id=feature_id, artefact="encoders/x/0", n_users=9, size_bytes=9, **common
            )
        )
        tx.execute(
            features.insert().values(
                id=feature_id, name="f", run_id=feature_run, source_bucket="bench", source_file_path="f", encoder_id=encoder_id,
                coverage=1.0, disk_usage=9, **common,
            )
        )  # fmt: skip
        tx.execute(
            tasks.insert().values(
                id=task_id, name="t", run_id=task_run, encoder_id=encoder_id, train_feature_id=feature_id, train_bucket="bench",
                train_file_path="l", line_count=9, disk_usage=9, **common,
            )
        )  # fmt: skip
        for start in range(0, n, 10_000):
            rows = []
            batch = []
            for number in range(start, min(n, start + 10_000)):
                run_id = ended_run("task_run", {"line_count": 1_209_478, "object": "o", "sha256": "0" * 64})
                made.append(new_id())
                batch.append(
                    {
                        "id": made[-1], "account_id": account_id, "name": f"run {number}", "run_id": run_id, "task_id": task_id,
                        "feature_id": feature_id, "result_bucket": "bench", "result_file_path": f"out/{number}.tsv",
                        "created_at": now_us(),
                    }
                )  # fmt: skip
            tx.execute(runs.insert(), rows)
            tx.execute(task_runs.insert(), batch)
        tx.execute(resource_counts.insert(), [
            {"account_id": account_id, "kind": kind, "n": count} for kind, count in (("feature", 1), ("task", 1), ("task_run", n))
        ])  # fmt: skip
    database.close()
    return feature_id, task_id, made


def hold_slots(home: Path, account_id: str) -> None:
    """Fill the executor: one run that takes every core for as long as the server lives."""
    from footfall.compute.runs import create_run
    from footfall.records import RunSpec

    database = Database(sqlite_url(home / "data" / "footfall.db"))
    with database.write() as tx:
        project_id = tx.execute(projects.select().where(projects.c.account_id == account_id)).one().id
        spec = RunSpec(("sleep", "900"), n_cores=64, grace_s=1.0)
        create_run(tx, account_id=account_id, project_id=project_id, spec=spec)
    database.close()


def measure_list(client: Client, index: int, times: int) -> float:
    taken = []
    for _ in range(times):
        begun = time.perf_counter()
        client.transport.json("GET", "/api/v1/task-runs", {"index": index, "limit": 20})
        taken.append((time.perf_counter() - begun) * 1000)
    return median(taken)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="a tenth of the rows and time, to see that it works")
    quick = parser.parse_args().quick
    n_rows, seconds, rounds = (10_000, 2.0, 1) if quick else (100_000, 8.0, 3)
    machine = describe()
    home = Path(tempfile.mkdtemp(prefix="footfall-bench-"))
    rows: list[dict[str, object]] = []

    def row(measure: str, measured: str, bar: str, **values: object) -> None:
        rows.append({"measure": measure, "measured": measured, "bar": bar, **values})
        print(f"{measure}: {measured}")

    try:
        commits = synchronous_commits_per_s(home)
        with server(home) as credentials:
            time.sleep(2.0)
            rss = resident_mib(int(credentials["pid"]))
            row("server idle, resident", f"{rss:.0f} MiB", "<= 150 MB")
            row("server up, first start", f"{credentials['ready_s']} s", "<= 3 s")
            client = Client(credentials["endpoint"], credentials["access_key"], credentials["secret_key"])
            client.buckets.create("bench")
            account_id = client.accounts.list()[0].id
        feature_id, task_id, made = fill(home, account_id, n_rows)
        hold_slots(home, account_id)
        with server(home) as credentials:
            row("server up, with the rows", f"{credentials['ready_s']} s", "<= 3 s")
            endpoint = credentials["endpoint"]
            client = Client(endpoint, credentials["access_key"], credentials["secret_key"])
            gets = [("GET", f"/api/v1/task-runs/{id}", "") for id in random.Random(0).sample(made, 5_000)]
            got = []
            for _ in range(rounds):
                write_requests(home / "get.lua", credentials, gets)
                got.append(wrk(endpoint, home / "get.lua", connections=CLIENTS, seconds=seconds))
            assert not any(one["bad"] for one in got), got
            rate, p99 = median([one["rate"] for one in got]), median([one["p99_ms"] for one in got])
            name = f"Get task run, {CLIENTS} clients, {n_rows:,} runs"
            row(name, f"{rate:,.0f}/s, p99 {p99:.1f} ms", ">= 2,000/s, p99 <= 40 ms", rounds=got)
            for index in (0, n_rows * 9 // 10):
                row(f"list page at index {index:,}", f"p50 {measure_list(client, index, 200):.1f} ms", "p50 <= 10 ms")
            created = []
            for number in range(rounds):
                bodies = [
                    ("POST", "/api/v1/task-runs", json.dumps({
                        "name": f"bench {number} {i}", "task_id": task_id, "feature_id": feature_id,
                        "result_bucket": "bench", "result_file_path": f"new/{number}-{i}.tsv"}))
                    for i in range(int(seconds * 2500))
                ]  # fmt: skip
                write_requests(home / "create.lua", credentials, bodies)
                created.append(wrk(endpoint, home / "create.lua", connections=CLIENTS, seconds=seconds))
            assert not any(one["bad"] for one in created), created
            rate, p99 = median([one["rate"] for one in created]), median([one["p99_ms"] for one in created])
            name = f"create task run, durable, {CLIENTS} clients, slots full"
            row(name, f"{rate:,.0f}/s, p99 {p99:.1f} ms", ">= 200/s", rounds=created)
            row("the disk's own synchronous commits, one at a time", f"{commits:,.0f}/s", "", ratio=rate / commits)
            stop_runs(home)
            time.sleep(3)
        report("api-quick" if quick else "api", rows, machine)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def stop_runs(home: Path) -> None:
    """Cancel whatever still runs, so that nothing outlives the benchmark."""
    from footfall.db import runs as runs_table

    database = Database(sqlite_url(home / "data" / "footfall.db"))
    with database.write() as tx:
        tx.execute(runs.update().where(runs.c.state == "registered").values(state="cancelled", ended_at=now_us()))
        for run in runs_table.find_active(tx):
            runs_table.request_cancel(tx, run.id, "benchmark")
    database.close()


if __name__ == "__main__":
    os.environ.pop("FOOTFALL_HOME", None)
    main()
