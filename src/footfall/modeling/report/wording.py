"""The summary and the warnings of a report, as sentences for readers who are no statisticians.

Knows a report as JSON.
"""

from collections.abc import Iterator
from typing import Any

from footfall.modeling.report.meanings import explain_column

Report = dict[str, Any]

_MAX_CREDIBLE_AUROC, _MAX_DRIFT_AUROC, _MIN_COVERAGE, _MAX_INTERVAL = 0.99, 0.75, 0.8, 0.1
_MAX_UNMATCHED_SHARE, _MAX_CALIBRATION_ERROR, _MIN_RISE = 0.2, 0.08, 0.01


def describe_report(report: Report) -> str:
    """Return the two sentences that matter most."""
    quality, measured = report["quality"], report["labels"]["measured"]
    top = quality["deciles"][0]
    low, high = (100 * end for end in quality["AUROC_interval"])
    ones_share = measured["ones"] / (measured["ones"] + measured["zeros"])
    lift = "" if top["lift"] is None else (
        f" In the tenth with the highest scores {100 * top['ones_share']:.0f} of 100 users have label 1, of all users "
        f"{100 * ones_share:.0f}: {top['lift']:.1f} times as many."
    )  # fmt: skip
    return (
        f"Of two users, one with label 1 and one with label 0, the task puts the right one first in "
        f"{100 * quality['AUROC']:.1f} of 100 cases (with 95 % confidence {low:.1f} to {high:.1f}; 50 is guessing)." + lift
    )


def warn(report: Report) -> list[dict[str, str]]:
    """Return the warnings, the gravest first: {code, text}."""
    rules = (_leak, _shared, _uninformative, _wide, _baseline, _unmatched, _coverage, _drift, _calibration, _more, _sample)
    return [{"code": code, "text": text} for rule in rules for code, text in rule(report)]


def _leak(report: Report) -> Iterator[tuple[str, str]]:
    leaks, auroc = report["leaks"]["found"], report["quality"]["AUROC"]
    if not leaks and auroc < _MAX_CREDIBLE_AUROC:
        return
    first = ""
    if leaks:
        leak = leaks[0]
        meaning = explain_column(leak["name"]) if leak["kind"] == "column" and leak["name"] else ""
        what = f"The {leak['kind']} {leak['name']!r}{meaning}" if leak["name"] else f"A {leak['kind']}"
        first = f" {what} alone tells the labels apart (AUROC {leak['AUROC']:.3f})."
    good = (
        f"an AUROC of {auroc:.3f} is too good to be true" if auroc >= _MAX_CREDIBLE_AUROC else "the data may give the label away"
    )
    yield (
        "LEAKAGE_SUSPECTED",
        f"Leakage: {good}.{first} Something in the behaviors may be the label itself, or come after it. "
        "Leave it out, or end the behaviors before the moment that the label speaks of, and make feature and task again.",
    )


def _shared(report: Report) -> Iterator[tuple[str, str]]:
    n = report["leaks"]["test_users_in_train"]
    if n:
        yield (
            "TEST_USERS_IN_TRAIN",
            f"{n:,} users of the test set were also learned from. The task may look better than it is for users that it has "
            "not seen; keep test users out of the train labels, unless the test is the same users at a later time.",
        )


def _uninformative(report: Report) -> Iterator[tuple[str, str]]:
    quality = report["quality"]
    if sum(n > 0 for n in map(sum, zip(*quality["score_histogram"].values(), strict=True))) == 1 and len(quality["roc"]) == 2:
        yield (
            "CONSTANT_SCORES",
            "All users get the same score: they are all alike in this feature, so nothing can be learned. "
            "Use a data set in which users differ.",
        )
    elif quality["AUROC_interval"][0] <= 0.5:
        yield (
            "UNINFORMATIVE",
            f"The task is not clearly better than guessing (AUROC {quality['AUROC']:.3f}, and .5 lies within its interval). "
            "The behaviors may say nothing about this label, or there are too few labels to see it.",
        )


def _wide(report: Report) -> Iterator[tuple[str, str]]:
    low, high = report["quality"]["AUROC_interval"]
    if high - low > _MAX_INTERVAL:
        measured = report["labels"]["measured"]
        yield (
            "FEW_TEST_USERS",
            f"The AUROC is known only to lie between {low:.3f} and {high:.3f}, because it was measured on "
            f"{measured['ones']:,} users with label 1 and {measured['zeros']:,} with label 0. More labels make it surer.",
        )


def _baseline(report: Report) -> Iterator[tuple[str, str]]:
    own, *others = report["baselines"]
    best = max(others, key=lambda each: float(each["AUROC"]), default=None)
    if best is not None and best["AUROC"] > own["AUROC"]:
        yield (
            "BASELINE_IS_BETTER",
            f"A simple model ({best['name']}) ranks these users as well or better (AUROC {best['AUROC']:.3f} against "
            f"{own['AUROC']:.3f}). With few labels this may be chance.",
        )


def _unmatched(report: Report) -> Iterator[tuple[str, str]]:
    labels = report["labels"]
    for which in ("train", "test"):
        missing, given = labels[f"unmatched_{which}"], labels[f"given_{which}"]
        if given and missing / given > _MAX_UNMATCHED_SHARE:
            yield (
                "LABELS_WITHOUT_MATCH",
                f"{missing:,} of {given:,} {which} labels are of users who are not in the feature. "
                "Compare how the user ids are written in both files.",
            )


def _coverage(report: Report) -> Iterator[tuple[str, str]]:
    coverage = report["coverage"]
    if coverage is not None and coverage < _MIN_COVERAGE:
        yield (
            "LOW_COVERAGE",
            f"The encoder knows only {100 * coverage:.0f} % of the behaviors of the train feature. "
            "Make the feature with a new encoder, and the task again.",
        )


def _drift(report: Report) -> Iterator[tuple[str, str]]:
    drift = report["drift"]
    if drift is not None and drift["AUROC"] > _MAX_DRIFT_AUROC:
        columns = ", ".join(f"{column['name']}{explain_column(column['name'])}" for column in drift["columns"][:3])
        yield (
            "LABELLED_USERS_DIFFER",
            f"Labelled users are not like the other users of the feature: a simple model tells them apart with AUROC "
            f"{drift['AUROC']:.3f} (they differ most in {columns}). For the others the scores may be less good than "
            "this report says; label users drawn by lot if you can.",
        )


def _calibration(report: Report) -> Iterator[tuple[str, str]]:
    error, measured = report["quality"]["calibration_error"], sum(report["labels"]["measured"].values())
    if error > _MAX_CALIBRATION_ERROR and measured >= 500:
        yield (
            "POORLY_CALIBRATED",
            f"Scores are off by {100 * error:.0f} points on average as probabilities. Rank by them, but do not count on "
            "them as chances. This happens when the test users are of another time or kind than the train users.",
        )


def _more(report: Report) -> Iterator[tuple[str, str]]:
    curve = report["learning_curve"]
    if len(curve) > 1 and curve[-1]["AUROC"] - curve[-2]["AUROC"] > _MIN_RISE:
        yield (
            "MORE_LABELS_MAY_HELP",
            f"From {curve[-2]['labels']:,} to {curve[-1]['labels']:,} labels the AUROC still rose by "
            f"{curve[-1]['AUROC'] - curve[-2]['AUROC']:.3f}. More labels may make the task better.",
        )


def _sample(report: Report) -> Iterator[tuple[str, str]]:
    sample, labels = report["sample"], report["labels"]
    if sample["train_users"] < sum(labels["train"].values()) or sample["test_users"] < sum(labels["measured"].values()):
        yield (
            "SAMPLED",
            f"Baselines, learning curve, behaviors and the leak check look at {sample['train_users']:,} labelled users "
            f"to learn from and {sample['test_users']:,} to measure on, to save time; the quality is measured on all.",
        )
