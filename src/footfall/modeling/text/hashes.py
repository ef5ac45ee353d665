"""64-bit hashes of byte ranges and open-addressing tables of them, compiled.

Knows bytes and integers, nothing of users or vocabularies. A table is two arrays of a power-of-two size S: ``key_S``
(0 is an empty slot) and ``value_S``. Sources: after FNV-1a (http://www.isthe.com/chongo/tech/comp/fnv/), but eight
bytes a step; the finaliser of SplitMix64 (Steele, Lea & Flood 2014).

Shapes: B bytes, N ranges of bytes, S slots, V keys, F bytes of a filter.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from footfall.modeling.compiled import njit
from footfall.modeling.dtypes import I32, I64, U8, U64

_OFFSET = np.uint64(0xCBF29CE484222325)
_PRIME = np.uint64(0x100000001B3)
_M1 = np.uint64(0xBF58476D1CE4E5B9)
_M2 = np.uint64(0x94D049BB133111EB)
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)

LOWER_256 = np.array([b + 32 if 65 <= b <= 90 else b for b in range(256)], dtype=np.uint8)


@njit(cache=True, nogil=True)
def mix(h: np.uint64) -> np.uint64:
    """Spread the bits of ``h``; never 0, which marks an empty slot."""
    h = (h ^ (h >> np.uint64(30))) * _M1
    h = (h ^ (h >> np.uint64(27))) * _M2
    h = h ^ (h >> np.uint64(31))
    return h if h != np.uint64(0) else np.uint64(1)


@njit(cache=True, nogil=True)
def hash_bytes(data_B: U8, start: int, end: int, seed: np.uint64) -> np.uint64:
    """Hash ``data_B[start:end]``; not 0."""
    h = _OFFSET ^ (seed * _GOLDEN)
    i, stop = np.uintp(start), np.uintp(end)  # an index that cannot be negative saves a test at each byte
    while i + np.uintp(8) <= stop:  # eight bytes at a time: the chain of multiplications is what takes time
        word = np.uint64(0)
        for j in range(8):
            word |= np.uint64(data_B[i + np.uintp(j)]) << np.uint64(8 * j)
        h = (h ^ word) * _M1
        h ^= h >> np.uint64(32)
        i += np.uintp(8)
    while i < stop:
        h = (h ^ np.uint64(data_B[i])) * _PRIME
        i += np.uintp(1)
    return mix(h)


@njit(cache=True, nogil=True)
def hash_lowered(data_B: U8, start: int, end: int, seed: np.uint64) -> np.uint64:
    """Hash ``data_B[start:end]`` with ASCII letters lowered; not 0."""
    h = _OFFSET ^ (seed * _GOLDEN)
    for i in range(start, end):
        h = (h ^ np.uint64(LOWER_256[data_B[i]])) * _PRIME
    return mix(h)


@njit(cache=True, nogil=True)
def combine(a: np.uint64, b: np.uint64) -> np.uint64:
    """Hash an ordered pair of hashes; not 0."""
    return mix(a * _PRIME + (b ^ _GOLDEN))


@njit(cache=True, nogil=True)
def find_slot(key_S: U64, h: np.uint64) -> int:
    """Return the slot that holds ``h``, or the empty slot where it belongs."""
    mask = np.uint64(key_S.size - 1)
    i = h & mask
    while key_S[i] != np.uint64(0) and key_S[i] != h:
        i = (i + np.uint64(1)) & mask
    return int(i)


@njit(cache=True, nogil=True)
def look_up(key_S: U64, value_S: I32, h: np.uint64) -> int:
    """Return the value of ``h``, or -1."""
    slot = find_slot(key_S, h)
    return int(value_S[slot]) if key_S[slot] != np.uint64(0) else -1


@njit(cache=True, nogil=True)
def _fill(key_S: U64, value_S: I32, hash_V: U64, first: int) -> None:
    for v in range(hash_V.size):
        slot = find_slot(key_S, hash_V[v])
        if key_S[slot] == np.uint64(0):
            key_S[slot] = hash_V[v]
            value_S[slot] = first + v


@njit(cache=True, nogil=True)
def count_slots(n_keys: int) -> int:
    """Return the size S of a table that so many keys fill at most half."""
    n_slots = 16
    while n_slots < 2 * n_keys:
        n_slots *= 2
    return n_slots


def build_table(hash_V: U64, first: int = 0) -> tuple[U64, I32]:
    """Return ``(key_S, value_S)`` that gives hash v the value ``first + v``; at most half full."""
    n_slots = count_slots(hash_V.size)
    key_S, value_S = np.zeros(n_slots, np.uint64), np.zeros(n_slots, np.int32)
    _fill(key_S, value_S, np.ascontiguousarray(hash_V), first)
    return key_S, value_S


def grow_table(key_S: U64, value_S: npt.NDArray[Any], factor: int) -> tuple[U64, npt.NDArray[Any]]:
    """Return the same table with ``factor`` times the slots, a power of two."""
    new_key_S, new_value_S = np.zeros(factor * key_S.size, np.uint64), np.zeros(factor * key_S.size, value_S.dtype)
    _move(key_S, value_S, new_key_S, new_value_S)
    return new_key_S, new_value_S


@njit(cache=True, nogil=True)
def _move(key_S: U64, value_S: npt.NDArray[Any], new_key_S: U64, new_value_S: npt.NDArray[Any]) -> None:
    for s in range(key_S.size):
        if key_S[s] != np.uint64(0):
            slot = find_slot(new_key_S, key_S[s])
            new_key_S[slot], new_value_S[slot] = key_S[s], value_S[s]


@njit(cache=True, nogil=True)
def gather_bytes(data_B: U8, start_N: I64, end_N: I64) -> tuple[U8, I32]:
    """Return the ranges ``data_B[start:end]`` one after the other, less than 2 GiB, as (bytes, offsets)."""
    offset_N1 = np.zeros(start_N.size + 1, np.int32)
    for n in range(start_N.size):
        offset_N1[n + 1] = offset_N1[n] + end_N[n] - start_N[n]
    out_B = np.empty(offset_N1[-1], np.uint8)
    for n in range(start_N.size):
        out_B[offset_N1[n] : offset_N1[n + 1]] = data_B[start_N[n] : end_N[n]]
    return out_B, offset_N1


_FILTER_BITS = 16
"""Bits of a filter for each key: one in seventeen of what is not there passes."""
_FILTER_SHIFT = np.uint64(40)


def build_filter(hash_V: U64) -> U8:
    """Return (F,) bytes with one bit set for each hash, so that ``may_have`` needs no table."""
    size = 8
    while 8 * size < _FILTER_BITS * hash_V.size:
        size *= 2
    filter_F = np.zeros(size, np.uint8)
    place_V = (hash_V >> _FILTER_SHIFT) & np.uint64(8 * size - 1)
    np.bitwise_or.at(
        filter_F, (place_V >> np.uint64(3)).astype(np.int64), np.uint8(1) << (place_V & np.uint64(7)).astype(np.uint8)
    )
    return filter_F


@njit(cache=True, nogil=True)
def may_have(filter_F: U8, h: np.uint64) -> int:
    """Return 0 if ``h`` is certainly not among the hashes of a filter, else 1. Source: Bloom 1970, with one function."""
    place = (h >> _FILTER_SHIFT) & np.uint64(8 * filter_F.size - 1)
    return int((filter_F[place >> np.uint64(3)] >> np.uint8(place & np.uint64(7))) & np.uint8(1))
