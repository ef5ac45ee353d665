"""How habits combine: gradient-boosted trees over the dense bytes.

Wins where habit and timing decide (modelling.md). LightGBM learns, the compiled predictor scores; the bytes are the
encoder's quantile bins, so both see the same. Source: Ke et al. 2017.

Shapes: N users, A dense columns, T trees.
"""

from collections.abc import Sequence
from typing import Any

import lightgbm
import numpy as np
import numpy.typing as npt

from footfall.modeling.predictor import pack_trees, predict_trees
from footfall.modeling.view import F64, U8, Users, View, prior_log_odds

MAX_DEPTH = 5
_MANY_USERS = 5_000


class TreesView(View):
    """See the module. The strength is the number of trees."""

    strengths = (25.0, 50.0, 100.0, 200.0)

    def __init__(self) -> None:
        self._bias = 0.0
        self._node_TW = np.zeros((0, 2**MAX_DEPTH - 1), np.uint32)
        self._leaf_TW = np.zeros((0, 2**MAX_DEPTH), np.float32)

    def fit(self, users: Users, label_N: U8, *, strength: float, seed: int) -> None:
        """See ``View``."""
        booster = self._boost(users, label_N, int(strength), seed)
        trees = booster.dump_model()["tree_info"]
        self._node_TW, self._leaf_TW = pack_trees([tree["tree_structure"] for tree in trees], MAX_DEPTH)

    def predict(self, users: Users) -> F64:
        """See ``View``."""
        dense_NA = np.ascontiguousarray(users.dense_NA)
        return predict_trees(dense_NA, self._node_TW, self._leaf_TW).astype(np.float64) + self._bias

    def arrays(self) -> dict[str, npt.NDArray[np.generic]]:
        """See ``View``."""
        return {"bias": np.array([self._bias]), "node_TW": self._node_TW, "leaf_TW": self._leaf_TW}

    def try_strengths(self, train: Users, label_N: U8, held: Users, *, seed: int) -> Sequence[F64]:
        """See ``View``; the trees of a short model are the first ones of a long one."""
        booster = self._boost(train, label_N, int(max(self.strengths)), seed)
        return [
            np.asarray(booster.predict(held.dense_NA, num_iteration=int(n), raw_score=True)) + self._bias
            for n in self.strengths
        ]

    def _boost(self, users: Users, label_N: U8, n_trees: int, seed: int) -> lightgbm.Booster:
        self._bias = prior_log_odds(label_N)
        n_users = label_N.size
        parameters: dict[str, Any] = {
            "objective": "binary",
            "boost_from_average": False,
            "learning_rate": 0.05 if n_users < _MANY_USERS else 0.1,
            "num_leaves": 8 if n_users < _MANY_USERS else 16,
            "max_depth": MAX_DEPTH,
            "min_data_in_leaf": max(5, min(100, n_users // 50)),
            "lambda_l2": 5.0,
            "feature_fraction": 0.4,
            "bagging_fraction": 0.8,
            "bagging_freq": 1,
            "max_bin": 255,
            "min_data_in_bin": 1,
            "feature_pre_filter": False,
            "seed": seed,
            "deterministic": True,
            "force_col_wise": True,
            "num_threads": 1,  # the stack fits several heads at a time
            "verbosity": -1,
        }
        data = lightgbm.Dataset(
            users.dense_NA, label=label_N, init_score=np.full(n_users, self._bias), params=parameters
        )
        return lightgbm.train(parameters, data, num_boost_round=n_trees)


VIEW = TreesView
