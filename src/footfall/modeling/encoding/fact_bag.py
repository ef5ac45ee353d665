"""The parts of the bag that only an event log has: categories by count, and behaviors and words by value.

Knows hashes, behaviors by number and values; nothing of columns' names. A value is kept as a byte: eighths of the
token's mean sum over the users who have it, so that the bag's weight, ``log(1 + byte)``, is that of a count. Source:
modelling.md (a bag weighted by values: + .020 where behaviors have durations).

Shapes: N users, L events, M entries, U behaviors, T = U and words, C categorical columns.
"""

import numpy as np

from footfall.modeling.compiled import njit
from footfall.modeling.dtypes import F32, I32, I64, U8, U32, U64
from footfall.modeling.text.hashes import look_up

Bag = tuple[I64, U32, U8]

STEPS = 8.0


@njit(cache=True, nogil=True)
def bag_categories(offset_N1: I64, category_LC: U64, key_S: U64, value_S: I32, n_tokens: int) -> tuple[I64, U32, U8]:
    """Return how often each known category occurs, as (offset_N1, token_M, count_M); tokens as in the table."""
    token_M = np.empty(category_LC.size, np.uint32)
    count_M = np.empty(category_LC.size, np.uint8)
    place_V = np.full(n_tokens, -1, np.int64)
    bag_N1 = np.zeros(offset_N1.size, np.int64)
    at = 0
    for n in range(offset_N1.size - 1):
        first = at
        for i in range(offset_N1[n], offset_N1[n + 1]):
            for c in range(category_LC.shape[1]):
                token = look_up(key_S, value_S, category_LC[i, c]) if category_LC[i, c] != np.uint64(0) else -1
                if token < 0:
                    continue
                if place_V[token] < first:
                    place_V[token] = at
                    token_M[at], count_M[at] = token, 0
                    at += 1
                count_M[place_V[token]] = min(255, count_M[place_V[token]] + 1)
        bag_N1[n + 1] = at
    return bag_N1, token_M[:at].copy(), count_M[:at].copy()


@njit(cache=True, nogil=True)
def _add(token: int, value: float, sum_T: F32, seen_T: I32, n: int) -> int:
    if sum_T[token] == 0:
        seen_T[n] = token
        n += 1
    sum_T[token] += value
    return n


@njit(cache=True, nogil=True)
def sum_values(
    offset_N1: I64, index_L: I32, text: tuple[I64, I32, I64, I32], value_L: F32, n_behaviors: int, n_tokens: int
) -> tuple[I64, U32, F32]:
    """Return the sum of a value over each behavior and each of its words, as (offset_N1, token_M, sum_M).

    Behaviors come first, then words; a value counts by its size, whatever its sign, and a missing one not at all.
    """
    size = n_tokens + 1
    sum_T, seen_T = np.zeros(size, np.float32), np.empty(size, np.int32)
    token_M, sum_M = np.empty(2 * index_L.size + 16, np.uint32), np.empty(2 * index_L.size + 16, np.float32)
    bag_N1 = np.zeros(offset_N1.size, np.int64)
    at = 0
    for n in range(offset_N1.size - 1):
        k = 0
        for i in range(offset_N1[n], offset_N1[n + 1]):
            if index_L[i] >= 0 and not np.isnan(value_L[i]) and value_L[i] != 0:
                k = _add(index_L[i], abs(value_L[i]), sum_T, seen_T, k)
        for i in range(offset_N1[n], offset_N1[n + 1]):
            if np.isnan(value_L[i]) or value_L[i] == 0:
                continue
            u, side = index_L[i], 0 if index_L[i] >= 0 else 2
            start, end = (text[0][u], text[0][u + 1]) if side == 0 else (text[2][i], text[2][i + 1])
            for t in range(start, end):
                token = text[1][t] if side == 0 else text[3][t]
                if n_behaviors <= token < n_tokens:
                    k = _add(token, abs(value_L[i]), sum_T, seen_T, k)
        if at + k > token_M.size:
            room = 2 * (at + k)
            token_M = np.concatenate((token_M[:at], np.empty(room - at, np.uint32)))
            sum_M = np.concatenate((sum_M[:at], np.empty(room - at, np.float32)))
        for j in range(k):
            token_M[at + j], sum_M[at + j] = seen_T[j], sum_T[seen_T[j]]
            sum_T[seen_T[j]] = 0
        at += k
        bag_N1[n + 1] = at
    return bag_N1, token_M[:at].copy(), sum_M[:at].copy()


def fit_units(token_M: U32, sum_M: F32, n_tokens: int) -> F32:
    """Return (T,) float32: the geometric mean of each token's sums over the users who have it, 1 without users."""
    log_M = np.log(np.maximum(sum_M.astype(np.float64), 1e-30))
    count_T = np.bincount(token_M, minlength=n_tokens)
    mean_T = np.bincount(token_M, weights=log_M, minlength=n_tokens) / np.maximum(1, count_T)
    return np.where(count_T > 0, np.exp(mean_T), 1.0).astype(np.float32)


def to_bytes(token_M: U32, sum_M: F32, unit_T: F32) -> U8:
    """Return each sum in eighths of its token's unit, 1 to 255."""
    count_M: U8 = np.clip(np.rint(STEPS * sum_M / unit_T[token_M]), 1, 255).astype(np.uint8)
    return count_M


@njit(cache=True, nogil=True)
def join_bags(a: tuple[I64, U32, U8], b: tuple[I64, U32, U8], shift: int) -> tuple[I64, U32, U8]:
    """Return the bags of the same users with ``b`` behind ``a``, the tokens of ``b`` moved up by ``shift``."""
    offset_N1 = a[0] + b[0]
    token_M, count_M = np.empty(offset_N1[-1], np.uint32), np.empty(offset_N1[-1], np.uint8)
    for n in range(offset_N1.size - 1):
        at, n_a = offset_N1[n], a[0][n + 1] - a[0][n]
        for j in range(n_a):
            token_M[at + j], count_M[at + j] = a[1][a[0][n] + j], a[2][a[0][n] + j]
        for j in range(b[0][n + 1] - b[0][n]):
            token_M[at + n_a + j] = b[1][b[0][n] + j] + np.uint32(shift)
            count_M[at + n_a + j] = b[2][b[0][n] + j]
    return offset_N1, token_M, count_M
