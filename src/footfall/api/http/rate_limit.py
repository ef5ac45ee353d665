"""Token buckets: requests a key may make, refusals an address may cause. In this process, bounded.

Ages by the monotonic clock, so that a step of the wall clock changes nothing.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable

MAX_BUCKETS = 10_000


class TokenBuckets:
    """One bucket for each name: ``rate`` tokens a second, at most ``burst`` saved up."""

    def __init__(self, rate: float, burst: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._burst, self._clock = rate, burst, clock
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, name: str) -> float:
        """Take a token and return 0, or take none and return after how many seconds there will be one."""
        if self._rate <= 0:
            return 0.0
        with self._lock:
            now = self._clock()
            level, then = self._levels.pop(name, (self._burst, now))
            level = min(self._burst, level + max(0.0, now - then) * self._rate)
            wait_s = 0.0 if level >= 1 else (1 - level) / self._rate
            self._levels[name] = (level if wait_s else level - 1, now)
            if len(self._levels) > MAX_BUCKETS:
                self._levels.popitem(last=False)
            return wait_s
