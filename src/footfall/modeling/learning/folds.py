"""Stratified splits with a seed.

Knows labels only.

Shapes: N users.
"""

from collections.abc import Iterator

import numpy as np

from footfall.modeling.dtypes import I64, U8


def split_folds(label_N: U8, n_folds: int, *, seed: int) -> Iterator[tuple[I64, I64]]:
    """Yield (train rows, held rows) of each fold, both ascending; every class is spread evenly."""
    rng = np.random.default_rng(seed)
    fold_N = np.empty(label_N.size, np.int64)
    for label in (0, 1):
        row_M = rng.permutation(np.flatnonzero(label_N == label))
        fold_N[row_M] = np.arange(row_M.size) % n_folds
    for fold in range(n_folds):
        yield np.flatnonzero(fold_N != fold), np.flatnonzero(fold_N == fold)


def hold_out(label_N: U8, share: float, *, seed: int) -> tuple[I64, I64]:
    """Return (train rows, held rows), ascending; at least one of each class is held."""
    rng = np.random.default_rng(seed)
    is_held_N = np.zeros(label_N.size, np.bool_)
    for label in (0, 1):
        row_M = np.flatnonzero(label_N == label)
        is_held_N[rng.permutation(row_M)[: max(1, round(share * row_M.size))]] = True
    return np.flatnonzero(~is_held_N), np.flatnonzero(is_held_N)


def sample_rows(label_N: U8, limit: int, *, seed: int) -> I64:
    """Return at most about ``limit`` rows, ascending, with the classes in proportion and one of each at least."""
    if label_N.size <= limit:
        return np.arange(label_N.size)
    return hold_out(label_N, limit / label_N.size, seed=seed)[1]
