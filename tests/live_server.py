"""A real server for tests: `footfall up` in a process of its own, on any free port of loopback."""

import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

START_S = 60.0


@dataclass(frozen=True)
class LiveServer:
    """Where it is and the process that is it."""

    endpoint: str
    home: Path
    process: "subprocess.Popen[bytes]"
    ready_line: str


def clean_environment(**more: str) -> dict[str, str]:
    """Return the environment without what could name another server."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("FOOTFALL_", "NCLOUD_"))}
    return kept | more


@contextmanager
def live_server(home: Path, *options: str, environment: Mapping[str, str] | None = None) -> Iterator[LiveServer]:
    """Run a server on ``home`` until the block ends; its runs end with it."""
    home.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "footfall", "up", "--home", str(home), "--port", "0", "--cancel-runs", *options]
    with (home / "server.log").open("ab") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, env=clean_environment(**(environment or {})))
    assert process.stdout is not None
    try:
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            deadline = time.monotonic() + START_S
            line_read = b""
            while b"\n" not in line_read:
                assert selector.select(max(0, deadline - time.monotonic())), "the server was not ready in time"
                piece = os.read(process.stdout.fileno(), 4096)
                assert piece, (home / "server.log").read_text()
                line_read += piece
        line = line_read.decode().strip()
        yield LiveServer(line.split(" at ")[1].split(" ")[0], home, process, line)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            process.wait(90)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


class Result:
    """What a command did."""

    def __init__(self, done: "subprocess.CompletedProcess[bytes]") -> None:
        self.code = done.returncode
        self.out, self.err = done.stdout.decode(), done.stderr.decode()

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Footfall = Callable[..., Result]


def run_footfall(*arguments: str, stdin: bytes = b"", cwd: Path | None = None, **environment: str) -> Result:
    """Run the command in a process of its own, as a shell would."""
    command = [sys.executable, "-m", "footfall", *arguments]
    variables = clean_environment(**environment)
    return Result(subprocess.run(command, input=stdin, capture_output=True, env=variables, cwd=cwd, timeout=120))
