"""Metrics of scores: AUROC, log loss, calibration error, lift.

Knows scores and labels only.

Shapes: N users.
"""

import numpy as np
import numpy.typing as npt


def measure_auroc(score_N: npt.NDArray[np.floating], label_N: npt.NDArray[np.integer]) -> float:
    """Return the area under the ROC curve; 0.5 when all scores are equal.

    The share of (positive, negative) pairs in the right order, ties counted half.
    Source: Mann & Whitney 1947; Hanley & McNeil 1982.

    Raises:
        ValueError: if a class is missing.
    """
    positives = int((label_N == 1).sum())
    negatives = label_N.size - positives
    if positives == 0 or negatives == 0:
        raise ValueError("AUROC needs at least one label of each class.")
    _, of_N, count_U = np.unique(score_N, return_inverse=True, return_counts=True)
    last_U = np.cumsum(count_U)
    rank_N = (last_U - (count_U - 1) / 2)[of_N]
    return float((rank_N[label_N == 1].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def measure_log_loss(p_N: npt.NDArray[np.floating], label_N: npt.NDArray[np.integer]) -> float:
    """Return the mean negative log likelihood, nats; probabilities are clipped at 1e-7."""
    p_N = np.clip(p_N.astype(np.float64), 1e-7, 1 - 1e-7)
    return float(-np.where(label_N == 1, np.log(p_N), np.log1p(-p_N)).mean())


def measure_calibration_error(p_N: npt.NDArray[np.floating], label_N: npt.NDArray[np.integer], n_bins: int = 15) -> float:
    """Return the expected calibration error over ``n_bins`` bins of equal width. Source: Guo et al. 2017, eq. 3."""
    bin_N = np.minimum((p_N * n_bins).astype(np.int64), n_bins - 1)
    count_B = np.bincount(bin_N, minlength=n_bins)
    gap_B = np.abs(np.bincount(bin_N, weights=p_N, minlength=n_bins) - np.bincount(bin_N, weights=label_N, minlength=n_bins))
    return float(gap_B[count_B > 0].sum() / max(1, p_N.size))


def measure_lift(score_N: npt.NDArray[np.floating], label_N: npt.NDArray[np.integer], n_parts: int = 10) -> list[float]:
    """Return the lift of each part, best scores first: its positive rate over that of all users."""
    order = np.argsort(-score_N, kind="stable")
    rate = float(label_N.mean()) or 1.0
    return [float(part.mean()) / rate if part.size else 0.0 for part in np.array_split(label_N[order], n_parts)]
