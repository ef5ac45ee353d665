"""Describe the target of a task: what its users have in common, against all users of the feature; compiled.

Needs numpy and numba alone, as ``score.py``. The target are the tenth of the users with the highest scores. A behavior is
reported when its share in the target stands ``MIN_Z`` standard deviations above that of as many users drawn at random,
and ``MIN_USERS`` of the target have it; the most informative come first, by ``share * log(lift)``, their part of the
Kullback-Leibler divergence of the target from all. An attribute is another task: the mean of its calibrated scores is the
share of its positive class. Source: the contract, 9-17; the normal limit of the hypergeometric distribution.

Shapes: N users, U behaviors, M bag entries, T other tasks.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from footfall.modeling.arrays import map_arrays
from footfall.modeling.blocks import Feature, FeatureBlock, open_feature
from footfall.modeling.compiled import njit
from footfall.modeling.dtypes import BOOL, F64, I32, I64, U8, U32
from footfall.modeling.scoring.score import Scorer, load_scorer
from footfall.modeling.threads import map_ordered

HEADER = "section\tname\ttarget_share\tbase_share\tlift\tusers\n"
TARGET_SHARE = 0.1
MAX_BEHAVIORS = 100
MIN_USERS = 5
MIN_Z = 4.0

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class OtherTask:
    """Another task of the same encoder, whose positive class is an attribute of users."""

    name: str
    scorer: Scorer


@dataclass(frozen=True)
class Audience:
    """The size of what was written."""

    line_count: int
    """Users of the feature."""
    target_users: int
    n_behaviors: int
    """Over-represented behaviors that were written."""


@dataclass(frozen=True)
class _Counts:
    target_U: I64
    base_U: I64
    target_T: F64
    base_T: F64


def describe_audience(
    task_dir: Path,
    feature_dir: Path,
    encoder_dir: Path,
    others: Sequence[OtherTask],
    out_path: Path,
    *,
    progress: Progress = lambda stage, done, total: None,
) -> Audience:
    """Write what the target of a task has in common: ``HEADER``, then behaviors, then attributes.

    Raises:
        ValueError: the feature was made by another encoder than a task's.
    """
    scorer, feature = load_scorer(task_dir), open_feature(feature_dir)
    if any(each.encoder_hash != feature.encoder_hash for each in (scorer, *(other.scorer for other in others))):
        raise ValueError("The feature was made by another encoder than the task's train feature.")
    texts = map_arrays(encoder_dir / "encoder.safetensors")
    target_N = _find_target(scorer, feature, progress)
    n_users, n_target = target_N.size, int(target_N.sum())
    counts = _count(feature, target_N, texts["text_end_U"].size, [other.scorer for other in others], progress)
    chosen = _choose(counts.target_U, counts.base_U, n_target, n_users)
    with out_path.open("w", encoding="utf-8", newline="\n") as out:
        out.write(HEADER)
        for u in chosen.tolist():
            name = _text(texts["text_B"], texts["text_end_U"], u)
            out.write(_line("behavior", name, counts.target_U[u] / n_target, counts.base_U[u] / n_users, n_target))
        for share, base, name in _attributes(counts, others, n_target, n_users):
            out.write(_line("attribute", name, share, base, n_target))
    return Audience(n_users, n_target, len(chosen))


def _find_target(scorer: Scorer, feature: Feature, progress: Progress) -> BOOL:
    """Return (N,): whether a user is in the tenth with the highest scores; of equal scores the first ones are."""
    score_N = np.empty(feature.user_count)
    done = 0
    for block_N in map_ordered(scorer.score, feature.read_blocks()):
        score_N[done : done + block_N.size] = block_N
        done += block_N.size
        progress("score", done, feature.user_count)
    n_target = int(np.ceil(TARGET_SHARE * score_N.size))
    target_N = np.zeros(score_N.size, np.bool_)
    target_N[np.argsort(-score_N, kind="stable")[:n_target]] = True
    return target_N


def _count(feature: Feature, target_N: BOOL, n_behaviors: int, others: Sequence[Scorer], progress: Progress) -> _Counts:
    def work(block: FeatureBlock) -> tuple[int, _Counts]:
        is_target_N = target_N[block.first_row : block.first_row + block.n_users]
        target_U, base_U = np.zeros(n_behaviors, np.int64), np.zeros(n_behaviors, np.int64)
        _count_behaviors(block.offset_N1, block.token_M, is_target_N, target_U, base_U)
        score_TN = np.array([scorer.score(block) for scorer in others]).reshape(len(others), block.n_users)
        return block.n_users, _Counts(target_U, base_U, score_TN[:, is_target_N].sum(axis=1), score_TN.sum(axis=1))

    total = _Counts(
        np.zeros(n_behaviors, np.int64), np.zeros(n_behaviors, np.int64), np.zeros(len(others)), np.zeros(len(others))
    )
    done = 0
    for n_users, counts in map_ordered(work, feature.read_blocks()):
        np.add(total.target_U, counts.target_U, out=total.target_U)
        np.add(total.base_U, counts.base_U, out=total.base_U)
        np.add(total.target_T, counts.target_T, out=total.target_T)
        np.add(total.base_T, counts.base_T, out=total.base_T)
        done += n_users
        progress("count", done, feature.user_count)
    return total


@njit(cache=True, nogil=True)
def _count_behaviors(offset_N1: I32, token_M: U32, target_N: BOOL, target_U: I64, base_U: I64) -> None:
    for n in range(target_N.size):
        for i in range(offset_N1[n], offset_N1[n + 1]):
            token = token_M[i]
            if token >= base_U.size:  # behaviors come first in a bag
                break
            base_U[token] += 1
            target_U[token] += target_N[n]


def _choose(target_U: I64, base_U: I64, n_target: int, n_users: int) -> I64:
    """Return the numbers of the over-represented behaviors, the most informative first."""
    share = n_target / n_users
    spread_U = np.sqrt(base_U * share * (1 - share) * (n_users - base_U) / max(1, n_users - 1))
    enough_U = np.flatnonzero((target_U >= MIN_USERS) & (target_U - base_U * share > MIN_Z * spread_U))
    lift_U = (target_U[enough_U] / n_target) / (base_U[enough_U] / n_users)
    contribution_U = target_U[enough_U] * np.log(lift_U)
    return enough_U[np.argsort(-contribution_U, kind="stable")[:MAX_BEHAVIORS]]


def _attributes(counts: _Counts, others: Sequence[OtherTask], n_target: int, n_users: int) -> list[tuple[float, float, str]]:
    """Return (share in the target, share of all, name) of each other task, by falling lift."""
    shares = zip((counts.target_T / n_target).tolist(), (counts.base_T / n_users).tolist(), others, strict=True)
    rows = [(share, base, other.name) for share, base, other in shares]
    return sorted(rows, key=lambda row: (-_lift(row[0], row[1]), row[2]))


def _lift(share: float, base: float) -> float:
    return share / base if base > 0 else 1.0


def _line(section: str, name: str, share: float, base: float, n_target: int) -> str:
    return f"{section}\t{name}\t{share:.6f}\t{base:.6f}\t{_lift(share, base):.4f}\t{round(share * n_target)}\n"


def _text(text_B: U8, text_end_U: I64, u: int) -> str:
    start = int(text_end_U[u - 1]) if u else 0
    text = text_B[start : int(text_end_U[u])].tobytes().decode("utf-8", "replace")
    return " ".join(text.split())  # a tab or a line break would be another field
