"""The stack: views are weighed by their predictions out of fold, and with few labels carefully."""

import numpy as np
import scipy.sparse

from footfall.modeling.dtypes import F64, U8
from footfall.modeling.learning.metrics import measure_auroc
from footfall.modeling.learning.stack import find_views, fit_stack, refit_stack, weigh_views
from footfall.modeling.view import Encoding, Users


def draw_opinions(n_users: int, share: float, noise_K: list[float], rng: np.random.Generator) -> tuple[F64, U8]:
    """Return (log-odds of views that see the truth with noise of their own, labels)."""
    label_N = (np.arange(n_users) < share * n_users).astype(np.uint8)
    truth_N = label_N * 1.5 + rng.normal(size=n_users) + np.log(share / (1 - share))
    return truth_N[:, None] + rng.normal(size=(n_users, len(noise_K))) * noise_K, label_N


def test_few_of_a_class_leave_the_views_near_their_average() -> None:
    rng = np.random.default_rng(1)
    test_NK, test_N = draw_opinions(20_000, 0.1, [1.2] * 6, rng)
    lost = []
    for _ in range(12):
        few_NK, few_N = draw_opinions(500, 0.1, [1.2] * 6, rng)
        weights = weigh_views(few_NK, few_N, seed=1)
        lost.append(measure_auroc(test_NK.mean(axis=1), test_N) - measure_auroc(weights.combine(test_NK), test_N))
    assert np.mean(lost) < 0.0045


def test_many_labels_find_the_view_that_knows() -> None:
    rng = np.random.default_rng(2)
    noise = [0.1, 5.0, 5.0, 5.0]
    test_NK, test_N = draw_opinions(20_000, 0.4, noise, rng)
    weights = weigh_views(*draw_opinions(3_000, 0.4, noise, rng), seed=1)
    assert measure_auroc(weights.combine(test_NK), test_N) > measure_auroc(test_NK[:, 0], test_N) - 0.003


def test_what_a_view_overstates_is_taken_back() -> None:
    rng = np.random.default_rng(3)
    out_NK, label_N = draw_opinions(5_000, 0.3, [0.5, 0.5], rng)
    mean = float(weigh_views(5 * out_NK, label_N, seed=1).combine(5 * out_NK).mean())
    assert abs(mean - 0.3) < 0.01


def make_users(dense_NA: U8) -> Users:
    n, a = dense_NA.shape
    none = scipy.sparse.csr_matrix((n, 0), dtype=np.float32)
    bound_K, empty = np.zeros(3, np.int64), np.zeros(0, np.float32)
    encoding = Encoding("made up", empty, bound_K, np.tile(np.linspace(0.001, 0.999, 256, dtype=np.float32), (a, 1)), empty)
    return Users(encoding, none, none, none, np.zeros((n, 0), np.float32), dense_NA)


def test_trees_combine_the_first_level_with_the_dense_bytes() -> None:
    rng = np.random.default_rng(4)
    level_NK, byte_NA = rng.normal(size=(4_000, 2)), rng.integers(0, 255, (4_000, 5)).astype(np.uint8)
    turned_N = np.where(byte_NA[:, 0] > 127, 2.0, -2.0) * level_NK[:, 0]  # the first view, or its opposite
    label_N = (turned_N + rng.logistic(size=4_000) > 0).astype(np.uint8)
    users = make_users(byte_NA)
    auroc = {}
    for name, some in (("bytes alone", users), ("with first level", users.with_first_level(level_NK))):
        trees = find_views()["trees"]()
        trees.fit(some.take(np.arange(3_000)), label_N[:3_000], strength=100, seed=1)
        auroc[name] = measure_auroc(trees.predict(some.take(np.arange(3_000, 4_000))), label_N[3_000:])
    assert auroc["bytes alone"] < 0.6
    assert auroc["with first level"] > 0.7


def test_the_first_level_is_predicted_out_of_fold() -> None:
    rng = np.random.default_rng(5)  # a head fitted on them would remember so many columns, and the trees would trust it
    users = make_users(rng.integers(0, 255, (1_300, 300)).astype(np.uint8))
    label_N = rng.integers(0, 2, 1_300).astype(np.uint8)
    stack = fit_stack(users, label_N, seed=1, prior=0.5)
    other = make_users(rng.integers(0, 255, (4_000, 300)).astype(np.uint8))
    assert stack.out_of_fold["stack"] < 0.6
    assert stack.predict(other).std() < 0.08  # it knows that it knows nothing


def test_predictions_out_of_fold_are_used_again_when_all_users_are_learned_from() -> None:
    rng = np.random.default_rng(6)
    byte_NA = rng.integers(0, 255, (3_000, 20)).astype(np.uint8)
    label_N = (byte_NA[:, 0] / 60 + rng.logistic(size=3_000) > 2).astype(np.uint8)
    whole = make_users(byte_NA)
    kept, others = whole.take(np.arange(2_400)), whole.take(np.arange(2_400, 3_000))
    first = fit_stack(kept, label_N[:2_400], seed=1, prior=0.5)
    assert first.first_level_NK.shape == (2_400, len([name for name in first.names if name != "trees"]))
    reused = refit_stack(
        first,
        whole.with_first_level(np.vstack([first.first_level_NK, first.predict_first_level(others)])),
        label_N,
        seed=1,
        prior=0.5,
    )
    anew = refit_stack(first, whole, label_N, seed=1, prior=0.5)
    far = make_users(rng.integers(0, 255, (2_000, 20)).astype(np.uint8))
    assert np.corrcoef(reused.predict(far), anew.predict(far))[0, 1] > 0.97
    label_level_NK = np.repeat(label_N[:, None] * 8.0 - 4, reused.first_level_NK.shape[1], axis=1)
    biased = refit_stack(first, whole.with_first_level(label_level_NK), label_N, seed=1, prior=0.5)
    assert np.corrcoef(biased.predict(far), anew.predict(far))[0, 1] < 0.97  # the first level does matter
