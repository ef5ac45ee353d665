"""The checks of a task: baselines, learning curve, leakage, and drift of labelled users against the others.

Knows labelled users as arrays and stored features; nothing of files of texts or of words for people.

Shapes: N users, M drawn users, A dense columns, V tokens, K blocks.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse

from footfall.modeling.blocks import Feature
from footfall.modeling.dtypes import F64, I64, U8
from footfall.modeling.learning.folds import hold_out, sample_rows
from footfall.modeling.learning.metrics import measure_auroc, measure_log_loss
from footfall.modeling.learning.stack import Stack, find_views, refit_stack
from footfall.modeling.linear import fit_linear
from footfall.modeling.threads import map_ordered
from footfall.modeling.view import Encoding, Users

LEAK_AUROC = 0.98
_LEAK_KINDS = ("behavior", "word", "fact", "column", "sequence")
MAX_CURVE_USERS = 8_000
_CURVE_PARTS = (16, 8, 4, 2)
_MIN_CURVE_USERS = 40
_MAX_DRIFT_USERS, _MIN_DRIFT_USERS = 4_000, 100
_TFIDF_STRENGTH = 1.0
_N_TREES = 200.0


def measure_baselines(train: Users, train_label_N: U8, test: Users, test_label_N: U8, *, seed: int) -> list[Any]:
    """Return {name, AUROC, log_loss} of three baselines fitted on ``train``."""
    share = float(np.clip(train_label_N.mean(), 1e-7, 1 - 1e-7))
    majority_N = np.full(test_label_N.size, np.log(share / (1 - share)))

    def fit_trees() -> F64:
        trees = find_views()["trees"]()
        trees.fit(train, train_label_N, strength=_N_TREES, seed=seed)
        return trees.predict(test)

    models: dict[str, Callable[[], F64]] = {
        "majority": lambda: majority_N,
        "tfidf_logistic": lambda: fit_linear(train.text_NV, train_label_N, _TFIDF_STRENGTH).predict(test.text_NV),
        "aggregates_trees": fit_trees,
    }
    results = zip(models, map_ordered(lambda model: model(), models.values()), strict=True)
    return [
        {
            "name": name,
            "AUROC": measure_auroc(z_N, test_label_N),
            "log_loss": measure_log_loss(1 / (1 + np.exp(-z_N.clip(-30, 30))), test_label_N),
        }
        for name, z_N in results
    ]


def draw_learning_curve(
    stack: Stack, train: Users, train_label_N: U8, test: Users, test_label_N: U8, *, seed: int
) -> list[dict[str, Any]]:
    """Return {labels, AUROC} for a few smaller numbers of labels: the same views and weights, fitted on fewer users."""
    n = min(train_label_N.size, 2 * MAX_CURVE_USERS)

    def measure(row_M: I64) -> dict[str, Any]:
        label_M = train_label_N[row_M]
        fitted = refit_stack(stack, train.take(row_M), label_M, seed=seed, prior=float(label_M.mean()))
        return {"labels": int(row_M.size), "AUROC": measure_auroc(fitted.predict(test), test_label_N)}

    samples = []
    for size in (n // part for part in _CURVE_PARTS):
        row_M = sample_rows(train_label_N, size, seed=seed)
        n_rarer = min(train_label_N[row_M].sum(), (1 - train_label_N[row_M]).sum())
        if size >= _MIN_CURVE_USERS and n_rarer >= 5 and stack.names:
            samples.append(row_M)
    return list(map_ordered(measure, samples[::-1]))[::-1]  # the largest takes as long as all others


def find_leaks(users: Users, label_N: U8) -> list[dict[str, Any]]:
    """Return what alone separates the labels with an AUROC above ``LEAK_AUROC``, in either direction.

    The worst first, and among equals what is nearest to the data.

    A token by whether a user has it, a dense column by its value. ``kind``: ``behavior`` and ``word`` (``token`` is its
    number), ``sequence``, ``fact``, ``column`` (``name`` is its name).
    """
    leaks: list[dict[str, Any]] = []
    parts = (("text", users.text_NV), ("sequence", users.ngram_NV), ("fact", users.fact_NV))
    n_behaviors = int(users.encoding.bound_K[0])
    for kind, x_NV in parts:
        auroc_V = _rate_tokens(x_NV, label_N)
        for token in np.flatnonzero(np.abs(auroc_V - 0.5) > LEAK_AUROC - 0.5).tolist():
            name = ("behavior" if token < n_behaviors else "word") if kind == "text" else kind
            leaks.append({"kind": name, "token": token, "name": None, "AUROC": float(auroc_V[token])})
    auroc_A = rate_columns(users.dense_NA, label_N)
    for a in np.flatnonzero(np.abs(auroc_A - 0.5) > LEAK_AUROC - 0.5).tolist():
        leaks.append({"kind": "column", "token": None, "name": users.encoding.columns[a], "AUROC": float(auroc_A[a])})
    return sorted(leaks, key=lambda leak: (-abs(leak["AUROC"] - 0.5), _LEAK_KINDS.index(leak["kind"])))


def _rate_tokens(x_NV: scipy.sparse.csr_matrix, label_N: U8) -> F64:
    def share(label: int) -> F64:
        some = x_NV[label_N == label]
        counts: F64 = np.bincount(some.indices, minlength=x_NV.shape[1]) / max(1, some.shape[0])
        return counts

    rated: F64 = 0.5 + (share(1) - share(0)) / 2
    return rated


def rate_columns(dense_NA: U8, label_N: U8) -> F64:
    """Return (A,) AUROC of each dense column alone."""
    n_columns = dense_NA.shape[1]

    def shares(label: int) -> F64:
        some_NA = dense_NA[label_N == label]
        cell_N = (some_NA + np.arange(n_columns, dtype=np.int64) * 256).ravel()
        share_AB: F64 = np.bincount(cell_N, minlength=n_columns * 256).reshape(n_columns, 256) / max(1, some_NA.shape[0])
        return share_AB

    one_AB, zero_AB = shares(1), shares(0)
    rated: F64 = (one_AB * (zero_AB.cumsum(axis=1) - zero_AB / 2)).sum(axis=1)
    return rated


def check_drift(feature: Feature, encoding: Encoding, labelled_N: I64, *, seed: int) -> dict[str, Any] | None:
    """Measure whether labelled users can be distinguished from the other users of the feature by their dense columns.

    A linear head learns it from half of a sample of both and is measured on the other half. None if there are fewer than
    ``_MIN_DRIFT_USERS`` of either.

    Returns:
        ``AUROC``; ``users`` of each kind in the sample; ``columns``: up to 5 that differ most, {name, AUROC}.
    """
    other_N = np.setdiff1d(np.arange(feature.user_count), labelled_N)
    n = min(labelled_N.size, other_N.size, _MAX_DRIFT_USERS)
    if n < _MIN_DRIFT_USERS:
        return None
    rng = np.random.default_rng(seed)
    row_M = np.concatenate([np.sort(rng.choice(rows_N, n, replace=False)) for rows_N in (labelled_N, other_N)])
    label_M = np.repeat(np.array([1, 0], np.uint8), n)
    order_M = np.argsort(row_M, kind="stable")
    dense_MA, label_M = _read_dense(feature, row_M[order_M]), label_M[order_M]
    users = _only_dense(encoding, dense_MA)
    kept_M, held_M = hold_out(label_M, 0.5, seed=seed)
    head = find_views()["aggregates"]()
    head.fit(users.take(kept_M), label_M[kept_M], strength=0.004, seed=seed)
    auroc_A = rate_columns(dense_MA, label_M)
    most_A = np.argsort(-np.abs(auroc_A - 0.5), kind="stable")[:5]
    return {
        "AUROC": measure_auroc(head.predict(users.take(held_M)), label_M[held_M]),
        "users": int(n),
        "columns": [{"name": encoding.columns[a], "AUROC": float(auroc_A[a])} for a in most_A],
    }


def _read_dense(feature: Feature, row_M: I64) -> U8:
    dense_MA = np.empty((row_M.size, feature.layout["n_columns"]), np.uint8)
    for block in feature.read_blocks():
        start, end = np.searchsorted(row_M, [block.first_row, block.first_row + block.n_users])
        dense_MA[start:end] = block.dense_NA[row_M[start:end] - block.first_row]
    return dense_MA


def _only_dense(encoding: Encoding, dense_MA: U8) -> Users:
    nothing = scipy.sparse.csr_matrix((dense_MA.shape[0], 0), dtype=np.float32)
    return Users(encoding, nothing, nothing, nothing, np.zeros((dense_MA.shape[0], 0), np.float32), dense_MA)
