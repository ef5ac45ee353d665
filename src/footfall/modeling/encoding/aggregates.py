"""Aggregates of a user's behaviors: counts, entropies, runs and groups, from the order and shape of the text alone.

Knows behaviors by hash, number and group; nothing of their texts or of time. Raw
columns are turned into bytes by the encoder's quantile bins: trees read the bytes, linear heads look values up.
Sources: modelling.md (order and shape aggregates); Shannon entropy in nats. A *pass* is our own term: the longest
stretch in which no behavior comes twice, a stand-in for a visit where there are no times.

Shapes: N users, L behaviors of a user, A columns, C groups, Q bins.
"""

from enum import IntEnum

import numpy as np
import numpy.typing as npt

from footfall.modeling.compiled import njit
from footfall.modeling.dtypes import BOOL, F32, I32, I64, U8, U64
from footfall.modeling.text.hashes import count_slots, find_slot

MAX_BINS = 255
MISSING = 255
"""The byte of a value that is not known."""
N_COUNTED = 32
"""The most frequent behaviors, counted one by one."""

_N_LOG_N = np.array([0.0, *(n * np.log(n) for n in range(1, 256))])

Column = IntEnum("Column", (
    "behaviors", "distinct", "distinct_share", "entropy", "evenness", "top_share", "once_share", "repeats",
    "same_as_last_share", "longest_run", "passes", "last_pass", "mean_pass", "mean_gap", "since_new", "new_in_last_quarter",
    "new_in_last_ten", "repeat_position", "tail_distinct",
    "words", "words_mean", "words_spread", "unknown_share", "idf_mean", "idf_spread", "idf_max", "idf_min",
    "idf_last_five", "idf_first_five", "numbers", "number_mean", "number_max", "number_last",
    "groups", "group_entropy", "group_top_share", "group_switches",
), start=0)  # fmt: skip
"""The columns that every encoder has, by their number; those of each group, then of each counted behavior, follow."""
GroupColumn = IntEnum("GroupColumn", ("count", "share", "since"), start=0)
"""The columns of each group."""
_N_COLUMNS, _PER_GROUP = len(Column), len(GroupColumn)


def name_columns(n_groups: int) -> list[str]:
    """Return the names of the A columns for ``n_groups`` groups and the rest."""
    groups = [f"group_{c}_{column.name}" for c in range(n_groups + 1) for column in GroupColumn]
    return [*(column.name for column in Column), *groups, *(f"behavior_{u}_count" for u in range(N_COUNTED))]


@njit(cache=True, nogil=True)
def _number_distinct(hash_L: U64, key_S: U64, value_S: I32, local_L: I32, count_C: I64, first_C: I64) -> int:
    """Number the distinct behaviors of a user in order of first occurrence; fill their counts, return how many."""
    key_S[:] = np.uint64(0)
    n = 0
    for i in range(hash_L.size):
        slot = find_slot(key_S, hash_L[i])
        if key_S[slot] == np.uint64(0):
            key_S[slot] = hash_L[i]
            value_S[slot] = n
            count_C[n], first_C[n] = 0, i
            n += 1
        local_L[i] = value_S[slot]
        count_C[local_L[i]] += 1
    return n


@njit(cache=True, nogil=True)
def _entropy(count_C: I64, n: int) -> tuple[float, float]:
    """Return (entropy in nats, share of the largest) of counts that sum to ``n``."""
    total, top = 0.0, 0
    for c in range(count_C.size):
        count = count_C[c]
        total += _N_LOG_N[count] if count < _N_LOG_N.size else count * np.log(count)
        top = max(top, count)
    return (0.0 if top == n else np.log(n) - total / n), top / n


@njit(cache=True, nogil=True)
def _fill_spread(count_C: I64, n: int, out_A: F32) -> None:
    n_distinct, once = count_C.size, 0
    for c in range(n_distinct):
        once += count_C[c] == 1
    entropy, top = _entropy(count_C, n)
    out_A[Column.behaviors], out_A[Column.distinct], out_A[Column.distinct_share] = n, n_distinct, n_distinct / n
    out_A[Column.entropy] = entropy
    out_A[Column.evenness] = entropy / np.log(n_distinct) if n_distinct > 1 else 1.0
    out_A[Column.top_share], out_A[Column.once_share], out_A[Column.repeats] = top, once / n_distinct, n - n_distinct


@njit(cache=True, nogil=True)
def _fill_runs(local_L: I32, last_C: I64, out_A: F32) -> None:
    last_C[:] = -1
    n = local_L.size
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
    out_A[Column.same_as_last_share], out_A[Column.longest_run] = same / n, longest
    out_A[Column.passes], out_A[Column.last_pass], out_A[Column.mean_pass] = passes, n - pass_start, n / passes
    out_A[Column.mean_gap] = gap / repeats if repeats else n
    out_A[Column.since_new] = n - 1 - newest
    out_A[Column.repeat_position] = repeat_position / (repeats * n) if repeats else 0.0


@njit(cache=True, nogil=True)
def _fill_tail(n: int, first_C: I64, last_C: I64, out_A: F32) -> None:
    quarter, ten = n - max(1, n // 4), max(0, n - 10)
    new_quarter, new_ten, tail = 0, 0, 0
    for c in range(first_C.size):
        new_quarter += first_C[c] >= quarter
        new_ten += first_C[c] >= ten
        tail += last_C[c] >= ten
    out_A[Column.new_in_last_quarter], out_A[Column.new_in_last_ten] = new_quarter / (n - quarter), new_ten / (n - ten)
    out_A[Column.tail_distinct] = tail / (n - ten)


@njit(cache=True, nogil=True, fastmath=True)
def _spread(x_L: npt.NDArray[np.generic]) -> tuple[float, float, float]:
    """Return (sum, mean, standard deviation)."""
    total, square = 0.0, 0.0
    for i in range(x_L.size):
        total += x_L[i]
        square += x_L[i] * x_L[i]
    mean = total / x_L.size
    return total, mean, np.sqrt(max(0.0, square / x_L.size - mean * mean))


@njit(cache=True, nogil=True)
def _fill_numbers(log_number_L: F32, out_A: F32) -> None:
    numbers, total, largest, last = 0, 0.0, np.float32(0.0), np.float32(0.0)
    for i in range(log_number_L.size):
        if log_number_L[i] >= 0:
            last = log_number_L[i]
            numbers += 1
            total += last
            largest = max(largest, last)
    out_A[Column.numbers], out_A[Column.number_mean] = numbers, total / numbers if numbers else 0.0
    out_A[Column.number_max], out_A[Column.number_last] = largest, last


@njit(cache=True, nogil=True)
def _fill_text(words_L: I32, is_known_L: BOOL, idf_L: F32, out_A: F32) -> None:
    n, known, highest, lowest = words_L.size, 0, idf_L[0], idf_L[0]
    out_A[Column.words], out_A[Column.words_mean], out_A[Column.words_spread] = _spread(words_L)
    _, out_A[Column.idf_mean], out_A[Column.idf_spread] = _spread(idf_L)
    for i in range(n):
        known += is_known_L[i]
        highest, lowest = max(highest, idf_L[i]), min(lowest, idf_L[i])
    out_A[Column.unknown_share], out_A[Column.idf_max], out_A[Column.idf_min] = 1.0 - known / n, highest, lowest
    out_A[Column.idf_last_five], out_A[Column.idf_first_five] = idf_L[max(0, n - 5) :].mean(), idf_L[: min(n, 5)].mean()


@njit(cache=True, nogil=True)
def _fill_groups(group_L: I32, count_C: I64, last_C: I64, out_A: F32) -> None:
    n, used, switches, before = group_L.size, 0, -1, -1
    count_C[:], last_C[:] = 0, -1
    for i in range(n):
        group = group_L[i]
        count_C[group] += 1
        last_C[group] = i
        switches += group != before
        before = group
    for c in range(count_C.size):
        used += count_C[c] > 0
        first = _N_COLUMNS + _PER_GROUP * c
        out_A[first + GroupColumn.count], out_A[first + GroupColumn.share] = count_C[c], count_C[c] / n
        out_A[first + GroupColumn.since] = n - 1 - last_C[c] if last_C[c] >= 0 else n + 1
    entropy, top = _entropy(count_C, n)
    out_A[Column.groups], out_A[Column.group_entropy] = used, entropy
    out_A[Column.group_top_share], out_A[Column.group_switches] = top, switches / n


@njit(cache=True, nogil=True)
def aggregate(
    offset_N1: I64,
    hash_L: U64,
    index_L: I32,
    words_L: I32,
    is_known_L: BOOL,
    log_number_L: F32,
    group_L: I32,
    idf_V: F32,
    n_groups: int,
    n_columns: int,
) -> F32:
    """Return (N, A) float32, the columns of ``name_columns``; all 0 for a user without behaviors."""
    n_users = offset_N1.size - 1
    out_NA = np.zeros((n_users, n_columns), np.float32)
    rarest = idf_V.max() if idf_V.size else np.float32(0.0)
    longest = n_groups + 1
    for n in range(n_users):
        longest = max(longest, offset_N1[n + 1] - offset_N1[n])
    size = count_slots(longest)
    key_S, value_S, local_L = np.zeros(size, np.uint64), np.zeros(size, np.int32), np.zeros(longest, np.int32)
    count_C, first_C, last_C = (np.empty(longest, np.int64), np.empty(longest, np.int64), np.empty(longest, np.int64))
    idf_L = np.empty(hash_L.size, np.float32)
    for i in range(hash_L.size):
        idf_L[i] = idf_V[index_L[i]] if index_L[i] >= 0 else rarest
    for n in range(n_users):
        s, e = offset_N1[n], offset_N1[n + 1]
        if e == s:
            continue
        d = _number_distinct(hash_L[s:e], key_S[: count_slots(e - s)], value_S, local_L, count_C, first_C)
        out_A = out_NA[n]
        _fill_spread(count_C[:d], e - s, out_A)
        _fill_runs(local_L[: e - s], last_C[:d], out_A)
        _fill_tail(e - s, first_C[:d], last_C[:d], out_A)
        _fill_text(words_L[s:e], is_known_L[s:e], idf_L[s:e], out_A)
        _fill_numbers(log_number_L[s:e], out_A)
        _fill_groups(group_L[s:e], count_C[: n_groups + 1], last_C[: n_groups + 1], out_A)
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
