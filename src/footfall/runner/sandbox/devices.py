"""Which device files belong to the GPUs of a node's share, so that it is given these and no others.

Source: NVIDIA's driver publishes /proc/driver/nvidia/gpus/*/information with the lines ``GPU UUID`` and ``Device Minor``.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_DRIVER = "/proc/driver/nvidia/gpus"
_FOR_ALL = ("/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia-uvm-tools", "/dev/nvidia-modeset")


def find_devices(ids: Sequence[str], driver: str = _DRIVER) -> list[str]:
    """Return the device files of GPUs given by UUID; none for those that the driver does not know, such as fake ones."""
    own: list[str] = []
    for directory in sorted(os.listdir(driver)) if os.path.isdir(driver) else ():
        with open(os.path.join(driver, directory, "information"), encoding="utf-8") as file:
            facts = dict(_pair(line) for line in file)
        if facts.get("GPU UUID") in ids and "Device Minor" in facts:
            own.append(f"/dev/nvidia{facts['Device Minor']}")
    return [*_FOR_ALL, *own] if own else []


def _pair(line: str) -> tuple[str, str]:
    name, _, value = line.partition(":")
    return name.strip(), value.strip()
