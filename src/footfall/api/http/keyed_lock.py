"""A lock for each key, in this process: a second holder of a key waits for the first."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager


class KeyedLock:
    """The keys that are held. One object for each kind of key."""

    def __init__(self) -> None:
        self._held: set[str] = set()
        self._released = threading.Condition()

    @contextmanager
    def hold(self, key: str, timeout_s: float | None = None) -> Iterator[None]:
        """Hold a key until the block ends.

        Args:
            timeout_s: how long to wait for whoever has it; None: as long as it takes.

        Raises:
            TimeoutError: it was not free in time.
        """
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        with self._released:
            while key in self._held:
                if not self._released.wait(None if deadline is None else deadline - time.monotonic()):
                    raise TimeoutError
            self._held.add(key)
        try:
            yield
        finally:
            with self._released:
                self._held.discard(key)
                self._released.notify_all()
