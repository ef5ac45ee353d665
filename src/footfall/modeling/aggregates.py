"""What can be counted of a user from the order and shape of the text alone.

Knows behaviors by hash, number and group; nothing of their texts or of time. Raw
columns are turned into bytes by the encoder's quantile bins: trees read the bytes, linear heads look values up.
Sources: modelling.md (order and shape aggregates); Shannon entropy in nats. A *pass* is ours: the longest stretch in
which no behavior comes twice, a stand-in for a visit where there are no times.

Shapes: N users, L behaviors of a user, A columns, C groups, Q bins.
"""

import numpy as np
import numpy.typing as npt
from numba import njit

from footfall.modeling.hashes import find_slot

F32 = npt.NDArray[np.float32]
I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]
U8 = npt.NDArray[np.uint8]
U64 = npt.NDArray[np.uint64]

MAX_BINS = 255
MISSING = 255
"""The byte of a value that is not known."""
N_COUNTED = 32
"""The most frequent behaviors, counted one by one."""

_SHAPE = (
    "behaviors", "distinct", "distinct_share", "entropy", "evenness", "top_share", "once_share", "repeats",
    "same_as_last_share", "longest_run", "passes", "last_pass", "mean_pass", "mean_gap", "since_new", "new_in_last_quarter",
    "new_in_last_ten", "repeat_position", "tail_distinct",
)  # fmt: skip
_TEXT = (
    "words", "words_mean", "words_spread", "unknown_share", "idf_mean", "idf_spread", "idf_max", "idf_min",
    "idf_last_five", "idf_first_five", "numbers", "number_mean", "number_max", "number_last",
    "groups", "group_entropy", "group_top_share", "group_switches",
)  # fmt: skip
_PER_GROUP = ("count", "share", "since")


def name_columns(n_groups: int) -> list[str]:
    """Return the names of the A columns for ``n_groups`` groups and the rest."""
    groups = [f"group_{c}_{what}" for c in range(n_groups + 1) for what in _PER_GROUP]
    return [*_SHAPE, *_TEXT, *groups, *(f"behavior_{u}_count" for u in range(N_COUNTED))]


@njit(cache=True, nogil=True)
def _number_distinct(hash_L: U64, key_S: U64, value_S: I32, local_L: I32) -> int:
    """Number the distinct behaviors of a user in order of first occurrence; return how many."""
    key_S[:] = np.uint64(0)
    n = 0
    for i in range(hash_L.size):
        slot = find_slot(key_S, hash_L[i])
        if key_S[slot] == np.uint64(0):
            key_S[slot] = hash_L[i]
            value_S[slot] = n
            n += 1
        local_L[i] = value_S[slot]
    return n


@njit(cache=True, nogil=True)
def _entropy(count_C: I64, n: int) -> tuple[float, float]:
    """Return (entropy in nats, share of the largest) of counts that sum to ``n``."""
    entropy, top = 0.0, 0
    for c in range(count_C.size):
        if count_C[c] > 0:
            p = count_C[c] / n
            entropy -= p * np.log(p)
            top = max(top, count_C[c])
    return entropy, top / n


@njit(cache=True, nogil=True)
def _fill_spread(local_L: I32, n_distinct: int, out_A: F32) -> None:
    n = local_L.size
    count_C = np.zeros(n_distinct, np.int64)
    for i in range(n):
        count_C[local_L[i]] += 1
    once = 0
    for c in range(n_distinct):
        once += count_C[c] == 1
    entropy, top = _entropy(count_C, n)
    out_A[0], out_A[1], out_A[2], out_A[3] = n, n_distinct, n_distinct / n, entropy
    out_A[4] = entropy / np.log(n_distinct) if n_distinct > 1 else 1.0
    out_A[5], out_A[6], out_A[7] = top, once / n_distinct, n - n_distinct


@njit(cache=True, nogil=True)
def _fill_runs(local_L: I32, n_distinct: int, out_A: F32) -> None:
    n = local_L.size
    last_C = np.full(n_distinct, -1, np.int64)
    same, run, longest, passes, pass_start = 0, 1, 1, 1, 0
    gap, repeats, repeat_position, newest = 0.0, 0, 0.0, 0
    for i in range(n):
        last = last_C[local_L[i]]
        last_C[local_L[i]] = i
        run = run + 1 if i > 0 and last == i - 1 and last >= 0 else 1
        same += run > 1
        longest = max(longest, run)
        if last < 0:
            newest = i
            continue
        gap += i - last
        repeats += 1
        repeat_position += i
        if last >= pass_start:
            passes += 1
            pass_start = i
    out_A[8], out_A[9], out_A[10], out_A[11], out_A[12] = same / n, longest, passes, n - pass_start, n / passes
    out_A[13] = gap / repeats if repeats else n
    out_A[14] = n - 1 - newest
    out_A[17] = repeat_position / (repeats * n) if repeats else 0.0


@njit(cache=True, nogil=True)
def _fill_tail(local_L: I32, n_distinct: int, out_A: F32) -> None:
    n = local_L.size
    first_C = np.full(n_distinct, -1, np.int64)
    for i in range(n):
        if first_C[local_L[i]] < 0:
            first_C[local_L[i]] = i
    quarter, ten = n - max(1, n // 4), max(0, n - 10)
    new_quarter, new_ten = 0, 0
    for c in range(n_distinct):
        new_quarter += first_C[c] >= quarter
        new_ten += first_C[c] >= ten
    is_seen_C = np.zeros(n_distinct, np.bool_)
    tail = 0
    for i in range(ten, n):
        if not is_seen_C[local_L[i]]:
            is_seen_C[local_L[i]] = True
            tail += 1
    out_A[15], out_A[16], out_A[18] = new_quarter / (n - quarter), new_ten / (n - ten), tail / (n - ten)


@njit(cache=True, nogil=True)
def _spread(x_L: F32) -> tuple[float, float]:
    """Return (mean, standard deviation)."""
    total, square = 0.0, 0.0
    for i in range(x_L.size):
        total += x_L[i]
        square += x_L[i] * x_L[i]
    mean = total / x_L.size
    return mean, np.sqrt(max(0.0, square / x_L.size - mean * mean))


@njit(cache=True, nogil=True)
def _fill_text(words_L: F32, is_known_L: npt.NDArray[np.bool_], idf_L: F32, number_L: F32, out_A: F32) -> None:
    n = words_L.size
    out_A[0] = words_L.sum()
    out_A[1], out_A[2] = _spread(words_L)
    out_A[3] = 1.0 - is_known_L.sum() / n
    out_A[4], out_A[5] = _spread(idf_L)
    out_A[6], out_A[7] = idf_L.max(), idf_L.min()
    out_A[8], out_A[9] = idf_L[max(0, n - 5) :].mean(), idf_L[: min(n, 5)].mean()
    numbers, total, largest, last = 0, 0.0, 0.0, 0.0
    for i in range(n):
        if number_L[i] >= 0:
            last = np.log1p(number_L[i])
            numbers += 1
            total += last
            largest = max(largest, last)
    out_A[10], out_A[11] = numbers, total / numbers if numbers else 0.0
    out_A[12], out_A[13] = largest, last


@njit(cache=True, nogil=True)
def _fill_groups(group_L: I32, n_groups: int, out_A: F32) -> None:
    n = group_L.size
    count_C, last_C = np.zeros(n_groups + 1, np.int64), np.full(n_groups + 1, -1, np.int64)
    switches = 0
    for i in range(n):
        count_C[group_L[i]] += 1
        last_C[group_L[i]] = i
        switches += i > 0 and group_L[i] != group_L[i - 1]
    used = 0
    for c in range(n_groups + 1):
        used += count_C[c] > 0
        out_A[4 + 3 * c], out_A[5 + 3 * c] = count_C[c], count_C[c] / n
        out_A[6 + 3 * c] = n - 1 - last_C[c] if last_C[c] >= 0 else n + 1
    entropy, top = _entropy(count_C, n)
    out_A[0], out_A[1], out_A[2], out_A[3] = used, entropy, top, switches / n


@njit(cache=True, nogil=True)
def aggregate(
    offset_N1: I64,
    hash_L: U64,
    index_L: I32,
    words_L: I32,
    is_known_L: npt.NDArray[np.bool_],
    number_L: F32,
    group_L: I32,
    idf_V: F32,
    n_groups: int,
    n_columns: int,
) -> F32:
    """Return (N, A) float32, the columns of ``name_columns``; all 0 for a user without behaviors."""
    n_users, n_shape, n_text = offset_N1.size - 1, 19, 14
    out_NA = np.zeros((n_users, n_columns), np.float32)
    rarest = idf_V.max() if idf_V.size else np.float32(0.0)
    longest = 0
    for n in range(n_users):
        longest = max(longest, offset_N1[n + 1] - offset_N1[n])
    size = 16
    while size < 2 * longest:
        size *= 2
    key_S, value_S, local_L = np.zeros(size, np.uint64), np.zeros(size, np.int32), np.zeros(longest, np.int32)
    idf_L = np.empty(hash_L.size, np.float32)
    for i in range(hash_L.size):
        idf_L[i] = idf_V[index_L[i]] if index_L[i] >= 0 else rarest
    for n in range(n_users):
        s, e = offset_N1[n], offset_N1[n + 1]
        if e == s:
            continue
        size = 16
        while size < 2 * (e - s):
            size *= 2
        n_distinct = _number_distinct(hash_L[s:e], key_S[:size], value_S, local_L)
        out_A = out_NA[n]
        _fill_spread(local_L[: e - s], n_distinct, out_A)
        _fill_runs(local_L[: e - s], n_distinct, out_A)
        _fill_tail(local_L[: e - s], n_distinct, out_A)
        words_F = words_L[s:e].astype(np.float32)
        _fill_text(words_F, is_known_L[s:e], idf_L[s:e], number_L[s:e], out_A[n_shape:])
        _fill_groups(group_L[s:e], n_groups, out_A[n_shape + n_text :])
        counted_A = out_A[n_columns - N_COUNTED :]
        for i in range(s, e):
            if 0 <= index_L[i] < N_COUNTED:
                counted_A[index_L[i]] += 1.0
    return out_NA


def fit_bins(x_NA: F32) -> tuple[F32, I64, F32]:
    """Choose the quantile bins of each column.

    Returns:
        (edge_E, edge_offset_A1, rank_A256): byte q of column a stands for values above ``q`` of its edges
        (ascending, at most 254), byte 255 for none; ``rank`` is the middle rank of bin q in the sample, in (0, 1).
    """
    n_columns = x_NA.shape[1]
    edges: list[F32] = []
    rank_A256 = np.full((n_columns, 256), 0.5, np.float32)
    for a in range(n_columns):
        x_N = x_NA[~np.isnan(x_NA[:, a]), a]
        values = np.unique(x_N)
        if values.size > MAX_BINS:
            values = np.unique(np.quantile(x_N, np.linspace(0, 1, MAX_BINS), method="lower").astype(np.float32))
        edges.append(values[:-1])
        bin_N = np.searchsorted(edges[a], x_N, side="left")
        count_Q = np.bincount(bin_N, minlength=256).astype(np.float64)
        middle_Q = (np.cumsum(count_Q) - count_Q / 2) / max(1, x_N.size)
        rank_A256[a] = np.clip(middle_Q, 0.5 / max(1, x_N.size), 1 - 0.5 / max(1, x_N.size))
        rank_A256[a, edges[a].size + 1 :] = 0.5  # missing, and bytes that do not occur
    offset_A1 = np.cumsum([0, *(e.size for e in edges)]).astype(np.int64)
    return np.concatenate(edges).astype(np.float32), offset_A1, rank_A256


@njit(cache=True, nogil=True)
def put_in_bins(x_NA: F32, edge_E: F32, edge_offset_A1: I64, out_NA: U8) -> None:
    """Write the byte of each value: how many edges lie below it; 255 for NaN."""
    n_columns = x_NA.shape[1]
    edge_A256 = np.full((n_columns, MISSING + 1), np.inf, np.float32)
    for a in range(n_columns):
        edge_A256[a, : edge_offset_A1[a + 1] - edge_offset_A1[a]] = edge_E[edge_offset_A1[a] : edge_offset_A1[a + 1]]
    for n in range(x_NA.shape[0]):
        for a in range(n_columns):
            x, low, step = x_NA[n, a], 0, 128
            while step > 0:  # eight times, and without a branch that would be guessed wrong half of the time
                low += step * (edge_A256[a, low + step - 1] < x)
                step >>= 1
            out_NA[n, a] = MISSING if np.isnan(x) else low
