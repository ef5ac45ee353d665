"""The lease: one process at a time reconciles runs, by a lock on a file beside the database. Knows no runs.

The lock goes with the process, whatever ends it. Other processes may serve requests all the same, and wake the holder through a
named pipe beside the lock, as runners do.
"""

import contextlib
import fcntl
import os
import select
from pathlib import Path

from footfall.errors import FootfallError


class DeposedError(FootfallError):
    """Another process has started to reconcile the runs of this database."""

    code = "deposed"

    def __init__(self) -> None:
        super().__init__("Another process moves the runs of this database now.")


class Lease:
    """The right to reconcile the runs below a directory, and the pipe that wakes its holder."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._fifo = directory / "wake"
        with contextlib.suppress(FileExistsError):
            os.mkfifo(self._fifo, 0o600)
        self._lock = os.open(directory / "lease", os.O_RDWR | os.O_CREAT, 0o600)
        self._wake_fd = -1

    def acquire(self) -> bool:
        """Take the lease if it is free; True also when this process holds it."""
        if self._wake_fd >= 0:
            return True
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        # Open for writing too, so that the pipe never reports its end when the last other writer closes.
        self._wake_fd = os.open(self._fifo, os.O_RDWR | os.O_NONBLOCK)
        return True

    def release(self) -> None:
        """Release it."""
        if self._wake_fd >= 0:
            os.close(self._wake_fd)
            self._wake_fd = -1
        fcntl.flock(self._lock, fcntl.LOCK_UN)

    def wait(self, timeout_s: float) -> None:
        """Return when notified, or after a time; notifications that came meanwhile count once."""
        with contextlib.suppress(BlockingIOError):
            poll = select.poll()  # select() takes no descriptor above 1,023, and a server has more
            poll.register(self._wake_fd, select.POLLIN)
            if poll.poll(1_000 * timeout_s):
                os.read(self._wake_fd, 1 << 16)

    def notify(self) -> None:
        """Wake the holder, if there is one: a new holder reads everything first."""
        with contextlib.suppress(OSError):
            handle = os.open(self._fifo, os.O_WRONLY | os.O_NONBLOCK)
            try:
                os.write(handle, b"x")
            finally:
                os.close(handle)
