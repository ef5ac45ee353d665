"""Remove unpacked images of container engines that no run uses any more.

Who uses one holds its lock file, shared, and who unpacks it alone; the file's age says for how long nobody has begun to. So
whoever gets the lock alone may remove the image, under another name first, for what has its own name is whole.
"""

import fcntl
import os
from pathlib import Path

from footfall import layout
from footfall.files.remove import remove_tree


def remove_unused_images(data_directory: Path, before: float) -> list[str]:
    """Remove each image that nothing uses and nothing has used since ``before``, a Unix time; return their ids."""
    directory = data_directory / layout.ENGINE_IMAGES
    return [path.stem for path in sorted(directory.glob("*.lock")) if _remove(path, before)]


def _remove(path: Path, before: float) -> bool:
    lock = -1
    try:
        lock = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        seen = os.fstat(lock)
        # Another server may have removed it, and somebody unpacked it anew, with a lock that is another file.
        if seen.st_mtime >= before or not os.path.samestat(seen, path.stat()):
            return False
        whole, draft = path.with_suffix(""), path.with_suffix(".draft")
        remove_tree(draft)
        if whole.exists():
            whole.rename(draft)
            remove_tree(draft)
        path.unlink()  # last, and locked: who waits for it sees that it is another one now
        return True
    except BlockingIOError:
        return False  # it is in use
    except FileNotFoundError:
        return False  # another server removed it
    finally:
        if lock >= 0:
            os.close(lock)
