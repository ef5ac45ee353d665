"""Work that only one request may do at a time, known by a name: others with that name wait for it. Kept in this process."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from footfall.errors import InUseError


class Underway:
    """The names that are taken. One object a process."""

    def __init__(self) -> None:
        self._names: set[str] = set()
        self._changed = threading.Condition()

    @contextmanager
    def alone(self, name: str, wait_s: float) -> Iterator[None]:
        """Take a name until the block ends.

        Args:
            wait_s: how long to wait for whoever has it.

        Raises:
            InUseError: it was not free in time.
        """
        deadline = time.monotonic() + wait_s
        with self._changed:
            while name in self._names:
                if not self._changed.wait(deadline - time.monotonic()):
                    raise InUseError(
                        "idempotency key",
                        "of this request",
                        ["another request that is still under way"],
                        "Ask again when that one has been answered.",
                    )
            self._names.add(name)
        try:
            yield
        finally:
            with self._changed:
                self._names.discard(name)
                self._changed.notify_all()
