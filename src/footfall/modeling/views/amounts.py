"""How much and of what kind: categories, and behaviors and words by what they were worth, with a linear head.

Only event logs have these. Where behaviors have durations or prices it sees more than the bag of counts (modelling.md).

Shapes: N users, V tokens.
"""

import numpy as np
import numpy.typing as npt

from footfall.modeling.dtypes import F64, U8
from footfall.modeling.linear import LinearHead, fit_linear
from footfall.modeling.view import Users, View


class AmountsView(View):
    """See the module."""

    strengths = (0.1, 0.4, 1.6, 6.4)

    def __init__(self) -> None:
        self._head: LinearHead | None = None
        self._idf_V = np.zeros(0, np.float32)
        self._first = 0

    @classmethod
    def can_see(cls, users: Users) -> bool:
        """See ``View``."""
        return bool(users.fact_NV.shape[1] > 0)

    def fit(self, users: Users, label_N: U8, *, strength: float, seed: int) -> None:
        """See ``View``."""
        self._head = fit_linear(users.fact_NV, label_N, strength, self._head)
        self._idf_V = users.encoding.idf_V
        self._first = int(users.encoding.bound_K[2])

    def predict(self, users: Users) -> F64:
        """See ``View``."""
        assert self._head is not None
        return self._head.predict(users.fact_NV)

    def arrays(self) -> dict[str, npt.NDArray[np.generic]]:
        """See ``View``."""
        assert self._head is not None
        token_V = np.zeros(self._idf_V.size, np.float32)
        token_V[self._first :] = self._head.weight_V
        return {"bias": np.array([self._head.bias]), "token_V": token_V * self._idf_V}


VIEW = AmountsView
