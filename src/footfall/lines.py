"""Lines of a text that comes in pieces: whole ones, and those that hold a needle. Knows bytes alone."""

import time
from collections.abc import Iterable, Iterator

MAX_LINE_BYTES = 4 << 20
"""A line beyond this is taken in parts."""


def whole_lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the lines of a text, each with its newline; the last one gets a newline if it has none."""
    held: list[bytes] = []
    n_held = 0
    for piece in pieces:
        *whole, rest = piece.split(b"\n")
        for line in whole:
            yield b"".join((*held, line, b"\n"))
            held, n_held = [], 0
        held.append(rest)
        n_held += len(rest)
        if n_held > MAX_LINE_BYTES:
            yield b"".join((*held, b"\n"))
            held, n_held = [], 0
    if n_held:
        yield b"".join((*held, b"\n"))


def terminal_lines(pieces: Iterable[bytes], *, redraw_s: float = 1.0, needle: bytes = b"") -> Iterator[bytes]:
    """Yield the lines of a text as a terminal would have left them: of what carriage returns redraw, the last state.

    A line that is being redrawn is shown too, at most once in ``redraw_s``, as a line of its own.

    Args:
        needle: of a line that was redrawn, the last state that holds this is meant.
    """
    held, shown, shown_at = b"", b"", time.monotonic()
    for piece in pieces:
        *whole, rest = (held + piece).split(b"\n")
        for line in whole:
            state = _last_state(line, needle)
            if state != shown or not shown:
                yield state + b"\n"
            shown = b""
        held = _redrawn(rest, needle) if b"\r" in rest else rest
        if len(held) > MAX_LINE_BYTES:
            yield _last_state(held, needle) + b"\n"
            held = b""
        if b"\r" in rest and time.monotonic() - shown_at >= redraw_s:
            state = _last_state(rest, needle)
            if state and state != shown:
                yield state + b"\n"
            shown, shown_at = state, time.monotonic()
    if held and _last_state(held, needle) != shown:
        yield _last_state(held, needle) + b"\n"


def _last_state(line: bytes, needle: bytes) -> bytes:
    states = [state for state in line.split(b"\r") if state]
    return next((state for state in reversed(states) if needle in state), states[-1] if states else b"")


def _redrawn(rest: bytes, needle: bytes) -> bytes:
    """Return as much of a line that goes on as its next states need: the last whole one that is meant, and what follows."""
    before, _, last = rest.rpartition(b"\r")
    return _last_state(before, needle) + b"\r" + last


class LinePicker:
    """Picks the lines that hold a needle out of a text that comes in pieces.

    Costs a search of each piece, whatever its lines; a line longer than ``MAX_LINE_BYTES`` is searched in parts.
    """

    def __init__(self, needle: bytes) -> None:
        self._needle = needle
        self._held: list[bytes] = []
        self.n_held = 0
        """Bytes of the line that has not ended."""

    def take(self, piece: bytes) -> bytes:
        """Return the lines that ended within this piece and hold the needle."""
        cut = piece.rfind(b"\n") + 1
        if not cut:
            self._hold(piece)
            return self.rest() if self.n_held > MAX_LINE_BYTES else b""
        text = b"".join((*self._held, piece[:cut]))
        self._held, self.n_held = [], 0
        self._hold(piece[cut:])
        return b"".join(self._lines(text))

    def rest(self) -> bytes:
        """Return the line that has not ended, if it holds the needle, and forget it."""
        text = b"".join(self._held)
        self._held, self.n_held = [], 0
        return text if self._needle in text else b""

    def _hold(self, piece: bytes) -> None:
        if piece:
            self._held.append(piece)
            self.n_held += len(piece)

    def _lines(self, text: bytes) -> Iterator[bytes]:
        position = 0
        while (hit := text.find(self._needle, position)) >= 0:
            begin = text.rfind(b"\n", 0, hit) + 1
            position = text.index(b"\n", hit + len(self._needle) - 1) + 1
            yield text[begin:position]
