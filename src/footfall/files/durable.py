"""Wait until the disk holds what was written. Knows paths only."""

import os


def sync(path: str | os.PathLike[str]) -> None:
    """Wait until the disk holds a file, or the names in a directory."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
