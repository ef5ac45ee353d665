"""The unpacked images of container engines that nothing uses any more.

Who uses one holds its lock file, shared, and who unpacks it alone; the file's age says for how long nobody has begun to. So
whoever gets the lock alone may remove the image, under another name first, for what has its own name is whole.
"""

import fcntl
import os
from pathlib import Path

from footfall import layout
from footfall.removal import remove_tree


def remove_unused_images(data_directory: Path, before: float) -> list[str]:
    """Remove each image that nothing uses and nothing has used since ``before``, a Unix time; return their ids."""
    directory = data_directory / layout.ENGINE_IMAGES
    old = [path for path in sorted(directory.glob("*.lock")) if path.stat().st_mtime < before]
    return [path.stem for path in old if _remove(path, before)]


def _remove(path: Path, before: float) -> bool:
    lock = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(lock).st_mtime >= before:
            return False  # somebody used it while we looked
        whole, draft = path.with_suffix(""), path.with_suffix(".draft")
        remove_tree(draft)
        if whole.exists():
            whole.rename(draft)
            remove_tree(draft)
        path.unlink()  # last, and locked: who waits for it sees that it is another one now
        return True
    except BlockingIOError:
        return False  # it is in use
    finally:
        os.close(lock)
