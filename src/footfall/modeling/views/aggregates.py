"""How the user behaves, in numbers: the dense columns by rank, with a linear head.

A column speaks by two functions of its rank among the users that the encoder was fitted on: the normal score and its
square, so that a middle can differ from both ends. Scoring looks both up at once.

Shapes: N users, A dense columns.
"""

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from footfall.modeling.dtypes import F32, F64, U8
from footfall.modeling.linear import LinearHead, fit_linear
from footfall.modeling.view import Users, View

_SQUARE_SCALE = 0.18
"""A quarter of unit variance: the ridge trusts a slope sooner than a bend."""


class AggregatesView(View):
    """See the module."""

    strengths = (0.001, 0.004, 0.012, 0.04)

    def __init__(self) -> None:
        self._head: LinearHead | None = None
        self._basis_FA256 = np.zeros((0, 0, 256), np.float32)

    def fit(self, users: Users, label_N: U8, *, strength: float, seed: int) -> None:
        """See ``View``."""
        if self._head is None:
            normal_A256 = ndtri(users.encoding.rank_A256.astype(np.float64)).clip(-3, 3)
            self._basis_FA256 = np.stack([normal_A256, _SQUARE_SCALE * (normal_A256**2 - 1)]).astype(np.float32)
        self._head = fit_linear(self._select(users), label_N, strength, self._head)

    def predict(self, users: Users) -> F64:
        """See ``View``."""
        assert self._head is not None
        return self._head.predict(self._select(users))

    def arrays(self) -> dict[str, npt.NDArray[np.generic]]:
        """See ``View``."""
        assert self._head is not None
        weight_FA = self._head.weight_V.reshape(self._basis_FA256.shape[:2])
        byte_A256 = np.einsum("fab,fa->ab", self._basis_FA256, weight_FA).astype(np.float32)
        return {"bias": np.array([self._head.bias]), "byte_A256": byte_A256}

    def _select(self, users: Users) -> F32:
        column_A = np.arange(users.dense_NA.shape[1])
        return np.hstack([basis_A256[column_A, users.dense_NA] for basis_A256 in self._basis_FA256])


VIEW = AggregatesView
