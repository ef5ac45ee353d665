"""The histories of users: the one structure that the encoder reads, whether from sequence files or from an event log.

Knows behaviors by place and hash; nothing of files. A history's behaviors are oldest first.

Shapes: B bytes, N users, L behaviors of all of them, Q numeric columns, C categorical columns, V texts.
"""

from dataclasses import dataclass

import numpy as np

from footfall.modeling.dtypes import BOOL, F32, I32, I64, U8, U64
from footfall.modeling.text.tokens import split_behaviors


@dataclass(frozen=True)
class Schema:
    """Which facts of each event are known beside its behavior."""

    has_time: bool = False
    numeric: tuple[str, ...] = ()
    categorical: tuple[str, ...] = ()


@dataclass(frozen=True)
class Facts:
    """The facts of each event, in the order of a schema."""

    schema: Schema
    until_us: int
    """The end of observation, microseconds since 1970; the same for all users of a data set."""
    time_L: I64
    """Microseconds since 1970; all 0 without times."""
    number_LQ: F32
    """NaN where there is none."""
    category_LC: U64
    """Hashes of column and value, 0 where there is none."""


@dataclass(frozen=True)
class Histories:
    """Some users' histories: user n has the behaviors ``offset[n]:offset[n + 1]``."""

    data_B: U8
    offset_N1: I64
    hash_L: U64
    start_L: I64
    """Behavior i is the text ``data_B[start:end]``."""
    end_L: I64
    n_words_L: I32
    n_tokens_N: I64
    """Words and arrows of the whole history."""
    n_cut_N: I64
    """Those of them that were left out as too many."""
    facts: Facts | None = None

    @property
    def n_users(self) -> int:
        """N."""
        return int(self.offset_N1.size - 1)


def split_texts(data_B: U8, tab_N: I64, end_N: I64, max_tokens: int) -> Histories:
    """Return the histories of the texts ``data_B[tab + 1:end]``; ``max_tokens`` newest ones of a user, 0 for all."""
    return Histories(data_B, *split_behaviors(data_B, tab_N, end_N, max_tokens))


def take_users(histories: Histories, row_N: I64) -> Histories:
    """Return the users ``row_N``, in that order."""
    length_N = np.diff(histories.offset_N1)[row_N]
    offset_N1 = np.concatenate([np.zeros(1, np.int64), np.cumsum(length_N)])
    at_L = np.arange(offset_N1[-1]) + np.repeat(histories.offset_N1[row_N] - offset_N1[:-1], length_N)
    facts = histories.facts
    if facts is not None:
        facts = Facts(facts.schema, facts.until_us, facts.time_L[at_L], facts.number_LQ[at_L], facts.category_LC[at_L])
    return Histories(
        histories.data_B, offset_N1, histories.hash_L[at_L], histories.start_L[at_L], histories.end_L[at_L],
        histories.n_words_L[at_L], histories.n_tokens_N[row_N], histories.n_cut_N[row_N], facts,
    )  # fmt: skip


def keep_events(histories: Histories, keep_L: BOOL) -> Histories:
    """Return the histories with some of their events; the counts of tokens stay."""
    before_L1 = np.concatenate([np.zeros(1, np.int64), np.cumsum(keep_L)])
    facts = histories.facts
    if facts is not None:
        facts = Facts(facts.schema, facts.until_us, facts.time_L[keep_L], facts.number_LQ[keep_L], facts.category_LC[keep_L])
    return Histories(
        histories.data_B, before_L1[histories.offset_N1], histories.hash_L[keep_L], histories.start_L[keep_L],
        histories.end_L[keep_L], histories.n_words_L[keep_L], histories.n_tokens_N, histories.n_cut_N, facts,
    )  # fmt: skip


def join_histories(parts: list[Histories]) -> Histories:
    """Return histories of one event log behind each other."""
    first = parts[0]
    shifts = np.cumsum([0, *(int(part.hash_L.size) for part in parts)])
    offset_N1 = np.concatenate([np.zeros(1, np.int64), *(p.offset_N1[1:] + s for p, s in zip(parts, shifts, strict=False))])
    known = [part.facts for part in parts if part.facts is not None]
    facts = None
    if first.facts is not None:
        facts = Facts(
            first.facts.schema, first.facts.until_us, np.concatenate([f.time_L for f in known]),
            np.concatenate([f.number_LQ for f in known]), np.concatenate([f.category_LC for f in known]),
        )  # fmt: skip
    hash_L, start_L, end_L, n_words_L, n_tokens_N, n_cut_N = (
        np.concatenate([getattr(part, name) for part in parts])
        for name in ("hash_L", "start_L", "end_L", "n_words_L", "n_tokens_N", "n_cut_N")
    )
    return Histories(first.data_B, offset_N1, hash_L, start_L, end_L, n_words_L, n_tokens_N, n_cut_N, facts)
