"""Poll until something has ended. A server that is unreachable for a while, as during a restart, does not end the waiting."""

import time
from collections.abc import Callable
from typing import Protocol, TypeVar

from footfall.errors import ServiceError

FIRST_PAUSE_S, MAX_PAUSE_S = 0.1, 1.0
AWAY_TIMEOUT_S = 60.0


class Waitable(Protocol):
    """What may end."""

    @property
    def is_final(self) -> bool:
        """Whether it ended."""


T = TypeVar("T", bound=Waitable)


def is_away(error: ServiceError) -> bool:
    """Whether an error means that no server answers, which may pass."""
    return error.status in (0, 502, 503, 504)


class Patience:
    """Bears a server that is away, for up to ``AWAY_TIMEOUT_S`` from the first failure behind the last success."""

    def __init__(self) -> None:
        self._away_since: float | None = None

    def reset(self) -> None:
        """Note that the server answered."""
        self._away_since = None

    def bear(self, error: ServiceError) -> None:
        """Return if a failure may pass; else raise it."""
        now = time.monotonic()
        self._away_since = now if self._away_since is None else self._away_since
        if not is_away(error) or now - self._away_since > AWAY_TIMEOUT_S:
            raise error


def wait_until_final(
    item: T, get: Callable[[], T], describe: Callable[[T], str], callback: Callable[[T], None] | None, timeout_s: float | None
) -> T:
    """Get an item until it has ended, more rarely while it stays the same, and return it as it is then.

    Args:
        describe: a few words on its name and state; the pauses are short again when they change.
        callback: called with the item after every attempt to get it.

    Raises:
        TimeoutError: it has not ended after ``timeout_s``; it goes on.
    """
    patience = Patience()
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    pause_s, before = FIRST_PAUSE_S, ""
    while True:
        try:
            item = get()
            patience.reset()
        except ServiceError as error:
            patience.bear(error)
        if callback is not None:
            callback(item)
        if item.is_final:
            return item
        now = describe(item)
        pause_s = FIRST_PAUSE_S if now != before else min(MAX_PAUSE_S, pause_s * 1.3)
        before = now
        if deadline is not None:
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                raise TimeoutError(f"{now} after {timeout_s:g} s; it goes on.")
            pause_s = min(pause_s, left_s)
        time.sleep(pause_s)
