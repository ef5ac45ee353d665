"""Servers for the tests of the API: real SQLite, real directories, HTTP over loopback."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from service import Service, open_service


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    """A server of one test's own."""
    with open_service(tmp_path / "home") as service:
        yield service


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A server for a whole file, for tests that leave nothing that another would stumble over."""
    with open_service(tmp_path_factory.mktemp("shared") / "home") as service:
        service.operator.put("shop", "seq.csv", b"u1\ta->b\nu2\tb\n")
        service.operator.put("shop", "labels.tsv", b"u1\t1\nu2\t0\n")
        yield service
