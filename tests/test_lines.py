"""Lines come out of pieces as they would out of the whole text."""

import time

from hypothesis import given
from hypothesis import strategies as st

from footfall import lines
from footfall.lines import LinePicker, whole_lines

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
