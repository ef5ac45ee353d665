"""Stacking: views are weighed by their predictions out of fold, calibrated, and fitted again; nothing is left to configure.

Knows views by their interface and labelled users as arrays; nothing of feature files. For each view a few strengths are
tried by 3-fold log loss. First-level views then predict every user out of fold; second-level views have these log-odds as
columns too. All predictions, out of fold, are weighed by a logistic regression on ``log p`` and ``log(1 - p)``, which few
labels leave near the plain average. Source: Wolpert 1992; modelling.md.

Shapes: N users, M of them held out of the second level, K views, S strengths.
"""

import importlib
import itertools
import pkgutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from typing import TypeVar

import numpy as np
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from footfall.modeling import views
from footfall.modeling.dtypes import F32, F64, I64, U8
from footfall.modeling.learning.calibration import fit_curve
from footfall.modeling.learning.folds import sample_rows, split_folds
from footfall.modeling.learning.metrics import measure_auroc, measure_log_loss
from footfall.modeling.linear import fit_linear
from footfall.modeling.threads import count_threads, map_ordered
from footfall.modeling.view import Users, View, prior_log_odds

Out = TypeVar("Out")

CHOICE_FOLDS, STACK_FOLDS = 3, 5
FEW_USERS, FEW_REPEATS = 1_500, 3
"""With few labels one split is mostly noise, so strengths are chosen on several."""
MAX_CHOICE_USERS = 50_000
"""More labelled users than these are sampled to choose the strengths of first-level views."""
MANY_USERS, MANY_FOLDS = 20_000, 3
"""With so many, heads fitted on two thirds of them predict nearly what heads fitted on all would."""
ENOUGH_HELD = 15_000
"""Folds are held out, one after the other, until so many users were, or all: the choice between few strengths is clear."""
MIN_CLASS_USERS = 10
"""With fewer of a class no view is fitted and every score is the prior."""
_STACK_STRENGTH = 0.1
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
        bent_N: F64 = np.interp(p_N, self.curve_x_J, self.curve_y_J) if self.curve_x_J.size else p_N
        return bent_N


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
    first_level_NK: F32 = field(default_factory=lambda: np.zeros((0, 0), np.float32), repr=False)
    """Log-odds of the first-level views for the users that were learned from, out of fold."""

    def predict(self, users: Users, first_level_NK: F64 | None = None) -> F64:
        """Return (N,) probabilities; ``said_NK`` is the result of ``predict_first_level``, if it is known."""
        if not self.views:
            return np.full(users.n_users, self.prior)
        first_level_NK = self.predict_first_level(users) if first_level_NK is None else first_level_NK
        users = users.with_first_level(first_level_NK)
        second_level = [view.predict(users) for view in self.views if view.is_second_level]
        return self.weights.combine(np.column_stack([first_level_NK, *second_level]))

    def predict_first_level(self, users: Users) -> F64:
        """Return the (N, K) log-odds of the first-level views."""
        log_odds = [view.predict(users) for view in self.views if not view.is_second_level]
        return np.column_stack(log_odds) if log_odds else np.zeros((users.n_users, 0))


def find_views() -> dict[str, type[View]]:
    """Return the views of the folder by name, sorted; second-level views come last."""
    classes: dict[str, type[View]] = {}
    for module in sorted(pkgutil.iter_modules(views.__path__), key=lambda m: m.name):
        classes[module.name] = importlib.import_module(f"{views.__name__}.{module.name}").VIEW
    return dict(sorted(classes.items(), key=lambda pair: pair[1].is_second_level))


def fit_stack(users: Users, label_N: U8, *, seed: int, prior: float, step: Callable[[], None] = lambda: None) -> Stack:
    """Fit every view and weigh them.

    Args:
        users: with at least one behavior each.
        label_N: (N,) 0 or 1.
        prior: the score where nothing can be learned.
        step: called ``count_steps()`` times as the work goes on.
    """
    if min(label_N.sum(), (1 - label_N).sum()) < MIN_CLASS_USERS:
        return Stack((), (), (), Weights(np.zeros(0), np.zeros(0), 0.0, np.zeros(0), np.zeros(0)), prior, {})
    kinds = {name: kind for name, kind in find_views().items() if kind.can_see(users)}
    first = {name: kind for name, kind in kinds.items() if not kind.is_second_level}
    last = {name: kind for name, kind in kinds.items() if kind.is_second_level}
    strengths = _choose_strengths(first, *_sample(users, label_N, MAX_CHOICE_USERS, seed), seed=seed, step=step)
    first_level_NK, heads = _predict_out_of_fold(first, strengths, users, label_N, seed=seed, step=step)
    users = users.with_first_level(first_level_NK)
    second = _choose_second_level(last, users, label_N, seed=seed, step=step)
    strengths |= second.strengths
    out_MK = np.hstack([users.first_level_NK[second.row_M].astype(np.float64), second.out_MK])
    label_M = label_N[second.row_M]
    with threadpool_limits(1):  # the same sums on any number of cores
        weights = weigh_views(out_MK, label_M, seed=seed + 2)
    quality = {name: measure_auroc(out_MK[:, k], label_M) for k, name in enumerate(kinds)}
    quality["stack"] = measure_auroc(weights.combine(out_MK), label_M)
    stack = Stack(tuple(kinds), (), tuple(strengths.values()), weights, prior, quality)
    return _fit_views(stack, heads, users, label_N, seed=seed, prior=prior, step=step)


def count_steps() -> int:
    """Return how often ``fit_stack`` and one more ``refit_stack`` call ``step``."""
    return 2 * len(find_views()) + CHOICE_FOLDS + 3 * STACK_FOLDS


def refit_stack(
    stack: Stack, users: Users, label_N: U8, *, seed: int, prior: float, step: Callable[[], None] = lambda: None
) -> Stack:
    """Fit the views again, on other labels, with the strengths and weights that were chosen.

    Second-level views take ``users.first_level_NK`` if it is there, else predictions out of fold. The search for a head
    begins at the stack's own, if it has any.
    """
    kinds, heads = find_views(), dict(zip(stack.names, stack.views, strict=False))
    strengths = {n: s for n, s in zip(stack.names, stack.strengths, strict=True) if not kinds[n].is_second_level}
    if strengths and not users.first_level_NK.size:
        first = {name: kinds[name] for name in strengths}
        first_level_NK, heads = _predict_out_of_fold(first, strengths, users, label_N, seed=seed, step=step)
        users = users.with_first_level(first_level_NK)
    return _fit_views(stack, heads, users, label_N, seed=seed, prior=prior, step=step)


def _fit_views(
    stack: Stack, heads: dict[str, View], users: Users, label_N: U8, *, seed: int, prior: float, step: Callable[[], None]
) -> Stack:
    kinds = find_views()

    def fit(pair: tuple[str, float]) -> View:
        name, strength = pair
        view = copy(heads[name]) if name in heads else kinds[name]()
        view.fit(users, label_N, strength=strength, seed=seed)
        return view

    # second-level views come first here, because they take longest
    pairs = list(zip(stack.names, stack.strengths, strict=True))[::-1]
    fitted = []
    with threadpool_limits(1):
        for view in map_ordered(fit, pairs):
            fitted.append(view)
            step()
    return replace(stack, views=tuple(fitted[::-1]), prior=prior, first_level_NK=users.first_level_NK)


def _sample(users: Users, label_N: U8, limit: int, seed: int) -> tuple[Users, U8]:
    if label_N.size <= limit:
        return users, label_N
    row_N = sample_rows(label_N, limit, seed=seed)
    return users.take(row_N), label_N[row_N]


@dataclass(frozen=True)
class _Fold:
    """One fit of one view: the users to learn from, and those to predict."""

    kind: type[View]
    train: Users
    train_label_N: U8
    held: Users
    held_N: I64


def _map_folds(
    kinds: dict[str, type[View]],
    users: Users,
    label_N: U8,
    folds: Sequence[tuple[I64, I64]],
    evaluate: Callable[[str, _Fold], Out],
    step: Callable[[], None],
) -> Iterator[tuple[str, I64, Out]]:
    """Yield (view, held rows, result) fold by fold; views and folds are worked on in parallel."""

    def split() -> Iterator[tuple[str, _Fold]]:
        for train_N, held_N in folds:
            train, held = users.take(train_N), users.take(held_N)
            for name, kind in kinds.items():
                yield name, _Fold(kind, train, label_N[train_N], held, held_N)

    def work(pair: tuple[str, _Fold]) -> tuple[str, I64, Out]:
        name, fold = pair
        return name, fold.held_N, evaluate(name, fold)

    n_threads = max(1, min(count_threads(), len(kinds) * len(folds)))
    last = list(kinds)[-1] if kinds else None
    with threadpool_limits(1):
        for name, held_N, result in map_ordered(work, split(), n_threads=n_threads):
            yield name, held_N, result
            if name == last:
                step()


def _cut_folds(folds: Iterable[tuple[I64, I64]]) -> list[tuple[I64, I64]]:
    """Return the first folds, until enough users were held."""
    kept: list[tuple[I64, I64]] = []
    for fold in folds:
        kept.append(fold)
        if sum(held_N.size for _, held_N in kept) >= ENOUGH_HELD:
            break
    return kept


def _choose_strengths(
    kinds: dict[str, type[View]], users: Users, label_N: U8, *, seed: int, step: Callable[[], None]
) -> dict[str, float]:
    """Return for each view the strength with the least log loss on held folds."""

    def measure(name: str, fold: _Fold) -> list[float]:
        tries = fold.kind().try_strengths(fold.train, fold.train_label_N, fold.held, seed=seed)
        held_label_N = label_N[fold.held_N]
        return [measure_log_loss(_to_probability(z_N), held_label_N) * held_label_N.size for z_N in tries]

    loss_VS = {name: np.zeros(len(kind.strengths)) for name, kind in kinds.items()}
    repeats, done = FEW_REPEATS if label_N.size <= FEW_USERS else 1, itertools.count(1)

    def step_once() -> None:
        if next(done) % repeats == 0:
            step()

    folds = _cut_folds(_repeat_folds(label_N, repeats, seed=seed))
    for name, _, losses in _map_folds(kinds, users, label_N, folds, measure, step_once):
        loss_VS[name] += losses
    return {name: kind.strengths[int(loss_VS[name].argmin())] for name, kind in kinds.items()}


def _repeat_folds(label_N: U8, repeats: int, *, seed: int) -> Iterator[tuple[I64, I64]]:
    for repeat in range(repeats):
        yield from split_folds(label_N, CHOICE_FOLDS, seed=seed + 1000 * repeat)


def _predict_out_of_fold(
    kinds: dict[str, type[View]], strengths: dict[str, float], users: Users, label_N: U8, *, seed: int, step: Callable[[], None]
) -> tuple[F64, dict[str, View]]:
    """Return (N, K) log-odds, each from heads that did not see the user, and a head of each view."""

    def predict(name: str, fold: _Fold) -> tuple[View, F64]:
        view = fold.kind()
        view.fit(fold.train, fold.train_label_N, strength=strengths[name], seed=seed)
        return view, view.predict(fold.held)

    out_NK = np.empty((label_N.size, len(kinds)))
    at, heads = {name: k for k, name in enumerate(kinds)}, dict[str, View]()
    folds = list(split_folds(label_N, STACK_FOLDS if label_N.size < MANY_USERS else MANY_FOLDS, seed=seed + 1))
    for name, held_N, (view, z_N) in _map_folds(kinds, users, label_N, folds, predict, step):
        out_NK[held_N, at[name]] = z_N
        heads[name] = view
    return out_NK, heads


@dataclass(frozen=True)
class _SecondLevel:
    strengths: dict[str, float]
    row_M: I64
    out_MK: F64
    """Log-odds of the users ``row_M``, out of fold."""


def _choose_second_level(
    kinds: dict[str, type[View]], users: Users, label_N: U8, *, seed: int, step: Callable[[], None]
) -> _SecondLevel:
    """Choose the strengths of second-level views, fold by fold until enough users were held."""

    def work(_: str, fold: _Fold) -> F64:
        return np.column_stack(fold.kind().try_strengths(fold.train, fold.train_label_N, fold.held, seed=seed))

    folds = _cut_folds(split_folds(label_N, STACK_FOLDS, seed=seed + 1))
    row_M = np.concatenate([held_N for _, held_N in folds])
    parts: dict[str, list[F64]] = {name: [] for name in kinds}
    for name, _, out_NS in _map_folds(kinds, users, label_N, folds, work, step):
        parts[name].append(out_NS)
    strengths, columns = dict[str, float](), list[F64]()
    for name, kind in kinds.items():
        out_MS = np.vstack(parts[name])
        best = int(np.argmin([measure_log_loss(_to_probability(z_M), label_N[row_M]) for z_M in out_MS.T]))
        strengths[name] = kind.strengths[best]
        columns.append(out_MS[:, best])
    return _SecondLevel(strengths, row_M, np.column_stack(columns) if columns else np.zeros((row_M.size, 0)))


def _to_probability(z_N: F64) -> F64:
    p_N: F64 = 1 / (1 + np.exp(-z_N.clip(-30, 30)))
    return p_N


def weigh_views(out_NK: F64, label_N: U8, *, seed: int) -> Weights:
    """Weigh the views by their predictions out of fold.

    Args:
        out_NK: (N, K) log-odds.
        label_N: (N,) 0 or 1, both there.
    """
    weights = _fit_weights(out_NK, label_N)
    curve_x_J, curve_y_J = fit_curve(weights.combine(out_NK), label_N, seed=seed)
    return Weights(weights.log_p_K, weights.log_q_K, weights.bias, curve_x_J, curve_y_J)


def _fit_weights(out_NK: F64, label_N: U8) -> Weights:
    n = out_NK.shape[1]
    z_NK = out_NK.clip(-_MAX_LOG_ODDS, _MAX_LOG_ODDS)
    share = float(label_N.mean())
    centre = prior_log_odds(label_N)
    # centred on the prior; the ridge pulls towards the plain average of the views' log-odds
    log_p_NK = -np.logaddexp(0, -z_NK) + np.logaddexp(0, -centre)
    log_q_NK = -np.logaddexp(0, z_NK) + np.logaddexp(0, centre)
    average = np.repeat([1 / n, -1 / n], n)
    # the rarer a class, the less evidence its users are against the average
    strength = _STACK_STRENGTH * 4 * share * (1 - share)
    head = fit_linear(np.hstack([log_p_NK, log_q_NK]).astype(np.float32), label_N, strength, towards_V=average)
    log_p_K, log_q_K = head.weight_V[:n], head.weight_V[n:]
    bias = head.bias + log_p_K.sum() * np.logaddexp(0, -centre) + log_q_K.sum() * np.logaddexp(0, centre)
    return Weights(log_p_K, log_q_K, float(bias), np.zeros(0), np.zeros(0))
