"""Aggregates of the numbers and categories of a user's events: sums, spreads, last values, frequent values.

Knows numbers, hashes of categories and visits; nothing of texts. NaN is a missing number, 0 a missing category.

Shapes: N users, L events, Q numeric columns, C categorical columns, F frequent values, U behaviors, A columns.
"""

from enum import IntEnum

import numpy as np

from footfall.modeling.compiled import njit
from footfall.modeling.dtypes import F32, I32, I64, U64
from footfall.modeling.text.hashes import look_up

NumberColumn = IntEnum("NumberColumn", (
    "sum", "mean", "spread", "least", "most", "last", "negative_share", "last_visit_sum", "visit_mean", "visit_most",
    "trend", "days_30_sum", "days_90_sum",
), start=0)  # fmt: skip
"""The columns of each numeric column."""
CategoryColumn = IntEnum("CategoryColumn", ("distinct", "entropy", "top_share", "switches"), start=0)
"""The columns of each categorical column."""
PER_NUMBER = tuple(column.name.replace("days_30", "30_days").replace("days_90", "90_days") for column in NumberColumn)
PER_CATEGORY = tuple(column.name for column in CategoryColumn)
_DAY_US = 86_400 * 1_000_000


@njit(cache=True, nogil=True)
def _fill_number(value_L: F32, visit_L: I32, age_L: F32, out_A: F32) -> None:
    """Fill the columns ``PER_NUMBER`` of one user and numeric column; nothing where no value is known."""
    n, total, square, negative = 0, 0.0, 0.0, 0
    least, most, last = np.inf, -np.inf, 0.0
    early, n_early, recent, quarter = 0.0, 0, 0.0, 0.0
    visit, visit_sum, visit_most, n_visits = -1, 0.0, -np.inf, 0
    for i in range(value_L.size):
        x = value_L[i]
        if np.isnan(x):
            continue
        n, total, square, negative, last = n + 1, total + x, square + x * x, negative + (x < 0), x
        least, most = min(least, x), max(most, x)
        if 2 * i < value_L.size:
            early, n_early = early + x, n_early + 1
        recent += x if age_L[i] < 30.0 else 0.0
        quarter += x if age_L[i] < 90.0 else 0.0
        if visit_L[i] != visit:
            visit_most = max(visit_most, visit_sum) if n_visits else -np.inf
            visit, visit_sum, n_visits = visit_L[i], 0.0, n_visits + 1
        visit_sum += x
    if n == 0:
        return
    mean = total / n
    out_A[NumberColumn.sum], out_A[NumberColumn.mean] = total, mean
    out_A[NumberColumn.spread] = np.sqrt(max(0.0, square / n - mean * mean))
    out_A[NumberColumn.least], out_A[NumberColumn.most], out_A[NumberColumn.last] = least, most, last
    out_A[NumberColumn.negative_share] = negative / n
    out_A[NumberColumn.last_visit_sum], out_A[NumberColumn.visit_mean] = visit_sum, total / n_visits
    out_A[NumberColumn.visit_most] = max(visit_most, visit_sum)
    if 0 < n_early < n:
        out_A[NumberColumn.trend] = (total - early) / (n - n_early) - early / n_early
    out_A[NumberColumn.days_30_sum], out_A[NumberColumn.days_90_sum] = recent, quarter


@njit(cache=True, nogil=True)
def count_numbers(offset_N1: I64, number_LQ: F32, visit_L: I32, time_L: I64, until_us: int, n_per: int) -> F32:
    """Return (N, Q * len(PER_NUMBER)) float32, column by column; NaN where there is no value."""
    n_numbers = number_LQ.shape[1]
    out_NA = np.full((offset_N1.size - 1, n_numbers * n_per), np.nan, np.float32)
    age_L = np.empty(time_L.size, np.float32)
    for i in range(time_L.size):
        age_L[i] = (until_us - time_L[i]) / _DAY_US
    for n in range(offset_N1.size - 1):
        s, e = offset_N1[n], offset_N1[n + 1]
        for q in range(n_numbers):
            value_L = number_LQ[s:e, q].copy()
            _fill_number(value_L, visit_L[s:e], age_L[s:e], out_NA[n, q * n_per : (q + 1) * n_per])
    return out_NA


@njit(cache=True, nogil=True)
def _fill_category(hash_L: U64, out_A: F32) -> None:
    known_L = np.sort(hash_L[hash_L != np.uint64(0)])
    if known_L.size == 0:
        return
    distinct, run, top, entropy = 0, 0, 0, 0.0
    for i in range(known_L.size):
        run += 1
        if i + 1 == known_L.size or known_L[i + 1] != known_L[i]:
            p = run / known_L.size
            entropy -= p * np.log(p)
            distinct, top, run = distinct + 1, max(top, run), 0
    switches = 0
    for i in range(1, hash_L.size):
        switches += hash_L[i] != hash_L[i - 1]
    out_A[CategoryColumn.distinct], out_A[CategoryColumn.entropy] = distinct, entropy
    out_A[CategoryColumn.top_share], out_A[CategoryColumn.switches] = top / known_L.size, switches / hash_L.size


@njit(cache=True, nogil=True)
def count_categories(
    offset_N1: I64, category_LC: U64, value_L: F32, key_S: U64, value_S: I32, n_frequent: int, n_per: int
) -> F32:
    """Return (N, C * len(PER_CATEGORY) + 2 F) float32: each column's spread, then count and sum of frequent values."""
    n_columns = category_LC.shape[1]
    first = n_columns * n_per
    out_NA = np.zeros((offset_N1.size - 1, first + 2 * n_frequent), np.float32)
    for n in range(offset_N1.size - 1):
        s, e = offset_N1[n], offset_N1[n + 1]
        out_A = out_NA[n]
        out_A[:first] = np.nan
        for c in range(n_columns):
            _fill_category(category_LC[s:e, c].copy(), out_A[c * n_per : (c + 1) * n_per])
        for i in range(s, e):
            for c in range(n_columns):
                f = look_up(key_S, value_S, category_LC[i, c]) if category_LC[i, c] != np.uint64(0) else -1
                if f >= 0:
                    out_A[first + 2 * f] += 1.0
                    out_A[first + 2 * f + 1] += value_L[i] if not np.isnan(value_L[i]) else 0.0
    return out_NA


@njit(cache=True, nogil=True)
def sum_behaviors(offset_N1: I64, index_L: I32, value_L: F32, n_counted: int) -> F32:
    """Return (N, U) float32: the sum of a value over each of the most frequent behaviors."""
    out_NU = np.zeros((offset_N1.size - 1, n_counted), np.float32)
    for n in range(offset_N1.size - 1):
        for i in range(offset_N1[n], offset_N1[n + 1]):
            if 0 <= index_L[i] < n_counted and not np.isnan(value_L[i]):
                out_NU[n, index_L[i]] += value_L[i]
    return out_NU


def choose_value(number_LQ: F32, index_L: I32) -> int:
    """Return the numeric column with the largest variance within a behavior, -1 if there is none.

    It adds most to the behavior itself: a price is much the same for one item, an
    amount is not.
    """
    best, column = -1.0, -1
    for q in range(number_LQ.shape[1]):
        known_L = np.isfinite(number_LQ[:, q]) & (index_L >= 0)
        if not known_L.any():
            continue
        x_L = np.log1p(np.abs(number_LQ[known_L, q].astype(np.float64)))
        u_L = index_L[known_L]
        count_U = np.maximum(1, np.bincount(u_L))
        mean_U = np.bincount(u_L, weights=x_L) / count_U
        within = float(((x_L - mean_U[u_L]) ** 2).mean())
        if within > best:
            best, column = within, q
    return column
