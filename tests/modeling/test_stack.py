"""The stack: views are weighed by what they said of users they had not seen, and by few labels carefully."""

import numpy as np
import numpy.typing as npt

from footfall.modeling.metrics import measure_auroc
from footfall.modeling.stack import weigh_views

F64 = npt.NDArray[np.float64]


def draw_opinions(
    n_users: int, share: float, noise_K: list[float], rng: np.random.Generator
) -> tuple[F64, npt.NDArray[np.uint8]]:
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
