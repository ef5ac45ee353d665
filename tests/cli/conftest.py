"""One server for all tests of the command line."""

from collections.abc import Iterator
from typing import Any

import pytest

from live_server import Footfall, LiveServer, Result, live_server, run_footfall


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    with live_server(tmp_path_factory.mktemp("cli") / "home") as server:
        yield server


@pytest.fixture
def footfall(server: LiveServer) -> Footfall:
    """Run the command against the server; a variable given to a call wins."""

    def run(*arguments: str, **more: Any) -> Result:
        return run_footfall(*arguments, **({"FOOTFALL_HOME": str(server.home)} | more))

    return run
