"""Make the report of a task: quality, contributions of behaviors, baselines, checks and warnings.

Knows a trained task and the features that it was learned from and measured on. All of it is deterministic and bounded:
models are fitted again on at most ``MAX_USERS`` labelled users, and measured on as many. The fields are
described where they are served, in ``contract/report.py``; the sentences are in ``wording.py``.

Shapes: N labelled users.
"""

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from footfall.modeling.blocks import Feature
from footfall.modeling.dtypes import F64, U8
from footfall.modeling.learning.folds import sample_rows
from footfall.modeling.learning.gather import gather_users
from footfall.modeling.learning.labels import Labels, Matched
from footfall.modeling.learning.metrics import measure_auroc, measure_log_loss
from footfall.modeling.learning.stack import MIN_CLASS_USERS
from footfall.modeling.learning.task import TrainedTask
from footfall.modeling.report.behaviors import find_contributing_behaviors
from footfall.modeling.report.checks import LEAK_AUROC, check_drift, draw_learning_curve, find_leaks, measure_baselines
from footfall.modeling.report.names import Names, name_leaks
from footfall.modeling.report.quality import measure_quality
from footfall.modeling.report.wording import describe_report, warn
from footfall.modeling.view import Users

FORMAT = 1
MAX_USERS = 16_000


@dataclass(frozen=True)
class Sources:
    """What a task was made from."""

    train_feature: Feature
    train_labels: Labels
    test_feature: Feature | None = None
    test_labels: Labels | None = None
    encoder_dir: Path | None = None
    """Where the encoder is; without it behaviors have no texts and are left out."""
    coverage: float | None = None
    """Share of the train feature's behaviors that its encoder knows."""


@dataclass(frozen=True)
class _Sample:
    """The labelled users that the checks use."""

    train: Users
    train_label_N: U8
    test: Users
    test_label_N: U8
    test_score_N: F64

    @property
    def is_learnable(self) -> bool:
        """Whether there is enough of each class for anything to learn from."""
        ones = int(self.train_label_N.sum())
        return min(ones, self.train_label_N.size - ones) >= MIN_CLASS_USERS


def make_report(task: TrainedTask, sources: Sources, *, seed: int) -> dict[str, Any]:
    """Return the report of a task, as JSON."""
    evidence = task.evidence
    names = None if sources.encoder_dir is None else Names(sources.encoder_dir)
    sample = _draw_sample(task, sources, seed)
    report: dict[str, Any] = {
        "format": FORMAT,
        "quality": measure_quality(evidence.score_N, evidence.test.label_N),
        "labels": _count_labels(task, sources),
        "views": _describe_views(task),
        "calibrated": task.summary["calibrated"],
        "coverage": sources.coverage,
    }
    with threadpool_limits(1):  # the same sums on any number of cores
        report |= _run_checks(task, sources, sample, names, seed)
    report["warnings"] = warn(report)
    report["summary"] = describe_report(report)
    return report


def _draw_sample(task: TrainedTask, sources: Sources, seed: int) -> _Sample:
    evidence = task.evidence
    train_N = sample_rows(evidence.train.label_N, MAX_USERS, seed=seed)
    test_N = sample_rows(evidence.test.label_N, MAX_USERS, seed=seed)
    train_row_N, test_row_N = evidence.train.row_N[train_N], evidence.test.row_N[test_N]
    test_feature = sources.test_feature or sources.train_feature
    if test_feature.directory == sources.train_feature.directory:  # then one pass over its users is enough
        both_N = np.union1d(train_row_N, test_row_N)
        users, n_behaviors_N = gather_users(test_feature, both_N)
        train_at_N = np.searchsorted(both_N, train_row_N)
        train, n_behaviors_N = users.take(train_at_N), n_behaviors_N[train_at_N]
        test = users.take(np.searchsorted(both_N, test_row_N))
    else:
        train, n_behaviors_N = gather_users(sources.train_feature, train_row_N)
        test, _ = gather_users(test_feature, test_row_N)
    return _Sample(
        train.take(n_behaviors_N > 0),
        evidence.train.label_N[train_N][n_behaviors_N > 0],
        test,
        evidence.test.label_N[test_N],
        evidence.score_N[test_N],
    )


def _run_checks(task: TrainedTask, sources: Sources, sample: _Sample, names: Names | None, seed: int) -> dict[str, Any]:
    """Return the parts of a report that need the users again."""
    own = {
        "name": "footfall",
        "AUROC": measure_auroc(sample.test_score_N, sample.test_label_N),
        "log_loss": measure_log_loss(sample.test_score_N, sample.test_label_N),
    }
    checks: dict[str, Any] = {
        "sample": {"train_users": int(sample.train_label_N.size), "test_users": int(sample.test_label_N.size)},
        "baselines": [own],
        "learning_curve": [{"labels": int(task.evidence.train.label_N.size), "AUROC": task.auroc}],
        "behaviors": {"for": [], "against": []},
        "leaks": {"limit": LEAK_AUROC, "found": [], "test_users_in_train": _count_shared_users(task, sources)},
        "drift": None,
    }
    if not sample.is_learnable:
        return checks
    split = (sample.train, sample.train_label_N, sample.test, sample.test_label_N)
    checks["baselines"] += measure_baselines(*split, seed=seed)
    checks["learning_curve"] = draw_learning_curve(task.evidence.stack, *split, seed=seed) + checks["learning_curve"]
    checks["leaks"]["found"] = name_leaks(find_leaks(sample.train, sample.train_label_N), names)
    labelled_N = np.union1d(task.evidence.train.row_N, [] if sources.test_feature else task.evidence.test.row_N)
    checks["drift"] = check_drift(sources.train_feature, sample.train.encoding, labelled_N.astype(np.int64), seed=seed)
    if names is not None:
        checks["behaviors"] = find_contributing_behaviors(task.stack, sample.train, sample.train_label_N, names)
        for column in checks["drift"]["columns"] if checks["drift"] else ():
            column["name"] = names.column(column["name"])
    return checks


def _count_labels(task: TrainedTask, sources: Sources) -> dict[str, Any]:
    evidence = task.evidence
    return {
        "test": task.summary["test"],
        "train": _count_classes(evidence.train),
        "measured": _count_classes(evidence.test),
        "unmatched_train": task.summary["unknown_train_users"],
        "unmatched_test": task.summary["unknown_test_users"],
        "given_train": int(sources.train_labels.label_N.size),
        "given_test": 0 if sources.test_labels is None else int(sources.test_labels.label_N.size),
    }


def _count_classes(matched: Matched) -> dict[str, int]:
    ones = int(matched.label_N.sum())
    return {"zeros": int(matched.label_N.size) - ones, "ones": ones}


def _describe_views(task: TrainedTask) -> list[dict[str, Any]]:
    """Return the views, those that weigh most first; ``share`` is a view's part of all weight."""
    views = task.summary["views"]
    size = {name: abs(view["weight"][0]) + abs(view["weight"][1]) for name, view in views.items()}
    total = sum(size.values()) or 1.0
    return [
        {
            "name": name,
            "share": size[name] / total,
            "weight": views[name]["weight"],
            "strength": views[name]["strength"],
            "AUROC_out_of_fold": views[name]["AUROC_out_of_fold"],
        }
        for name in sorted(views, key=lambda name: (-size[name], name))
    ]


def _count_shared_users(task: TrainedTask, sources: Sources) -> int:
    """Return how many users of a given test set were also learned from."""
    if sources.test_labels is None:
        return 0
    if sources.test_feature is None or sources.test_feature.directory == sources.train_feature.directory:
        return int(np.intersect1d(task.evidence.train.row_N, task.evidence.test.row_N).size)
    return len(_ids(sources.train_labels) & _ids(sources.test_labels))


def _ids(labels: Labels) -> set[bytes]:
    raw, ends = labels.id_B.tobytes(), labels.id_offset_N1.tolist()
    return {raw[start:end] for start, end in pairwise(ends)}
