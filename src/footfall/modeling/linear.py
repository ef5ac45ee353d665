"""Logistic regression for the linear views: ridge, an unpenalised intercept, L-BFGS.

Knows a matrix and labels. Minimises ``sum log loss + |w|² / (2 strength)``, as scikit-learn's C does, but starts from
the previous solution and never fails: a matrix without columns gives the prior. Source: Nocedal 1980 for L-BFGS.

Shapes: N users, V columns.
"""

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import scipy.optimize
import scipy.sparse

from footfall.modeling.view import prior_log_odds

F64 = npt.NDArray[np.float64]
Matrix: TypeAlias = Any
"""(N, V) float32, dense or SciPy's CSR."""

_MAX_ITERATIONS = 200


@dataclass(frozen=True)
class LinearHead:
    """Weights and intercept of log-odds."""

    weight_V: F64
    bias: float

    def predict(self, x_NV: Matrix) -> F64:
        """Return (N,) log-odds."""
        if x_NV.shape[1] == 0:
            return np.full(x_NV.shape[0], self.bias)
        return np.asarray(x_NV @ self.weight_V.astype(np.float32), dtype=np.float64) + self.bias


def fit_linear(
    x_NV: Matrix,
    label_N: npt.NDArray[np.uint8],
    strength: float,
    start: LinearHead | None = None,
    towards_V: F64 | None = None,
) -> LinearHead:
    """Fit a head; deterministic. The ridge pulls towards ``towards_V``, or 0."""
    n_columns = x_NV.shape[1]
    if n_columns == 0:
        return LinearHead(np.zeros(0), prior_log_odds(label_N))
    goal_V = np.zeros(n_columns) if towards_V is None else towards_V
    sign_N = label_N.astype(np.float64) * 2 - 1
    turned_VN = x_NV.T.tocsr() if scipy.sparse.issparse(x_NV) else x_NV.T

    def loss(w: F64) -> tuple[float, F64]:
        margin_N = sign_N * (np.asarray(x_NV @ w[:-1].astype(np.float32), dtype=np.float64) + w[-1])
        value = np.logaddexp(0, -margin_N).sum() + ((w[:-1] - goal_V) ** 2).sum() / (2 * strength)
        pull_N = -sign_N / (1 + np.exp(np.clip(margin_N, -50, 50)))
        gradient = np.empty_like(w)
        gradient[:-1] = turned_VN @ pull_N.astype(np.float32) + (w[:-1] - goal_V) / strength
        gradient[-1] = pull_N.sum()
        return float(value) / sign_N.size, gradient / sign_N.size

    first = np.zeros(n_columns + 1)
    first[-1] = prior_log_odds(label_N)
    if start is not None:
        first[:-1], first[-1] = start.weight_V, start.bias
    found = scipy.optimize.minimize(
        loss, first, jac=True, method="L-BFGS-B", options={"maxiter": _MAX_ITERATIONS, "gtol": 1e-5, "ftol": 1e-7}
    )
    return LinearHead(found.x[:-1], float(found.x[-1]))
