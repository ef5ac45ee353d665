"""Aggregates of the times of a user's events: recency, tenure, frequency, gaps, hours and weekdays.

Knows times of events, oldest first, and the end of observation; nothing of behaviors. Events that follow each other
within half an hour are one *visit*: counting visits before events is what makes few numbers informative (modelling.md).
Source: recency, frequency and tenure after Fader, Hardie & Lee 2005; the rest is our own.

Shapes: N users, L events, A columns.
"""

from enum import IntEnum

import numpy as np

from footfall.modeling.compiled import njit
from footfall.modeling.dtypes import F32, F64, I32, I64

VISIT_GAP_US = 30 * 60 * 1_000_000
DAY_US = 86_400 * 1_000_000
_WINDOWS = np.array([7.0, 30.0, 90.0])

Column = IntEnum("Column", (
    "days_since_last", "days_since_first", "days_between", "visits", "active_days", "events_per_visit", "largest_visit",
    "last_visit", "gap_mean", "gap_spread", "gap_longest", "gap_last", "gap_regularity", "overdue", "last_over_first",
    "recent_half", "visit_trend", "visits_decayed_30", "visits_decayed_90", "visits_per_day", "visit_minutes",
    "events_7_days", "events_30_days", "events_90_days", "visits_7_days", "visits_30_days", "visits_90_days",
    "hour_0_share", "hour_4_share", "hour_8_share", "hour_12_share", "hour_16_share", "hour_20_share",
    "weekday_0_share", "weekday_1_share", "weekday_2_share", "weekday_3_share", "weekday_4_share", "weekday_5_share",
    "weekday_6_share", "hours", "weekdays",
), start=0)  # fmt: skip
"""The columns by their number."""
NAMES = tuple(column.name for column in Column)
assert Column.visits_7_days - Column.events_7_days == Column.hour_0_share - Column.visits_7_days == _WINDOWS.size
assert (Column.weekday_0_share - Column.hour_0_share, Column.hours - Column.weekday_0_share) == (6, 7)


@njit(cache=True, nogil=True)
def find_visits(time_L: I64, out_L: I32) -> int:
    """Number the visits of one user's events; return how many there are."""
    n = 0
    for i in range(time_L.size):
        if i > 0 and time_L[i] - time_L[i - 1] > VISIT_GAP_US:
            n += 1
        out_L[i] = n
    return n + 1 if time_L.size else 0


@njit(cache=True, nogil=True)
def _fill_gaps(day_V: F64, since_last: float, out_A: F32) -> None:
    n_gaps = day_V.size - 1
    if n_gaps < 1:
        return  # one visit has no gap: missing
    mean = (day_V[-1] - day_V[0]) / n_gaps
    square, longest = 0.0, 0.0
    for v in range(n_gaps):
        gap = day_V[v + 1] - day_V[v]
        square += (gap - mean) ** 2
        longest = max(longest, gap)
    spread = np.sqrt(square / n_gaps)
    out_A[Column.gap_mean], out_A[Column.gap_spread], out_A[Column.gap_longest] = mean, spread, longest
    out_A[Column.gap_last] = day_V[-1] - day_V[-2]
    out_A[Column.gap_regularity] = spread / mean if mean > 0 else 0.0
    out_A[Column.overdue] = since_last / mean if mean > 0 else 0.0


@njit(cache=True, nogil=True)
def _fill_profile(time_L: I64, out_A: F32) -> None:
    """Fill the shares of six parts of the day (UTC) and seven days of the week, and how many are used."""
    out_A[Column.hour_0_share : Column.weekdays + 1] = 0.0
    for i in range(time_L.size):
        out_A[Column.hour_0_share + (time_L[i] % DAY_US) // (DAY_US // 6)] += 1.0
        out_A[Column.weekday_0_share + (time_L[i] // DAY_US + 3) % 7] += 1.0
    for a in range(Column.hour_0_share, Column.hours):
        out_A[Column.hours if a < Column.weekday_0_share else Column.weekdays] += out_A[a] > 0
        out_A[a] /= time_L.size


@njit(cache=True, nogil=True)
def _fill_windows(time_L: I64, day_V: F64, until_us: int, out_A: F32) -> None:
    for w in range(_WINDOWS.size):
        events = 0
        for i in range(time_L.size):
            events += until_us - time_L[i] < _WINDOWS[w] * DAY_US
        visits = 0
        for v in range(day_V.size):
            visits += -day_V[v] < _WINDOWS[w]
        out_A[Column.events_7_days + w], out_A[Column.visits_7_days + w] = events, visits


@njit(cache=True, nogil=True)
def _fill_user(time_L: I64, visit_L: I32, until_us: int, out_A: F32) -> None:
    n, n_visits = time_L.size, visit_L[time_L.size - 1] + 1
    day_V, size_V = np.empty(n_visits, np.float64), np.zeros(n_visits, np.int64)
    active, in_visits = 1, 0.0
    for i in range(n):
        if i == 0 or visit_L[i] != visit_L[i - 1]:
            day_V[visit_L[i]] = (time_L[i] - until_us) / DAY_US
        else:
            in_visits += time_L[i] - time_L[i - 1]
        size_V[visit_L[i]] += 1
        active += i > 0 and time_L[i] // DAY_US != time_L[i - 1] // DAY_US
    since_last, since_first = (until_us - time_L[n - 1]) / DAY_US, (until_us - time_L[0]) / DAY_US
    out_A[Column.days_since_last], out_A[Column.days_since_first] = since_last, since_first
    out_A[Column.days_between] = since_first - since_last
    out_A[Column.visits], out_A[Column.active_days], out_A[Column.events_per_visit] = n_visits, active, n / n_visits
    out_A[Column.largest_visit], out_A[Column.last_visit] = size_V.max(), size_V[n_visits - 1]
    _fill_gaps(day_V, since_last, out_A)
    out_A[Column.last_over_first] = since_last / since_first if since_first > 0 else 0.0
    recent, fast, slow, late, early = 0, 0.0, 0.0, 0, 0
    for i in range(n):
        recent += until_us - time_L[i] < (until_us - time_L[0]) / 2
    for v in range(n_visits):
        fast += 2.0 ** (day_V[v] / 30.0)
        slow += 2.0 ** (day_V[v] / 90.0)
        late += day_V[v] > -30.0
        early += -90.0 < day_V[v] <= -30.0
    out_A[Column.recent_half], out_A[Column.visit_trend] = recent / n, (late + 0.5) / (early / 2 + 0.5)
    out_A[Column.visits_decayed_30], out_A[Column.visits_decayed_90] = fast, slow
    out_A[Column.visits_per_day], out_A[Column.visit_minutes] = (n_visits / (since_first + 1.0), in_visits / n_visits / 60e6)
    _fill_windows(time_L, day_V, until_us, out_A)
    _fill_profile(time_L, out_A)


@njit(cache=True, nogil=True)
def count_times(offset_N1: I64, time_L: I64, until_us: int, visit_L: I32, n_columns: int) -> F32:
    """Return (N, A) float32, the columns ``NAMES``; NaN where there is no value. Writes the visit of each event."""
    out_NA = np.full((offset_N1.size - 1, n_columns), np.nan, np.float32)
    for n in range(offset_N1.size - 1):
        s, e = offset_N1[n], offset_N1[n + 1]
        if e > s:
            find_visits(time_L[s:e], visit_L[s:e])
            _fill_user(time_L[s:e], visit_L[s:e], until_us, out_NA[n])
    return out_NA
