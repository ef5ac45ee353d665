"""Calibrate probabilities by an isotonic curve, kept only when it improves the log loss out of fold.

Knows probabilities and labels. The curve is two arrays of knots, joined by straight lines, so that scoring is a
look-up. Source: Zadrozny & Elkan 2002.

Shapes: N users, J knots.
"""

import numpy as np
from sklearn.isotonic import IsotonicRegression

from footfall.modeling.dtypes import F64, U8
from footfall.modeling.learning.folds import split_folds
from footfall.modeling.learning.metrics import measure_log_loss

_MIN_USERS = 1000
_MIN_GAIN = 1e-3
"""Log loss; below this a curve only adds ties and noise."""


def fit_curve(p_N: F64, label_N: U8, *, seed: int) -> tuple[F64, F64]:
    """Return the knots (x_J, y_J) of a curve that improves the log loss out of fold; none when no curve does."""
    none = np.zeros(0), np.zeros(0)
    if p_N.size < _MIN_USERS:
        return none
    bent_N = np.empty_like(p_N)
    for train_N, held_N in split_folds(label_N, 5, seed=seed):
        x_J, y_J = _fit(p_N[train_N], label_N[train_N])
        bent_N[held_N] = np.interp(p_N[held_N], x_J, y_J)
    if measure_log_loss(bent_N, label_N) > measure_log_loss(p_N, label_N) - _MIN_GAIN:
        return none
    return _fit(p_N, label_N)


def _fit(p_N: F64, label_N: U8) -> tuple[F64, F64]:
    model = IsotonicRegression(y_min=1e-4, y_max=1 - 1e-4, out_of_bounds="clip").fit(p_N, label_N)
    return model.X_thresholds_.astype(np.float64), model.y_thresholds_.astype(np.float64)
