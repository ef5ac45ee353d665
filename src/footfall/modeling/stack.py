"""How views are weighed: out-of-fold stacking, calibration, refit; nothing to choose for anybody.

Knows views by their seam and labelled users as arrays; nothing of feature files. For each view a few strengths are
tried by 3-fold log loss. Then each says what it thinks of every user, from heads that did not see the user; views that
listen learn from that too. All of it, out of fold, is weighed by a logistic regression on ``log p`` and ``log(1 - p)``,
which few labels leave near the plain average. Source: Wolpert 1992; modelling.md.

Shapes: N users, M of them held out of what listens, K views, S strengths.
"""

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from footfall.modeling import views
from footfall.modeling.calibration import fit_curve
from footfall.modeling.folds import Rows, sample_rows, split_folds
from footfall.modeling.linear import fit_linear
from footfall.modeling.metrics import measure_auroc, measure_log_loss
from footfall.modeling.threads import map_ordered
from footfall.modeling.view import U8, Users, View, prior_log_odds

F64 = npt.NDArray[np.float64]

CHOICE_FOLDS, STACK_FOLDS = 3, 5
FEW_USERS, FEW_REPEATS = 1_500, 3
"""With few labels one split is mostly noise, so strengths are chosen on several."""
MAX_CHOICE_USERS = 50_000
"""More labelled users than these are sampled to choose the strengths of views that do not listen."""
MANY_USERS, MANY_FOLDS = 20_000, 3
"""With so many, heads fitted on two thirds of them say nearly what heads fitted on all would say."""
ENOUGH_HELD = 15_000
"""Folds are held out, one after the other, until so many users were, or all: the choice between few strengths is clear."""
MIN_CLASS_USERS = 10
"""With fewer of a class the views stay silent and every score is the prior."""
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
    heard_NK: npt.NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 0), np.float32), repr=False)
    """What the views that do not listen say of the users that were learned from, out of fold."""

    def predict(self, users: Users) -> F64:
        """Return (N,) probabilities."""
        if not self.views:
            return np.full(users.n_users, self.prior)
        heard_NK = self.say(users)
        users = users.hear(heard_NK)
        last = [view.predict(users) for view in self.views if view.listens]
        return self.weights.combine(np.column_stack([heard_NK, *last]))

    def say(self, users: Users) -> F64:
        """Return (N, K) log-odds: what the views that do not listen say."""
        return np.column_stack([view.predict(users) for view in self.views if not view.listens])


def find_views() -> dict[str, type[View]]:
    """Return the views of the folder by name, sorted; those that listen come last."""
    found: dict[str, type[View]] = {}
    for module in sorted(pkgutil.iter_modules(views.__path__), key=lambda m: m.name):
        found[module.name] = importlib.import_module(f"{views.__name__}.{module.name}").VIEW
    return dict(sorted(found.items(), key=lambda pair: pair[1].listens))


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
    first = {name: kind for name, kind in kinds.items() if not kind.listens}
    last = {name: kind for name, kind in kinds.items() if kind.listens}
    strengths = _choose_strengths(first, *_sample(users, label_N, MAX_CHOICE_USERS, seed), seed=seed, step=step)
    users = users.hear(_predict_out_of_fold(first, strengths, users, label_N, seed=seed, step=step))
    tried = _try_last(last, users, label_N, seed=seed, step=step)
    strengths |= tried.strengths
    out_MK = np.hstack([users.heard_NK[tried.row_M].astype(np.float64), tried.out_MK])
    label_M = label_N[tried.row_M]
    with threadpool_limits(1):  # the same sums on any number of cores
        weights = weigh_views(out_MK, label_M, seed=seed + 2)
    quality = {name: measure_auroc(out_MK[:, k], label_M) for k, name in enumerate(kinds)}
    quality["stack"] = measure_auroc(weights.combine(out_MK), label_M)
    stack = Stack(tuple(kinds), (), tuple(strengths.values()), weights, prior, quality)
    return _fit_views(stack, users, label_N, seed=seed, prior=prior, step=step)


def count_steps() -> int:
    """Return how often ``fit_stack`` and one more ``refit_stack`` call ``step``."""
    return 2 * len(find_views()) + CHOICE_FOLDS + 3 * STACK_FOLDS


def refit_stack(
    stack: Stack, users: Users, label_N: U8, *, seed: int, prior: float, step: Callable[[], None] = lambda: None
) -> Stack:
    """Fit the views again, on other labels, with the strengths and weights that were chosen.

    Views that listen hear what ``users`` have heard already, else what others say of them out of fold.
    """
    kinds = find_views()
    strengths = {n: s for n, s in zip(stack.names, stack.strengths, strict=True) if not kinds[n].listens}
    if strengths and not users.heard_NK.size:
        first = {name: kinds[name] for name in strengths}
        users = users.hear(_predict_out_of_fold(first, strengths, users, label_N, seed=seed, step=step))
    return _fit_views(stack, users, label_N, seed=seed, prior=prior, step=step)


def _fit_views(stack: Stack, users: Users, label_N: U8, *, seed: int, prior: float, step: Callable[[], None]) -> Stack:
    kinds = find_views()

    def fit(name: str, strength: float) -> View:
        view = kinds[name]()
        view.fit(users, label_N, strength=strength, seed=seed)
        return view

    fitted = []
    with threadpool_limits(1):
        for view in map_ordered(lambda pair: fit(*pair), zip(stack.names, stack.strengths, strict=True)):
            fitted.append(view)
            step()
    return replace(stack, views=tuple(fitted), prior=prior, heard_NK=users.heard_NK)


def _sample(users: Users, label_N: U8, limit: int, seed: int) -> tuple[Users, U8]:
    if label_N.size <= limit:
        return users, label_N
    row_N = sample_rows(label_N, limit, seed=seed)
    return users.take(row_N), label_N[row_N]


def _choose_strengths(
    kinds: dict[str, type[View]], users: Users, label_N: U8, *, seed: int, step: Callable[[], None]
) -> dict[str, float]:
    """Return for each view the strength with the least log loss on held folds."""
    loss_VS = {name: np.zeros(len(kind.strengths)) for name, kind in kinds.items()}
    repeats, n_held = FEW_REPEATS if label_N.size <= FEW_USERS else 1, 0
    for i, (train_N, held_N) in enumerate(_repeat_folds(label_N, repeats, seed=seed)):
        train, held = users.take(train_N), users.take(held_N)
        train_label_N, held_label_N = label_N[train_N], label_N[held_N]

        def measure(
            name: str, train: Users = train, held: Users = held, train_label_N: U8 = train_label_N,
            held_label_N: U8 = held_label_N,
        ) -> tuple[str, list[float]]:  # fmt: skip
            tries = kinds[name]().try_strengths(train, train_label_N, held, seed=seed)
            return name, [measure_log_loss(_to_probability(z_N), held_label_N) * held_label_N.size for z_N in tries]

        with threadpool_limits(1):
            for name, losses in map_ordered(measure, kinds):
                loss_VS[name] += losses
        if i % repeats == 0:
            step()
        n_held += held_N.size
        if n_held >= ENOUGH_HELD:
            break
    return {name: kind.strengths[int(loss_VS[name].argmin())] for name, kind in kinds.items()}


def _repeat_folds(label_N: U8, repeats: int, *, seed: int) -> Iterator[tuple[Rows, Rows]]:
    for repeat in range(repeats):
        yield from split_folds(label_N, CHOICE_FOLDS, seed=seed + 1000 * repeat)


def _predict_out_of_fold(
    kinds: dict[str, type[View]],
    strengths: dict[str, float],
    users: Users,
    label_N: U8,
    *,
    seed: int,
    step: Callable[[], None],
) -> F64:
    """Return (N, K) log-odds, each from heads that did not see the user."""
    out_NK = np.empty((label_N.size, len(kinds)))
    n_folds = STACK_FOLDS if label_N.size < MANY_USERS else MANY_FOLDS
    for train_N, held_N in split_folds(label_N, n_folds, seed=seed + 1):
        train, held, train_label_N = users.take(train_N), users.take(held_N), label_N[train_N]

        def predict(name: str, train: Users = train, held: Users = held, train_label_N: U8 = train_label_N) -> F64:
            view = kinds[name]()
            view.fit(train, train_label_N, strength=strengths[name], seed=seed)
            return view.predict(held)

        with threadpool_limits(1):
            for k, z_N in enumerate(map_ordered(predict, kinds)):
                out_NK[held_N, k] = z_N
        step()
    return out_NK


@dataclass(frozen=True)
class _Tried:
    strengths: dict[str, float]
    row_M: Rows
    out_MK: F64
    """Log-odds of the users ``row_M``, from heads that did not see them."""


def _try_last(
    kinds: dict[str, type[View]], users: Users, label_N: U8, *, seed: int, step: Callable[[], None]
) -> _Tried:
    """Choose the strengths of views that listen, fold by fold until enough users were held."""
    folds: list[tuple[Rows, Rows]] = []
    for fold in split_folds(label_N, STACK_FOLDS, seed=seed + 1):
        folds.append(fold)
        if sum(held_N.size for _, held_N in folds) >= ENOUGH_HELD:
            break

    def work(task: tuple[type[View], tuple[Rows, Rows]]) -> F64:
        kind, (train_N, held_N) = task
        held = users.take(held_N)
        return np.column_stack(list(kind().try_strengths(users.take(train_N), label_N[train_N], held, seed=seed)))

    row_M = np.concatenate([held_N for _, held_N in folds])
    strengths, columns = dict[str, float](), list[F64]()
    for name, kind in kinds.items():
        parts = []
        with threadpool_limits(1):
            for z_MS in map_ordered(work, [(kind, fold) for fold in folds]):
                parts.append(z_MS)
                step()
        out_MS = np.vstack(parts)
        best = int(np.argmin([measure_log_loss(_to_probability(z_M), label_N[row_M]) for z_M in out_MS.T]))
        strengths[name] = kind.strengths[best]
        columns.append(out_MS[:, best])
    return _Tried(strengths, row_M, np.column_stack(columns) if columns else np.zeros((row_M.size, 0)))


def _to_probability(z_N: F64) -> F64:
    p_N: F64 = 1 / (1 + np.exp(-z_N.clip(-30, 30)))
    return p_N


def weigh_views(out_NK: F64, label_N: U8, *, seed: int) -> Weights:
    """Weigh the views by what each said of users it had not seen.

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
    # the rarer a class, the less its users can say against the average
    strength = _STACK_STRENGTH * 4 * share * (1 - share)
    head = fit_linear(np.hstack([log_p_NK, log_q_NK]).astype(np.float32), label_N, strength, towards_V=average)
    log_p_K, log_q_K = head.weight_V[:n], head.weight_V[n:]
    bias = head.bias + log_p_K.sum() * np.logaddexp(0, -centre) + log_q_K.sum() * np.logaddexp(0, centre)
    return Weights(log_p_K, log_q_K, float(bias), np.zeros(0), np.zeros(0))
