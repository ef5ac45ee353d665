"""An epoll loop: one callback for each descriptor. ``selectors`` would do the same, but is slow to load."""

from __future__ import annotations

import os
import select

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Callback = Callable[[int], None]


class Poller:
    """Descriptors that are waited for together."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._callbacks: dict[int, Callback] = {}

    def register(self, fd: int, callback: Callback) -> None:
        """Call ``callback`` with the descriptor whenever there is something to read on it."""
        self._callbacks[fd] = callback
        self._epoll.register(fd, select.EPOLLIN)

    def unregister(self, fd: int, *, keep: bool = False) -> None:
        """Stop polling a descriptor and, unless it is to be kept, close it."""
        if fd in self._callbacks:
            del self._callbacks[fd]
            self._epoll.unregister(fd)
            if not keep:
                os.close(fd)

    def has(self, fd: int) -> bool:
        """Whether this descriptor is registered."""
        return fd in self._callbacks

    def poll(self, timeout_s: float) -> bool:
        """Wait at most so long and call the callbacks of descriptors that are ready; return whether any was."""
        events = self._epoll.poll(max(0.0, timeout_s))
        for fd, _ in events:
            callback = self._callbacks.get(fd)
            if callback is not None:
                callback(fd)
        return bool(events)
