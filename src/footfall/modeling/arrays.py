"""Read a safetensors file with numpy alone.

Source: the safetensors format (8 bytes of header length, JSON header, buffers).
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

_TYPES = {"F64": "<f8", "F32": "<f4", "I64": "<i8", "I32": "<i4", "U32": "<u4", "U16": "<u2", "U8": "|u1"}


def read_arrays(path: Path) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays of a safetensors file by name, as writable copies."""
    data = path.read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    arrays = {}
    for name, entry in header.items():
        if name != "__metadata__":
            start, end = (8 + size + at for at in entry["data_offsets"])
            flat = np.frombuffer(data[start:end], _TYPES[entry["dtype"]]).copy()
            arrays[name] = flat.reshape(entry["shape"])
    return arrays
