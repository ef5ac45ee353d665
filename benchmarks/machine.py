"""What the numbers were measured on, how they are printed, and a server to measure."""

import contextlib
import json
import os
import platform
import re
import shutil
import signal
import sqlite3
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import footfall
from footfall.credentials import read_credentials
from footfall.signing import ACCESS_KEY_HEADER, API_KEY_HEADER, SIGNATURE_HEADER, TIMESTAMP_HEADER, sign


def describe() -> dict[str, Any]:
    """Name the CPU, cores, memory and the load generator."""
    cpu = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    memory = re.search(r"MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text())
    wrk = subprocess.run(["wrk", "-v"], capture_output=True, text=True).stdout if shutil.which("wrk") else ""
    return {
        "cpu": cpu.group(1) if cpu else platform.processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(int(memory.group(1)) / 2**20, 1) if memory else None,
        "kernel": platform.release(),
        "python": platform.python_version(),
        "footfall": footfall.__version__,
        "load_generator": wrk.splitlines()[0].split(" Copyright")[0] if wrk else None,
        "load_average_before": os.getloadavg()[0],
    }


def report(name: str, rows: list[dict[str, Any]], machine: dict[str, Any]) -> None:
    """Print a table and write ``benchmarks/results/NAME.json``."""
    width = max(len(row["measure"]) for row in rows)
    print(f"\n{name}: {machine['cpu']}, {machine['cores']} cores, {machine['memory_gib']} GiB, {machine['load_generator']}\n")
    print(f"{'measure':{width}}  {'measured':>26}  {'bar':>22}")
    for row in rows:
        print(f"{row['measure']:{width}}  {row['measured']:>26}  {row.get('bar', ''):>22}")
    results = Path(__file__).parent / "results"
    results.mkdir(exist_ok=True)
    (results / f"{name}.json").write_text(json.dumps({"machine": machine, "rows": rows}, indent=1) + "\n")


@contextlib.contextmanager
def server(home: Path, **settings: object) -> Iterator[dict[str, str]]:
    """Run ``footfall up`` on a home and yield its credentials, with ``pid`` and ``ready_s``."""
    environment = {"PATH": os.environ["PATH"], "FOOTFALL_LOG_LEVEL": "warning"}
    environment |= {f"FOOTFALL_{name.upper()}": str(value) for name, value in settings.items()}
    command = [str(Path(sys.executable).parent / "footfall"), "up", "--home", str(home), "--port", "0"]
    begun = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert "ready" in line, line
        ready_s = time.monotonic() - begun
        yield read_credentials(home / "credentials.toml") | {"pid": str(process.pid), "ready_s": f"{ready_s:.2f}"}
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def wrk(endpoint: str, script: Path, *, connections: int, seconds: float, threads: int = 1) -> dict[str, float]:
    """Load a server and return requests/s, latencies in ms, and how many answers were not 2xx."""
    command = ["wrk", "-t", str(threads), "-c", str(connections), "-d", f"{seconds:g}s", "--latency", "-s", str(script), endpoint]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found: dict[str, float] = {"rate": float(re.search(r"Requests/sec:\s+([\d.]+)", text).group(1))}  # type: ignore[union-attr]
    for share in ("50", "99"):
        value, unit = re.search(rf"{share}%\s+([\d.]+)(us|ms|s)", text).groups()  # type: ignore[union-attr]
        found[f"p{share}_ms"] = float(value) * {"us": 0.001, "ms": 1, "s": 1000}[unit]
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    found["bad"] = float(bad.group(1)) if bad else 0.0
    return found


def synchronous_commits_per_s(directory: Path, seconds: float = 2.0) -> float:
    """Return how many one-row transactions a second SQLite commits here with ``synchronous=FULL``, one after the other."""
    connection = sqlite3.connect(directory / "commits.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("CREATE TABLE t (a)")
    begun, n = time.monotonic(), 0
    while time.monotonic() - begun < seconds:
        connection.execute("INSERT INTO t VALUES (1)")
        n += 1
    connection.close()
    return n / (time.monotonic() - begun)


def median(values: list[float]) -> float:
    return statistics.median(values)


def write_requests(path: Path, credentials: dict[str, str] | None, requests: list[tuple[str, str, str]]) -> None:
    """Write a wrk script that sends these requests (method, target, body) over and over, signed if there are credentials."""
    lines = path.with_suffix(".txt")
    now = int(time.time() * 1000)
    key = credentials["access_key"] if credentials else ""
    with open(lines, "w") as file:
        for number, (method, target, body) in enumerate(requests):
            stamp = str(now + number % 60_000).encode()
            signature = b""
            if credentials:
                signature = sign(credentials["secret_key"].encode(), method, target.encode(), stamp, key.encode())
            file.write("\t".join((method, target, stamp.decode(), signature.decode(), body)) + "\n")
    names = {TIMESTAMP_HEADER: "stamp", ACCESS_KEY_HEADER: f'"{key}"', SIGNATURE_HEADER: "signature"}
    if credentials and credentials.get("api_key"):
        names[API_KEY_HEADER] = f'"{credentials["api_key"]}"'
    headers = ['["content-type"] = "application/json"']
    headers += [f'["{name}"] = {value}' for name, value in names.items()] if credentials else []
    path.write_text(f"""
local requests, n = {{}}, 0
function init(args)
  for line in io.lines("{lines}") do
    local method, target, stamp, signature, body = line:match("([^\\t]*)\\t([^\\t]*)\\t([^\\t]*)\\t([^\\t]*)\\t(.*)")
    requests[#requests + 1] = wrk.format(method, target, {{ {", ".join(headers)} }}, body ~= "" and body or nil)
  end
end
function request()
  n = n % #requests + 1
  return requests[n]
end
""")


def resident_mib(pid: int) -> float:
    """Return a process's resident memory."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    raise AssertionError("no VmRSS")
