"""Fixtures shared by all rooms."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine_helpers import Engine, open_engine
from footfall.config import Settings, load_settings

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as in jobs: learning threads that wait for work burn no core
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # inherited, as of a job in the background: Ctrl-C would be nothing to
    signal.signal(signal.SIGINT, signal.default_int_handler)  # the programs that tests start and interrupt


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """The default settings of a home of this test's own."""
    return load_settings(tmp_path / "home", {})


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """A running engine on a home of this test's own."""
    with open_engine(tmp_path / "home", stop_grace_s=2.0) as engine:
        yield engine
