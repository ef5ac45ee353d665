"""The GPUs of this machine, as nvidia-smi lists them, or fake ones for tests. Knows no runs.

Source: nvidia-smi, ``--query-gpu``.
"""

import shutil
import subprocess

from footfall.records import Gpu

QUERY_TIMEOUT_S = 5.0
FAKE_MODEL = "Fake GPU"
FAKE_MEMORY_MIB = 16_384
_QUERY = ["--query-gpu=uuid,name,memory.total", "--format=csv,noheader,nounits"]


def find_gpus() -> tuple[Gpu, ...]:
    """Return the GPUs that nvidia-smi lists; none when there is no such command, or it does not answer in time."""
    command = shutil.which("nvidia-smi")
    if command is None:
        return ()
    try:
        done = subprocess.run([command, *_QUERY], capture_output=True, text=True, timeout=QUERY_TIMEOUT_S, check=True)
    except (OSError, subprocess.SubprocessError):
        return ()
    return tuple(gpu for line in done.stdout.splitlines() if (gpu := _parse(line)) is not None)


def fake_gpus(number: int) -> tuple[Gpu, ...]:
    """Return GPUs that do not exist."""
    return tuple(Gpu(f"GPU-fake-{n:04d}", FAKE_MODEL, FAKE_MEMORY_MIB, is_fake=True) for n in range(number))


def _parse(line: str) -> Gpu | None:
    parts = [part.strip() for part in line.split(",")]
    if len(parts) != 3 or not parts[0].startswith("GPU-") or not parts[2].isdecimal():
        return None  # e.g. a GPU that fell off the bus: "[Unknown Error]"
    return Gpu(parts[0], parts[1], int(parts[2]))
