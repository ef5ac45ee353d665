"""What ``compute.py`` does to a server: fills it, starts and stops runs, follows logs, posts metrics."""

import asyncio
import json
import os
import threading
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from footfall import Client
from footfall.client.nsml_replies import Run
from footfall.db.engine.engine import Database, now_us, sqlite_url
from footfall.db.tables import accounts, projects, run_counts, runs, users
from footfall.records import new_id
from footfall.signing import ACCESS_KEY_HEADER, API_KEY_HEADER, SIGNATURE_HEADER, TIMESTAMP_HEADER, sign
from machine import median

NSML = "/nsml/v1"
STATES = ("completed", "completed", "completed", "completed", "failed", "cancelled")


def share(values: Sequence[float], part: float) -> float:
    """Return the value below which a part of them lies."""
    return sorted(values)[min(len(values) - 1, int(len(values) * part))]


def database_of(home: Path) -> Database:
    """Open a server's database."""
    return Database(sqlite_url(home / "data" / "footfall.db"))


def fill_runs(home: Path, project_id: str, n: int) -> None:
    """Put ``n`` ended runs into a project, as the service would have left them."""
    database = database_of(home)
    counts = dict.fromkeys(STATES, 0)
    request = {"command": "python train.py", "envs": {"lr": 0.1}, "note": "", "imageType": "BASE", "imagePath": "host"}
    request |= {"gpuSvrCode": 1, "engFullName": "[Train] 1vCPU, 4GB Mem", "nodeCount": 1, "blockStorageNoList": []}
    text = json.dumps(request | dict.fromkeys(("codeDigest", "timeoutSeconds", "outputLimitBytes", "logLimitBytes")))
    with database.write() as tx:
        project = tx.execute(projects.select().where(projects.c.id == project_id)).one()
        user_id = tx.execute(users.select().where(users.c.account_id == project.account_id)).first().id  # type: ignore[union-attr]
        begun = now_us() - n * 1000
        for start in range(0, n, 10_000):
            rows = []
            for number in range(start + 1, min(n, start + 10_000) + 1):
                at, state = begun + number * 1000, STATES[number % len(STATES)]
                counts[state] += 1
                rows.append({
                    "id": new_id(), "account_id": project.account_id, "project_id": project_id, "kind": "command",
                    "state": state, "attempt": 0, "spec": "{}", "n_cores": 1, "memory_mib": 1024, "created_at": at,
                    "updated_at": at, "started_at": at, "ended_at": at, "number": number, "serial": number, "run_type": "TRAIN",
                    "product_code": 1, "user_id": user_id, "request": text, "n_nodes": 1, "exit_code": int(state == "failed"),
                    "reason": "command_failed" if state == "failed" else None,
                })  # fmt: skip
            tx.execute(runs.insert(), rows)
        tx.execute(projects.update().where(projects.c.id == project_id).values(last_run=n, n_runs=n, n_nodes=n))
        tx.execute(accounts.update().where(accounts.c.id == project.account_id).values(last_serial=n))
        for scope in (project.account_id, project_id):
            tx.execute(run_counts.delete().where(run_counts.c.scope == scope))
            tx.execute(
                run_counts.insert(), [{"scope": scope, "run_type": "TRAIN", "state": s, "n": k} for s, k in counts.items()]
            )
    database.close()


def create_requests(project_id: str, n: int, mark: str) -> list[tuple[str, str, str]]:
    """Return requests for runs that find no room."""
    path = f"{NSML}/projects/{project_id}/runs"
    body = {"command": "true", "gpuSvrCode": 1, "imageType": "BASE", "imagePath": "host", "nodeCount": 1}
    return [("POST", path, json.dumps(body | {"note": f"{mark}-{number}"})) for number in range(n)]


def peer_creates(experiment_id: str) -> list[tuple[str, str, str]]:
    """Return as much for the peer."""
    body = {"experiment_id": experiment_id, "start_time": 1}
    return [("POST", "/api/2.0/mlflow/runs/create", json.dumps(body | {"run_name": f"r{n}"})) for n in range(1000)]


def hold_slots(client: Client, project_id: str) -> None:
    """Fill the machine with runs that sleep."""
    image = client.catalogue.images()[0].path
    for _ in range(2 * len(os.sched_getaffinity(0))):
        client.runs.create(project_id, "sleep 3600", product=1, image=image)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if sum(1 for _ in client.runs.list(project_id, status="in_progress")) >= len(os.sched_getaffinity(0)):
            return
        time.sleep(0.1)


def stop_all(home: Path, client: Client) -> None:
    """Take back what waits, and stop what runs."""
    database = database_of(home)
    with database.write() as tx:
        waiting = ("registered", "pending")
        tx.execute(runs.update().where(runs.c.state.in_(waiting)).values(state="cancelled", ended_at=now_us()))
    database.close()
    for run in client.runs.list(status="in_progress"):
        client.runs.stop(run)
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and any(True for _ in client.runs.list(status="in_progress", limit=1)):
        time.sleep(0.1)


def median_ms(client: Client, path: str, query: dict[str, Any], times: int = 100) -> float:
    """Return how long a read takes, one after the other."""
    taken = []
    for _ in range(times):
        begun = time.perf_counter()
        found = client.transport.json("GET", path, query)
        taken.append((time.perf_counter() - begun) * 1000)
    if "pageSize" in query:
        assert len(found["runList"]) == query["pageSize"], len(found["runList"])
    return median(taken)


def start_ms(client: Client, project_id: str, image: str) -> float:
    """Return milliseconds from a request's sending to the first moment of the command, by its own clock."""
    time.sleep(0.3)
    begun = time.time()
    run = client.runs.create(project_id, "date +%s.%N", product=1, image=image)
    client.runs.wait(run)
    said = b"".join(client.runs.log(run)).split()[0]
    return (float(said) - begun) * 1000


def stop_ms(client: Client, project_id: str, image: str) -> float:
    """Return milliseconds from the request to stop until no process of the run is left, one that left its session included."""
    mark = uuid.uuid4().hex
    script = f"setsid sleep 3600 & export BENCH_MARK={mark}; setsid env BENCH_MARK={mark} sleep 3600 & echo up; wait"
    run = client.runs.create(project_id, script, product=1, image=image, environment={"BENCH_MARK": mark})
    while b"up" not in b"".join(client.runs.log(run)):
        time.sleep(0.02)
    begun = time.perf_counter()
    client.runs.stop(run)
    while _marked(mark):
        time.sleep(0.005)
    taken = (time.perf_counter() - begun) * 1000
    client.runs.wait(run)
    return taken


def _marked(mark: str) -> list[int]:
    wanted, found = f"BENCH_MARK={mark}".encode(), []
    for entry in os.listdir("/proc"):
        if entry.isdecimal():
            try:
                if wanted in Path("/proc", entry, "environ").read_bytes():
                    found.append(int(entry))
            except OSError:
                continue
    return found


def line_ms(client: Client, project_id: str, image: str, n: int) -> list[float]:
    """Return milliseconds from a line's printing, by the command's clock, to its arrival at a follower."""
    script = f"for i in $(seq {n}); do date +%s.%N; sleep 0.1; done"
    run = client.runs.create(project_id, script, product=1, image=image)
    taken, rest = [], b""
    for piece in client.runs.log(run, follow=True):
        now = time.time()
        *lines, rest = (rest + piece).split(b"\n")
        taken += [(now - float(line)) * 1000 for line in lines if line]
    assert len(taken) == n, taken
    return taken


def short_runs_per_s(client: Client, project_id: str, image: str, n: int) -> float:
    """Return how many runs of ``true`` end a second, from the first request to the last end."""
    begun = time.perf_counter()
    made = [client.runs.create(project_id, "true", product=1, image=image) for _ in range(n)]
    for run in reversed(made):
        ended = client.runs.wait(run)
        assert ended.state == "completed", ended.wire
    return n / (time.perf_counter() - begun)


def follow(
    client: Client, credentials: dict[str, str], project_id: str, image: str, n: int, rate: int, seconds: float
) -> dict[str, float]:
    """Return the API's p95 without and with ``n`` followers of one log, and the bytes that they missed."""
    path = f"{NSML}/projects/{project_id}/runs/1"
    without = _p95_ms(client, path, seconds)
    lines = int(rate * (seconds + 12))
    script = f"i=0; while [ $i -lt {lines} ]; do echo line $i of {lines}; i=$((i+1)); sleep {1 / rate:g}; done"
    run = client.runs.create(project_id, script, product=1, image=image)
    crowd = _Crowd(credentials, f"{NSML}/projects/{project_id}/runs/{run.number}/logs?follow=true", n)
    crowd.start()
    crowd.wait_until_all_follow()
    with_ms = _p95_ms(client, path, seconds)
    client.runs.wait(run)
    crowd.join()
    whole = b"".join(client.runs.log(run))
    lost = sum(abs(len(whole) - len(got)) + (0 if whole == got else 1) for got in crowd.got)
    return {"without_ms": without, "with_ms": with_ms, "ratio": with_ms / without, "lost": float(lost)}


def _p95_ms(client: Client, path: str, seconds: float) -> float:
    taken: list[float] = []
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        begun = time.perf_counter()
        client.transport.json("GET", path)
        taken.append((time.perf_counter() - begun) * 1000)
        time.sleep(0.005)
    return share(taken, 0.95)


class _Crowd(threading.Thread):
    """Many followers in one thread, each on a connection of its own."""

    def __init__(self, credentials: dict[str, str], target: str, n: int) -> None:
        super().__init__(daemon=True)
        self._who, self._target, self._n = credentials, target, n
        self.got = [b""] * n
        self._following = 0

    def wait_until_all_follow(self) -> None:
        deadline = time.monotonic() + 30
        while self._following < self._n and time.monotonic() < deadline:
            time.sleep(0.05)
        assert self._following == self._n, self._following

    def run(self) -> None:
        asyncio.run(self._all())

    async def _all(self) -> None:
        await asyncio.gather(*(self._one(number) for number in range(self._n)))

    async def _one(self, number: int) -> None:
        await asyncio.sleep(number * 0.004)
        place = urlsplit(self._who["endpoint"])
        reader, writer = await asyncio.open_connection(place.hostname, place.port)
        stamp, key = str(int(time.time() * 1000)).encode(), self._who["access_key"]
        signature = sign(self._who["secret_key"].encode(), "GET", self._target.encode(), stamp, key.encode()).decode()
        headers = {"host": place.netloc, TIMESTAMP_HEADER: stamp.decode(), ACCESS_KEY_HEADER: key}
        headers |= {SIGNATURE_HEADER: signature, API_KEY_HEADER: self._who["api_key"]}
        head = f"GET {self._target} HTTP/1.1\r\n" + "".join(f"{name}: {text}\r\n" for name, text in headers.items())
        writer.write(head.encode() + b"\r\n")
        status = await reader.readuntil(b"\r\n\r\n")
        assert b" 200 " in status.split(b"\r\n")[0], status
        self._following += 1
        pieces = []
        while size := int(await reader.readline(), 16):
            pieces.append(await reader.readexactly(size))
            await reader.readline()
        self.got[number] = b"".join(pieces)
        writer.close()


_POSTER = """
import http.client, json, os, sys, time
from urllib.parse import urlsplit
place = urlsplit(os.environ["NSML_METRIC_API"])
connection = http.client.HTTPConnection(place.hostname, place.port)
target = place.path + ("?" + place.query if place.query else "")
batch, total, seconds = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
begun, sent = time.monotonic(), 0
while (sent < total) if total else (time.monotonic() - begun < seconds):
    body = json.dumps([{"@step": sent + i, "loss": 1.0 / (sent + i + 1)} for i in range(batch)])
    connection.request("POST", target, body, {"content-type": "application/json"})
    answer = connection.getresponse()
    answer.read()
    assert answer.status == 204, answer.status
    sent += batch
print(sent / (time.monotonic() - begun))
"""


def post_points(client: Client, project_id: str, image: str, *, seconds: float) -> tuple[Run, float]:
    """Return points a second that one run posts, one batch after the other."""
    return _post(client, project_id, image, f"1000 0 {seconds}")


def chart_run(client: Client, project_id: str, image: str, n: int) -> Run:
    """Return a run that posted ``n`` points of one key."""
    return _post(client, project_id, image, f"1000 {n} 0")[0]


def _post(client: Client, project_id: str, image: str, arguments: str) -> tuple[Run, float]:
    script = f"cat > $TMPDIR/post.py <<'END'\n{_POSTER}\nEND\npython3 $TMPDIR/post.py {arguments}"
    run = client.runs.wait(client.runs.create(project_id, script, product=1, image=image))
    assert run.state == "completed", b"".join(client.runs.log(run))
    return run, float(b"".join(client.runs.log(run)).split()[-1])
