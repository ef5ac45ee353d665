"""How many threads to use, and an ordered map over them.

Knows nothing of what it runs. The results come in the order of the inputs, so they do not depend on the number of threads.
Maps may nest: the threads of a map share the cores.
"""

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

In = TypeVar("In")
Out = TypeVar("Out")

_thread = threading.local()


def count_threads() -> int:
    """Return the number of cores this process may use, in a thread of a map its share; ``FOOTFALL_THREADS`` lowers it."""
    if hasattr(_thread, "n_cores"):
        return int(_thread.n_cores)
    limit = os.environ.get("FOOTFALL_THREADS", "")
    cores = len(os.sched_getaffinity(0))
    return max(1, min(cores, int(limit))) if limit.isdigit() else max(1, cores)


def map_ordered(work: Callable[[In], Out], items: Iterable[In], *, n_threads: int | None = None) -> Iterator[Out]:
    """Yield ``work(item)`` in the order of ``items``; at most three items a thread wait, so memory is bounded."""
    n_cores = count_threads()
    n = n_threads or n_cores

    def start() -> None:
        _thread.n_cores = max(1, n_cores // n)

    with ThreadPoolExecutor(max_workers=n, initializer=start) as pool:
        waiting: deque[Future[Out]] = deque()
        try:
            for item in items:
                waiting.append(pool.submit(work, item))
                if len(waiting) > 2 * n:  # enough that no thread is idle while one result is used
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
