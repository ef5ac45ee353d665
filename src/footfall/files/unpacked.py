"""What may be made of an archive that somebody else wrote: how long and deep its paths are, what an entry takes at least.

Knows names alone.
"""

from __future__ import annotations

ENTRY_BYTES = 4096
"""What a file, directory or link takes besides its content."""
MAX_PATH_BYTES, MAX_STEP_BYTES, MAX_DEPTH = 4096, 255, 64
MAX_GLOBAL_HEADER_BYTES = 4 << 10
"""A header for all files: git's holds the name of a commit."""


def find_fault(path: bytes, steps: list[bytes]) -> str:
    """Return what is wrong with a path of so many steps; an empty text if nothing is."""
    shown = repr(path[:200].decode("utf-8", "replace"))
    if len(path) > MAX_PATH_BYTES:
        return f"a path has more than {MAX_PATH_BYTES:,} bytes: {shown}"
    if len(steps) > MAX_DEPTH:
        return f"{shown} is more than {MAX_DEPTH} directories deep"
    if any(len(step) > MAX_STEP_BYTES for step in steps):
        return f"a name in {shown} has more than {MAX_STEP_BYTES} bytes"
    return ""
