"""In which order the user did it: the weighted bag of 2- and 3-grams of behaviors, with a linear head.

A view of its own, because mixed into the bag n-grams cost .012 to .018 where tastes decide (modelling.md).

Shapes: N users, V tokens.
"""

import numpy as np
import numpy.typing as npt

from footfall.modeling.dtypes import F64, U8
from footfall.modeling.linear import LinearHead, fit_linear
from footfall.modeling.view import Users, View


class OrderView(View):
    """See the module."""

    strengths = (0.1, 0.4, 1.6)

    def __init__(self) -> None:
        self._head: LinearHead | None = None
        self._idf_V = np.zeros(0, np.float32)
        self._first, self._last = 0, 0

    def fit(self, users: Users, label_N: U8, *, strength: float, seed: int) -> None:
        """See ``View``."""
        self._head = fit_linear(users.ngram_NV, label_N, strength, self._head)
        self._idf_V = users.encoding.idf_V
        self._first, self._last = (int(bound) for bound in users.encoding.bound_K[1:3])

    def predict(self, users: Users) -> F64:
        """See ``View``."""
        assert self._head is not None
        return self._head.predict(users.ngram_NV)

    def arrays(self) -> dict[str, npt.NDArray[np.generic]]:
        """See ``View``."""
        assert self._head is not None
        token_V = np.zeros(self._idf_V.size, np.float32)
        token_V[self._first : self._last] = self._head.weight_V
        return {"bias": np.array([self._head.bias]), "token_V": token_V * self._idf_V}


VIEW = OrderView
