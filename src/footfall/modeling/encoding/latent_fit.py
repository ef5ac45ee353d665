"""Fit the latent space of users and tokens: truncated SVD of the weighted bags.

Knows sparse matrices; nothing of texts. Apart from ``latent.py``, because SciPy takes a while to load and only fitting needs
it. Source: Halko, Martinsson & Tropp 2011, randomised range finder with power iterations. scikit-learn's takes as
long, but its random numbers would give every encoder other digits.

Shapes: N users, M entries of the bag, V tokens (of behaviors and words), D dimensions, P = D and some more.
"""

import numpy as np
import scipy.linalg
import scipy.sparse
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from footfall.modeling.dtypes import F32, I64, U32

_OVERSAMPLE = 16
_POWER_ITERATIONS = 2


def fit_bags(
    offset_N1: I64, token_M: U32, weight_M: F32, n_text: int, *, n_tokens: int, max_dims: int, max_users: int, seed: int
) -> F32:
    """Return the (V, D) vectors of the first ``n_text`` tokens, fitted on the first ``max_users`` bags; see ``fit_latent``."""
    n_users = offset_N1.size - 1
    bag_NV = scipy.sparse.csr_matrix((weight_M, token_M.astype(np.int32), offset_N1), shape=(n_users, n_tokens))
    n_dims = max(1, min(max_dims, n_users // 8, n_text))
    return fit_latent(bag_NV[:max_users, :n_text], n_dims, seed=seed)


def fit_latent(bag_NV: scipy.sparse.csr_matrix, n_dims: int, *, seed: int) -> F32:
    """Return (V, D) float32 whose columns are the leading right singular vectors, strongest first, signs fixed.

    Deterministic: one BLAS thread, seeded. Dimensions beyond the rank are 0.
    """
    n_users, n_tokens = bag_NV.shape
    n_found = min(n_dims, n_users, n_tokens)
    out_VD = np.zeros((n_tokens, n_dims), np.float32)
    if n_found == 0 or bag_NV.nnz == 0:
        return out_VD
    rng = np.random.default_rng(seed)
    turned_VN = bag_NV.T.tocsr()
    with threadpool_limits(1):
        n_probes = min(n_dims + _OVERSAMPLE, n_users, n_tokens)
        q_NP = _orthonormal(bag_NV @ rng.standard_normal((n_tokens, n_probes), dtype=np.float32))
        for _ in range(_POWER_ITERATIONS):
            q_VP = _orthonormal(turned_VN @ q_NP)
            q_NP = _orthonormal(bag_NV @ q_VP)
        b_VP = turned_VN @ q_NP
        right_VP, strength_P, _ = scipy.linalg.svd(b_VP, full_matrices=False, lapack_driver="gesdd")
    right_VP = right_VP[:, :n_found] * _signs(right_VP[:, :n_found])
    right_VP[:, strength_P[:n_found] <= 1e-5 * strength_P[0]] = 0.0
    out_VD[:, :n_found] = right_VP
    return out_VD


def _orthonormal(a_NP: F32) -> F32:
    q_NP, _ = scipy.linalg.qr(a_NP, mode="economic", overwrite_a=True)
    return np.ascontiguousarray(q_NP)


def _signs(a_VP: F32) -> F32:
    largest_P = np.abs(a_VP).argmax(axis=0)
    return np.where(a_VP[largest_P, np.arange(a_VP.shape[1])] < 0, -1.0, 1.0).astype(np.float32)
