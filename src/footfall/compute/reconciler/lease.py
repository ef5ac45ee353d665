"""Who moves the runs: one process at a time, by a lock on a file beside the database. Knows no runs.

The lock goes with the process, whatever ends it. Everyone else may still serve requests, and wakes the holder through a named
pipe beside the lock, as runners do.
"""

import contextlib
import fcntl
import os
import select
from pathlib import Path

from footfall.errors import FootfallError


class DeposedError(FootfallError):
    """Somebody else has begun to move the runs of this database."""

    code = "deposed"

    def __init__(self) -> None:
        super().__init__("Another process moves the runs of this database now.")


class Lease:
    """The right to reconcile the runs below a directory, and the bell that calls its holder."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._fifo = directory / "wake"
        with contextlib.suppress(FileExistsError):
            os.mkfifo(self._fifo, 0o600)
        self._lock = os.open(directory / "lease", os.O_RDWR | os.O_CREAT, 0o600)
        self._bell = -1

    def acquire(self) -> bool:
        """Take the lease if nobody holds it; True also when we do."""
        if self._bell >= 0:
            return True
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        # Open for writing too, so that the pipe never reports its end when the last other writer closes.
        self._bell = os.open(self._fifo, os.O_RDWR | os.O_NONBLOCK)
        return True

    def release(self) -> None:
        """Let somebody else have it."""
        if self._bell >= 0:
            os.close(self._bell)
            self._bell = -1
        fcntl.flock(self._lock, fcntl.LOCK_UN)

    def wait(self, timeout_s: float) -> None:
        """Return when somebody rings, or after a time; rings that were not waited for count once."""
        with contextlib.suppress(BlockingIOError):
            if select.select([self._bell], [], [], timeout_s)[0]:
                os.read(self._bell, 1 << 16)

    def ring(self) -> None:
        """Call the holder, whoever it is; nobody is fine: a new holder looks at everything first."""
        with contextlib.suppress(OSError):
            handle = os.open(self._fifo, os.O_WRONLY | os.O_NONBLOCK)
            try:
                os.write(handle, b"x")
            finally:
                os.close(handle)
