"""How many threads to use, and an ordered map over them.

Knows nothing of what it runs. The results come in the order of the inputs, so the number of threads never shows.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

In = TypeVar("In")
Out = TypeVar("Out")


def count_threads() -> int:
    """Return the number of cores this process may use; ``FOOTFALL_THREADS`` lowers it."""
    asked = os.environ.get("FOOTFALL_THREADS", "")
    cores = len(os.sched_getaffinity(0))
    return max(1, min(cores, int(asked))) if asked.isdigit() else max(1, cores)


def map_ordered(work: Callable[[In], Out], items: Iterable[In], *, n_threads: int | None = None) -> Iterator[Out]:
    """Yield ``work(item)`` in the order of ``items``; at most three items a thread wait, so memory is bounded."""
    n = n_threads or count_threads()
    with ThreadPoolExecutor(max_workers=n) as pool:
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
