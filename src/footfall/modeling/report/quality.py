"""The quality of scores: AUROC with its interval, ROC curve, calibration, deciles, score distribution.

Knows scores and labels only; every value is JSON-able.

Shapes: N users, P positives (label 1), Q negatives, D parts, B bins.
"""

from typing import Any

import numpy as np
from scipy.stats import norm
from sklearn.metrics import average_precision_score, roc_curve

from footfall.modeling.dtypes import F64, I64, U8
from footfall.modeling.learning.metrics import measure_auroc, measure_calibration_error, measure_log_loss

N_BINS, N_DECILES, N_SCORE_BINS, N_ROC_POINTS = 15, 10, 20, 101
_CONFIDENCE = 0.95


def measure_quality(score_N: F64, label_N: U8) -> dict[str, Any]:
    """Return the part of a report about the scores. Both labels occur."""
    return {
        "AUROC": measure_auroc(score_N, label_N),
        "AUROC_interval": list(measure_interval(score_N, label_N)),
        "average_precision": float(average_precision_score(label_N, score_N)),
        "log_loss": measure_log_loss(score_N, label_N),
        "calibration_error": measure_calibration_error(score_N, label_N, N_BINS),
        "calibration": _tabulate_calibration(score_N, label_N),
        "deciles": _tabulate_deciles(score_N, label_N),
        "roc": _thin_roc(score_N, label_N),
        "score_histogram": _count_scores(score_N, label_N),
    }


def measure_interval(score_N: F64, label_N: U8) -> tuple[float, float]:
    """Return the ends of the 95 % interval of the AUROC.

    DeLong's variance on the logit scale, so that both ends lie in [0, 1]. Where all pairs are in one order the variance
    is 0 and uninformative; then the open end is that of an exact binomial interval over the users of the smaller class.
    Sources: DeLong, DeLong & Clarke-Pearson 1988; Sun & Xu 2014 (by ranks); Pepe 2003, 5.2.5; Clopper & Pearson 1934.
    """
    positive_P, negative_Q = score_N[label_N == 1], score_N[label_N == 0]
    auroc = measure_auroc(score_N, label_N)
    if auroc in (0.0, 1.0):
        end = ((1 - _CONFIDENCE) / 2) ** (1 / min(positive_P.size, negative_Q.size))
        return (end, 1.0) if auroc == 1.0 else (0.0, 1 - end)
    wins_P, wins_Q = _wins(positive_P, negative_Q), 1 - _wins(negative_Q, positive_P)
    variance = sum(float(np.var(wins)) / max(1, wins.size - 1) for wins in (wins_P, wins_Q))
    half = float(norm.ppf((1 + _CONFIDENCE) / 2)) * np.sqrt(variance) / (auroc * (1 - auroc))
    centre = np.log(auroc / (1 - auroc))
    return float(1 / (1 + np.exp(half - centre))), float(1 / (1 + np.exp(-half - centre)))


def _wins(of_N: F64, against_N: F64) -> F64:
    """Return for each score the share of the others below it, ties counted half."""
    ordered_N = np.sort(against_N)
    below_N = np.searchsorted(ordered_N, of_N, "left") + np.searchsorted(ordered_N, of_N, "right")
    share_N: F64 = below_N / (2 * against_N.size)
    return share_N


def _tabulate_calibration(score_N: F64, label_N: U8) -> list[dict[str, Any]]:
    bin_N = np.minimum((score_N * N_BINS).astype(np.int64), N_BINS - 1)
    count_B = np.bincount(bin_N, minlength=N_BINS)
    score_B = np.bincount(bin_N, weights=score_N, minlength=N_BINS)
    ones_B = np.bincount(bin_N, weights=label_N, minlength=N_BINS)
    return [
        {
            "from": b / N_BINS,
            "to": (b + 1) / N_BINS,
            "users": int(count_B[b]),
            "mean_score": float(score_B[b] / count_B[b]) if count_B[b] else None,
            "ones_share": float(ones_B[b] / count_B[b]) if count_B[b] else None,
        }
        for b in range(N_BINS)
    ]


def _tabulate_deciles(score_N: F64, label_N: U8) -> list[dict[str, Any]]:
    """Return lift and cumulative gain by decile, best scores first; users with equal scores share their positives evenly."""
    _, of_N = np.unique(score_N, return_inverse=True)
    ones_U = np.bincount(of_N, weights=label_N) / np.bincount(of_N)
    order_N = np.argsort(-score_N, kind="stable")
    expected_N, sorted_N = ones_U[of_N][order_N], score_N[order_N]
    total, n_so_far, lines = float(label_N.sum()), 0.0, []
    for number, part_M in enumerate(np.array_split(np.arange(score_N.size), N_DECILES), 1):
        ones = float(expected_N[part_M].sum())
        n_so_far += ones
        share = ones / part_M.size if part_M.size else None
        lines.append(
            {
                "decile": number,
                "users": int(part_M.size),
                "least_score": float(sorted_N[part_M[-1]]) if part_M.size else None,
                "ones_share": share,
                "lift": None if share is None else share * label_N.size / total,
                "gain": n_so_far / total,
            }
        )
    return lines


def _thin_roc(score_N: F64, label_N: U8) -> list[list[float]]:
    """Return points (false positive rate, true positive rate) of the ROC curve, from (0, 0) to (1, 1)."""
    zeros_J, ones_J, _ = roc_curve(label_N, score_N)
    if zeros_J.size > N_ROC_POINTS:
        at_J = np.unique(np.linspace(0, zeros_J.size - 1, N_ROC_POINTS).round().astype(np.int64))
        zeros_J, ones_J = zeros_J[at_J], ones_J[at_J]
    return [[float(x), float(y)] for x, y in zip(zeros_J, ones_J, strict=True)]


def _count_scores(score_N: F64, label_N: U8) -> dict[str, list[int]]:
    bin_N: I64 = np.minimum((score_N * N_SCORE_BINS).astype(np.int64), N_SCORE_BINS - 1)
    names = (("zeros", 0), ("ones", 1))
    return {name: np.bincount(bin_N[label_N == label], minlength=N_SCORE_BINS).tolist() for name, label in names}
