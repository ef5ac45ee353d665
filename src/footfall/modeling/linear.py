"""Logistic regression for the linear views: ridge, an unpenalised intercept, L-BFGS; and what these views share.

Knows a matrix and labels. Minimises ``sum log loss + |w|² / (2 strength)``, as scikit-learn's C does, but starts from
the previous solution and never fails: a matrix without columns gives the prior. The search runs in coordinates in which
the loss is about as steep in every direction, which takes a tenth of the steps. Sources: Nocedal 1980 for L-BFGS;
Nocedal & Wright 2006, 5.1, for the change of coordinates.

Shapes: N users, V columns.
"""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

import numpy as np
import numpy.typing as npt
import scipy.linalg
import scipy.optimize
import scipy.sparse

from footfall.modeling.dtypes import F64, U8
from footfall.modeling.view import Encoding, Users, View, prior_log_odds

Matrix: TypeAlias = Any
"""(N, V) float32, dense or SciPy's CSR."""

_MAX_ITERATIONS = 200
_GRAM_USERS, _CORE_COLUMNS = 16_384, 512
"""So many users are enough to estimate the curvature of the loss, which is taken whole for so many columns."""


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
    x_NV: Matrix, label_N: U8, strength: float, start: LinearHead | None = None, towards_V: F64 | None = None
) -> LinearHead:
    """Fit a head; deterministic. The ridge pulls towards ``towards_V``, or 0."""
    n_columns = x_NV.shape[1]
    if n_columns == 0:
        return LinearHead(np.zeros(0), prior_log_odds(label_N))
    goal_V = np.zeros(n_columns) if towards_V is None else towards_V
    sign_N = label_N.astype(np.float64) * 2 - 1
    turned_VN = x_NV.T.tocsr() if scipy.sparse.issparse(x_NV) else x_NV.T

    space = _Space(x_NV, label_N, strength)

    def loss(v: F64) -> tuple[float, F64]:
        w = np.append(space.to_weights(v[:-1]), v[-1])
        margin_N = sign_N * (np.asarray(x_NV @ w[:-1].astype(np.float32), dtype=np.float64) + w[-1])
        value = np.logaddexp(0, -margin_N).sum() + ((w[:-1] - goal_V) ** 2).sum() / (2 * strength)
        pull_N = -sign_N / (1 + np.exp(np.clip(margin_N, -50, 50)))
        gradient = np.empty_like(w)
        gradient[:-1] = turned_VN @ pull_N.astype(np.float32) + (w[:-1] - goal_V) / strength
        gradient[-1] = pull_N.sum()
        gradient[:-1] = space.turn_gradient(gradient[:-1])
        return float(value) / sign_N.size, gradient / sign_N.size

    first = np.zeros(n_columns + 1)
    first[-1] = prior_log_odds(label_N)
    if start is not None:
        first[:-1], first[-1] = space.from_weights(start.weight_V), start.bias
    result = scipy.optimize.minimize(
        loss, first, jac=True, method="L-BFGS-B", options={"maxiter": _MAX_ITERATIONS, "gtol": 1e-6, "ftol": 1e-7}
    )
    return LinearHead(space.to_weights(result.x[:-1]), float(result.x[-1]))


class _Space:
    """Coordinates v of the weights w in which the loss is about ``|v - v_0|² / 2``.

    ``w = L⁻ᵀ v`` where ``L Lᵀ`` is the curvature at the prior: all of it for the steepest columns, its diagonal for others.
    """

    def __init__(self, x_NV: Matrix, label_N: U8, strength: float) -> None:
        ones = (label_N.sum() + 1) / (label_N.size + 2)
        curvature = float(ones * (1 - ones))
        few_NV = x_NV[:: max(1, x_NV.shape[0] // _GRAM_USERS)]
        scale = curvature * x_NV.shape[0] / few_NV.shape[0]
        squares_NV = few_NV.multiply(few_NV) if scipy.sparse.issparse(x_NV) else few_NV * few_NV
        steep_V = np.asarray(squares_NV.sum(axis=0), dtype=np.float64).ravel() * scale + 1 / strength
        self._core_C = np.sort(np.argsort(-steep_V, kind="stable")[:_CORE_COLUMNS])
        core_NC = few_NV[:, self._core_C]
        core_NC = core_NC.toarray() if scipy.sparse.issparse(x_NV) else core_NC
        gram_CC = (core_NC.T @ core_NC).astype(np.float64) * scale
        gram_CC[np.diag_indices_from(gram_CC)] += 1 / strength
        self._root_CC = scipy.linalg.cholesky(gram_CC, lower=True)
        self._root_V = np.sqrt(steep_V)

    def to_weights(self, v_V: F64) -> F64:
        w_V: F64 = v_V / self._root_V
        w_V[self._core_C] = scipy.linalg.solve_triangular(self._root_CC, v_V[self._core_C], lower=True, trans="T")
        return w_V

    def from_weights(self, w_V: F64) -> F64:
        v_V: F64 = w_V * self._root_V
        v_V[self._core_C] = self._root_CC.T @ w_V[self._core_C]
        return v_V

    def turn_gradient(self, gradient_V: F64) -> F64:
        turned_V: F64 = gradient_V / self._root_V
        turned_V[self._core_C] = scipy.linalg.solve_triangular(self._root_CC, gradient_V[self._core_C], lower=True)
        return turned_V


class LinearView(View):
    """A view with a linear head; a subclass selects the columns. Each fit starts from the head before."""

    def __init__(self) -> None:
        self._head: LinearHead | None = None

    def fit(self, users: Users, label_N: U8, *, strength: float, seed: int) -> None:
        """See ``View``."""
        self._prepare(users.encoding)
        self._head = fit_linear(self._select(users), label_N, strength, self._head)

    def predict(self, users: Users) -> F64:
        """See ``View``."""
        return self.head.predict(self._select(users))

    @property
    def head(self) -> LinearHead:
        """The head, once it is fitted."""
        assert self._head is not None
        return self._head

    @abstractmethod
    def _prepare(self, encoding: Encoding) -> None:
        """Take from the encoder what selecting and storing need."""

    @abstractmethod
    def _select(self, users: Users) -> Matrix:
        """Return the columns of the users, (N, V)."""


class TokenView(LinearView):
    """A linear head over some blocks of the weighted bag: ``matrix`` of the users, whose first block is ``block``."""

    strengths: tuple[float, ...] = (0.1, 0.4, 1.6, 6.4)
    matrix: ClassVar[str]
    block: ClassVar[int]

    def _prepare(self, encoding: Encoding) -> None:
        self._idf_V = encoding.idf_V
        self._first = int(encoding.bound_K[self.block - 1]) if self.block else 0

    def _select(self, users: Users) -> Matrix:
        return getattr(users, self.matrix)

    def arrays(self) -> dict[str, npt.NDArray[np.generic]]:
        """See ``View``."""
        token_V = np.zeros(self._idf_V.size, np.float32)
        token_V[self._first : self._first + self.head.weight_V.size] = self.head.weight_V
        return {"bias": np.array([self.head.bias]), "token_V": token_V * self._idf_V}
