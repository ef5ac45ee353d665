"""The lock file of an unpacked image: held shared by who uses it, alone by who unpacks or removes it. Knows no images."""

from __future__ import annotations

import os


def is_lock_of(lock: int, path: str) -> bool:
    """Whether a lock file that is open is still the one that others find."""
    try:
        return os.path.samestat(os.fstat(lock), os.stat(path))
    except FileNotFoundError:
        return False
