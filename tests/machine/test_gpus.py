"""Which GPUs there are, by a stand-in for the driver's command."""

from pathlib import Path

import pytest

from footfall.config import load_settings
from footfall.executor import load_executor
from footfall.machine import gpus
from footfall.records import Gpu

ANSWER = "GPU-11aa, NVIDIA H200, 143771\nGPU-22bb, NVIDIA A100-SXM4-80GB, 81920\nGPU-33cc, [Unknown Error], [N/A]\n"


def stand_in(monkeypatch: pytest.MonkeyPatch, folder: Path, script: str) -> None:
    command = folder / "nvidia-smi"
    command.write_text(f"#!/bin/sh\n{script}\n")
    command.chmod(0o700)
    monkeypatch.setenv("PATH", str(folder), prepend=":")


def test_the_gpus_are_those_of_the_drivers_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch, tmp_path, f"cat <<'X'\n{ANSWER}X")
    gpus_ = (Gpu("GPU-11aa", "NVIDIA H200", 143_771), Gpu("GPU-22bb", "NVIDIA A100-SXM4-80GB", 81_920))
    assert gpus.find_gpus() == gpus_
    executor = load_executor("local", load_settings(tmp_path / "home", {}))
    assert tuple(executor.gpus) == gpus_
    assert executor.capacity is not None
    assert executor.capacity.n_gpus == 2


@pytest.mark.parametrize("script", ["exit 9", "exec sleep 60", "echo No devices were found"])
def test_a_driver_that_fails_or_hangs_means_no_gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    monkeypatch.setattr(gpus, "QUERY_TIMEOUT_S", 0.5)
    stand_in(monkeypatch, tmp_path, script)
    assert gpus.find_gpus() == ()


def test_fake_gpus_are_shown_as_fake_and_stand_instead_of_real_ones(tmp_path: Path) -> None:
    executor = load_executor("local", load_settings(tmp_path / "home", {}, fake_gpus=3))
    assert [gpu.is_fake for gpu in executor.gpus] == [True] * 3
    assert len({gpu.id for gpu in executor.gpus}) == 3
    assert all(gpu.id.startswith("GPU-fake-") and "Fake" in gpu.model for gpu in executor.gpus)
    assert executor.capacity is not None
    assert executor.capacity.n_gpus == 3
