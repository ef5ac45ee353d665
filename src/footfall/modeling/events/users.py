"""Group the records of an event log by user, compiled where it matters.

Knows records and texts by number; nothing of files.

Shapes: N users, L events, B bytes.
"""

from dataclasses import replace
from typing import Any

import numpy as np

from footfall.modeling.compiled import njit
from footfall.modeling.dtypes import BOOL, I32, I64, U8, U64
from footfall.modeling.events.texts import Texts
from footfall.modeling.reading.histories import Facts, Histories, Schema, keep_events
from footfall.modeling.text.hashes import gather_bytes, hash_bytes
from footfall.modeling.text.tokens import BEHAVIOR, count_words, skip_tokens, trim_left


def group_users(
    records: dict[str, Any], ids: Texts, texts: Texts, schema: Schema, until_us: int, max_tokens: int
) -> tuple[U8, I32, U64, Histories]:
    """Return (bytes of the ids, their offsets, their hashes, histories), users by hash, events by time.

    Events without a behavior are left out, their users stay.
    """
    hash_R, time_R = records["hash"], records["time"]
    order_R = np.lexsort((time_R, hash_R)) if schema.has_time else np.argsort(hash_R, kind="stable")
    hash_R = hash_R[order_R]
    first_N = np.flatnonzero(np.concatenate([np.ones(1, np.bool_), hash_R[1:] != hash_R[:-1]]))
    user_N = records["user"][order_R[first_N]].astype(np.int64)
    is_act_R = records["act"][order_R] >= 0
    kept_L = order_R[is_act_R]
    before_R1 = np.concatenate([np.zeros(1, np.int64), np.cumsum(is_act_R)])
    offset_N1 = before_R1[np.append(first_N, hash_R.size)]
    act_L = records["act"][kept_L].astype(np.int64)
    start_L, end_L = texts.start_of(act_L), texts.end_V[act_L].astype(np.int64)
    facts = Facts(schema, until_us, time_R[kept_L], records["number"][kept_L], records["category"][kept_L])
    hash_L, n_words_L = texts.hash_V[act_L], texts.n_words_V[act_L]
    n_tokens_N = _count_tokens(offset_N1, n_words_L)
    histories = Histories(
        texts.data_B, offset_N1, hash_L, start_L, end_L, n_words_L, n_tokens_N, np.zeros(first_N.size, np.int64), facts
    )
    if max_tokens:
        histories = _keep_newest(histories, max_tokens)
    return *gather_bytes(ids.data_B, ids.start_of(user_N), ids.end_V[user_N]), hash_R[first_N], histories


class UserCounts:
    """Finds a user with far more events than the others, as a word for nobody has, by at most ``_MAX_SAMPLE`` rows of a log."""

    def __init__(self) -> None:
        self._held: list[U64] = []
        self._n_held, self._step, self._skip = 0, 1, 0

    def count(self, hash_N: U64) -> None:
        """Count the events of a batch; every second one more seldom each time the sample is full."""
        part_N = hash_N[self._skip :: self._step].copy()
        self._skip = (self._skip - hash_N.size) % self._step
        self._held.append(part_N)
        self._n_held += part_N.size
        if self._n_held > _MAX_SAMPLE:
            thinned_N = np.concatenate(self._held)[::2].copy()
            self._held, self._n_held = [thinned_N], thinned_N.size
            self._step, self._skip = 2 * self._step, 0

    def describe(self, n_users: int) -> str | None:
        """Return a sentence about a user with more than a hundredth of the events and a hundred times as many as most have."""
        if n_users < 2 or not self._n_held:
            return None
        count_U = np.unique(np.concatenate(self._held), return_counts=True)[1]
        top = int(count_U.max())
        usual = float(np.median(count_U)) if self._step == 1 else (self._n_held - top) / (n_users - 1)
        if top <= _MAX_SHARE * self._n_held or top < _MANY_TIMES * max(usual, 1 / self._step):
            return None
        return (
            f"one user has {100 * top / self._n_held:.1f} % of all events, {top / max(usual, 1e-9):,.0f} times as many as most. "
            "Does the id stand for nobody, as 'unknown' or 0 do? Leave such events out then."
        )


_MAX_SAMPLE, _MAX_SHARE, _MANY_TIMES = 1 << 16, 0.01, 100


@njit(cache=True, nogil=True)
def _count_tokens(offset_N1: I64, n_words_L: I32) -> I64:
    n_tokens_N = np.zeros(offset_N1.size - 1, np.int64)
    for n in range(n_tokens_N.size):
        for i in range(offset_N1[n], offset_N1[n + 1]):
            n_tokens_N[n] += n_words_L[i]
        n_tokens_N[n] += max(0, offset_N1[n + 1] - offset_N1[n] - 1)
    return n_tokens_N


def _keep_newest(histories: Histories, max_tokens: int) -> Histories:
    """Return the histories without their oldest tokens, as a sequence file's text would be cut."""
    hash_L, start_L, words_L = histories.hash_L.copy(), histories.start_L.copy(), histories.n_words_L.copy()
    keep_L = np.ones(hash_L.size, np.bool_)
    h = histories
    n_cut_N = _cut(h.data_B, h.offset_N1, h.end_L, h.n_tokens_N, max_tokens, hash_L, start_L, words_L, keep_L)
    cut = replace(h, hash_L=hash_L, start_L=start_L, n_words_L=words_L, n_cut_N=n_cut_N)
    return keep_events(cut, keep_L)


@njit(cache=True, nogil=True)
def _cut(
    data_B: U8, offset_N1: I64, end_L: I64, n_tokens_N: I64, max_tokens: int, hash_L: U64, start_L: I64, words_L: I32,
    keep_L: BOOL,
) -> I64:  # fmt: skip
    n_cut_N = np.zeros(n_tokens_N.size, np.int64)
    for n in range(n_tokens_N.size):
        n_cut_N[n] = max(0, n_tokens_N[n] - max_tokens)
        left = n_cut_N[n]
        for i in range(offset_N1[n], offset_N1[n + 1]):
            if left == 0:
                break
            if left >= words_L[i]:
                left -= words_L[i]
                left -= left > 0  # the arrow behind it
                keep_L[i] = False
                continue
            start_L[i] = trim_left(data_B, skip_tokens(data_B, start_L[i], end_L[i], left), end_L[i])
            hash_L[i] = hash_bytes(data_B, start_L[i], end_L[i], BEHAVIOR)
            words_L[i] = count_words(data_B, start_L[i], end_L[i])
            left = 0
    return n_cut_N
