"""The latent space of users and tokens: users are folded into it; compiled.

Knows bags, weights and the tokens' vectors, which ``latent_fit.py`` finds; nothing of texts. A user is the sum of the
tokens' vectors by weight, so that new users and keywords fold in.

Shapes: N users, M entries of the bag, V tokens (of behaviors and words), D dimensions.
"""

from dataclasses import dataclass

import numpy as np

from footfall.modeling.blocks import TF_256
from footfall.modeling.compiled import njit
from footfall.modeling.dtypes import F32, I8, I64, U8, U16, U32
from footfall.modeling.text.prefetch import prefetch

_GROUP = 4
"""Tokens that are added at a time, so that a user's vector is read and written a quarter as often."""
_MAX_STEP = np.float32(127.0)
_LINE = 64
"""Steps in a cache line."""


@dataclass(frozen=True)
class FoldTable:
    """Tokens' vectors as ``fold_in`` reads them, in a quarter of the memory: fetching them is what takes the time."""

    weight_V: F32
    """idf times what a step of the token's vector is worth."""
    step_VD: I8


def build_fold_table(vector_VD: F32, idf_V: F32) -> FoldTable:
    """Return the vectors of the first tokens in steps of a 127th of each one's largest entry: users move by about 1 %."""
    return FoldTable(*_count_steps(vector_VD, idf_V))


@njit(cache=True, nogil=True)
def _count_steps(vector_VD: F32, idf_V: F32) -> tuple[F32, I8]:
    n_tokens, n_dims = vector_VD.shape
    weight_V, step_VD = np.empty(n_tokens, np.float32), np.empty((n_tokens, n_dims), np.int8)
    for v in range(n_tokens):
        largest = np.float32(1e-30)
        for d in range(n_dims):
            largest = max(largest, abs(vector_VD[v, d]))
        for d in range(n_dims):
            step_VD[v, d] = np.int8(np.rint(vector_VD[v, d] * (_MAX_STEP / largest)))
        weight_V[v] = idf_V[v] * largest / _MAX_STEP
    return weight_V, step_VD


def fold_in(offset_N1: I64, token_M: U32, count_M: U8, bound_K: I64, inverse_NK: F32, table: FoldTable) -> F32:
    """Return (N, D) float32: each user's tokens of the first two blocks, summed by weight."""
    longest = int(np.diff(offset_N1).max(initial=0)) + _GROUP
    step_VD = table.step_VD
    return _fold_in(
        offset_N1, token_M, count_M, bound_K, inverse_NK, table.weight_V, step_VD, step_VD.reshape(-1),
        np.empty(longest, np.float32), np.empty(longest, np.int64),
    )  # fmt: skip


@njit(cache=True, nogil=True, fastmath=True)
def _fold_in(
    offset_N1: I64, token_M: U32, count_M: U8, bound_K: I64, inverse_NK: F32, weight_V: F32,
    step_VD: I8, flat: I8, w_M: F32, token_of_M: I64,
) -> F32:  # fmt: skip
    n_users, n_dims = offset_N1.size - 1, step_VD.shape[1]
    z_ND = np.zeros((n_users, n_dims), np.float32)
    for n in range(n_users):
        k = 0
        for i in range(offset_N1[n], offset_N1[n + 1]):
            token = token_M[i]
            if token >= bound_K[1]:
                break
            block = 0 if token < bound_K[0] else 1
            w_M[k], token_of_M[k] = TF_256[count_M[i]] * weight_V[token] * inverse_NK[n, block], token
            for step in range(0, n_dims, _LINE):  # all of a user's vectors are prefetched before the first is added
                prefetch(flat, token_of_M[k] * n_dims + step)
            k += 1
        while k % _GROUP:
            w_M[k], token_of_M[k] = 0.0, 0
            k += 1
        z_D = z_ND[n]
        for g in range(0, k, _GROUP):
            a, b, c, d = w_M[g], w_M[g + 1], w_M[g + 2], w_M[g + 3]
            a_D, b_D = step_VD[token_of_M[g]], step_VD[token_of_M[g + 1]]
            c_D, d_D = step_VD[token_of_M[g + 2]], step_VD[token_of_M[g + 3]]
            for i in range(n_dims):
                z_D[i] += a * np.float32(a_D[i]) + b * np.float32(b_D[i]) + c * np.float32(c_D[i]) + d * np.float32(d_D[i])
    return z_ND


@njit(cache=True, nogil=True)
def to_half(z_ND: F32) -> U16:
    """Return the IEEE 754 binary16 bits of ``z_ND`` (absolute values under 65,504), rounded to even.

    numpy's own conversion takes several times as long.
    """
    n_users, n_dims = z_ND.shape
    out_ND = np.empty((n_users, n_dims), np.uint16)
    row_D = np.empty(n_dims, np.float32)
    bits_D = row_D.view(np.uint32)
    shrink = np.float32(2.0**-112)  # turns the exponent bias of binary32 into that of binary16
    for n in range(n_users):
        for d in range(n_dims):
            row_D[d] = abs(z_ND[n, d]) * shrink
        for d in range(n_dims):
            b = bits_D[d]
            half = (b + np.uint32(0xFFF) + ((b >> np.uint32(13)) & np.uint32(1))) >> np.uint32(13)
            sign = np.uint32(0x8000) if z_ND[n, d] < 0 else np.uint32(0)
            out_ND[n, d] = np.uint16(half | sign)
    return out_ND
