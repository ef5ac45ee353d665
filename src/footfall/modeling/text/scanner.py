"""The compiled first pass over a block of lines: where they are, and what is wrong with them.

Knows bytes, tabs and UTF-8; nothing of behaviors. Source: the contract's file formats (UTF-8, one tab, ``\\n`` or
``\\r\\n``, no control characters); Unicode 16, table 3-7, for well-formed UTF-8.

Shapes: B bytes, N lines.
"""

from typing import Any

import numpy as np

from footfall.modeling.compiled import njit
from footfall.modeling.dtypes import I64, U8, U64
from footfall.modeling.text.hashes import hash_bytes

OK, NO_TAB, MANY_TABS, CONTROL, BAD_UTF8, BLANK_LINE, BLANK_ID, LONG_ID = range(8)

MAX_ID_CHARS = 100

_STRIDE = np.uintp(32)
_FIRST_PLAIN, _PLAIN_WIDTH = np.uint8(32), np.uint8(126 - 32)
_PLAIN, _TAB, _NEWLINE, _RETURN, _CONTROL, _HIGH = range(6)
CLASS_256 = np.array(
    [
        _TAB if b == 9
        else _NEWLINE if b == 10
        else _RETURN if b == 13
        else _CONTROL if b < 32 or b == 127
        else _HIGH if b > 127
        else _PLAIN
        for b in range(256)
    ],
    dtype=np.uint8,
)  # fmt: skip


@njit(cache=True, nogil=True)
def utf8_width(data_B: U8, i: int, n: int) -> int:
    """Return the bytes of the well-formed character that begins at ``i``, 0 if there is none. ``data_B[i]`` > 127."""
    c = data_B[i]
    low, high = 0x80, 0xBF
    if c < 0xC2 or c > 0xF4:
        return 0
    width = 2 if c < 0xE0 else 3 if c < 0xF0 else 4
    if c == 0xE0:
        low = 0xA0
    elif c == 0xED:
        high = 0x9F
    elif c == 0xF0:
        low = 0x90
    elif c == 0xF4:
        high = 0x8F
    if i + width > n or data_B[i + 1] < low or data_B[i + 1] > high:
        return 0
    for j in range(i + 2, i + width):
        if data_B[j] & 0xC0 != 0x80:
            return 0
    return width


@njit(cache=True, nogil=True)
def space_width(data_B: U8, i: int, end: int) -> int:
    """Return the bytes of the white space at ``i``, 0 if there is none. White space is what ``str.split`` takes."""
    c = data_B[i]
    if c == 0x20:
        return 1
    if c < 0xC2 or c > 0xE3:
        return 0
    if c == 0xC2:
        return 2 if i + 1 < end and (data_B[i + 1] == 0xA0 or data_B[i + 1] == 0x85) else 0
    if c < 0xE1 or i + 2 >= end:
        return 0
    b, a = data_B[i + 1], data_B[i + 2]
    if c == 0xE3:
        return 3 if b == 0x80 and a == 0x80 else 0
    if c == 0xE1:
        return 3 if b == 0x9A and a == 0x80 else 0
    if b == 0x81:
        return 3 if a == 0x9F else 0
    return 3 if b == 0x80 and (a <= 0x8A or a == 0xA8 or a == 0xA9 or a == 0xAF) else 0


@njit(cache=True, nogil=True)
def _scan_odd(data_B: U8, i: int, n: int, kind: int, has_tab: bool) -> tuple[int, int]:
    """Return (width, error) of the byte at ``i``, which is neither plain nor a newline."""
    if kind == _TAB:
        return 1, MANY_TABS if has_tab else OK
    if kind == _HIGH:
        width = utf8_width(data_B, i, n)
        return (width, OK) if width else (1, BAD_UTF8)
    if kind == _RETURN and (i + 1 == n or data_B[i + 1] == 10):
        return 1, OK
    return 1, CONTROL


@njit(cache=True, nogil=True)
def _skip_plain(data_B: U8, i: int, n: int) -> Any:
    """Return where the first byte at or after ``i`` is that may not be plain, or ``n``."""
    at, stop = np.uintp(i), np.uintp(n)  # an index that cannot be negative saves a test at each byte
    while at + _STRIDE <= stop:
        is_odd: Any = False
        for j in range(_STRIDE):  # without a branch, so that the compiler compares all of them at a time
            is_odd |= np.uint8(data_B[at + j] - _FIRST_PLAIN) > _PLAIN_WIDTH
        if is_odd:
            break
        at += _STRIDE
    while at < stop and CLASS_256[data_B[at]] == _PLAIN:
        at += np.uintp(1)
    return np.int64(at)


@njit(cache=True, nogil=True)
def _scan_line(data_B: U8, start: int, n: int) -> tuple[int, int, int]:
    """Return (newline or n, tab or -1, first error) of the line that begins at ``start``."""
    i, tab, error = start, -1, OK
    while i < n:
        i = _skip_plain(data_B, i, n)
        if i == n:
            break
        kind = CLASS_256[data_B[i]]
        if kind == _NEWLINE:
            break
        width, status = _scan_odd(data_B, i, n, kind, tab >= 0)
        if error == OK:
            error = status
        if kind == _TAB and tab < 0:
            tab = i
        i += width
    return i, tab, error


@njit(cache=True, nogil=True)
def _check_id(data_B: U8, start: int, tab: int) -> int:
    """Return the error of the user id ``data_B[start:tab]``."""
    chars, is_blank, i = 0, True, start
    while i < tab:
        width = space_width(data_B, i, tab)
        if width == 0:
            is_blank = False
            width = 1
            while i + width < tab and data_B[i + width] & 0xC0 == 0x80:
                width += 1
        chars += 1
        i += width
    if is_blank:
        return BLANK_ID
    return LONG_ID if chars > MAX_ID_CHARS else OK


@njit(cache=True, nogil=True)
def scan_lines(data_B: U8, seed: np.uint64, start_N: I64, tab_N: I64, end_N: I64, id_hash_N: U64) -> tuple[int, int]:
    """Fill the extents of each line and the hash of its id; return (lines read, error of the line after them).

    A line is ``id = data_B[start:tab]``, ``text = data_B[tab + 1:end]``. Stops at the first line that is wrong.
    """
    n, i, line = data_B.size, 0, 0
    while i < n:
        stop, tab, error = _scan_line(data_B, i, n)
        end = stop - 1 if stop > i and data_B[stop - 1] == 13 else stop
        if end == i:
            error = BLANK_LINE
        elif error == OK and tab < 0:
            error = NO_TAB
        elif error == OK:
            error = _check_id(data_B, i, tab)
        if error != OK:
            return line, error
        start_N[line], tab_N[line], end_N[line] = i, tab, end
        id_hash_N[line] = hash_bytes(data_B, i, tab, seed)
        line += 1
        i = stop + 1
    return line, OK


@njit(cache=True, nogil=True)
def count_newlines(data_B: U8) -> int:
    """Return how many newlines there are; several times as fast as ``bytes.count``."""
    n = 0
    for i in range(data_B.size):  # without a branch, so that the compiler compares many bytes at a time
        n += data_B[i] == 10
    return n
