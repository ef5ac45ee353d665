"""A stale-while-revalidate cache: an old value is returned while a thread makes a new one."""

import threading
import time
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class StaleCache(Generic[K, V]):
    """Values by key, each made anew by its own thread once it is older than ``ttl_s``.

    Args:
        name: of the threads.
        max_threads: so many values are made at once; None: any number.
    """

    def __init__(self, name: str, ttl_s: float, max_threads: int | None = None) -> None:
        self._name, self._ttl_s, self._max_threads = name, ttl_s, max_threads
        self._lock = threading.Lock()
        self._values: dict[K, tuple[V, float]] = {}
        self._threads: dict[K, threading.Thread] = {}
        self._n_threads = 0

    def peek(self, key: K) -> V | None:
        """Return the value last made, however old; None when there is none."""
        with self._lock:
            known = self._values.get(key)
            return None if known is None else known[0]

    def refresh(self, key: K, make: Callable[[], V]) -> threading.Thread | None:
        """Return the thread that makes the value of a key; None when it is fresh, or too many are being made."""
        with self._lock:
            thread, known = self._threads.get(key), self._values.get(key)
            if thread is not None:
                return thread
            is_fresh = known is not None and time.monotonic() - known[1] < self._ttl_s
            if is_fresh or (self._max_threads is not None and self._n_threads >= self._max_threads):
                return None
            thread = threading.Thread(target=self._make, args=(key, make), name=self._name, daemon=True)
            thread.start()
            self._threads[key] = thread
            self._n_threads += 1
            return thread

    def forget(self, key: K) -> None:
        """Drop a value, and the one that is being made."""
        with self._lock:
            self._values.pop(key, None)
            self._threads.pop(key, None)

    def _make(self, key: K, make: Callable[[], V]) -> None:
        made: list[V] = []
        try:
            made.append(make())
        finally:
            with self._lock:
                self._n_threads -= 1
                if self._threads.get(key) is threading.current_thread():  # else the key was forgotten meanwhile
                    del self._threads[key]
                    if made:
                        self._values[key] = (made[0], time.monotonic())
