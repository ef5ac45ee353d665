"""A compiled filter before ``footfall.personal_data``: which lines need the full check.

Passes every line that the full check could refuse, and few others. Knows bytes only.

Shapes: B bytes, N lines.
"""

from typing import Any

import numpy as np

from footfall.modeling.compiled import njit
from footfall.modeling.dtypes import BOOL, I64, U8

_MIN_DIGITS = 10
"""The shortest number that is refused without a word next to it is a mobile number of 10 digits."""

_STRIDE = np.uintp(3)
_LOW, _AS_IS = np.uint8(32), np.uint8(0)
"""Set in a letter, the first makes it a small one."""
_PAS, _LIC, _YEO, _MYEON = (
    (np.uint8(w[0]), np.uint8(w[1]), np.uint8(w[2])) for w in (b"pas", b"lic", "여".encode(), "면".encode())
)
IS_OF_NUMBER_256 = np.array([48 <= b <= 57 or b in b" ()-." for b in range(256)])


@njit(cache=True, nogil=True)
def _has_at(text_B: U8) -> bool:
    has_at = False
    for i in range(text_B.size):
        has_at |= text_B[i] == 64  # without a branch the compiler compares many bytes at a time
    return has_at


@njit(cache=True, nogil=True)
def _is_luhn(data_B: U8, start: int, end: int) -> bool:
    total, double = 0, False
    for i in range(end - 1, start - 1, -1):
        d = int(data_B[i]) - 48
        if double:
            d = d * 2 - 9 if d > 4 else d * 2
        total += d
        double = not double
    return total % 10 == 0


@njit(cache=True, nogil=True)
def _is_plain_suspect(data_B: U8, start: int, end: int) -> bool:
    """Judge an unbroken run of at least 10 digits."""
    n = end - start
    if n == 13:
        month = (data_B[start + 2] - 48) * 10 + data_B[start + 3] - 48
        return bool(1 <= month <= 12)
    if 14 <= n <= 16:
        return _is_luhn(data_B, start, end)
    return n <= 12 and bool(data_B[start] == 48 or data_B[start] == 56)  # 010..., 8210...


@njit(cache=True, nogil=True)
def _gap(data_B: U8, start: int, end: int) -> int:
    """Return the length of the separators at ``start``: 1 to 3 of blank, brackets, hyphen, dot, then a digit; or 0."""
    for i in range(start, min(start + 4, end)):
        c = data_B[i]
        if 48 <= c <= 57:
            return i - start
        if c != 32 and c != 40 and c != 41 and c != 45 and c != 46:
            return 0
    return 0


@njit(cache=True, nogil=True)
def _has_number(data_B: U8, start: int, end: int) -> bool:
    """Find a run of digits, with few separators between two, that is long enough."""
    i = start
    while i < end:
        while i < end and (data_B[i] < 48 or data_B[i] > 57):
            i += 1
        first, digits, separators = i, 0, 0
        while i < end:
            if 48 <= data_B[i] <= 57:
                digits += 1
                i += 1
                continue
            gap = _gap(data_B, i, end)
            if gap == 0:
                break
            separators += gap
            i += gap
        if digits >= _MIN_DIGITS and (separators > 0 or _is_plain_suspect(data_B, first, i)):
            return True
    return False


@njit(cache=True, nogil=True)
def _has_long_number(data_B: U8, start: int, end: int) -> bool:
    """As ``_has_number``, but tests every third byte first: ten digits and separators hold three such bytes in a row."""
    i, stop, run = np.uintp(start), np.uintp(end), 0
    while i < stop:
        run = (run + 1) * IS_OF_NUMBER_256[data_B[i]]
        i += _STRIDE
        if run == _MIN_DIGITS // 3:
            at: Any = np.int64(i - _STRIDE)
            first, last = at, at
            while first > start and IS_OF_NUMBER_256[data_B[first - 1]]:
                first -= 1
            while last < end and IS_OF_NUMBER_256[data_B[last]]:
                last += 1
            if last - first >= _MIN_DIGITS and _has_number(data_B, first, last):
                return True
            i, run = np.uintp(last + 1), 0
    return False


@njit(cache=True, nogil=True)
def _has_digits(data_B: U8, start: int, end: int) -> bool:
    """Find a run of four digits, without which there is no passport or licence number."""
    run = 0
    for i in range(start, end):
        run = run + 1 if 48 <= data_B[i] <= 57 else 0
        if run == 4:
            return True
    return False


@njit(cache=True, nogil=True)
def _has_three(text_B: U8, low: np.uint8, a: np.uint8, b: np.uint8, c: np.uint8) -> bool:
    """Find three bytes behind each other; ``low`` is set in those of the text before they are compared."""
    has_three = np.uint8(0)
    for i in range(text_B.size - 2):  # without a branch, as above
        is_a, is_b, is_c = (text_B[i] | low) == a, (text_B[i + 1] | low) == b, (text_B[i + 2] | low) == c
        has_three |= np.uint8(is_a) & np.uint8(is_b) & np.uint8(is_c)
    return bool(has_three)


@njit(cache=True, nogil=True)
def _has_word(text_B: U8) -> bool:
    """Find the first three bytes of ``pass(port)``, ``lice(nce)``, 여권 or 면허, in any case."""
    if _has_three(text_B, _LOW, *_PAS) or _has_three(text_B, _LOW, *_LIC):
        return True
    highest = np.uint8(0)
    for i in range(text_B.size):
        highest = max(highest, text_B[i])
    return bool(highest > 127) and (_has_three(text_B, _AS_IS, *_YEO) or _has_three(text_B, _AS_IS, *_MYEON))


@njit(cache=True, nogil=True)
def _sift(data_B: U8, start_N: I64, tab_N: I64, end_N: I64, is_suspect_N: BOOL) -> None:
    for n in range(start_N.size):
        text = tab_N[n] + 1
        is_suspect_N[n] = (
            _has_at(data_B[start_N[n] : end_N[n]])
            or _has_long_number(data_B, text, end_N[n])
            or (_has_word(data_B[text : end_N[n]]) and _has_digits(data_B, text, end_N[n]))
        )


def find_suspects(data_B: U8, start_N: I64, tab_N: I64, end_N: I64) -> I64:
    """Return the indices of the lines that may hold personal data, ascending."""
    is_suspect_N = np.zeros(start_N.size, np.bool_)
    _sift(data_B, start_N, tab_N, end_N, is_suspect_N)
    return np.flatnonzero(is_suspect_N)
