"""Where the user lives in the latent space, with a linear head.

The space is scaled by the population, never by the labelled users. It speaks on long histories of tastes; elsewhere
the stack gives it little weight (modelling.md).

Shapes: N users, D dimensions.
"""

import numpy as np
import numpy.typing as npt

from footfall.modeling.dtypes import F32, F64, U8
from footfall.modeling.linear import LinearHead, fit_linear
from footfall.modeling.view import Users, View


class LatentView(View):
    """See the module."""

    strengths = (0.003, 0.03, 0.3)

    def __init__(self) -> None:
        self._head: LinearHead | None = None
        self._scale_D = np.zeros(0, np.float32)

    def fit(self, users: Users, label_N: U8, *, strength: float, seed: int) -> None:
        """See ``View``."""
        spread_D = users.encoding.spread_D
        # half-way to whitening: strong dimensions keep some of their head start
        self._scale_D = np.where(spread_D > 1e-6, 1 / np.sqrt(np.maximum(spread_D, 1e-6)), 0).astype(np.float32)
        self._scale_D *= np.float32(1 / np.sqrt(max(float(spread_D.max(initial=0.0)), 1e-6)))
        self._head = fit_linear(self._select(users), label_N, strength, self._head)

    def predict(self, users: Users) -> F64:
        """See ``View``."""
        assert self._head is not None
        return self._head.predict(self._select(users))

    def arrays(self) -> dict[str, npt.NDArray[np.generic]]:
        """See ``View``."""
        assert self._head is not None
        return {
            "bias": np.array([self._head.bias]),
            "latent_D": (self._head.weight_V * self._scale_D).astype(np.float32),
        }

    def _select(self, users: Users) -> F32:
        return users.latent_ND * self._scale_D


VIEW = LatentView
