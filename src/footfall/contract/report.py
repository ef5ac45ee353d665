"""The report of a task on the wire, not part of nClue's API. The task's run writes it; it is stored with the model."""

from typing import Annotated, Literal

import msgspec


def says(text: str) -> msgspec.Meta:
    """Return the description of a field."""
    return msgspec.Meta(description=text)


Share = Annotated[float, says("From 0 to 1.")]
OptionalShare = Annotated[float | None, says("From 0 to 1; null where there is no user.")]
OnesShare = Annotated[
    float | None, says("Positive rate: the share of these users whose label is 1; null where there is no user.")
]


class ReportWarning(msgspec.Struct):
    """What to be careful about."""

    code: Annotated[str, says("A word for programs, as LEAKAGE_SUSPECTED.")]
    text: Annotated[str, says("What it means and what to do.")]


class CalibrationBin(msgspec.Struct):
    """Users whose score lies in one of 15 bins of equal width."""

    from_: float = msgspec.field(name="from")
    to: float
    users: int
    mean_score: OptionalShare
    ones_share: OnesShare


class Decile(msgspec.Struct):
    """A tenth of the users, best scores first. Users with equal scores share their positives evenly."""

    decile: int
    users: int
    least_score: OptionalShare
    ones_share: OnesShare
    lift: Annotated[float | None, says("ones_share over the positive rate of all users.")]
    gain: Annotated[float, says("Cumulative gain: share of all positives that are in this decile or a better one.")]


class ScoreHistogram(msgspec.Struct):
    """Users of each label in 20 equal steps of the score."""

    zeros: list[int]
    ones: list[int]


class Quality(msgspec.Struct):
    """How good the scores are, measured on users that the measured model had not seen."""

    AUROC: Annotated[
        float, says("Area under the ROC curve: share of pairs (one with label 1, one with 0) in the right order.")
    ]
    AUROC_interval: Annotated[list[float], says("Ends of its 95 % interval, by DeLong's method on the logit scale.")]
    average_precision: Share
    log_loss: Annotated[float, says("Mean negative log likelihood, nats.")]
    calibration_error: Annotated[float, says("Expected calibration error over the 15 bins.")]
    calibration: list[CalibrationBin]
    deciles: list[Decile]
    roc: Annotated[list[list[float]], says("Points of the ROC curve: false positive rate, true positive rate.")]
    score_histogram: ScoreHistogram


class ClassCounts(msgspec.Struct):
    """Labelled users of each class."""

    zeros: int
    ones: int


class LabelCounts(msgspec.Struct):
    """Which labels there were."""

    test: Annotated[Literal["given", "held out"], says("`held out`: no test set was given; a fifth was held back.")]
    train: Annotated[ClassCounts, says("Users that the measured model learned from; the final one learns from all.")]
    measured: Annotated[ClassCounts, says("Users that it was measured on.")]
    unmatched_train: Annotated[int, says("Users with a train label who are not in the feature.")]
    unmatched_test: int
    given_train: Annotated[int, says("Users with a train label.")]
    given_test: Annotated[int, says("Users with a test label; 0 without a test set.")]


class ViewLine(msgspec.Struct):
    """A view of the users, and what it weighs."""

    name: str
    share: Annotated[float, says("Its part of all weight.")]
    weight: Annotated[list[float], says("Of log p and of log(1 - p) in the second stage.")]
    strength: Annotated[float, says("Of regularisation, chosen by log loss.")]
    AUROC_out_of_fold: float


class SampleSizes(msgspec.Struct):
    """Labelled users that baselines, learning curve, behaviors and leak check look at; at most 16,000 of each."""

    train_users: int
    test_users: int


class Baseline(msgspec.Struct):
    """A baseline on the same users; `footfall` is the task itself on that sample."""

    name: Annotated[str, says("`footfall`, `majority`, `tfidf_logistic` or `aggregates_trees`.")]
    AUROC: float
    log_loss: float


class CurvePoint(msgspec.Struct):
    """A point of the learning curve; the last one is the task itself."""

    labels: int
    AUROC: float


class TellingBehavior(msgspec.Struct):
    """A behavior that contributes to label 1, or against it."""

    text: str
    weight: Annotated[float, says("What it and its words add to the log-odds of the bag view, in the mean.")]
    users: Annotated[int, says("Labelled users of the sample who have it.")]
    ones_share: Share


class TellingBehaviors(msgspec.Struct):
    """At most 12 behaviors that contribute most to label 1, and 12 against it, where the positive rate agrees."""

    for_: list[TellingBehavior] = msgspec.field(name="for")
    against: list[TellingBehavior]


class Leak(msgspec.Struct):
    """What alone tells the labels apart."""

    kind: Annotated[str, says("`behavior`, `word`, `sequence`, `fact` or `column`.")]
    name: Annotated[str | None, says("Null where the encoder keeps only a hash.")]
    AUROC: float


class Leaks(msgspec.Struct):
    """The leak check."""

    limit: Annotated[float, says("What is above it, or below 1 minus it, is found.")]
    found: list[Leak]
    test_users_in_train: Annotated[int, says("Users of a given test set who were also learned from.")]


class DriftColumn(msgspec.Struct):
    """A dense column, and how well it alone tells labelled users from the others."""

    name: str
    AUROC: float


class Drift(msgspec.Struct):
    """Whether labelled users can be told from the other users of the train feature; .5 is not at all."""

    AUROC: float
    users: Annotated[int, says("Users of each kind that were looked at, at most 4,000.")]
    columns: list[DriftColumn]


class TaskReport(msgspec.Struct, kw_only=True):
    """The report of a task."""

    task_id: str
    task_name: str
    format: int
    summary: Annotated[str, says("The two sentences that matter most.")]
    warnings: list[ReportWarning]
    quality: Quality
    labels: LabelCounts
    views: Annotated[list[ViewLine], says("Those that weigh most first.")]
    calibrated: Annotated[bool, says("Whether an isotonic curve corrects the scores; only when it helps.")]
    coverage: Annotated[float | None, says("Share of the train feature's behaviors that the encoder knows.")]
    sample: SampleSizes
    baselines: list[Baseline]
    learning_curve: list[CurvePoint]
    behaviors: TellingBehaviors
    leaks: Leaks
    drift: Annotated[Drift | None, says("Null with fewer than 100 users of a kind.")]
