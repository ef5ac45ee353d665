"""Write so that a power cut loses nothing. Knows paths only."""

import os
from pathlib import Path


def sync(path: str | os.PathLike[str]) -> None:
    """Wait until the disk holds a file, or the names in a directory."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def publish(draft: str | os.PathLike[str], path: str | os.PathLike[str]) -> None:
    """Give a finished draft its name, over what has it: readers see the old file or the new one, whole, always.

    The content reaches the disk before the name does, so that the name never stands for less.
    """
    sync(draft)
    os.replace(draft, path)
    sync(os.path.dirname(path) or ".")


def write_whole(path: str | os.PathLike[str], content: bytes, mode: int = 0o644) -> None:
    """Write a file by way of a draft beside it; see ``publish``."""
    draft = Path(path).with_suffix(".draft")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
    publish(draft, path)
