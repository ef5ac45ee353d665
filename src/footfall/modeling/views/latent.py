"""Where the user stands in the latent space, with a linear head.

The space is scaled by the population, never by the labelled users. It is informative on long histories of tastes;
elsewhere the stack gives it little weight (modelling.md).

Shapes: N users, D dimensions.
"""

import numpy as np
import numpy.typing as npt

from footfall.modeling.dtypes import F32
from footfall.modeling.linear import LinearView
from footfall.modeling.view import Encoding, Users


class LatentView(LinearView):
    """See the module."""

    strengths = (0.003, 0.03, 0.3)

    def _prepare(self, encoding: Encoding) -> None:
        spread_D = encoding.spread_D
        # half-way to whitening: strong dimensions keep some of their head start
        self._scale_D = np.where(spread_D > 1e-6, 1 / np.sqrt(np.maximum(spread_D, 1e-6)), 0).astype(np.float32)
        self._scale_D *= np.float32(1 / np.sqrt(max(float(spread_D.max(initial=0.0)), 1e-6)))

    def arrays(self) -> dict[str, npt.NDArray[np.generic]]:
        """See ``View``."""
        return {"bias": np.array([self.head.bias]), "latent_D": (self.head.weight_V * self._scale_D).astype(np.float32)}

    def _select(self, users: Users) -> F32:
        return users.latent_ND * self._scale_D


VIEW = LatentView
