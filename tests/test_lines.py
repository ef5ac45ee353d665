"""Lines come out of pieces as they would out of the whole text."""

import math
import time
from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from footfall import lines
from footfall.lines import LinePicker, terminal_lines, whole_lines

TEXT = st.lists(st.sampled_from([b"a", b"b", b"ab", b"\n", b"needle", b"nee", b"dle", b""]), max_size=30)


@given(TEXT)
def test_whole_lines_are_those_of_the_text(pieces: list[bytes]) -> None:
    text = b"".join(pieces)
    expected = [line + b"\n" for line in text.split(b"\n")]
    if not text.split(b"\n")[-1]:
        expected.pop()
    assert list(whole_lines(pieces)) == expected


@given(TEXT)
def test_picked_lines_are_those_that_hold_the_needle_however_it_is_cut(pieces: list[bytes]) -> None:
    picker = LinePicker(b"needle")
    got = b"".join(picker.take(piece) for piece in pieces)
    text = b"".join(pieces)
    *ended, rest = text.split(b"\n")
    assert got == b"".join(line + b"\n" for line in ended if b"needle" in line)
    assert picker.n_held == len(rest)
    assert picker.rest() == (rest if b"needle" in rest else b"")


def test_a_line_without_end_takes_bounded_memory_and_linear_time() -> None:
    picker, piece = LinePicker(b"needle"), b"x" * 65_536
    started = time.process_time()
    for _ in range(1024):
        assert picker.take(piece) == b""
        assert picker.n_held <= lines.MAX_LINE_BYTES + len(piece)
    assert time.process_time() - started < 2.0
    assert b"needle" in picker.take(b"needle\n")


BAR = [b"epoch\n", b"\r  0%", b"\r 50%| loss=0.5", b"\r", b"100%| loss=0.1", b"\nends\r\nlast"]


def test_of_what_is_redrawn_a_terminal_keeps_the_last_state() -> None:
    expected = [b"epoch\n", b"100%| loss=0.1\n", b"ends\n", b"last\n"]
    assert list(terminal_lines(BAR, redraw_s=math.inf)) == expected
    assert list(terminal_lines([b"".join(BAR)], redraw_s=math.inf)) == expected
    assert list(terminal_lines([bytes([byte]) for byte in b"".join(BAR)], redraw_s=math.inf)) == expected


def test_the_state_that_was_looked_for_is_shown() -> None:
    for pieces in (BAR, [bytes([byte]) for byte in b"".join(BAR)]):
        assert b" 50%| loss=0.5\n" in list(terminal_lines(pieces, redraw_s=math.inf, needle=b"loss=0.5"))


def test_a_line_that_is_being_redrawn_is_shown_in_between_and_not_twice() -> None:
    shown = list(terminal_lines(BAR, redraw_s=0.0))
    assert shown == [b"epoch\n", b"  0%\n", b" 50%| loss=0.5\n", b"100%| loss=0.1\n", b"ends\n", b"last\n"]


def test_a_bar_that_never_ends_its_line_takes_no_memory() -> None:
    import tracemalloc

    def draw() -> Iterator[bytes]:
        for n in range(100_000):
            yield b"\r%5d of 100000 ############" % n

    tracemalloc.start()
    assert list(terminal_lines(draw(), redraw_s=math.inf)) == [b"99999 of 100000 ############\n"]
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()


def test_an_endless_line_is_shown_in_parts() -> None:
    parts = list(terminal_lines(b"x" * (1 << 20) for _ in range(12)))
    assert sum(len(part) - 1 for part in parts) == 12 << 20
    assert len(parts) > 1
