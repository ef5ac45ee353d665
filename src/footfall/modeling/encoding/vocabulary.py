"""The vocabulary: which behaviors, words and n-grams of behaviors have a number of their own, and which share one by hashing.

Knows hashes and document frequencies; nothing of weights or users' ids. Token numbers are laid out in blocks, each
normalised by itself (``Vocabulary.bound_K``): behaviors, then words (with path prefixes, codes, numbers and, for
unknown words, buckets of their trigrams), then 2- and 3-grams of behaviors. Of an event log also: values of
categories, then behaviors and words once more, by value.

Shapes: B bytes, N users, L behaviors of all users, U distinct behaviors, V tokens, K blocks.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from footfall.modeling.compiled import njit
from footfall.modeling.dtypes import F32, I32, I64, U8, U64
from footfall.modeling.encoding.sample import Sample
from footfall.modeling.reading.histories import Schema
from footfall.modeling.text.hashes import build_table, combine, hash_lowered, look_up
from footfall.modeling.text.tokens import WORD, emit_tokens, emit_trigrams, next_word, read_number


@dataclass(frozen=True)
class VocabularyConfig:
    """How much a vocabulary holds."""

    max_behaviors: int = 65_536
    max_words: int = 65_536
    max_ngrams: int = 65_536
    max_categories: int = 16_384
    n_tail: int = 4_096
    n_groups: int = 16
    min_users: int = 2
    """In how many users of the sample a behavior or word must occur."""
    min_ngram_users: int = 3


@dataclass(frozen=True)
class Vocabulary:
    """Token numbers and the tables that find them. Behaviors are 0 … U-1, in falling frequency."""

    behavior_hash_U: U64
    word_hash_W: U64
    ngram_hash_G: U64
    n_tail: int
    group_hash_C: U64
    """First words of behaviors that are frequent enough to be counted by themselves; group C is the rest."""
    text_offset_U1: I64
    text_token_T: I32
    """The text tokens of behavior u are ``text_token[text_offset[u]:text_offset[u + 1]]``."""
    number_U: F32
    """The first number in a behavior's text, -1 without one."""
    group_U: I32
    text_B: U8
    """The behaviors' texts, UTF-8, one after the other."""
    text_end_U: I64
    category_hash_W: U64
    category_text_B: U8
    """``column=value`` of each category, UTF-8, one after the other."""
    category_end_W: I64
    has_facts: bool = False
    """Whether there are the blocks that only event logs have."""

    @property
    def bound_K(self) -> I64:
        """The first token number after each block."""
        n_behaviors, n_words = self.behavior_hash_U.size, self.word_hash_W.size
        blocks = [n_behaviors, n_words + self.n_tail, self.ngram_hash_G.size]
        if self.has_facts:
            blocks += [self.category_hash_W.size, n_behaviors, n_words]
        return np.cumsum(np.array(blocks, np.int64))

    @property
    def n_tokens(self) -> int:
        """V, the number of token numbers."""
        return int(self.bound_K[-1])


def fit_vocabulary(sample: Sample, config: VocabularyConfig) -> Vocabulary:
    """Choose the tokens that enough users of the sample share."""
    histories = sample.histories
    min_users = config.min_users if histories.n_users >= 20 else 1
    offset_N1, hash_L, start_L, end_L = histories.offset_N1, histories.hash_L, histories.start_L, histories.end_L
    all_hash_A, first_A, of_L = np.unique(hash_L, return_index=True, return_inverse=True)
    of_L = of_L.astype(np.int64)
    users_A = _count_users(offset_N1, of_L, all_hash_A.size)
    start_A, end_A = start_L[first_A], end_L[first_A]

    known_U = _most_frequent(users_A, all_hash_A, min_users, config.max_behaviors)
    word_hash_W = _choose_words(histories.data_B, offset_N1, of_L, start_A, end_A, min_users, config.max_words)
    ngram_hash_G = _choose_ngrams(offset_N1, hash_L, config)
    group_hash_C = _choose_groups(histories.data_B, start_A, end_A, offset_N1, of_L, config.n_groups)

    start_U, end_U = start_A[known_U], end_A[known_U]
    word_key_S, word_value_S = build_table(word_hash_W, known_U.size)
    group_key_S, group_value_S = build_table(group_hash_C)
    tail = (known_U.size + word_hash_W.size, config.n_tail)
    text_offset_U1, text_token_T = _text_tokens(histories.data_B, start_U, end_U, word_key_S, word_value_S, tail)
    number_U, group_U = _describe(histories.data_B, start_U, end_U, group_key_S, group_value_S, group_hash_C.size)
    text = b"".join(histories.data_B[s:e].tobytes() for s, e in zip(start_U.tolist(), end_U.tolist(), strict=True))
    return Vocabulary(
        behavior_hash_U=all_hash_A[known_U],
        word_hash_W=word_hash_W,
        ngram_hash_G=ngram_hash_G,
        n_tail=config.n_tail,
        group_hash_C=group_hash_C,
        text_offset_U1=text_offset_U1,
        text_token_T=text_token_T,
        number_U=number_U,
        group_U=group_U,
        text_B=np.frombuffer(text, np.uint8),
        text_end_U=np.cumsum(end_U - start_U),
        **_choose_categories(sample, min_users, config.max_categories),
    )


def _choose_categories(sample: Sample, min_users: int, limit: int) -> dict[str, Any]:
    """Return the fields of ``Vocabulary`` about categories."""
    facts, texts = sample.histories.facts, sample.categories
    if facts is None or texts is None or facts.schema == Schema():
        none = np.zeros(0, np.uint64)
        return {"category_hash_W": none, "category_text_B": np.zeros(0, np.uint8), "category_end_W": none.astype(np.int64)}
    n_columns = facts.category_LC.shape[1]
    hash_A, of_L = np.unique(facts.category_LC.ravel(), return_inverse=True)
    users_A = _count_users(sample.histories.offset_N1 * n_columns, of_L.astype(np.int64), hash_A.size)
    users_A[hash_A == 0] = 0
    hash_W = hash_A[_most_frequent(users_A, hash_A, min_users, limit)]
    order_V = np.argsort(texts.hash_V, kind="stable")
    code_W = order_V[np.searchsorted(texts.hash_V[order_V], hash_W)]
    places = zip(texts.start_of(code_W).tolist(), texts.end_V[code_W].tolist(), strict=True)
    parts = [texts.data_B[start:end].tobytes() for start, end in places]
    return {
        "category_hash_W": hash_W,
        "category_text_B": np.frombuffer(b"".join(parts), np.uint8),
        "category_end_W": np.cumsum([len(part) for part in parts], dtype=np.int64),
        "has_facts": True,
    }


def _most_frequent(users_A: I64, hash_A: U64, min_users: int, limit: int) -> I64:
    """Return the indices of the most frequent, ties by hash."""
    enough_A = np.flatnonzero(users_A >= min_users)
    order = np.lexsort((hash_A[enough_A], -users_A[enough_A]))
    return enough_A[order[:limit]]


def _choose_words(data_B: U8, offset_N1: I64, of_L: I64, start_A: I64, end_A: I64, min_users: int, limit: int) -> U64:
    token_offset_A1, token_T = _emit_all(data_B, start_A, end_A)
    hash_W, of_T = np.unique(token_T, return_inverse=True)
    users_W = _count_text_users(offset_N1, of_L, token_offset_A1, of_T.astype(np.int64), hash_W.size)
    return hash_W[_most_frequent(users_W, hash_W, min_users, limit)]


def _choose_ngrams(offset_N1: I64, hash_L: U64, config: VocabularyConfig) -> U64:
    gram_offset_N1, gram_G = _emit_ngrams(offset_N1, hash_L)
    hash_G, of_G = np.unique(gram_G, return_inverse=True)
    users_G = _count_users(gram_offset_N1, of_G.astype(np.int64), hash_G.size)
    return hash_G[_most_frequent(users_G, hash_G, config.min_ngram_users, config.max_ngrams)]


def _choose_groups(data_B: U8, start_A: I64, end_A: I64, offset_N1: I64, of_L: I64, limit: int) -> U64:
    first_A = _hash_first_words(data_B, start_A, end_A)
    hash_C, of_A = np.unique(first_A, return_inverse=True)
    users_C = _count_users(offset_N1, of_A.astype(np.int64)[of_L], hash_C.size)
    return hash_C[_most_frequent(users_C, hash_C, 2, limit)]


@njit(cache=True, nogil=True)
def _count_users(offset_N1: I64, of_L: I64, size: int) -> I64:
    """Count in how many users each of ``size`` items occurs."""
    users_A, last_A = np.zeros(size, np.int64), np.full(size, -1, np.int64)
    for n in range(offset_N1.size - 1):
        for i in range(offset_N1[n], offset_N1[n + 1]):
            a = of_L[i]
            if last_A[a] != n:
                last_A[a] = n
                users_A[a] += 1
    return users_A


@njit(cache=True, nogil=True)
def _count_text_users(offset_N1: I64, of_L: I64, token_offset_A1: I64, of_T: I64, size: int) -> I64:
    users_W, last_W = np.zeros(size, np.int64), np.full(size, -1, np.int64)
    for n in range(offset_N1.size - 1):
        for i in range(offset_N1[n], offset_N1[n + 1]):
            for t in range(token_offset_A1[of_L[i]], token_offset_A1[of_L[i] + 1]):
                w = of_T[t]
                if last_W[w] != n:
                    last_W[w] = n
                    users_W[w] += 1
    return users_W


@njit(cache=True, nogil=True)
def _emit_all(data_B: U8, start_A: I64, end_A: I64) -> tuple[I64, U64]:
    """Return the token hashes of each distinct behavior as (offsets, hashes)."""
    offset_A1 = np.zeros(start_A.size + 1, np.int64)
    longest = 0
    for a in range(start_A.size):
        longest = max(longest, end_A[a] - start_A[a])
    scratch_M = np.empty(longest + 16, np.uint64)
    for a in range(start_A.size):
        offset_A1[a + 1] = offset_A1[a] + emit_tokens(data_B, start_A[a], end_A[a], scratch_M)
    out_T = np.empty(offset_A1[-1], np.uint64)
    for a in range(start_A.size):
        m = emit_tokens(data_B, start_A[a], end_A[a], scratch_M)
        out_T[offset_A1[a] : offset_A1[a] + m] = scratch_M[:m]
    return offset_A1, out_T


@njit(cache=True, nogil=True)
def _emit_ngrams(offset_N1: I64, hash_L: U64) -> tuple[I64, U64]:
    out_G = np.empty(2 * hash_L.size, np.uint64)
    gram_offset_N1 = np.zeros(offset_N1.size, np.int64)
    at = 0
    for n in range(offset_N1.size - 1):
        for i in range(offset_N1[n] + 1, offset_N1[n + 1]):
            pair = combine(hash_L[i - 1], hash_L[i])
            out_G[at] = pair
            at += 1
            if i - 2 >= offset_N1[n]:
                out_G[at] = combine(hash_L[i - 2], pair)
                at += 1
        gram_offset_N1[n + 1] = at
    return gram_offset_N1, out_G[:at]


@njit(cache=True, nogil=True)
def hash_first_word(data_B: U8, start: int, end: int) -> np.uint64:
    """Hash the first word of a behavior; the whole of it when it has none."""
    s, e = next_word(data_B, start, end)
    return hash_lowered(data_B, s, e, WORD) if e > s else hash_lowered(data_B, start, end, WORD)


@njit(cache=True, nogil=True)
def _hash_first_words(data_B: U8, start_A: I64, end_A: I64) -> U64:
    out_A = np.empty(start_A.size, np.uint64)
    for a in range(start_A.size):
        out_A[a] = hash_first_word(data_B, start_A[a], end_A[a])
    return out_A


@njit(cache=True, nogil=True)
def find_text_tokens(
    data_B: U8, start: int, end: int, key_S: U64, value_S: I32, tail: tuple[int, int], scratch_M: U64, out_M: I32
) -> tuple[int, bool]:
    """Write the token numbers of one behavior's text; return (how many, whether all of it is known).

    What is in no vocabulary becomes the trigrams of the whole text, in ``tail`` = (first number, buckets).
    ``scratch_M`` and ``out_M`` have room for twice the bytes and 32.
    """
    m = emit_tokens(data_B, start, end, scratch_M)
    at = 0
    for i in range(m):
        token = look_up(key_S, value_S, scratch_M[i])
        if token >= 0:
            out_M[at] = token
            at += 1
    s, e = next_word(data_B, start, end)
    is_known = at == m and m > 0 and not (s == start and e == end)  # a single unknown word is not known
    if not is_known:
        for i in range(emit_trigrams(data_B, start, end, scratch_M, 0, tail[1])):
            out_M[at] = tail[0] + np.int64(scratch_M[i])
            at += 1
    return at, is_known


@njit(cache=True, nogil=True)
def _text_tokens(data_B: U8, start_U: I64, end_U: I64, key_S: U64, value_S: I32, tail: tuple[int, int]) -> tuple[I64, I32]:
    """Return the token numbers of each behavior as (offsets, numbers)."""
    longest, total = 0, 0
    for u in range(start_U.size):
        longest = max(longest, end_U[u] - start_U[u])
        total += 2 * (end_U[u] - start_U[u]) + 32
    scratch_M, out_M = np.empty(2 * longest + 32, np.uint64), np.empty(2 * longest + 32, np.int32)
    offset_U1, out_T = np.zeros(start_U.size + 1, np.int64), np.empty(total, np.int32)
    at = 0
    for u in range(start_U.size):
        m, _ = find_text_tokens(data_B, start_U[u], end_U[u], key_S, value_S, tail, scratch_M, out_M)
        for i in range(m):
            if out_M[i] < tail[0]:  # a behavior of its own needs no trigrams
                out_T[at] = out_M[i]
                at += 1
        offset_U1[u + 1] = at
    return offset_U1, out_T[:at].copy()


@njit(cache=True, nogil=True)
def find_number(data_B: U8, start: int, end: int) -> float:
    """Return the value of the first word that is a number, -1 without one."""
    s, e = next_word(data_B, start, end)
    while e > s:
        value = read_number(data_B, s, e)
        if value >= 0.0:
            return value
        s, e = next_word(data_B, e, end)
    return -1.0


@njit(cache=True, nogil=True)
def find_group(data_B: U8, start: int, end: int, key_S: U64, value_S: I32, n_groups: int) -> int:
    """Return the group of a behavior by its first word; ``n_groups`` for the rest."""
    group = look_up(key_S, value_S, hash_first_word(data_B, start, end))
    return group if group >= 0 else n_groups


@njit(cache=True, nogil=True)
def _describe(data_B: U8, start_U: I64, end_U: I64, key_S: U64, value_S: I32, n_groups: int) -> tuple[F32, I32]:
    number_U, group_U = np.empty(start_U.size, np.float32), np.empty(start_U.size, np.int32)
    for u in range(start_U.size):
        number_U[u] = find_number(data_B, start_U[u], end_U[u])
        group_U[u] = find_group(data_B, start_U[u], end_U[u], key_S, value_S, n_groups)
    return number_U, group_U
