"""The report of a task on the wire, not part of nClue's API. The task's run writes it; it is stored with the model."""

from typing import Annotated, Literal

import msgspec

from footfall.contract.found import FoundData


def describe(text: str) -> msgspec.Meta:
    """Return the description of a field."""
    return msgspec.Meta(description=text)


Share = Annotated[float, describe("From 0 to 1.")]
OptionalShare = Annotated[float | None, describe("From 0 to 1; null where there is no user.")]
OnesShare = Annotated[
    float | None, describe("Positive rate: the share of these users whose label is 1; null where there is no user.")
]


class ReportWarning(msgspec.Struct):
    """A warning."""

    code: Annotated[str, describe("A code for programs, such as LEAKAGE_SUSPECTED.")]
    text: Annotated[str, describe("What it means and what to do.")]


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
    lift: Annotated[float | None, describe("ones_share over the positive rate of all users.")]
    gain: Annotated[float, describe("Cumulative gain: share of all positives that are in this decile or a better one.")]


class ScoreHistogram(msgspec.Struct):
    """Users of each label in 20 equal steps of the score."""

    zeros: list[int]
    ones: list[int]


class Quality(msgspec.Struct):
    """How good the scores are, measured on users that the measured model had not seen."""

    AUROC: Annotated[
        float, describe("Area under the ROC curve: share of pairs (one with label 1, one with 0) in the right order.")
    ]
    AUROC_interval: Annotated[list[float], describe("Ends of its 95 % interval, by DeLong's method on the logit scale.")]
    average_precision: Share
    log_loss: Annotated[float, describe("Mean negative log likelihood, nats.")]
    calibration_error: Annotated[float, describe("Expected calibration error over the 15 bins.")]
    calibration: list[CalibrationBin]
    deciles: list[Decile]
    roc: Annotated[list[list[float]], describe("Points of the ROC curve: false positive rate, true positive rate.")]
    score_histogram: ScoreHistogram


class ClassCounts(msgspec.Struct):
    """Labelled users of each class."""

    zeros: int
    ones: int


class LabelCounts(msgspec.Struct):
    """Which labels there were."""

    test: Annotated[Literal["given", "held out"], describe("`held out`: no test set was given; a fifth was held back.")]
    train: Annotated[ClassCounts, describe("Users that the measured model learned from; the final one learns from all.")]
    measured: Annotated[ClassCounts, describe("Users that it was measured on.")]
    unmatched_train: Annotated[int, describe("Users with a train label who are not in the feature.")]
    unmatched_test: int
    given_train: Annotated[int, describe("Users with a train label.")]
    given_test: Annotated[int, describe("Users with a test label; 0 without a test set.")]


class ViewLine(msgspec.Struct):
    """A view of the users, and what it weighs."""

    name: str
    share: Annotated[float, describe("Its share of all weight.")]
    weight: Annotated[list[float], describe("Weights of log p and of log(1 - p) in the stack.")]
    strength: Annotated[float, describe("Of regularisation, chosen by log loss.")]
    AUROC_out_of_fold: float


class SampleSizes(msgspec.Struct):
    """Labelled users that baselines, learning curve, behaviors and leak check use; at most 16,000 of each."""

    train_users: int
    test_users: int


class Baseline(msgspec.Struct):
    """A baseline on the same users; `footfall` is the task itself on that sample."""

    name: Annotated[str, describe("`footfall`, `majority`, `tfidf_logistic` or `aggregates_trees`.")]
    AUROC: float
    log_loss: float


class CurvePoint(msgspec.Struct):
    """A point of the learning curve; the last one is the task itself."""

    labels: int
    AUROC: float


class TellingBehavior(msgspec.Struct):
    """A behavior that contributes to label 1, or against it."""

    text: str
    weight: Annotated[float, describe("What it and its words add to the log-odds of the bag view, in the mean.")]
    users: Annotated[int, describe("Labelled users of the sample who have it.")]
    ones_share: Share


class TellingBehaviors(msgspec.Struct):
    """At most 12 behaviors that contribute most to label 1, and 12 against it, where the positive rate agrees."""

    for_: list[TellingBehavior] = msgspec.field(name="for")
    against: list[TellingBehavior]


class Leak(msgspec.Struct):
    """What alone separates the labels."""

    kind: Annotated[str, describe("`behavior`, `word`, `sequence`, `fact` or `column`.")]
    name: Annotated[str | None, describe("Null where the encoder keeps only a hash.")]
    AUROC: float


class Leaks(msgspec.Struct):
    """The leak check."""

    limit: Annotated[float, describe("An AUROC above it, or below 1 minus it, is a leak.")]
    found: list[Leak]
    test_users_in_train: Annotated[int, describe("Users of a given test set who were also learned from.")]


class DriftColumn(msgspec.Struct):
    """A dense column, and the AUROC with which it alone separates labelled users from the others."""

    name: str
    AUROC: float


class Drift(msgspec.Struct):
    """Whether labelled users can be distinguished from the other users of the train feature; .5: not at all."""

    AUROC: float
    users: Annotated[int, describe("Users of each kind in the sample, at most 4,000.")]
    columns: list[DriftColumn]


class TaskReport(msgspec.Struct, kw_only=True):
    """The report of a task."""

    task_id: str
    task_name: str
    format: int
    summary: Annotated[str, describe("The two sentences that matter most.")]
    warnings: list[ReportWarning]
    quality: Quality
    labels: LabelCounts
    views: Annotated[list[ViewLine], describe("Those that weigh most first.")]
    calibrated: Annotated[bool, describe("Whether an isotonic curve corrects the scores; only when it helps.")]
    coverage: Annotated[float | None, describe("Share of the train feature's behaviors that the encoder knows.")]
    sample: SampleSizes
    baselines: list[Baseline]
    learning_curve: list[CurvePoint]
    behaviors: TellingBehaviors
    leaks: Leaks
    drift: Annotated[Drift | None, describe("Null with fewer than 100 users of a kind.")]
    data: Annotated[
        FoundData | None, describe("What was found in the data set of the train feature; null if an earlier release made it.")
    ] = None
