"""The compiled third pass: the behaviors of users to a sparse bag of token counts.

Knows the vocabulary's tables; nothing of texts' meaning or of weights beyond tf-idf. A bag holds, for each user, block
by block and within a block by first occurrence, how often a token occurs (at most 255). Its weight is
``log(1 + count) * idf`` over the norm of its block, so that long blocks do not drown short ones. Source: Salton &
Buckley 1988 for tf-idf; the block-wise norm is our own (modelling.md: mixed in one norm, n-grams cost .012 to .018).

Shapes: B bytes, N users, L behaviors, M entries of the bag, V tokens, K blocks, S slots, F bytes of a filter.
"""

from dataclasses import dataclass

import numpy as np

from footfall.modeling.blocks import TF_256
from footfall.modeling.compiled import njit
from footfall.modeling.dtypes import BOOL, F32, I32, I64, U8, U32, U64
from footfall.modeling.encoding.vocabulary import Vocabulary, find_group, find_number, find_text_tokens
from footfall.modeling.text.hashes import build_filter, build_table, combine, look_up, may_have
from footfall.modeling.text.prefetch import prefetch


@dataclass(frozen=True)
class Tables:
    """A vocabulary with its hash tables."""

    vocabulary: Vocabulary
    behavior: tuple[U64, I32]
    word: tuple[U64, I32]
    ngram: tuple[U64, I32]
    ngram_filter_F: U8
    """Rules out most sequences without a token, in a tenth of the memory; see ``build_filter``."""
    group: tuple[U64, I32]
    category: tuple[U64, I32]
    log_number_U: F32
    """Logarithm of one more than the first number in a behavior's text, -1 without one."""


def build_tables(vocabulary: Vocabulary) -> Tables:
    """Build the look-up tables of a vocabulary."""
    bound = vocabulary.bound_K
    return Tables(
        vocabulary,
        build_table(vocabulary.behavior_hash_U),
        build_table(vocabulary.word_hash_W, int(bound[0])),
        build_table(vocabulary.ngram_hash_G, int(bound[1])),
        build_filter(vocabulary.ngram_hash_G),
        build_table(vocabulary.group_hash_C),
        build_table(vocabulary.category_hash_W),
        np.where(vocabulary.number_U >= 0, np.log1p(np.maximum(vocabulary.number_U, 0)), -1.0).astype(np.float32),
    )


@dataclass(frozen=True)
class Lookup:
    """The look-up of each behavior of a block in the vocabulary."""

    index_L: I32
    """Its number in the vocabulary, -1 without one."""
    log_number_L: F32
    """Logarithm of one more than its first number, -1 without one."""
    group_L: I32
    is_known_L: BOOL
    """In the vocabulary, or all its words are."""
    extra_offset_L1: I64
    extra_T: I32
    """The text tokens of behaviors without a number."""


def find_behaviors(data_B: U8, hash_L: U64, start_L: I64, end_L: I64, tables: Tables) -> Lookup:
    """Look the behaviors of a block up."""
    v = tables.vocabulary
    tail = (int(v.bound_K[0]) + v.word_hash_W.size, v.n_tail)
    index_L = _find_indices(hash_L, *tables.behavior)
    log_number_L, group_L = _describe(
        data_B, start_L, end_L, index_L, tables.log_number_U, v.group_U, *tables.group, v.group_hash_C.size
    )
    extra_offset_L1, extra_T, is_known_L = _find_extra(data_B, start_L, end_L, index_L, *tables.word, tail)
    return Lookup(index_L, log_number_L, group_L, is_known_L, extra_offset_L1, extra_T)


@njit(cache=True, nogil=True)
def _find_indices(hash_L: U64, key_S: U64, value_S: I32) -> I32:
    index_L = np.empty(hash_L.size, np.int32)
    for i in range(hash_L.size):
        index_L[i] = look_up(key_S, value_S, hash_L[i])
    return index_L


@njit(cache=True, nogil=True)
def _describe(
    data_B: U8, start_L: I64, end_L: I64, index_L: I32, log_number_U: F32, group_U: I32, key_S: U64, value_S: I32, n: int
) -> tuple[F32, I32]:
    log_number_L, group_L = np.empty(index_L.size, np.float32), np.empty(index_L.size, np.int32)
    for i in range(index_L.size):
        u = index_L[i]
        if u >= 0:
            log_number_L[i], group_L[i] = log_number_U[u], group_U[u]
        else:
            number = find_number(data_B, start_L[i], end_L[i])
            log_number_L[i] = np.log1p(number) if number >= 0 else -1.0
            group_L[i] = find_group(data_B, start_L[i], end_L[i], key_S, value_S, n)
    return log_number_L, group_L


@njit(cache=True, nogil=True)
def _find_extra(
    data_B: U8, start_L: I64, end_L: I64, index_L: I32, key_S: U64, value_S: I32, tail: tuple[int, int]
) -> tuple[I64, I32, BOOL]:
    longest, total = 0, 0
    for i in range(index_L.size):
        if index_L[i] < 0:
            longest = max(longest, end_L[i] - start_L[i])
            total += 2 * (end_L[i] - start_L[i]) + 32
    scratch_M, out_M = np.empty(2 * longest + 32, np.uint64), np.empty(2 * longest + 32, np.int32)
    offset_L1, out_T = np.zeros(index_L.size + 1, np.int64), np.empty(total, np.int32)
    is_known_L = np.ones(index_L.size, np.bool_)
    at = 0
    for i in range(index_L.size):
        if index_L[i] < 0:
            m, is_known_L[i] = find_text_tokens(data_B, start_L[i], end_L[i], key_S, value_S, tail, scratch_M, out_M)
            out_T[at : at + m] = out_M[:m]
            at += m
        offset_L1[i + 1] = at
    return offset_L1, out_T[:at].copy(), is_known_L


def count_tokens(offset_N1: I64, hash_L: U64, lookup: Lookup, tables: Tables) -> tuple[I64, U32, U8]:
    """Return the bags of users as (offset_N1, token_M, count_M)."""
    v = tables.vocabulary
    text = (v.text_offset_U1, v.text_token_T, lookup.extra_offset_L1, lookup.extra_T)
    return _count(offset_N1, hash_L, lookup.index_L, text, tables.ngram, tables.ngram_filter_F, int(v.bound_K[2]))


@njit(cache=True, nogil=True)
def _add(token: int, times: int, count_V: U8, touched_V: I32, n: int) -> int:
    touched_V[n] = token  # without a branch, which would be guessed wrong half of the time
    n += count_V[token] == 0
    count_V[token] = min(count_V[token] + times, 255)
    return n


@njit(cache=True, nogil=True)
def _add_texts(start: int, end: int, index_L: I32, text: tuple[I64, I32, I64, I32], count_V: U8, seen_V: I32) -> int:
    n = 0
    for i in range(start, end):
        if index_L[i] >= 0:
            n = _add(index_L[i], 1, count_V, seen_V, n)
    for j in range(n):  # the words of a behavior as often as it occurs
        u = seen_V[j]
        for t in range(text[0][u], text[0][u + 1]):
            n = _add(text[1][t], count_V[u], count_V, seen_V, n)
    for i in range(start, end):
        if index_L[i] < 0:
            for t in range(text[2][i], text[2][i + 1]):
                n = _add(text[3][t], 1, count_V, seen_V, n)
    return n


@njit(cache=True, nogil=True)
def _hash_ngrams(hash_L: U64, ngram: tuple[U64, I32], filter_F: U8, out_J: U64) -> int:
    """Write the hashes of a user's pairs and triples that may have tokens, and prefetch their slots; return how many."""
    mask, j = np.uint64(ngram[0].size - 1), 0
    for i in range(1, hash_L.size):
        pair = combine(hash_L[i - 1], hash_L[i])
        out_J[j] = pair
        j += may_have(filter_F, pair)  # without a branch, which would be guessed wrong too often
        if i >= 2:
            out_J[j] = combine(hash_L[i - 2], pair)
            j += may_have(filter_F, out_J[j])
    for i in range(j):
        prefetch(ngram[0], np.int64(out_J[i] & mask))
        prefetch(ngram[1], np.int64(out_J[i] & mask))
    return j


@njit(cache=True, nogil=True)
def _add_ngrams(hash_J: U64, ngram: tuple[U64, I32], count_V: U8, seen_V: I32, n: int) -> int:
    for j in range(hash_J.size):
        token = look_up(ngram[0], ngram[1], hash_J[j])
        if token >= 0:
            n = _add(token, 1, count_V, seen_V, n)
    return n


@njit(cache=True, nogil=True)
def _count(
    offset_N1: I64,
    hash_L: U64,
    index_L: I32,
    text: tuple[I64, I32, I64, I32],
    ngram: tuple[U64, I32],
    ngram_filter_F: U8,
    n_tokens: int,
) -> tuple[I64, U32, U8]:
    count_V, seen_V = np.zeros(n_tokens + 1, np.uint8), np.empty(n_tokens + 1, np.int32)
    bag_offset_N1 = np.zeros(offset_N1.size, np.int64)
    token_M, count_M = np.empty(4 * hash_L.size + 16, np.uint32), np.empty(4 * hash_L.size + 16, np.uint8)
    longest = 0
    for n in range(offset_N1.size - 1):
        longest = max(longest, offset_N1[n + 1] - offset_N1[n])
    hash_J = np.empty(2 * longest, np.uint64)
    at = 0
    for n in range(offset_N1.size - 1):
        start, end = offset_N1[n], offset_N1[n + 1]
        n_ngrams = _hash_ngrams(hash_L[start:end], ngram, ngram_filter_F, hash_J)  # their slots arrive while texts are counted
        k = _add_texts(start, end, index_L, text, count_V, seen_V)
        k = _add_ngrams(hash_J[:n_ngrams], ngram, count_V, seen_V, k)
        if at + k > token_M.size:
            room = 2 * (at + k)
            token_M = np.concatenate((token_M[:at], np.empty(room - at, np.uint32)))
            count_M = np.concatenate((count_M[:at], np.empty(room - at, np.uint8)))
        for j in range(k):
            token = seen_V[j]
            token_M[at + j], count_M[at + j] = token, count_V[token]
            count_V[token] = 0
        at += k
        bag_offset_N1[n + 1] = at
    return bag_offset_N1, token_M[:at].copy(), count_M[:at].copy()


@njit(cache=True, nogil=True)
def invert_norms(offset_N1: I64, token_M: U32, count_M: U8, idf_V: F32, bound_K: I64) -> F32:
    """Return (N, K) float32: one over the length of each block of each user's bag, 0 for an empty block."""
    n_blocks = bound_K.size
    inverse_NK = np.zeros((offset_N1.size - 1, n_blocks), np.float32)
    for n in range(offset_N1.size - 1):
        i = offset_N1[n]
        for k in range(n_blocks):
            total = 0.0
            while i < offset_N1[n + 1] and token_M[i] < bound_K[k]:
                weight = TF_256[count_M[i]] * idf_V[token_M[i]]
                total += weight * weight
                i += 1
            if total > 0.0:
                inverse_NK[n, k] = 1.0 / np.sqrt(total)
    return inverse_NK


@njit(cache=True, nogil=True)
def weigh(offset_N1: I64, token_M: U32, count_M: U8, idf_V: F32, bound_K: I64, inverse_NK: F32) -> F32:
    """Return (M,) float32: the normalised tf-idf weight of each entry of the bags."""
    weight_M = np.empty(token_M.size, np.float32)
    for n in range(offset_N1.size - 1):
        k = 0
        for i in range(offset_N1[n], offset_N1[n + 1]):
            while token_M[i] >= bound_K[k]:
                k += 1
            weight_M[i] = TF_256[count_M[i]] * idf_V[token_M[i]] * inverse_NK[n, k]
    return weight_M
