"""How views are weighed: out-of-fold stacking, calibration, refit; nothing to choose for anybody.

Knows views by their seam and labelled users as arrays; nothing of feature files. For each view a few strengths are
tried by 3-fold log loss, then 5-fold out-of-fold predictions of all views are weighed by a logistic regression on
``log p`` and ``log(1 - p)``; one view alone stands in when that is as good. Source: Wolpert 1992; modelling.md.

Shapes: N users, K views.
"""

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from footfall.modeling import views
from footfall.modeling.calibration import fit_curve
from footfall.modeling.folds import sample_rows, split_folds
from footfall.modeling.linear import fit_linear
from footfall.modeling.metrics import measure_auroc, measure_log_loss
from footfall.modeling.view import U8, Users, View, prior_log_odds

F64 = npt.NDArray[np.float64]

CHOICE_FOLDS, STACK_FOLDS = 3, 5
MAX_CHOICE_USERS = 200_000
MIN_CLASS_USERS = 10
"""With fewer of a class the views stay silent and every score is the prior."""
_STACK_STRENGTH = 1.0
_MIN_GAIN = 1e-4
_MAX_LOG_ODDS = 15.0


@dataclass(frozen=True)
class Weights:
    """The second stage: log-odds of the score are ``log_p_K @ log p + log_q_K @ log(1 - p) + bias``."""

    log_p_K: F64
    log_q_K: F64
    bias: float
    curve_x_J: F64
    curve_y_J: F64

    def combine(self, log_odds_NK: F64) -> F64:
        """Return (N,) probabilities."""
        z_NK = log_odds_NK.clip(-_MAX_LOG_ODDS, _MAX_LOG_ODDS)
        z_N = -np.logaddexp(0, -z_NK) @ self.log_p_K - np.logaddexp(0, z_NK) @ self.log_q_K + self.bias
        p_N = 1 / (1 + np.exp(-z_N))
        return np.interp(p_N, self.curve_x_J, self.curve_y_J) if self.curve_x_J.size else p_N


@dataclass(frozen=True)
class Stack:
    """Fitted views and how they are weighed. Without views every score is the prior."""

    names: tuple[str, ...]
    views: tuple[View, ...]
    strengths: tuple[float, ...]
    weights: Weights
    prior: float
    out_of_fold: dict[str, float]
    """AUROC of each view, and of the stack as ``stack``, out of fold."""

    def predict(self, users: Users) -> F64:
        """Return (N,) probabilities."""
        if not self.views:
            return np.full(users.n_users, self.prior)
        return self.weights.combine(np.column_stack([view.predict(users) for view in self.views]))


def find_views() -> dict[str, type[View]]:
    """Return the views of the folder by name, sorted."""
    found = {}
    for module in sorted(pkgutil.iter_modules(views.__path__), key=lambda m: m.name):
        found[module.name] = importlib.import_module(f"{views.__name__}.{module.name}").VIEW
    return found


def fit_stack(
    users: Users, label_N: U8, *, seed: int, prior: float, step: Callable[[], None] = lambda: None
) -> Stack:
    """Fit every view and weigh them.

    Args:
        users: with at least one behavior each.
        label_N: (N,) 0 or 1.
        prior: the score where nothing can be learned.
        step: called ``count_steps()`` times as the work goes on.
    """
    if min(label_N.sum(), (1 - label_N).sum()) < MIN_CLASS_USERS:
        return Stack((), (), (), Weights(np.zeros(0), np.zeros(0), 0.0, np.zeros(0), np.zeros(0)), prior, {})
    kinds = find_views()
    choice_N = sample_rows(label_N, MAX_CHOICE_USERS, seed=seed)
    few, few_label_N = (users, label_N) if choice_N.size == label_N.size else (users.take(choice_N), label_N[choice_N])
    strengths: dict[str, float] = {}
    for name, kind in kinds.items():
        strengths[name] = _choose_strength(kind, few, few_label_N, seed=seed)
        step()
    out_NK = np.empty((few.n_users, len(kinds)))
    for train_N, held_N in split_folds(few_label_N, STACK_FOLDS, seed=seed + 1):
        train, held = few.take(train_N), few.take(held_N)
        for k, (name, kind) in enumerate(kinds.items()):
            view = kind()
            view.fit(train, few_label_N[train_N], strength=strengths[name], seed=seed)
            out_NK[held_N, k] = view.predict(held)
        step()
    weights = _weigh_views(out_NK, few_label_N, seed=seed + 2)
    quality = {name: measure_auroc(out_NK[:, k], few_label_N) for k, name in enumerate(kinds)}
    quality["stack"] = measure_auroc(weights.combine(out_NK), few_label_N)
    stack = Stack(tuple(kinds), (), tuple(strengths.values()), weights, prior, quality)
    return refit_stack(stack, users, label_N, seed=seed, prior=prior, step=step)


def count_steps() -> int:
    """Return how often ``fit_stack`` and one more ``refit_stack`` call ``step``."""
    return 3 * len(find_views()) + STACK_FOLDS


def refit_stack(
    stack: Stack, users: Users, label_N: U8, *, seed: int, prior: float, step: Callable[[], None] = lambda: None
) -> Stack:
    """Fit the views again, on other labels, with the strengths and weights that were chosen."""
    fitted = []
    for name, strength in zip(stack.names, stack.strengths, strict=True):
        view = find_views()[name]()
        view.fit(users, label_N, strength=strength, seed=seed)
        fitted.append(view)
        step()
    return Stack(stack.names, tuple(fitted), stack.strengths, stack.weights, prior, stack.out_of_fold)


def _choose_strength(kind: type[View], users: Users, label_N: U8, *, seed: int) -> float:
    loss_S = np.zeros(len(kind.strengths))
    for train_N, held_N in split_folds(label_N, CHOICE_FOLDS, seed=seed):
        tries = kind().try_strengths(users.take(train_N), label_N[train_N], users.take(held_N), seed=seed)
        loss_S += [measure_log_loss(1 / (1 + np.exp(-z_N.clip(-30, 30))), label_N[held_N]) * held_N.size
                   for z_N in tries]
    return kind.strengths[int(loss_S.argmin())]


def _weigh_views(out_NK: F64, label_N: U8, *, seed: int) -> Weights:
    """Weigh all views, or take the best one alone where all together are no better out of fold."""
    n_views = out_NK.shape[1]
    everything = list(range(n_views))
    losses = {}
    for k in range(n_views):
        losses[k] = _cross_loss(out_NK, label_N, [k], seed=seed)
    best = min(losses, key=lambda k: losses[k])
    chosen = everything if _cross_loss(out_NK, label_N, everything, seed=seed) < losses[best] - _MIN_GAIN else [best]
    weights = _fit_weights(out_NK, label_N, chosen)
    curve_x_J, curve_y_J = fit_curve(weights.combine(out_NK), label_N, seed=seed)
    return Weights(weights.log_p_K, weights.log_q_K, weights.bias, curve_x_J, curve_y_J)


def _cross_loss(out_NK: F64, label_N: U8, chosen: list[int], *, seed: int) -> float:
    p_N = np.empty(label_N.size)
    for train_N, held_N in split_folds(label_N, STACK_FOLDS, seed=seed):
        p_N[held_N] = _fit_weights(out_NK[train_N], label_N[train_N], chosen).combine(out_NK[held_N])
    return measure_log_loss(p_N, label_N)


def _fit_weights(out_NK: F64, label_N: U8, chosen: list[int]) -> Weights:
    z_NK = out_NK[:, chosen].clip(-_MAX_LOG_ODDS, _MAX_LOG_ODDS)
    centre = prior_log_odds(label_N)
    n = len(chosen)
    # centred on the prior; the ridge pulls towards the plain average of the views' log-odds
    log_p_NK = -np.logaddexp(0, -z_NK) + np.logaddexp(0, -centre)
    log_q_NK = -np.logaddexp(0, z_NK) + np.logaddexp(0, centre)
    average = np.repeat([1 / n, -1 / n], n)
    head = fit_linear(
        np.hstack([log_p_NK, log_q_NK]).astype(np.float32), label_N, _STACK_STRENGTH, towards_V=average
    )
    log_p_K, log_q_K = np.zeros(out_NK.shape[1]), np.zeros(out_NK.shape[1])
    log_p_K[chosen], log_q_K[chosen] = head.weight_V[:n], head.weight_V[n:]
    bias = head.bias + log_p_K.sum() * np.logaddexp(0, -centre) + log_q_K.sum() * np.logaddexp(0, centre)
    return Weights(log_p_K, log_q_K, float(bias), np.zeros(0), np.zeros(0))
