"""Read a safetensors file with numpy alone.

Source: the safetensors format (8 bytes of header length, JSON header, buffers).
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

_TYPES = {"F64": "<f8", "F32": "<f4", "I64": "<i8", "I32": "<i4", "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "|u1"}


def read_arrays(path: Path) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays of a safetensors file by name, as writable copies."""
    return {name: array.copy() for name, array in map_arrays(path).items()}


def map_arrays(path: Path) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays of a safetensors file by name, as read-only views of the mapped file."""
    data_B = np.asarray(np.memmap(path, np.uint8, "r"))
    size = int.from_bytes(data_B[:8].tobytes(), "little")
    header = json.loads(data_B[8 : 8 + size].tobytes())
    arrays = {}
    for name, entry in header.items():
        if name != "__metadata__":
            start, end = (8 + size + at for at in entry["data_offsets"])
            arrays[name] = data_B[start:end].view(_TYPES[entry["dtype"]]).reshape(entry["shape"])
    return arrays
