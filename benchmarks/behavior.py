"""Features, a task, task runs and keywords at the size of a web shop's log, through a server. ``python benchmarks/behavior.py``.

Everything is asked for by the client and done by jobs of a server with the embedded default, on made-up data
(``behavior_data.py``). Times are from the request to ``completed``; memory is the anonymous memory of the job's process, read
from /proc. A plain pandas, scikit-learn and LightGBM script (``behavior_peer.py``) scores the same users in the same run.

``--users N`` takes fewer users, ``--no-peer`` leaves the peer out.
"""

import argparse
import contextlib
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import behavior_data as data
import behavior_peer as peer

from footfall import Client
from machine import describe, median, report, server

USERS, LABELS, TIMES = 1_209_478, 100_000, 5
JOB = b"footfall.jobs."
MEMORY_POLL_INTERVAL_S, RUN_POLL_INTERVAL_S = 0.1, 0.05
"""How often memory and runs are polled; more often would take time from what is measured."""


class Watch:
    """The highest anonymous memory of any job's process while a block ran, in MiB."""

    def __init__(self) -> None:
        self.peak_mib = 0.0

    @contextlib.contextmanager
    def over(self) -> Iterator[None]:
        self.peak_mib = 0.0
        end = threading.Event()
        thread = threading.Thread(target=self._look, args=(end,))
        thread.start()
        try:
            yield
        finally:
            end.set()
            thread.join()

    def _look(self, end: threading.Event) -> None:
        while not end.wait(MEMORY_POLL_INTERVAL_S):
            for path in Path("/proc").glob("[0-9]*"):
                with contextlib.suppress(OSError):
                    if JOB in (path / "cmdline").read_bytes():
                        status = (path / "status").read_text()
                        self.peak_mib = max(self.peak_mib, _anonymous_mib(status))


def _anonymous_mib(status: str) -> float:
    return next((int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("RssAnon")), 0.0)


class Bench:
    """What the parts share: a client, files, and the rows that they fill."""

    def __init__(self, client: Client, home: Path, n_users: int, n_labels: int) -> None:
        self.client, self.home, self.n_users, self.n_labels = client, home, n_users, n_labels
        self.rows: list[dict[str, Any]] = []
        self.watch = Watch()

    def row(self, measure: str, measured: str, bar: str = "", **values: object) -> None:
        self.rows.append({"measure": measure, "measured": measured, "bar": bar, **values})
        print(f"{measure}: {measured}  [{bar}]", flush=True)

    def timed(self, make: Callable[[], Any]) -> tuple[Any, float, float]:
        """Ask for something, wait for it; return it, the seconds that took, and the peak memory in MiB."""
        with self.watch.over():
            started = time.monotonic()
            made = make()
            while (made := self._look_at(made)).status not in ("completed", "failed", "cancelled"):
                time.sleep(RUN_POLL_INTERVAL_S)
            seconds = time.monotonic() - started
        assert made.status == "completed", made.fail_details
        return made, seconds, self.watch.peak_mib

    def _look_at(self, made: Any) -> Any:
        return self.client._kind_of(made).get(made.id)


def features(bench: Bench) -> tuple[Any, Any]:
    """The encoder, and features from the sequence file and from the event log; return both."""
    client, n_users = bench.client, bench.n_users
    path = bench.home / "sequences.tsv"
    size = data.write_sequences(path, n_users)
    client.put_object("bench", "sequences.tsv", path)
    path.unlink()
    first, both_s, both_mib = bench.timed(lambda: client.features.create("first", "bench", "sequences.tsv"))
    made, seconds, mib = bench.timed(lambda: client.features.create("again", "bench", "sequences.tsv", encoder=first.encoder))
    bench.row(
        "feature from the sequence file, encoder known", f"{n_users / seconds:,.0f} users/s, {mib:,.0f} MiB",
        ">= 80,000 users/s, <= 1.5 GB", seconds=seconds, file_bytes=size,
    )  # fmt: skip
    fit_s = both_s - seconds
    bench.row(
        "fitting the encoder (a feature with, less one without)", f"{fit_s:.0f} s, {both_mib:,.0f} MiB", "<= 180 s, <= 3 GB"
    )
    client.features.delete(first.id)
    path = bench.home / "events.parquet"
    n_events = data.write_events(path, n_users)
    client.put_object("bench", "events.parquet", path)
    path.unlink()
    create = client.features.create
    first, both_s, _ = bench.timed(lambda: create("log 1", "bench", "events.parquet", format="parquet"))
    log, seconds, mib = bench.timed(lambda: create("log 2", "bench", "events.parquet", format="parquet", encoder=first.encoder))
    measured = f"{n_events / seconds:,.0f} events/s, {mib:,.0f} MiB"
    bench.row(
        "feature from an event log in random order, encoder known", measured, ">= 500,000 events/s, <= 2 GB",
        seconds=seconds, events=n_events, with_fitting_s=both_s,
    )  # fmt: skip
    client.features.delete(first.id)
    client.delete_object("bench", "events.parquet")
    return made, log


def task_and_runs(bench: Bench, feature: Any, name: str, *, peers: bool) -> None:
    """A task of many labels, then every user scored, by turns with the peer."""
    client = bench.client
    task = client.tasks.create
    made, seconds, mib = bench.timed(lambda: task(f"many {name}", feature.id, "bench", "labels.tsv"))
    bench.row(f"task with {bench.n_labels:,} labels, {name}", f"{seconds:.1f} s, {mib:,.0f} MiB", "<= 60 s", auroc=made.auroc)
    taken = []
    for number in range(TIMES):
        path = f"out/{name.replace(' ', '-')}-{number}.tsv"
        _, seconds, mib = bench.timed(
            lambda path=path: client.task_runs.create(path, made.id, feature.id, "bench", path)  # type: ignore[misc]
        )
        taken.append(seconds)
    bench.row(f"task run, all users, {name}", f"median {median(taken):.2f} s, {mib:,.0f} MiB", "<= 4.4 s", seconds=taken)
    if peers:
        theirs = peer.score_times(bench.home, bench.n_users, 1)
        ratio = median(theirs) / median(taken)
        bench.row("the same by pandas, scikit-learn, LightGBM", f"{median(theirs):.1f} s: {ratio:.1f} x", ">= 5 x")


def keywords(bench: Bench, feature: Any) -> None:
    """Every user compared with a keyword."""
    create = bench.client.custom_attributes.create
    taken = []
    for number in range(TIMES):
        path = f"out/words-{number}.tsv"
        _, seconds, _ = bench.timed(lambda path=path: create(path, feature.id, ["lamp"], "bench", path))  # type: ignore[misc]
        taken.append(seconds)
    bench.row("custom attributes, all users, one keyword", f"median {median(taken):.2f} s", "<= 5 s", seconds=taken)


def sizes(bench: Bench, encoder: str) -> None:
    """The memory of a feature of one, two and four times as many users, the encoder known."""
    peaks = []
    for times in (1, 2, 4):
        path = bench.home / "sized.tsv"
        data.write_sequences(path, bench.n_users // 4 * times)
        key = f"sized-{times}.tsv"
        bench.client.put_object("bench", key, path)
        path.unlink()
        made, _, mib = bench.timed(lambda key=key: bench.client.features.create(key, "bench", key, encoder=encoder))  # type: ignore[misc]
        peaks.append(mib)
        bench.client.features.delete(made.id)
        bench.client.delete_object("bench", key)
    measured = " / ".join(f"{mib:,.0f}" for mib in peaks) + " MiB"
    bench.row("memory of a feature, 1 x / 2 x / 4 x the users", measured, "grows < 15 %", peaks=peaks)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--users", type=int, default=USERS)
    parser.add_argument("--no-peer", action="store_true")
    args = parser.parse_args()
    machine = describe()
    home = Path(tempfile.mkdtemp(prefix="footfall-bench-"))
    try:
        with server(home / "server") as connection:
            client = Client(connection["endpoint"], connection["access_key"], connection["secret_key"], timeout_s=600)
            client.buckets.create("bench")
            n_labels = data.write_labels(home / "labels.tsv", args.users, min(LABELS, args.users // 10))
            client.put_object("bench", "labels.tsv", home / "labels.tsv")
            bench = Bench(client, home, args.users, n_labels)
            texts, log = features(bench)
            sizes(bench, texts.encoder)
            task_and_runs(bench, log, "event log", peers=False)
            task_and_runs(bench, texts, "sequence file", peers=not args.no_peer)
            keywords(bench, texts)
        is_whole = args.users == USERS and not args.no_peer
        report("behavior" if is_whole else "local-behavior", bench.rows, machine)
    finally:
        shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    os.environ.pop("FOOTFALL_HOME", None)
    main()
