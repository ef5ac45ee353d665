"""A compiled sieve in front of ``footfall.personal_data``: which lines deserve the real look.

Lets every line pass that the real check could refuse, and few others. Knows bytes only.

Shapes: B bytes, N lines.
"""

import numpy as np
import numpy.typing as npt
from numba import njit

U8 = npt.NDArray[np.uint8]
I64 = npt.NDArray[np.int64]

_MIN_DIGITS = 10
"""The shortest number that is refused without a word beside it is a mobile number of 10 digits."""


@njit(cache=True, nogil=True)
def _has_at(data_B: U8, start: int, end: int) -> bool:
    found = False
    for i in range(start, end):
        found |= data_B[i] == 64  # without a branch the compiler looks at many bytes at a time
    return found


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
def _has_digits(data_B: U8, start: int, end: int) -> bool:
    """Find a run of four digits, without which there is no passport or licence number."""
    run = 0
    for i in range(start, end):
        run = run + 1 if 48 <= data_B[i] <= 57 else 0
        if run == 4:
            return True
    return False


@njit(cache=True, nogil=True)
def _matches(data_B: U8, i: int, end: int, a: int, b: int, c: int) -> bool:
    return i + 2 < end and data_B[i + 1] | 32 == a and data_B[i + 2] | 32 == b and (c == 0 or data_B[i + 3] | 32 == c)


@njit(cache=True, nogil=True)
def _has_word(data_B: U8, start: int, end: int) -> bool:
    """Find ``pass(port)``, ``licen(ce)``, 여권 or 면허, in any case."""
    for i in range(start, end - 5):
        c = data_B[i]
        if c | 32 == 112 and _matches(data_B, i, end, 97, 115, 115):
            return True
        if c | 32 == 108 and _matches(data_B, i, end, 105, 99, 101):
            return True
        if c == 0xEC and data_B[i + 1] == 0x97 and data_B[i + 2] == 0xAC and data_B[i + 3] == 0xEA:
            return True
        if c == 0xEB and data_B[i + 1] == 0xA9 and data_B[i + 2] == 0xB4 and data_B[i + 3] == 0xED:
            return True
    return False


@njit(cache=True, nogil=True)
def _sift(data_B: U8, start_N: I64, tab_N: I64, end_N: I64, is_suspect_N: npt.NDArray[np.bool_]) -> None:
    for n in range(start_N.size):
        text = tab_N[n] + 1
        is_suspect_N[n] = (
            _has_at(data_B, start_N[n], end_N[n])
            or _has_number(data_B, text, end_N[n])
            or (_has_digits(data_B, text, end_N[n]) and _has_word(data_B, text, end_N[n]))
        )


def find_suspects(data_B: U8, start_N: I64, tab_N: I64, end_N: I64) -> I64:
    """Return the indices of the lines that may hold personal data, ascending."""
    is_suspect_N = np.zeros(start_N.size, np.bool_)
    _sift(data_B, start_N, tab_N, end_N, is_suspect_N)
    return np.flatnonzero(is_suspect_N)
