"""How the user behaves, in numbers: the dense columns by rank, with a linear head.

A column counts by two functions of its rank among the users that the encoder was fitted on: the normal score and its
square, so that a middle can differ from both ends. Scoring looks both up at once.

Shapes: N users, A dense columns, F functions of a rank.
"""

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from footfall.modeling.dtypes import F32
from footfall.modeling.linear import LinearView
from footfall.modeling.view import Encoding, Users

_SQUARE_SCALE = 0.18
"""A quarter of unit variance: the ridge trusts a slope sooner than a bend."""


class AggregatesView(LinearView):
    """See the module."""

    strengths = (0.001, 0.004, 0.012, 0.04)

    def _prepare(self, encoding: Encoding) -> None:
        if self._head is None:
            normal_A256 = ndtri(encoding.rank_A256.astype(np.float64)).clip(-3, 3)
            self._basis_FA256 = np.stack([normal_A256, _SQUARE_SCALE * (normal_A256**2 - 1)]).astype(np.float32)

    def arrays(self) -> dict[str, npt.NDArray[np.generic]]:
        """See ``View``."""
        weight_FA = self.head.weight_V.reshape(self._basis_FA256.shape[:2])
        byte_A256 = np.einsum("fab,fa->ab", self._basis_FA256, weight_FA).astype(np.float32)
        return {"bias": np.array([self.head.bias]), "byte_A256": byte_A256}

    def _select(self, users: Users) -> F32:
        column_A = np.arange(users.dense_NA.shape[1])
        return np.hstack([basis_A256[column_A, users.dense_NA] for basis_A256 in self._basis_FA256])


VIEW = AggregatesView
