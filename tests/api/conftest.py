"""A server of one test's own: real SQLite, real directories, HTTP over loopback."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from service import Service, open_service


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    with open_service(tmp_path / "home") as service:
        yield service
