"""The interface of a view: some columns of the users, and the cheap head that is fitted on them.

Knows labelled users as arrays; nothing of files or of the other views. A new view is a module in ``views/`` with a
class ``VIEW``; the stack walks the folder, and the out-of-fold weights decide how much it counts. Scoring needs no view
code: a head is the arrays named in ``HEAD_ARRAYS``, whose sum is the log-odds.

Shapes: N users, D latent dimensions, A dense columns, V tokens, T trees, W steps of a tree, L leaves, K views, E edges.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import scipy.sparse

from footfall.modeling.dtypes import BOOL, F32, F64, I64, U8

HEAD_ARRAYS = {
    "bias": "(1,) float64, added to all",
    "token_V": "(V,) float32, times the weight of each token of the bag without its idf and norm",
    "latent_D": "(D,) float32, times the latent vector",
    "byte_A256": "(A, 256) float32, looked up by each dense byte",
    "node_TW": "(T, W) uint32, packed trees over the dense bytes, see tree_predictor.py",
    "keep_TW": "(T, W) uint16",
    "leaf_TL": "(T, L) float32",
    "edge_KE": "(K, E) float32, ascending: each first-level view is one more byte, how many edges lie below its log-odds",
}


@dataclass(frozen=True)
class Encoding:
    """What views need to know of the encoder."""

    hash: str
    idf_V: F32
    bound_K: I64
    rank_A256: F32
    spread_D: F32
    """Standard deviation of the latent dimensions in the population."""
    columns: tuple[str, ...] = ()


@dataclass(frozen=True)
class Users:
    """Labelled users, gathered from a feature."""

    encoding: Encoding
    text_NV: scipy.sparse.csr_matrix
    """Weights of behaviors and words."""
    ngram_NV: scipy.sparse.csr_matrix
    fact_NV: scipy.sparse.csr_matrix
    """Weights of categories, and of behaviors and words by value; no columns without an event log."""
    latent_ND: F32
    dense_NA: U8
    first_level_NK: F32 = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    """Log-odds of the first-level views, from heads that were not fitted on the user; empty without any."""

    @property
    def n_users(self) -> int:
        """N."""
        return int(self.dense_NA.shape[0])

    def take(self, row_N: npt.NDArray[np.integer] | BOOL) -> "Users":
        """Return some of the users, in the order of the rows."""
        return Users(
            self.encoding, self.text_NV[row_N], self.ngram_NV[row_N], self.fact_NV[row_N], self.latent_ND[row_N],
            self.dense_NA[row_N], self.first_level_NK[row_N] if self.first_level_NK.size else self.first_level_NK,
        )  # fmt: skip

    def with_first_level(self, first_level_NK: npt.NDArray[np.floating]) -> "Users":
        """Return the same users with the (N, K) log-odds of the first-level views."""
        return replace(self, first_level_NK=first_level_NK.astype(np.float32))


class View(ABC):
    """One view of the users with its head."""

    strengths: tuple[float, ...]
    """Candidates, from strongly to weakly regularised; the stack chooses by log loss."""
    is_second_level: ClassVar[bool] = False
    """Whether it is fitted after the others, with their log-odds (``Users.first_level_NK``) as columns."""

    @classmethod
    def can_see(cls, users: Users) -> bool:
        """Whether the users have the columns of this view."""
        return users.n_users > 0

    @abstractmethod
    def fit(self, users: Users, label_N: U8, *, strength: float, seed: int) -> None:
        """Fit the head. Both labels occur."""

    @abstractmethod
    def predict(self, users: Users) -> F64:
        """Return (N,) log-odds."""

    @abstractmethod
    def arrays(self) -> dict[str, npt.NDArray[np.generic]]:
        """Return all that scoring needs, by the names of ``HEAD_ARRAYS``."""

    def try_strengths(self, train: Users, label_N: U8, held: Users, *, seed: int) -> Sequence[F64]:
        """Return the log-odds of ``held`` for each strength; a view may share work between them."""
        log_odds = []
        for strength in self.strengths:
            self.fit(train, label_N, strength=strength, seed=seed)
            log_odds.append(self.predict(held))
        return log_odds


def prior_log_odds(label_N: U8) -> float:
    """Return the log-odds of the positive rate, with one more user of each class."""
    n_positive = int(label_N.sum())
    return float(np.log((n_positive + 1) / (label_N.size - n_positive + 1)))
