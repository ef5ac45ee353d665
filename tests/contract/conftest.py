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
    with open_service(tmp_path_factory.mktemp("shared") / "home", engine_images="all") as service:
        service.operator.put("shop", "seq.csv", b"u1\ta->b\nu2\tb\n")
        service.operator.put("shop", "labels.tsv", b"u1\t1\nu2\t0\n")
        yield service


@pytest.fixture
def service_with_alias(tmp_path: Path) -> Iterator[Service]:
    """A server that runs the image of the documented sample in its own environment."""
    name = "nvcr.io/nvidia/tensorflow:21.02-tf1-py3"
    images = ({"name": "host", "kind": "host"}, {"name": name, "kind": "alias", "target": "host"})
    with open_service(tmp_path / "home", images=images) as service:
        yield service


@pytest.fixture
def service_of_dreams(tmp_path: Path) -> Iterator[Service]:
    """A server whose operator offers more than the machine has."""
    products = (
        {"code": 1, "use": "TRAIN", "cores": 1, "memory_mib": 1024},
        {"code": 7, "use": "TRAIN", "cores": 1000, "memory_mib": 1024},
        {"code": 8, "use": "TRAIN", "cores": 1, "memory_mib": 1024, "gpus": 8, "gpu_model": "Test GPU"},
        {"code": 9, "use": "TRAIN", "cores": 1, "memory_mib": 1 << 30},
    )
    with open_service(tmp_path / "home", products=products) as service:
        yield service


@pytest.fixture
def service_of_few_gpus(tmp_path: Path) -> Iterator[Service]:
    """A server that lets a project have fewer GPUs than the machine has."""
    products = (
        {"code": 8, "use": "TRAIN", "cores": 1, "memory_mib": 1024, "gpus": 1, "gpu_model": "Test GPU", "node_counts": (1, 4)},
    )
    with open_service(tmp_path / "home", products=products, project_max_gpus=2) as service:
        yield service


@pytest.fixture
def service_of_little_code(tmp_path: Path) -> Iterator[Service]:
    """A server that takes small code archives only."""
    with open_service(tmp_path / "home", max_code_bytes=1000) as service:
        yield service
