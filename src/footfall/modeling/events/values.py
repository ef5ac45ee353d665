"""Values of event logs as numbers and times: compiled parsers of texts, and the scale of numeric times.

Knows texts and numbers; nothing of columns or files. A number is what C's strtod reads, without hexadecimal; empty,
NaN and infinite ones are missing. A time is ISO 8601 (a blank may stand for the T; without a zone it is UTC), or a
number of seconds, milliseconds, microseconds or nanoseconds since 1970, distinguished by size once for a column.

Shapes: B bytes, N rows.
"""

import numpy as np

from footfall.modeling.compiled import njit
from footfall.modeling.dtypes import BOOL, F64, I64, U8

US = 1_000_000
"""Microseconds in a second; times are int64 microseconds since 1970 in UTC."""
NO_TIME = np.iinfo(np.int64).min
_MAX_US = 1 << 58


@njit(cache=True, nogil=True)
def _strip(data_B: U8, start: int, end: int) -> tuple[int, int]:
    while start < end and data_B[start] <= 32:
        start += 1
    while end > start and data_B[end - 1] <= 32:
        end -= 1
    return start, end


@njit(cache=True, nogil=True)
def _digits(data_B: U8, i: int, end: int) -> tuple[float, int]:
    """Return (value of the digits from ``i`` on, where they end)."""
    value = 0.0
    while i < end and 48 <= data_B[i] <= 57:
        value = value * 10.0 + (data_B[i] - 48)
        i += 1
    return value, i


_MISSING = tuple(word.encode() for word in ("n/a", "#n/a", "<na>", "\\n", "nat", "(null)", "(not set)", "(none)", "undefined"))
_MISSING_IDS = 2
"""So many of the last ones are words for nothing among ids alone: a coupon may be ``(none)``, a user may not."""
_LONGEST = max(map(len, _MISSING))
_MISSING_WX = np.array([list(word.ljust(_LONGEST, b"\0")) for word in _MISSING], np.uint8)
_MISSING_W = np.array([len(word) for word in _MISSING])
_BEGINS_MISSING_256 = np.array([bytes([b]).lower() in {word[:1] for word in _MISSING} for b in range(256)])


@njit(cache=True, nogil=True)
def _is_missing_word(data_B: U8, start: int, end: int, n_words: int) -> bool:
    """Whether a text is one of the first words of ``_MISSING``, in any case."""
    n = end - start
    if n > _LONGEST or n < 2 or not _BEGINS_MISSING_256[data_B[start]]:
        return False
    for w in range(n_words):
        if _MISSING_W[w] == n:
            i = 0
            while i < n and (
                data_B[start + i] == _MISSING_WX[w, i]
                or (65 <= data_B[start + i] <= 90 and data_B[start + i] | 32 == _MISSING_WX[w, i])
            ):
                i += 1
            if i == n:
                return True
    return False


@njit(cache=True, nogil=True)
def is_nothing(data_B: U8, start: int, end: int, is_id: bool) -> bool:
    """Whether a text that is not blank stands for nothing: NA, NaN, null, None, \\N, (not set), …; of ids a few words more."""
    n, first = end - start, data_B[start]
    if first | 32 == 110 and 2 <= n <= 4:
        if n == 2:
            return bool(first == 78 and data_B[start + 1] == 65)
        if data_B[start + 1] | 32 == 111 and n == 4 and first == 110 and not is_id:
            return False  # "none" is a word
        return _is_missing(data_B, start, end) or _is_missing_word(data_B, start, end, _MISSING_W.size)
    return _is_missing_word(data_B, start, end, _MISSING_W.size - (0 if is_id else _MISSING_IDS))


@njit(cache=True, nogil=True)
def has_nothing(data_B: U8, offset_N1: I64) -> bool:
    """Whether some text stands for nothing; blank ones do not count."""
    for n in range(offset_N1.size - 1):
        start, end = offset_N1[n], offset_N1[n + 1]
        if 1 < end - start <= _LONGEST and is_nothing(data_B, start, end, False):
            return True
    return False


@njit(cache=True, nogil=True)
def _is_missing(data_B: U8, start: int, end: int) -> bool:
    """Empty, or nan, null, none, na, inf, infinity in any case, with or without a sign."""
    if end > start and (data_B[start] == 43 or data_B[start] == 45):
        start += 1
    n = end - start
    if n == 0:
        return True
    a = data_B[start] | 32
    if n == 2:
        return bool(a == 110 and data_B[start + 1] | 32 == 97)
    if n == 3:
        b, c = data_B[start + 1] | 32, data_B[start + 2] | 32
        return bool((a == 110 and b == 97 and c == 110) or (a == 105 and b == 110 and c == 102))
    if n == 4:
        b, c = data_B[start + 1] | 32, data_B[start + 2] | 32
        return bool(a == 110 and ((b == 117 and c == 108) or (b == 111 and c == 110)))
    return bool(n == 8 and a == 105 and data_B[start + 1] | 32 == 110 and data_B[start + 2] | 32 == 102)


@njit(cache=True, nogil=True)
def _number(data_B: U8, start: int, end: int) -> tuple[float, bool]:
    """Return (value, whether it could be read); NaN for a missing one."""
    start, end = _strip(data_B, start, end)
    if _is_missing(data_B, start, end) or _is_missing_word(data_B, start, end, _MISSING_W.size):
        return np.nan, end == start or data_B[end - 1] != 43
    i, sign = start, 1.0
    if data_B[i] == 45 or data_B[i] == 43:
        sign = -1.0 if data_B[i] == 45 else 1.0
        i += 1
    value, j = _digits(data_B, i, end)
    n = j - i
    if j < end and data_B[j] == 46:
        part, k = _digits(data_B, j + 1, end)
        value += part / 10.0 ** (k - j - 1)
        n += k - j - 1
        j = k
    if n > 0 and j < end and data_B[j] | 32 == 101:
        k, down = j + 1, False
        if k < end and (data_B[k] == 43 or data_B[k] == 45):
            down = data_B[k] == 45
            k += 1
        power, j = _digits(data_B, k, end)
        if j == k or power > 400:
            return np.nan, False
        value = value / 10.0**power if down else value * 10.0**power
    return sign * value, n > 0 and j == end


@njit(cache=True, nogil=True)
def parse_numbers(data_B: U8, offset_N1: I64, out_N: F64) -> int:
    """Read a number from each text; return the first row that holds none, or -1."""
    for n in range(out_N.size):
        out_N[n], is_number = _number(data_B, offset_N1[n], offset_N1[n + 1])
        if not is_number:
            return n
    return -1


@njit(cache=True, nogil=True)
def find_numbers(data_B: U8, offset_N1: I64) -> F64:
    """Return the number of each text, NaN where there is none."""
    out_N = np.empty(offset_N1.size - 1)
    for n in range(out_N.size):
        value, is_number = _number(data_B, offset_N1[n], offset_N1[n + 1])
        out_N[n] = value if is_number else np.nan
    return out_N


@njit(cache=True, nogil=True)
def count_dates(data_B: U8, offset_N1: I64) -> int:
    """Count the texts that are ISO 8601."""
    n_dates = 0
    for n in range(offset_N1.size - 1):
        start, end = _strip(data_B, offset_N1[n], offset_N1[n + 1])
        n_dates += end - start >= 10 and _iso(data_B, start, end) != NO_TIME
    return n_dates


@njit(cache=True, nogil=True)
def _field(data_B: U8, i: int, end: int, width: int) -> int:
    """Return the value of ``width`` digits, -1 if there are none."""
    value, j = _digits(data_B, i, min(i + width, end))
    return int(value) if j == i + width else -1


@njit(cache=True, nogil=True)
def _days(year: int, month: int, day: int) -> int:
    """Return the days since 1970-01-01 of the Gregorian calendar. Source: Hinnant, days_from_civil."""
    y = year - (1 if month <= 2 else 0)
    era = y // 400
    of_era = y - era * 400
    of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    return era * 146097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719468


@njit(cache=True, nogil=True)
def _zone(data_B: U8, i: int, end: int) -> int:
    """Return the offset from UTC in seconds of what follows the time; -1e9 when it is no zone."""
    if i == end or (end - i == 1 and data_B[i] | 32 == 122):
        return 0
    if end - i == 3 and data_B[i] | 32 == 117 and data_B[i + 1] | 32 == 116 and data_B[i + 2] | 32 == 99:
        return 0
    if data_B[i] != 43 and data_B[i] != 45:
        return -1_000_000_000
    hours, j = _field(data_B, i + 1, end, 2), i + 3
    minutes = 0
    if j < end:
        j += data_B[j] == 58
        minutes = _field(data_B, j, end, 2)
        j += 2
    if hours < 0 or minutes < 0 or j != end or hours > 15 or minutes > 59:
        return -1_000_000_000
    seconds = 3600 * hours + 60 * minutes
    return -seconds if data_B[i] == 45 else seconds


@njit(cache=True, nogil=True)
def _clock(data_B: U8, i: int, end: int) -> tuple[int, int]:
    """Return (microseconds of the day, where the clock ends); -1 if it is none. Seconds may be missing."""
    hours, minutes = _field(data_B, i, end, 2), _field(data_B, i + 3, end, 2)
    if hours < 0 or minutes < 0 or hours > 24 or minutes > 59 or data_B[i + 2] != 58:
        return -1, end
    j, seconds, micro = i + 5, 0, 0
    if j < end and data_B[j] == 58:
        seconds = _field(data_B, j + 1, end, 2)
        j += 3
        if seconds < 0 or seconds > 60:
            return -1, end
        if j < end and (data_B[j] == 46 or data_B[j] == 44):
            value, k = _digits(data_B, j + 1, min(end, j + 10))
            micro = int(value * 10.0 ** (6 - (k - j - 1)))
            j = k
    if j < end and data_B[j] == 32:
        j += 1
    return (hours * 3600 + minutes * 60 + seconds) * US + micro, j


@njit(cache=True, nogil=True)
def _iso(data_B: U8, start: int, end: int) -> int:
    """Return the microseconds of an ISO 8601 text, ``NO_TIME`` if it is none."""
    year, month, day = (_field(data_B, start, end, 4), _field(data_B, start + 5, end, 2), _field(data_B, start + 8, end, 2))
    if year < 0 or not 1 <= month <= 12 or not 1 <= day <= 31 or data_B[start + 4] != data_B[start + 7]:
        return NO_TIME
    if data_B[start + 4] != 45 and data_B[start + 4] != 47 and data_B[start + 4] != 46:
        return NO_TIME
    days = _days(year, month, day)
    if day > 28 and _days(year + month // 12, month % 12 + 1, 1) <= days:  # there is no such day in the month
        return NO_TIME
    i = start + 10
    if i == end:
        return days * 86400 * US
    if data_B[i] != 32 and data_B[i] | 32 != 116:
        return NO_TIME
    micro, j = _clock(data_B, i + 1, end)
    zone = _zone(data_B, j, end)
    if micro < 0 or zone == -1_000_000_000:
        return NO_TIME
    return days * 86400 * US + micro - zone * US


@njit(cache=True, nogil=True)
def parse_times(data_B: U8, offset_N1: I64, unit_us: float, out_N: I64) -> int:
    """Read a time from each text, a plain number as ``unit_us`` microseconds; return the first bad row, or -1."""
    for n in range(out_N.size):
        start, end = _strip(data_B, offset_N1[n], offset_N1[n + 1])
        out_N[n] = NO_TIME
        if end - start >= 10:
            out_N[n] = _iso(data_B, start, end)
        if out_N[n] == NO_TIME:
            value, is_number = _number(data_B, start, end)
            if not is_number or not abs(value * unit_us) < _MAX_US:
                return n
            out_N[n] = int(np.floor(value * unit_us))
    return -1


def unit_of_times(value_N: F64) -> float:
    """Return how many microseconds one of a column's numbers is, by the size of their median: s, ms, us or ns."""
    known_N = np.abs(value_N[np.isfinite(value_N)])
    middle = float(np.median(known_N)) if known_N.size else 0.0
    for limit, unit_us in ((1e11, 1e6), (1e14, 1e3), (1e17, 1.0)):
        if middle < limit:
            return unit_us
    return 1e-3


def find_lookalike(value_N: F64) -> tuple[str, int]:
    """Return (the format of nearly all numbers if it is not times since 1970, its first row); ("", -1) if none.

    Dates without separators (20250331, or with hours, minutes and seconds behind), years and months (202503), years, and
    days as spreadsheets or data frames count them: as seconds these are the first days of 1970, or the 2030s.
    """
    known_N = value_N[np.isfinite(value_N)]
    if known_N.size == 0:
        return "", -1
    n_digits = len(str(int(abs(np.median(known_N)))))
    value_N = np.where(np.isfinite(value_N), value_N, -1.0)
    is_whole_N = np.floor(value_N) == value_N
    is_like_N = np.zeros(value_N.size, np.bool_)
    lookalike = ""
    if n_digits in (8, 10, 12, 14):
        lookalike, is_like_N = "dates as numbers", is_whole_N & _are_days(value_N, n_digits)
    elif n_digits == 6:
        month_N = value_N % 100
        is_like_N = is_whole_N & (value_N >= 1900_01) & (value_N <= 2100_12) & (month_N >= 1) & (month_N <= 12)
        lookalike = "years and months as numbers"
    elif n_digits == 5:
        is_like_N = (value_N >= _DAYS_OF_1990) & (value_N < _DAYS_OF_2050)
        lookalike = "days since 1900, as spreadsheets count them"
        if not is_like_N.any():
            is_like_N, lookalike = (is_whole_N & (value_N >= _DAYS_OF_2000) & (value_N < _DAYS_OF_2040), "days since 1970")
    elif n_digits == 4:
        lookalike, is_like_N = "years as numbers", is_whole_N & (value_N >= 1900) & (value_N <= 2100)
    return (lookalike, int(is_like_N.argmax())) if is_like_N.sum() >= _NEARLY * known_N.size else ("", -1)


_NEARLY = 0.9
_DAYS_OF_1990, _DAYS_OF_2050 = 32_874, 54_789
"""1990-01-01 and 2050-01-01, counted as spreadsheets do."""
_DAYS_OF_2000, _DAYS_OF_2040 = 10_957, 25_568
"""2000-01-01 and 2040-01-01, counted from 1970."""


def _are_days(value_N: F64, n_digits: int) -> BOOL:
    """Return which numbers are a year, a month and a day, and of more digits the hour."""
    day_N = value_N // 10 ** (n_digits - 8)
    is_day_N = (day_N >= 1900_01_01) & (day_N <= 2100_12_31) & (day_N % 100 >= 1) & (day_N % 100 <= 31)
    is_day_N &= (day_N // 100 % 100 >= 1) & (day_N // 100 % 100 <= 12)
    if n_digits > 8:
        is_day_N &= value_N // 10 ** (n_digits - 10) % 100 < 24
    return np.asarray(is_day_N)


def scale_times(value_N: F64, unit_us: float) -> tuple[I64, int]:
    """Return (times, the first row that is none or -1) of numbers."""
    scaled_N = value_N * unit_us
    is_bad_N = ~(np.abs(scaled_N) < _MAX_US)
    bad = int(is_bad_N.argmax()) if is_bad_N.any() else -1
    return np.floor(np.where(is_bad_N, 0.0, scaled_N)).astype(np.int64), bad
