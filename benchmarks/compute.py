"""Projects and runs: the API beside MLflow's, lists, starts, stops, logs, followers, metrics. ``python benchmarks/compute.py``.

Every server is one process on loopback with settings of its own; wrk and the followers share the machine's cores with it.
``--quick`` takes a tenth of rows, rounds and time, to see that it works; ``--only WORD`` takes the parts whose name has WORD.
"""

import argparse
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import compute_load as load
from peer import mlflow_server

from footfall import Client
from machine import describe, median, report, resident_mib, server, write_requests, wrk

CLIENTS = 32
NSML = "/nsml/v1"


class Bench:
    """What the parts share: sizes, a directory, and the rows that they fill."""

    def __init__(self, home: Path, *, quick: bool) -> None:
        self.home, self.quick = home, quick
        self.seconds, self.rounds = (2.0, 1) if quick else (8.0, 3)
        self.rows: list[dict[str, Any]] = []

    def row(self, measure: str, measured: str, bar: str = "", **values: object) -> None:
        self.rows.append({"measure": measure, "measured": measured, "bar": bar, **values})
        print(f"{measure}: {measured}  [{bar}]", flush=True)

    def load(self, endpoint: str, credentials: dict[str, str] | None, requests: list[tuple[str, str, str]]) -> dict[str, float]:
        write_requests(self.home / "load.lua", credentials, requests)
        return wrk(endpoint, self.home / "load.lua", connections=CLIENTS, seconds=self.seconds)


def api_beside_mlflow(bench: Bench) -> None:
    """Get run and create run, by turns with the peer, both servers up."""
    n_rows = 1_000 if bench.quick else 10_000
    with mlflow_server(bench.home / "mlflow") as peer, server(bench.home / "api") as credentials:
        client = client_of(credentials)
        project = client.projects.create("bench")
        load.fill_runs(bench.home / "api", project.id, n_rows)
        theirs = peer.fill(n_rows)
        load.hold_slots(client, project.id)
        gets = [("GET", f"{NSML}/projects/{project.id}/runs/{number}", "") for number in range(1, n_rows, 5)]
        their_gets = [("GET", f"/api/2.0/mlflow/runs/get?run_id={id}", "") for id in theirs[::5]]
        pairs: dict[str, list[tuple[dict[str, float], dict[str, float]]]] = {"get": [], "create": []}
        for number in range(bench.rounds):
            ours = bench.load(credentials["endpoint"], credentials, gets)
            pairs["get"].append((ours, bench.load(peer.endpoint, None, their_gets)))
            creates = load.create_requests(project.id, int(bench.seconds * 3000), f"{number}")
            ours = bench.load(credentials["endpoint"], credentials, creates)
            pairs["create"].append((ours, bench.load(peer.endpoint, None, load.peer_creates(peer.experiment_id))))
        for name, bar in (("get", 20), ("create", 5)):
            assert not any(ours["bad"] or other["bad"] for ours, other in pairs[name]), pairs[name]
            ratio = median([ours["rate"] / other["rate"] for ours, other in pairs[name]])
            rate, peers = (median([pair[side]["rate"] for pair in pairs[name]]) for side in (0, 1))
            p99 = median([ours["p99_ms"] for ours, _ in pairs[name]])
            measured = f"{rate:,.0f}/s (p99 {p99:.1f} ms), MLflow {peers:,.0f}/s: {ratio:.0f} x"
            bench.row(f"{name} run, {CLIENTS} clients, {n_rows:,} runs there", measured, f">= {bar} x", rounds=pairs[name])
        load.stop_all(bench.home / "api", client)


def lists(bench: Bench) -> None:
    """Pages of 100 runs, of few and of many."""
    for n_rows in (10_000, 100_000 if bench.quick else 1_000_000):
        home = bench.home / f"list-{n_rows}"
        with server(home) as credentials:
            project = client_of(credentials).projects.create("bench")
        load.fill_runs(home, project.id, n_rows)
        with server(home) as credentials:
            client = client_of(credentials)
            path = f"{NSML}/projects/runs"
            for name, page in (("page 1", 1), ("the middle", n_rows // 200), ("the last", n_rows // 100)):
                ms = load.median_ms(client, path, {"page": page, "pageSize": 100})
                bench.row(f"list 100 of {n_rows:,} runs, {name}", f"p50 {ms:.1f} ms", f"<= {10 if page == 1 else 20} ms")
            query = {"page": 1, "pageSize": 100, "status": "RUN_STATE_FAILED"}
            ms = load.median_ms(client, f"{NSML}/projects/{project.id}/runs", query)
            bench.row(f"list 100 of {n_rows:,} runs, failed ones, page 1", f"p50 {ms:.1f} ms", "<= 20 ms")


def idle(bench: Bench) -> None:
    """A server at rest."""
    with server(bench.home / "idle") as credentials:
        time.sleep(2)
        bench.row("server idle, resident", f"{resident_mib(int(credentials['pid'])):.0f} MiB", "<= 150 MB")
        bench.row("server up, first start", f"{credentials['ready_s']} s", "<= 3 s")


def starts_and_stops(bench: Bench) -> None:
    """How soon a request runs, how many short runs a second, how soon a stopped one is gone."""
    times = 5 if bench.quick else 40
    with server(bench.home / "starts") as credentials:
        client = client_of(credentials)
        project = client.projects.create("bench")
        image = client.catalogue.images()[0].path
        taken = [load.start_ms(client, project.id, image) for _ in range(times)]
        measured = f"p50 {median(taken):.0f} ms, p95 {load.share(taken, 0.95):.0f} ms"
        bench.row("request -> the user's process runs", measured, "p50 <= 250 ms")
        stops = [load.stop_ms(client, project.id, image) for _ in range(times)]
        measured = f"p50 {median(stops):.0f} ms, p95 {load.share(stops, 0.95):.0f} ms"
        bench.row("stop -> the whole tree gone", measured, "p50 <= 300 ms")
        lines = load.line_ms(client, project.id, image, 20 if bench.quick else 100)
        measured = f"p50 {median(lines):.0f} ms, p95 {load.share(lines, 0.95):.0f} ms"
        bench.row("a line printed -> seen by logs -f", measured, "p95 <= 500 ms")
    with server(bench.home / "short", local_cores=2) as credentials:
        client = client_of(credentials)
        project = client.projects.create("bench")
        image = client.catalogue.images()[0].path
        n = 20 if bench.quick else 100
        rates = [load.short_runs_per_s(client, project.id, image, n) for _ in range(bench.rounds)]
        bench.row(f"{n} runs of `true` on two slots", f"{median(rates):.1f} runs/s", ">= 10 runs/s", rounds=rates)


def followers(bench: Bench) -> None:
    """The API's tail while many follow one log."""
    n = 100 if bench.quick else 500
    with server(bench.home / "follow") as credentials:
        client = client_of(credentials)
        project = client.projects.create("bench")
        image = client.catalogue.images()[0].path
        load.fill_runs(bench.home / "follow", project.id, 1000)
        seconds = bench.seconds * 2
        for rate, bar in ((1, 2.0), (10, 5.0)):
            found = load.follow(client, credentials, project.id, image, n, rate, seconds)
            ms = f"{found['with_ms']:.2f} ms, without {found['without_ms']:.2f} ms: {found['ratio']:.1f} x"
            measured = f"{ms}; lost {found['lost']:.0f} B"
            bench.row(f"API p95 with {n} followers at {rate} line/s", measured, f"<= {bar:g} x, 0 lost", **found)


def metrics(bench: Bench) -> None:
    """Points in batches, and a chart of many."""
    with server(bench.home / "metrics") as credentials:
        client = client_of(credentials)
        project = client.projects.create("bench")
        image = client.catalogue.images()[0].path
        run, rate = load.post_points(client, project.id, image, seconds=bench.seconds)
        bench.row("metric points of one run, batches of 1,000", f"{rate:,.0f} points/s", ">= 20,000 points/s")
        run = load.chart_run(client, project.id, image, 100_000)
        ms = load.median_ms(client, f"{NSML}/projects/{project.id}/runs/{run.number}/metrics", {"maxPoints": 1000}, times=30)
        bench.row("chart of 100,000 points", f"p50 {ms:.1f} ms", "<= 100 ms")


def client_of(credentials: dict[str, str]) -> Client:
    """Return a client of a server."""
    return Client(credentials["endpoint"], credentials["access_key"], credentials["secret_key"], credentials["api_key"])


PARTS: tuple[Callable[[Bench], None], ...] = (idle, starts_and_stops, metrics, followers, lists, api_beside_mlflow)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", default="")
    given = parser.parse_args()
    machine = describe()
    home = Path(tempfile.mkdtemp(prefix="footfall-bench-"))
    bench = Bench(home, quick=given.quick)
    try:
        for part in PARTS:
            if given.only in part.__name__:
                part(bench)
        report("local-compute" if given.quick or given.only else "compute", bench.rows, machine)
    finally:
        shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    os.environ.pop("FOOTFALL_HOME", None)
    main()
