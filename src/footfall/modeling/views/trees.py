"""How habits combine: gradient-boosted trees over the dense bytes and the log-odds of the other views.

Wins where habit and timing decide (modelling.md). It is second-level: the log-odds of the linear
views, which see every token, are columns too, so that the trees bend and join what those can only add. LightGBM learns,
the compiled predictor scores; the bytes are the encoder's quantile bins, so both see the same.
Sources: Ke et al. 2017; Wolpert 1992 for the cascade.

Shapes: N users, A dense columns, K first-level views, E edges, T trees.
"""

from collections.abc import Sequence
from typing import Any

import lightgbm
import numpy as np
import numpy.typing as npt

from footfall.modeling.dtypes import F32, F64, U8
from footfall.modeling.scoring.tree_predictor import MAX_LEAVES, pack_trees, predict_trees
from footfall.modeling.view import Users, View, prior_log_odds

N_EDGES = 63
"""The log-odds of a view are a column of one byte: so many edges, between which there are equally many users."""
_FEW_USERS, _MANY_USERS = 5_000, 30_000
"""With fewer labels trees are smaller."""
_MIN_SECOND_LEVEL_USERS = 1_000
"""With fewer labels the first level is too noisy to learn from; then the trees see the dense bytes alone."""


class TreesView(View):
    """See the module. The strength is the number of trees."""

    strengths = (25.0, 50.0, 100.0, 200.0, 400.0)
    is_second_level = True

    def __init__(self) -> None:
        self._bias = 0.0
        self._edge_KE = np.zeros((0, N_EDGES), np.float32)
        self._node_TW, self._keep_TW, self._leaf_TL = pack_trees([])

    def fit(self, users: Users, label_N: U8, *, strength: float, seed: int) -> None:
        """See ``View``."""
        booster = self._boost(users, label_N, int(strength), seed)
        trees = booster.dump_model()["tree_info"]
        self._node_TW, self._keep_TW, self._leaf_TL = pack_trees([tree["tree_structure"] for tree in trees])

    def predict(self, users: Users) -> F64:
        """See ``View``."""
        sum_N = predict_trees(self._columns(users), self._node_TW, self._keep_TW, self._leaf_TL)
        return sum_N.astype(np.float64) + self._bias

    def arrays(self) -> dict[str, npt.NDArray[np.generic]]:
        """See ``View``."""
        return {
            "bias": np.array([self._bias]),
            "edge_KE": self._edge_KE,
            "node_TW": self._node_TW,
            "keep_TW": self._keep_TW,
            "leaf_TL": self._leaf_TL,
        }

    def try_strengths(self, train: Users, label_N: U8, held: Users, *, seed: int) -> Sequence[F64]:
        """See ``View``; the trees of a short model are the first ones of a long one."""
        booster = self._boost(train, label_N, int(max(self.strengths)), seed)
        held_NA = self._columns(held)
        return [np.asarray(booster.predict(held_NA, num_iteration=int(n), raw_score=True)) + self._bias for n in self.strengths]

    def _boost(self, users: Users, label_N: U8, n_trees: int, seed: int) -> lightgbm.Booster:
        self._bias = prior_log_odds(label_N)
        n_users = label_N.size
        self._edge_KE = _find_edges(users.first_level_NK[: n_users if n_users >= _MIN_SECOND_LEVEL_USERS else 0])
        parameters: dict[str, Any] = {
            "objective": "binary",
            "boost_from_average": False,
            "learning_rate": 0.05,
            "num_leaves": 8 if n_users < _FEW_USERS else 16 if n_users < _MANY_USERS else MAX_LEAVES,
            "min_data_in_leaf": max(5, min(100, n_users // 50), n_users // 500),
            "lambda_l2": 5.0,
            "feature_fraction": 0.4 if n_users < _FEW_USERS else 0.25,
            "bagging_fraction": 0.8,
            "bagging_freq": 1,
            "max_bin": 255,
            "min_data_in_bin": 1,
            "feature_pre_filter": False,
            "seed": seed,
            "deterministic": True,
            "force_col_wise": True,
            "num_threads": 1,  # more take longer here: there is little between two waits for each other
            "enable_bundle": False,
            "verbosity": -1,
        }
        data = lightgbm.Dataset(self._columns(users), label=label_N, init_score=np.full(n_users, self._bias), params=parameters)
        return lightgbm.train(parameters, data, num_boost_round=n_trees)

    def _columns(self, users: Users) -> U8:
        """Return (N, A + K): the dense bytes, then how many edges lie below the log-odds of each view."""
        levels = [np.searchsorted(edge_E, users.first_level_NK[:, k]).astype(np.uint8) for k, edge_E in enumerate(self._edge_KE)]
        return np.ascontiguousarray(np.column_stack([users.dense_NA, *levels]))


def _find_edges(first_level_NK: F32) -> F32:
    if not first_level_NK.size:
        return np.zeros((0, N_EDGES), np.float32)
    at_E = np.arange(1, N_EDGES + 1) / (N_EDGES + 1)
    return np.ascontiguousarray(np.quantile(first_level_NK, at_E, axis=0).T, np.float32)


VIEW = TreesView
