"""Reports: numbers that agree with known ones, honest about leaks, noise and strangers, the same again."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from modeling_data import make_rows, make_source
from sklearn.metrics import average_precision_score
from threadpoolctl import threadpool_limits

from footfall.modeling.encoding.encode import Feature, make_feature, open_feature
from footfall.modeling.encoding.encoder import Encoder, fit_encoder
from footfall.modeling.events.log import read_log
from footfall.modeling.events.options import LogOptions
from footfall.modeling.learning.labels import Labels, read_labels
from footfall.modeling.learning.metrics import measure_auroc
from footfall.modeling.learning.task import train_task
from footfall.modeling.report.quality import measure_interval, measure_quality
from footfall.modeling.report.report import Sources, make_report


def labels_of(text: str) -> Labels:
    return read_labels([make_source(text.encode())])


def store(text: str, directory: Path, encoder: Encoder | None = None) -> tuple[Feature, Path]:
    source = make_source(text.encode())
    encoder = encoder or fit_encoder([source], seed=1)
    encoder.save(directory / "encoder")
    make_feature([source], encoder, directory / "feature")
    return open_feature(directory / "feature"), directory / "encoder"


def report_of(text: str, answers: str, directory: Path, test: str | None = None) -> dict[str, Any]:
    feature, encoder_dir = store(text, directory)
    train, held = labels_of(answers), None if test is None else labels_of(test)
    task = train_task(feature, train, None if test is None else feature, held, seed=1)
    sources = Sources(feature, train, None if test is None else feature, held, encoder_dir, 0.9)
    made = make_report(task, sources, seed=1)
    assert made == make_report(task, sources, seed=1)
    json.dumps(made, allow_nan=False)
    return made


def codes(report: dict[str, Any]) -> list[str]:
    return [warning["code"] for warning in report["warnings"]]


@pytest.fixture(scope="module")
def report(rows: tuple[str, str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    strangers = "".join(f"stranger{n}\t{n % 2}\n" for n in range(7))
    lines = rows[1].splitlines(keepends=True)
    return report_of(rows[0], "".join(lines[:900]) + strangers, tmp_path_factory.mktemp("report"))


def test_a_report_says_how_good_and_against_what(report: dict[str, Any]) -> None:
    quality = report["quality"]
    low, high = quality["AUROC_interval"]
    assert 0.75 < low < quality["AUROC"] < high < 1
    assert [each["name"] for each in report["baselines"]] == [
        "footfall", "majority", "tfidf_logistic", "aggregates_trees",
    ]  # fmt: skip
    assert report["baselines"][0]["AUROC"] == pytest.approx(quality["AUROC"])
    assert report["baselines"][1]["AUROC"] == 0.5
    assert report["baselines"][2]["AUROC"] > 0.75
    curve = report["learning_curve"]
    assert [point["labels"] for point in curve] == [45, 90, 180, 360, 720]
    assert curve[0]["AUROC"] < curve[-1]["AUROC"] == quality["AUROC"]
    assert sum(view["share"] for view in report["views"]) == pytest.approx(1)


def test_labels_are_counted(report: dict[str, Any]) -> None:
    labels = report["labels"]
    assert (labels["unmatched_train"], labels["given_train"], labels["given_test"]) == (7, 907, 0)
    assert sum(labels["train"].values()) == 720
    assert sum(labels["measured"].values()) == 180
    assert labels["test"] == "held out"


def test_behaviors_contribute_to_the_label_of_their_users(report: dict[str, Any]) -> None:
    for side, colour, sign in (("for", "red", 1), ("against", "blue", -1)):
        behaviors = report["behaviors"][side]
        assert len(behaviors) == 12
        assert all(f"see {colour} thing" in each["text"] for each in behaviors)
        assert all(sign * each["weight"] > 0 and each["users"] >= 3 for each in behaviors)
    assert report["behaviors"]["for"][0]["ones_share"] > report["behaviors"]["against"][0]["ones_share"]


def test_users_drawn_by_lot_are_no_drift_and_others_are(report: dict[str, Any], tmp_path: Path) -> None:
    assert report["drift"]["users"] == 300
    assert report["drift"]["AUROC"] < 0.7
    assert "LABELLED_USERS_DIFFER" not in codes(report)
    text, answers = make_rows(1200)
    busy = "".join(line for n, line in enumerate(answers.splitlines(keepends=True)) if n % 25 > 12)
    other = report_of(text, busy, tmp_path)
    assert other["drift"]["AUROC"] > 0.95
    assert "LABELLED_USERS_DIFFER" in codes(other)


def test_what_most_positives_do_is_not_reported_against_them(tmp_path: Path) -> None:
    """Busy users are positive; of these, fewer return things than of the few busy negatives: a misleading weight."""
    rng = np.random.default_rng(0)
    lines, answers = [], []
    for n in range(900):
        is_busy = n % 2 == 1
        label = int(rng.random() < (0.9 if is_busy else 0.1))
        acts = [f"buy thing {k}" for k in rng.permutation(60)[: 14 if is_busy else 2]]
        acts += ["return it"] * (is_busy and rng.random() < (0.4 if label else 1.0))
        acts += ["ask for help"] * bool(rng.random() < 0.5 - 0.3 * label)
        lines.append(f"u{n}\t{'->'.join(acts)}\n")
        answers.append(f"u{n}\t{label}\n")
    made = report_of("".join(lines), "".join(answers), tmp_path)
    share = made["labels"]["train"]["ones"] / sum(made["labels"]["train"].values())
    against = [each["text"] for each in made["behaviors"]["against"]]
    assert against[0] == "ask for help"
    assert "return it" not in against
    assert all(each["ones_share"] > share for each in made["behaviors"]["for"])


def test_a_behavior_that_is_the_label_is_called_a_leak(tmp_path: Path) -> None:
    text, answers = make_rows(800, separable=False)
    label = dict(line.split("\t") for line in answers.splitlines())
    pairs = (line.split("\t") for line in text.splitlines())
    leaky = "".join(f"{u}\t{acts}{'->paid' if label[u] == '1' else ''}\n" for u, acts in pairs)
    made = report_of(leaky, answers, tmp_path)
    assert codes(made)[0] == "LEAKAGE_SUSPECTED"
    assert {"kind": "behavior", "name": "paid", "AUROC": 1.0} in made["leaks"]["found"]
    assert made["quality"]["AUROC_interval"][1] == 1.0
    assert made["quality"]["AUROC_interval"][0] < 1.0
    hidden = "".join(f"{u}\t{acts}{f'->paid {u[-1]}' if label[u] == '1' else ''}\n" for u, acts in
                     (line.split("\t") for line in text.splitlines()))  # fmt: skip
    made = report_of(hidden, answers, tmp_path / "hidden")
    assert {"kind": "word", "name": "paid", "AUROC": 1.0} in made["leaks"]["found"]
    assert "'paid' alone tells the labels apart (AUROC 1.000)" in made["warnings"][0]["text"]


def read_log_feature(rows: list[str], directory: Path) -> tuple[Feature, Path]:
    """Encode an event log of user, behavior, amount, place."""
    directory.mkdir()
    source = make_source(("user_id,behavior,amount,place\n" + "".join(rows)).encode())
    log = read_log([source], "csv", LogOptions(), directory, salt=1)
    encoder = fit_encoder(log, seed=1)
    encoder.save(directory / "encoder")
    make_feature(log, encoder, directory / "feature")
    return open_feature(directory / "feature"), directory / "encoder"


@pytest.mark.parametrize(
    ("row", "leak"),
    [
        ("{user},buy {item},{amount},shop {shop}\n", None),
        ("{user},buy {item},{large},shop {shop}\n", ("column", "amount_mean")),
        ("{user},buy {item},{amount},{answer}\n", ("fact", "place=yes")),
        ("{user},buy {item} {answer},{amount},shop {shop}\n", ("word", "yes")),
    ],
)
def test_a_leak_is_named_wherever_it_is(row: str, leak: tuple[str, str] | None, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = []
    for n in range(500):
        answer = "yes" if n % 2 else "no"
        for _ in range(int(rng.integers(2, 7))):
            amount = rng.random()
            fields = {"amount": amount, "large": amount + n % 2, "item": rng.integers(9), "shop": rng.integers(4)}
            rows.append(row.format(user=f"u{n}", answer=answer, **fields))
    feature, encoder_dir = read_log_feature(rows, tmp_path / "log")
    labels = labels_of("".join(f"u{n}\t{n % 2}\n" for n in range(500)))
    task = train_task(feature, labels, seed=1)
    made = make_report(task, Sources(feature, labels, encoder_dir=encoder_dir), seed=1)
    if leak is None:
        assert (made["leaks"]["found"], "LEAKAGE_SUSPECTED" in codes(made)) == ([], False)
        assert codes(made)[0] == "UNINFORMATIVE"
        return
    leaks = {(each["kind"], each["name"]): each["AUROC"] for each in made["leaks"]["found"]}
    assert leaks[leak] in (pytest.approx(0, abs=0.02), pytest.approx(1, abs=0.02))
    assert codes(made)[0] == "LEAKAGE_SUSPECTED"
    assert made["leaks"]["found"][0]["name"] in made["warnings"][0]["text"]
    assert "Leave it out" in made["warnings"][0]["text"]


def test_any_number_of_threads_writes_the_same_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    rows = []
    for n in range(900):
        for item, shop, amount in zip(rng.integers(0, 300, 9), rng.integers(0, 40, 9), rng.gamma(2, 3, 9), strict=True):
            colour = "red" if rng.random() < 0.4 + 0.2 * (n % 2) else "blue"
            rows.append(f"u{n},buy {colour} {item},{amount:.3f},shop {shop}\n")
    feature, encoder_dir = read_log_feature(rows, tmp_path / "log")
    labels = labels_of("".join(f"u{n}\t{n % 2}\n" for n in range(600)))
    written = []
    for n_threads in (1, 2):
        monkeypatch.setenv("FOOTFALL_THREADS", str(n_threads))
        with threadpool_limits(n_threads):
            task = train_task(feature, labels, seed=1)
            report = make_report(task, Sources(feature, labels, encoder_dir=encoder_dir), seed=1)
        written.append(json.dumps(report))
    assert report["drift"] is not None, "all of the report is there"
    assert written[0] == written[1]


def test_noise_and_users_who_are_all_alike_are_named(tmp_path: Path) -> None:
    text, answers = make_rows(800, separable=False)
    assert "UNINFORMATIVE" in codes(report_of(text, answers, tmp_path / "noise"))
    for name, act in (("nothing", ""), ("same", "same thing")):
        text = "".join(f"u{n}\t{act}\n" for n in range(300))
        made = report_of(text, "".join(f"u{n}\t{n % 2}\n" for n in range(300)), tmp_path / name)
        assert "CONSTANT_SCORES" in codes(made)
        assert made["quality"]["AUROC_interval"] == [0.5, 0.5]
        assert [line["lift"] for line in made["quality"]["deciles"]] == [1.0] * 10


def test_users_of_the_test_who_were_learned_from_are_counted(rows: tuple[str, str], tmp_path: Path) -> None:
    lines = rows[1].splitlines(keepends=True)
    made = report_of(rows[0], "".join(lines[:800]), tmp_path, "".join(lines[750:]))
    assert made["leaks"]["test_users_in_train"] == 50
    assert "TEST_USERS_IN_TRAIN" in codes(made)
    assert made["labels"]["test"] == "given"


def test_users_are_found_again_in_another_feature(rows: tuple[str, str], encoder: Encoder, tmp_path: Path) -> None:
    feature, encoder_dir = store(rows[0], tmp_path / "a", encoder)
    later, _ = store(make_rows(400, seed=3)[0], tmp_path / "b", encoder)
    train, test = labels_of(rows[1]), labels_of(make_rows(300, seed=3)[1])
    task = train_task(feature, train, later, test, seed=1)
    made = make_report(task, Sources(feature, train, later, test, encoder_dir, 0.5), seed=1)
    assert made["leaks"]["test_users_in_train"] == 300
    assert made["quality"]["AUROC"] == task.auroc
    assert "LOW_COVERAGE" in codes(made)
    assert made["drift"] is None  # every user of the train feature is labelled
    assert make_report(task, replace(Sources(feature, train, later, test)), seed=1)["behaviors"]["for"] == []


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    truth = 0.7602  # of N(1, 1) against N(0, 1)
    hits = 0
    for _ in range(400):
        label_N = (np.arange(120) < 40).astype(np.uint8)
        low, high = measure_interval(rng.normal(size=120) + label_N, label_N)
        hits += low <= truth <= high
    assert 0.92 <= hits / 400 <= 0.98


def test_tables_add_up_with_ties_and_without() -> None:
    rng = np.random.default_rng(0)
    score_N = rng.integers(0, 12, 503) / 12
    label_N = (rng.random(503) < score_N).astype(np.uint8)
    quality = measure_quality(score_N, label_N)
    assert quality["average_precision"] == pytest.approx(average_precision_score(label_N, score_N))
    assert sum(line["users"] for line in quality["calibration"]) == sum(line["users"] for line in quality["deciles"]) == 503
    assert quality["deciles"][-1]["gain"] == pytest.approx(1)
    assert quality["roc"][0] == [0.0, 0.0]
    assert quality["roc"][-1] == [1.0, 1.0]
    area = sum((b[0] - a[0]) * (a[1] + b[1]) / 2 for a, b in zip(quality["roc"], quality["roc"][1:], strict=False))
    assert area == pytest.approx(measure_auroc(score_N, label_N), abs=1e-9)
    order = rng.permutation(503)
    again = measure_quality(score_N[order], label_N[order])
    assert [d["gain"] for d in again["deciles"]] == pytest.approx([d["gain"] for d in quality["deciles"]])
