"""One server for all tests of the command line, and the command as a function."""

import io
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from footfall.cli.main import run
from live_server import Footfall, LiveServer, Result, clean_environment, live_server, run_footfall

_IN_A_PROCESS = ("up", "demo")


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    with live_server(tmp_path_factory.mktemp("cli") / "home") as server:
        yield server


@pytest.fixture
def footfall(server: LiveServer) -> Footfall:
    """Run the command against the server; a variable given to a call wins. In this process, where that is the same."""

    def call(*arguments: str, stdin: bytes = b"", cwd: Path | None = None, **more: str) -> Result:
        variables = {"FOOTFALL_HOME": str(server.home)} | more
        if arguments[0] in _IN_A_PROCESS:
            return run_footfall(*arguments, stdin=stdin, cwd=cwd, **variables)
        streams = [io.TextIOWrapper(io.BytesIO(given), "utf-8", write_through=True) for given in (stdin, b"", b"")]
        with pytest.MonkeyPatch.context() as patch:
            for name in set(os.environ) - set(clean_environment()):
                patch.delenv(name)
            for name, value in variables.items():
                patch.setenv(name, value)
            if cwd is not None:
                patch.chdir(cwd)
            for name, stream in zip(("stdin", "stdout", "stderr"), streams, strict=True):
                patch.setattr(sys, name, stream)
            code = run(list(arguments))
        out, err = (stream.buffer.getvalue() for stream in streams[1:])
        return Result(subprocess.CompletedProcess(arguments, code, out, err))

    return call
