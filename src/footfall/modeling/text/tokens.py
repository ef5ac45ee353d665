"""The compiled second pass: texts to behaviors, behaviors to their tokens.

Knows arrows, white space, words, path prefixes and embedded numbers; nothing of vocabularies or users' ids.
A behavior is what stands between two ``->``, without the white space around it; empty ones are dropped. Its tokens
are hashes of: its words (ASCII letters lowered), its path prefixes (``A``, ``A/B`` of ``A/B/C``), the prefixes of
codes (``01``, ``0102`` of ``010203``), and the logarithmic bucket of each number in it.

Shapes: B bytes, N users, L behaviors, M tokens of a behavior.
"""

from typing import Any

import numpy as np

from footfall.modeling.compiled import njit
from footfall.modeling.dtypes import I32, I64, U8, U64
from footfall.modeling.text.hashes import hash_bytes, hash_lowered, mix
from footfall.modeling.text.scanner import space_width

BEHAVIOR, WORD, PATH, CODE, NUMBER, TRIGRAM = (np.uint64(k) for k in range(11, 17))
"""Seeds that keep the kinds of token apart."""

_MAX_PATHS = 8
_FIRST_OF_WIDE_SPACE = 0xC2
"""No white space beyond the blank begins with a lower byte."""

# 1 for bytes that words are made of: letters, digits, and all of a character beyond ASCII
WORD_256 = np.array([1 if b > 127 or 48 <= b <= 57 or 65 <= b <= 90 or 97 <= b <= 122 else 0 for b in range(256)], dtype=np.uint8)
_IS_PATH_256 = np.array([1 if chr(b) in "/>|:" else 0 for b in range(256)], dtype=np.uint8)


@njit(cache=True, nogil=True)
def count_arrows(data_B: U8, start: int, end: int) -> int:
    """Return how often ``->`` stands in ``data_B[start:end]``."""
    text_B, n = data_B[start:end], 0
    for i in range(1, text_B.size):  # without a branch, so that the compiler compares many bytes at a time
        n += (text_B[i] == 62) & (text_B[i - 1] == 45)
    return n


@njit(cache=True, nogil=True)
def skip_tokens(data_B: U8, start: int, end: int, n_skip: int) -> int:
    """Return where the text goes on after its first ``n_skip`` tokens (words and arrows)."""
    i, in_word = start, False
    while i < end:
        if data_B[i] == 45 and i + 1 < end and data_B[i + 1] == 62:
            if n_skip == 0:
                return i
            n_skip -= 1
            in_word = False
            i += 2
            continue
        width = space_width(data_B, i, end)
        if width == 0 and not in_word:
            if n_skip == 0:
                return i
            n_skip -= 1
        in_word = width == 0
        i += max(1, width)
    return end


@njit(cache=True, nogil=True)
def count_words(data_B: U8, start: int, end: int) -> int:
    """Return the number of runs of bytes that are not white space."""
    n, in_word, i = 0, False, start
    while i < end:
        width = space_width(data_B, i, end)
        n += width == 0 and not in_word
        in_word = width == 0
        i += max(1, width)
    return n


@njit(cache=True, nogil=True)
def trim_left(data_B: U8, start: int, end: int) -> int:
    """Return where the text begins behind white space."""
    while start < end:
        width = space_width(data_B, start, end)
        if width == 0:
            break
        start += width
    return start


@njit(cache=True, nogil=True)
def _trim_right(data_B: U8, start: int, end: int) -> int:
    while end > start:
        back = 1
        while back < 3 and end - back > start and data_B[end - back] & 0xC0 == 0x80:
            back += 1
        if space_width(data_B, end - back, end) != back:
            break
        end -= back
    return end


@njit(cache=True, nogil=True)
def _split(data_B: U8, start: int, end: int, at: int, hash_L: U64, start_L: I64, end_L: I64, n_words_L: I32) -> tuple[int, int]:
    """Append the behaviors of one text from index ``at``; return (next index, tokens of the text)."""
    total, arrows, i = 0, -1, start
    while i <= end:
        begin = i
        stop, n_words, highest = _scan_behavior(data_B, begin, end)
        arrows += 1
        s, e = begin, stop
        if highest < _FIRST_OF_WIDE_SPACE:
            while s < e and data_B[s] == 32:
                s += 1
            while e > s and data_B[e - 1] == 32:
                e -= 1
        else:
            s = trim_left(data_B, begin, stop)
            e = _trim_right(data_B, s, stop)
            n_words = count_words(data_B, s, e)
        if e > s:
            hash_L[at] = hash_bytes(data_B, s, e, BEHAVIOR)
            start_L[at], end_L[at] = s, e
            n_words_L[at] = n_words
            total += n_words
            at += 1
        i = stop + 2
    return at, total + arrows


@njit(cache=True, nogil=True)
def _scan_behavior(data_B: U8, start: int, end: int) -> tuple[Any, int, Any]:
    """Return (the next arrow or ``end``, words before it if blanks are the only white space, the highest byte)."""
    n_words, before, highest = 0, np.uint8(32), np.uint8(0)
    i = np.uintp(start)  # an index that cannot be negative saves a test at each byte
    while i < np.uintp(end):
        c = data_B[i]
        if c == 45 and i + np.uintp(1) < np.uintp(end) and data_B[i + np.uintp(1)] == 62:
            break
        n_words += (c != 32) & (before == 32)
        highest = max(highest, c)
        before = c
        i += np.uintp(1)
    return np.int64(i), n_words, np.int64(highest)


@njit(cache=True, nogil=True)
def _count_all_arrows(data_B: U8, tab_N: I64, end_N: I64) -> int:
    total = 0
    for n in range(tab_N.size):
        total += count_arrows(data_B, tab_N[n] + 1, end_N[n])
    return total


@njit(cache=True, nogil=True)
def split_behaviors(data_B: U8, tab_N: I64, end_N: I64, max_tokens: int) -> tuple[I64, U64, I64, I64, I32, I64, I64]:
    """Split the texts of a block into behaviors.

    Args:
        max_tokens: keep the newest tokens of a user, 0 for all.

    Returns:
        (offset_N1, hash_L, start_L, end_L, n_words_L, n_tokens_N, n_cut_N): user n has the behaviors
        ``offset[n]:offset[n + 1]``, oldest first; ``n_tokens`` counts words and arrows of the whole text, ``n_cut``
        those of them that were left out.
    """
    n_users = tab_N.size
    size = n_users + _count_all_arrows(data_B, tab_N, end_N)
    hash_L, start_L, end_L = np.empty(size, np.uint64), np.empty(size, np.int64), np.empty(size, np.int64)
    n_words_L = np.empty(size, np.int32)
    offset_N1, n_tokens_N = np.zeros(n_users + 1, np.int64), np.zeros(n_users, np.int64)
    n_cut_N = np.zeros(n_users, np.int64)
    at = 0
    for n in range(n_users):
        start, end, first = tab_N[n] + 1, end_N[n], at
        at, n_tokens_N[n] = _split(data_B, start, end, at, hash_L, start_L, end_L, n_words_L)
        if max_tokens > 0 and n_tokens_N[n] > max_tokens:
            n_cut_N[n] = n_tokens_N[n] - max_tokens
            start = skip_tokens(data_B, start, end, n_cut_N[n])
            at, _ = _split(data_B, start, end, first, hash_L, start_L, end_L, n_words_L)
        offset_N1[n + 1] = at
    return offset_N1, hash_L[:at], start_L[:at], end_L[:at], n_words_L[:at], n_tokens_N, n_cut_N


@njit(cache=True, nogil=True)
def next_word(data_B: U8, i: int, end: int) -> tuple[int, int]:
    """Return the extent of the next word at or after ``i``; empty at ``end`` when there is none."""
    while i < end and (WORD_256[data_B[i]] == 0 or (data_B[i] > 127 and space_width(data_B, i, end) > 0)):
        i += max(1, space_width(data_B, i, end))
    start = i
    while i < end and WORD_256[data_B[i]] == 1 and not (data_B[i] > 127 and space_width(data_B, i, end) > 0):
        i += 1
    return start, i


@njit(cache=True, nogil=True)
def read_number(data_B: U8, start: int, end: int) -> float:
    """Return the value of a word of 1 to 15 digits, -1 if it is none."""
    if end == start or end - start > 15:
        return -1.0
    value = 0.0
    for i in range(start, end):
        if data_B[i] < 48 or data_B[i] > 57:
            return -1.0
        value = value * 10.0 + (data_B[i] - 48)
    return value


@njit(cache=True, nogil=True)
def _emit_paths(data_B: U8, start: int, end: int, out_M: U64, m: int) -> int:
    n = 0
    for i in range(start + 1, end):
        if _IS_PATH_256[data_B[i]] == 1 and n < _MAX_PATHS:
            e = _trim_right(data_B, start, i)
            if e > start:
                out_M[m] = hash_lowered(data_B, start, e, PATH)
                m += 1
                n += 1
    return m


@njit(cache=True, nogil=True)
def emit_tokens(data_B: U8, start: int, end: int, out_M: U64) -> int:
    """Write the token hashes of the behavior ``data_B[start:end]``; return how many.

    A behavior of one word gives no word token (it would be counted twice) but the prefixes of its code.
    ``out_M`` has room for ``end - start + 16`` hashes.
    """
    m = _emit_paths(data_B, start, end, out_M, 0)
    s, e = next_word(data_B, start, end)
    while e > s:
        is_whole = s == start and e == end
        value = read_number(data_B, s, e)
        if not is_whole:
            out_M[m] = hash_lowered(data_B, s, e, WORD)
            m += 1
        if value >= 0.0 and (is_whole or e - s >= 6):
            for k in range(s + 2, e, 2):
                out_M[m] = hash_bytes(data_B, s, k, CODE)
                m += 1
        elif value >= 0.0:
            out_M[m] = mix(NUMBER * np.uint64(1 << 32) + np.uint64(2.0 * np.log2(value + 1.0)))
            m += 1
        s, e = next_word(data_B, e, end)
    return m


@njit(cache=True, nogil=True)
def emit_trigrams(data_B: U8, start: int, end: int, out_M: U64, m: int, n_buckets: int) -> int:
    """Append a bucket for each run of three bytes (one for a shorter text), from index ``m``; return the next."""
    stop = max(start + 1, end - 2)
    for i in range(start, stop):
        out_M[m] = hash_lowered(data_B, i, min(i + 3, end), TRIGRAM) % np.uint64(n_buckets)
        m += 1
    return m
