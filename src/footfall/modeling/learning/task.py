"""Train a task: from features and labels to a model, and to its AUROC on users that it has not seen.

Knows stored features and label files' contents; nothing of buckets or runs. With a test set the model is measured on
it and never sees it. Without one, a stratified 20 % of the labels is held out of training and of every choice, the
model is measured there, and then fitted once more on all labels with the choices unchanged.

Shapes: N labelled users, K views.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors.numpy import save_file

from footfall.errors import DataError, IncompatibleError
from footfall.modeling.blocks import Feature
from footfall.modeling.dtypes import F64, I64, U8
from footfall.modeling.learning.folds import hold_out, sample_rows
from footfall.modeling.learning.gather import gather_users, read_encoding
from footfall.modeling.learning.ids import compare_ids
from footfall.modeling.learning.labels import Labels, Matched, match_labels
from footfall.modeling.learning.metrics import measure_auroc, measure_calibration_error, measure_lift, measure_log_loss
from footfall.modeling.learning.stack import Stack, count_steps, fit_stack, refit_stack
from footfall.modeling.reading.source import Progress, keep_quiet
from footfall.modeling.scoring.score import TASK_FORMAT
from footfall.modeling.view import Users

TASK_FILE, ARRAYS_FILE = "task.json", "task.safetensors"
MAX_USERS = 400_000
"""Labelled users that are learned from; more are sampled, classes in proportion."""
_TEST_SHARE = 0.2


@dataclass(frozen=True)
class Evidence:
    """What the quality of a task was measured with."""

    stack: Stack
    """As it was then: without a test set it had not seen the users that were held out."""
    train: Matched
    """The users it had learned from."""
    test: Matched
    score_N: F64
    """Scores of ``test``."""


@dataclass(frozen=True)
class TrainedTask:
    """A task's model and what is known of it."""

    auroc: float
    summary: dict[str, Any]
    """JSON-able: counts, quality on the test set, views."""
    stack: Stack
    encoder_hash: str
    bound_K: I64
    """The first token number after each block of the bag."""
    evidence: Evidence

    def save(self, directory: Path) -> None:
        """Write ``task.json`` and ``task.safetensors``; scoring needs nothing else."""
        directory.mkdir(parents=True, exist_ok=True)
        weights = self.stack.weights
        header = {
            "format": TASK_FORMAT,
            "encoder": self.encoder_hash,
            "prior": self.stack.prior,
            "views": list(self.stack.names),
            "summary": self.summary,
        }
        arrays: dict[str, npt.NDArray[Any]] = {
            "stack.log_p_K": weights.log_p_K,
            "stack.log_q_K": weights.log_q_K,
            "stack.bias": np.array([weights.bias]),
            "stack.bound_K": self.bound_K,
            "stack.curve_x_J": weights.curve_x_J,
            "stack.curve_y_J": weights.curve_y_J,
        }
        for name, view in zip(self.stack.names, self.stack.views, strict=False):
            arrays |= {f"{name}.{part}": np.ascontiguousarray(a) for part, a in view.arrays().items()}
        (directory / TASK_FILE).write_text(json.dumps(header, indent=1, sort_keys=True) + "\n")
        save_file(arrays, directory / ARRAYS_FILE)


def train_task(
    train_feature: Feature,
    train_labels: Labels,
    test_feature: Feature | None = None,
    test_labels: Labels | None = None,
    *,
    seed: int,
    min_labels_per_class: int = 100,
    progress: Progress = keep_quiet,
) -> TrainedTask:
    """Learn from labels; see the module. ``test_feature`` defaults to ``train_feature``.

    Raises:
        DataError: NUM_OF_LABEL_INSUFFICIENT, if fewer than ``min_labels_per_class`` zeros or ones are in the train
            feature, or the test set has not one of each.
        IncompatibleError: the two features were made by different encoders.
    """
    total = count_steps() + 2
    meter = _Steps(progress, total)
    test_feature = test_feature or train_feature
    if test_feature.encoder_hash != train_feature.encoder_hash:
        raise IncompatibleError("The train and the test feature were made by different encoders. Make one again.")
    train = match_labels(train_labels, train_feature)
    _require(train, train_labels, train_feature, min_labels_per_class)
    prior = float(train.label_N.mean())
    test = None
    if test_labels is not None:
        test = match_labels(test_labels, test_feature)
        _require(test, test_labels, test_feature, 1)
    meter.step()
    if test is None:
        stack, evidence = _train_and_hold_out(train_feature, train, prior, seed, meter)
    else:
        users, label_N = _gather(train_feature, train, seed)
        stack = fit_stack(users, label_N, seed=seed, prior=prior, step=meter.step)
        evidence = Evidence(stack, train, test, _predict(stack, test_feature, test))
    meter.finish()
    summary = _summarise(train, test, evidence.score_N, evidence.test.label_N, stack)
    bound_K = read_encoding(train_feature).bound_K
    return TrainedTask(summary["AUROC"], summary, stack, train_feature.encoder_hash, bound_K, evidence)


class _Steps:
    """Counts steps towards a total."""

    def __init__(self, progress: Progress, total: int) -> None:
        self._progress, self._total, self._done = progress, total, 0

    def step(self) -> None:
        self._done = min(self._done + 1, self._total - 1)
        self._progress("train", self._done, self._total)

    def finish(self) -> None:
        self._progress("train", self._total, self._total)


def _require(matched: Matched, labels: Labels, feature: Feature, minimum: int) -> None:
    ones = int(matched.label_N.sum())
    zeros = int(matched.label_N.size) - ones
    if min(zeros, ones) < minimum:
        written = "" if matched.label_N.size else compare_ids(labels.id_B, labels.id_offset_N1.tolist(), feature)
        raise DataError(
            "NUM_OF_LABEL_INSUFFICIENT",
            f"there are {zeros:,} zeros and {ones:,} ones among users of the feature "
            f"({matched.n_unknown:,} labelled users are not in it); at least {minimum:,} of each are needed. "
            "Add labels, or make the feature from a data set that holds the labelled users; compare how the ids are written "
            f"in both, case and blanks count{written}.",
            path=labels.name,
        )


def _train_and_hold_out(feature: Feature, train: Matched, prior: float, seed: int, meter: _Steps) -> tuple[Stack, Evidence]:
    sample_N = sample_rows(train.label_N, MAX_USERS, seed=seed)
    row_N, label_N = train.row_N[sample_N], train.label_N[sample_N]
    users, n_behaviors_N = gather_users(feature, row_N)
    is_active_N = n_behaviors_N > 0
    kept_N, held_N = hold_out(label_N, _TEST_SHARE, seed=seed)
    learn_N = kept_N[is_active_N[kept_N]]
    first = fit_stack(users.take(learn_N), label_N[learn_N], seed=seed, prior=float(label_N[kept_N].mean()), step=meter.step)
    held = users.take(held_N)
    held_level_NK = first.predict_first_level(held)
    score_N = np.where(is_active_N[held_N], first.predict(held, held_level_NK), first.prior)
    kept_set, held_set = (Matched(row_N[part_N], label_N[part_N], 0) for part_N in (kept_N, held_N))
    if first.first_level_NK.size:  # no second round of predictions: the first heads have not seen who was held
        first_level_NK = np.empty((row_N.size, held_level_NK.shape[1]), np.float32)
        first_level_NK[learn_N], first_level_NK[held_N] = first.first_level_NK, held_level_NK
        users = users.with_first_level(first_level_NK)
    if not is_active_N.all():
        users, label_N = users.take(is_active_N), label_N[is_active_N]
    last = refit_stack(first, users, label_N, seed=seed, prior=prior, step=meter.step)
    return last, Evidence(first, kept_set, held_set, score_N)


def _gather(feature: Feature, matched: Matched, seed: int) -> tuple[Users, U8]:
    """Return the users to learn from: those with behaviors, sampled if there are too many."""
    row_N = sample_rows(matched.label_N, MAX_USERS, seed=seed)
    users, n_behaviors_N = gather_users(feature, matched.row_N[row_N])
    label_N = matched.label_N[row_N]
    if (n_behaviors_N > 0).all():
        return users, label_N
    return users.take(n_behaviors_N > 0), label_N[n_behaviors_N > 0]


def _predict(stack: Stack, feature: Feature, matched: Matched) -> F64:
    """Return the scores of labelled users; those without behaviors get the prior."""
    score_N = np.empty(matched.row_N.size)
    for start in range(0, matched.row_N.size, MAX_USERS):
        part = slice(start, start + MAX_USERS)
        users, n_behaviors_N = gather_users(feature, matched.row_N[part])
        score_N[part] = np.where(n_behaviors_N > 0, stack.predict(users), stack.prior)
    return score_N


def _summarise(train: Matched, test: Matched | None, score_N: F64, label_N: U8, stack: Stack) -> dict[str, Any]:
    measured = train if test is None else test
    return {
        "AUROC": measure_auroc(score_N, label_N),
        "log_loss": measure_log_loss(score_N, label_N),
        "calibration_error": measure_calibration_error(score_N, label_N),
        "lift": measure_lift(score_N, label_N),
        "test": "held out" if test is None else "given",
        "train_labels": {"zeros": int((train.label_N == 0).sum()), "ones": int(train.label_N.sum())},
        "test_labels": {"zeros": int((label_N == 0).sum()), "ones": int(label_N.sum())},
        "unknown_train_users": train.n_unknown,
        "unknown_test_users": 0 if test is None else measured.n_unknown,
        "sampled": train.label_N.size > MAX_USERS,
        "views": {
            name: {
                "strength": strength,
                "AUROC_out_of_fold": stack.out_of_fold[name],
                "weight": [float(stack.weights.log_p_K[k]), float(stack.weights.log_q_K[k])],
            }
            for k, (name, strength) in enumerate(zip(stack.names, stack.strengths, strict=True))
        },
        "AUROC_out_of_fold": stack.out_of_fold.get("stack"),
        "calibrated": bool(stack.weights.curve_x_J.size),
        "prior": stack.prior,
    }
