"""What a runner listens to: descriptors, each with what hears it. A thin wrapper, for ``selectors`` is slow to load."""

from __future__ import annotations

import os
import select

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Hear = Callable[[int], None]


class Ears:
    """Descriptors that are waited for together."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._hear: dict[int, Hear] = {}

    def open(self, fd: int, hear: Hear) -> None:
        """Call ``hear`` with the descriptor whenever there is something to read on it."""
        self._hear[fd] = hear
        self._epoll.register(fd, select.EPOLLIN)

    def close(self, fd: int, *, keep: bool = False) -> None:
        """Stop listening to a descriptor and, unless it is to be kept, close it."""
        if fd in self._hear:
            del self._hear[fd]
            self._epoll.unregister(fd)
            if not keep:
                os.close(fd)

    def has(self, fd: int) -> bool:
        """Whether this descriptor is still listened to."""
        return fd in self._hear

    def listen(self, timeout_s: float) -> bool:
        """Wait at most so long and let everything be heard that there is; return whether there was anything."""
        events = self._epoll.poll(max(0.0, timeout_s))
        for fd, _ in events:
            hear = self._hear.get(fd)
            if hear is not None:
                hear(fd)
        return bool(events)
