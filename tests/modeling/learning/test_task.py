"""Tasks: honest, calibrated, the same again, never broken by poor data; and scores that agree with the model."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pytest
from modeling_data import SHIPPED, file_source, make_rows, make_source
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from footfall.errors import DataError
from footfall.modeling.encoding.encode import Feature, make_feature, open_feature
from footfall.modeling.encoding.encoder import Encoder, fit_encoder
from footfall.modeling.learning.calibration import fit_curve
from footfall.modeling.learning.folds import hold_out, split_folds
from footfall.modeling.learning.gather import gather_users
from footfall.modeling.learning.labels import Labels, match_labels, read_labels
from footfall.modeling.learning.metrics import measure_auroc, measure_calibration_error, measure_lift, measure_log_loss
from footfall.modeling.learning.stack import find_views
from footfall.modeling.learning.task import TrainedTask, train_task
from footfall.modeling.linear import fit_linear
from footfall.modeling.scoring.score import score_feature
from footfall.modeling.scoring.tree_predictor import MAX_LEAVES, pack_trees, predict_trees


def labels_of(text: str) -> Labels:
    return read_labels([make_source(text.encode())])


def store(text: str, directory: Path, encoder: Encoder | None = None) -> Feature:
    source = make_source(text.encode())
    make_feature([source], encoder or fit_encoder([source], seed=1), directory)
    return open_feature(directory)


@pytest.fixture(scope="module")
def feature(rows: tuple[str, str], encoder: Encoder, tmp_path_factory: pytest.TempPathFactory) -> Feature:
    return store(rows[0], tmp_path_factory.mktemp("feature"), encoder)


@pytest.fixture(scope="module")
def task(feature: Feature, rows: tuple[str, str]) -> TrainedTask:
    return train_task(feature, labels_of(rows[1]), seed=1)


def test_a_task_learns_what_can_be_learned(task: TrainedTask) -> None:
    assert task.auroc > 0.85
    assert task.summary["test"] == "held out"
    assert sum(task.summary["test_labels"].values()) == 240


def test_scores_are_those_of_the_model(task: TrainedTask, feature: Feature, tmp_path: Path) -> None:
    task.save(tmp_path / "task")
    steps: list[tuple[str, int, int]] = []
    n = score_feature(tmp_path / "task", feature.directory, tmp_path / "out", progress=lambda *step: steps.append(step))
    lines = (tmp_path / "out").read_text().split("\n")
    users, _ = gather_users(feature, np.arange(1200))
    expected = task.stack.predict(users)
    assert n == 1200
    assert lines.pop() == ""
    assert [line.split("\t")[0] for line in lines] == [f"u{i}" for i in range(1200)]
    assert all(len(line.split("\t")[1]) == 8 for line in lines)
    assert np.abs(np.array([float(line.split("\t")[1]) for line in lines]) - expected).max() < 2e-6
    assert steps[-1] == ("score", 1200, 1200)


def test_scoring_needs_numpy_and_numba_alone() -> None:
    code = (
        "import sys, footfall.modeling.scoring.score;"
        "print([m for m in ('sklearn','lightgbm','pyarrow','polars','torch','safetensors') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_same_seed_gives_the_same_bytes_with_one_thread_or_two(
    task: TrainedTask, feature: Feature, rows: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FOOTFALL_THREADS", "1")
    train_task(feature, labels_of(rows[1]), seed=1).save(tmp_path / "one")
    task.save(tmp_path / "two")
    for name in ("task.json", "task.safetensors"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_the_order_of_the_label_file_does_not_matter(task: TrainedTask, feature: Feature, rows: tuple[str, str]) -> None:
    shuffled = "".join(sorted(rows[1].splitlines(keepends=True), key=hash))
    assert train_task(feature, labels_of(shuffled), seed=1).auroc == task.auroc


def test_a_given_test_set_is_never_learned_from(feature: Feature, rows: tuple[str, str]) -> None:
    lines = rows[1].splitlines(keepends=True)
    train = labels_of("".join(lines[:700]))
    honest = train_task(feature, train, feature, labels_of("".join(lines[700:])), seed=1)
    flipped = "".join(f"{line.split()[0]}\t{1 - int(line.split()[1])}\n" for line in lines[700:])
    lied = train_task(feature, train, feature, labels_of(flipped), seed=1)
    assert lied.auroc == pytest.approx(1 - honest.auroc)


def test_a_test_set_may_come_from_another_feature(
    feature: Feature, encoder: Encoder, rows: tuple[str, str], tmp_path: Path
) -> None:
    text, answers = make_rows(400, seed=3)
    other = store(text, tmp_path, encoder)
    assert train_task(feature, labels_of(rows[1]), other, labels_of(answers), seed=1).auroc > 0.85


@pytest.mark.parametrize(("zeros", "ones"), [(99, 300), (300, 99), (0, 300), (300, 0), (0, 0)])
def test_too_few_labels_of_a_class_are_refused_with_the_counts(feature: Feature, zeros: int, ones: int) -> None:
    text = "".join(f"u{n}\t{int(n >= zeros)}\n" for n in range(zeros + ones)) + "nobody\t1\nno one\t0\n"
    with pytest.raises(DataError) as caught:
        train_task(feature, labels_of(text), seed=1)
    assert caught.value.name == "NUM_OF_LABEL_INSUFFICIENT"
    assert f"{zeros} zeros and {ones} ones" in str(caught.value)
    assert "2 labelled users are not in it" in str(caught.value)


def test_a_test_set_of_one_class_is_refused(feature: Feature, rows: tuple[str, str]) -> None:
    with pytest.raises(DataError) as caught:
        train_task(feature, labels_of(rows[1]), feature, labels_of("u1\t1\nu2\t1\n"), seed=1)
    assert caught.value.name == "NUM_OF_LABEL_INSUFFICIENT"


@pytest.mark.parametrize("text", ["", "same thing", "same thing->same thing"])
def test_users_who_are_all_the_same_score_one_half_in_auroc(text: str, tmp_path: Path) -> None:
    feature = store("".join(f"u{n}\t{text}\n" for n in range(300)), tmp_path / "f")
    labels = labels_of("".join(f"u{n}\t{int(n % 3 == 0)}\n" for n in range(300)))
    task = train_task(feature, labels, seed=1)
    task.save(tmp_path / "t")
    score_feature(tmp_path / "t", feature.directory, tmp_path / "out")
    scores = {float(line.split("\t")[1]) for line in (tmp_path / "out").read_text().splitlines()}
    assert task.auroc == 0.5
    assert len(scores) == 1
    assert scores.pop() == pytest.approx(1 / 3, abs=0.01)


def test_noise_is_called_noise(tmp_path: Path) -> None:
    text, answers = make_rows(800, separable=False)
    task = train_task(store(text, tmp_path), labels_of(answers), seed=1)
    assert 0.35 < task.auroc < 0.65
    assert task.summary["calibration_error"] < 0.15


def test_a_user_without_behaviors_scores_the_prior(
    task: TrainedTask, encoder: Encoder, rows: tuple[str, str], tmp_path: Path
) -> None:
    task.save(tmp_path / "t")
    store("a\t\nb\tsee red thing 1\nc\t->\n", tmp_path / "f", encoder)
    score_feature(tmp_path / "t", tmp_path / "f", tmp_path / "out")
    scores = [float(line.split("\t")[1]) for line in (tmp_path / "out").read_text().splitlines()]
    prior = np.mean([line.endswith("1") for line in rows[1].splitlines()])
    assert scores[0] == scores[2] == pytest.approx(prior, abs=1e-6)
    assert scores[1] > prior


def test_a_few_labels_are_enough_when_the_setting_says_so(feature: Feature, rows: tuple[str, str]) -> None:
    lines = rows[1].splitlines(keepends=True)
    for n in (6, 30, 60):
        text = "".join([x for x in lines if x.endswith("1\n")][:n] + [x for x in lines if x.endswith("0\n")][:n])
        assert 0.0 <= train_task(feature, labels_of(text), seed=1, min_labels_per_class=5).auroc <= 1.0


def test_order_alone_can_be_learned(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    lines, answers = [], []
    for n in range(900):
        acts = list(rng.permutation([f"a{i}" for i in range(12)]))
        place = acts.index("a0")
        after = rng.random() < 0.5  # label: a1 comes right after a0, or right before it
        acts.remove("a1")
        acts.insert(acts.index("a0") + int(after), "a1")
        lines.append(f"u{n}\t{'->'.join(acts)}\n")
        answers.append(f"u{n}\t{int(after)}\n")
        assert place >= 0
    assert train_task(store("".join(lines), tmp_path), labels_of("".join(answers)), seed=1).auroc > 0.95


def test_trees_score_as_lightgbm_does() -> None:
    rng = np.random.default_rng(0)
    x, w = rng.integers(0, 255, (3000, 20)).astype(np.uint8), rng.normal(size=20)
    y = (x @ w + rng.normal(size=3000) * 100 > 0).astype(int)
    parameters = {"objective": "binary", "num_leaves": 32, "verbosity": -1, "min_data_in_bin": 1}
    parameters |= {"min_data_in_leaf": 1, "min_sum_hessian_in_leaf": 0.0}  # deep, lopsided trees; at the end small ones
    booster = lightgbm.train(parameters, lightgbm.Dataset(x, y, params=parameters), 60)
    trees = [tree["tree_structure"] for tree in booster.dump_model()["tree_info"]]
    own = predict_trees(x, *pack_trees(trees))
    assert np.abs(own - booster.predict(x, raw_score=True)).max() < 1e-5


def test_a_tree_that_cannot_be_packed_is_refused() -> None:
    tree: dict[str, Any] = {"leaf_value": 1.0}
    leaf = {"leaf_value": 2.0}
    for _ in range(MAX_LEAVES):
        node = {"decision_type": "<=", "threshold": 3.0, "split_feature": 0}
        tree = node | {"left_child": tree, "right_child": leaf}
    assert pack_trees([tree["left_child"]])[2].shape == (1, MAX_LEAVES)
    with pytest.raises(ValueError, match="33 leaves"):
        pack_trees([tree])
    with pytest.raises(ValueError, match="by category"):
        pack_trees([tree | {"decision_type": "=="}])


def test_no_trees_add_nothing() -> None:
    assert np.array_equal(predict_trees(np.zeros((70, 3), np.uint8), *pack_trees([])), np.zeros(70, np.float32))


def test_linear_heads_agree_with_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(500, 8)).astype(np.float32)
    y = (x[:, 0] - x[:, 1] + rng.normal(size=500) > 0).astype(np.uint8)
    own, reference = fit_linear(x, y, 0.5), LogisticRegression(C=0.5, tol=1e-8).fit(x, y)
    assert np.abs(own.weight_V - reference.coef_[0]).max() < 0.01
    assert own.bias == pytest.approx(reference.intercept_[0], abs=0.01)


def test_auroc_is_that_of_scikit_learn_with_ties() -> None:
    rng = np.random.default_rng(0)
    y, p = rng.integers(0, 2, 500), rng.integers(0, 20, 500) / 20
    assert measure_auroc(p, y) == pytest.approx(roc_auc_score(y, p))
    assert measure_auroc(np.zeros(500), y) == 0.5
    with pytest.raises(ValueError, match="each class"):
        measure_auroc(p, np.ones(500, int))


def test_other_metrics_on_known_cases() -> None:
    y, p = np.array([0, 0, 1, 1]), np.array([0.5, 0.5, 0.5, 0.5])
    assert measure_log_loss(p, y) == pytest.approx(np.log(2))
    assert measure_calibration_error(p, y) == 0.0
    assert measure_calibration_error(np.array([0.9, 0.9, 0.9, 0.9]), y) == pytest.approx(0.4)
    assert measure_lift(np.array([0.1, 0.2, 0.9, 0.8]), y, 2) == [2.0, 0.0]


def test_a_curve_is_kept_only_when_it_helps() -> None:
    rng = np.random.default_rng(0)
    p = rng.random(20_000)
    y = (rng.random(20_000) < p).astype(np.uint8)
    assert fit_curve(p, y, seed=1)[0].size == 0
    x_J, y_J = fit_curve(p**3, y, seed=1)
    assert np.interp(0.125, x_J, y_J) == pytest.approx(0.5, abs=0.05)


def test_folds_are_stratified_and_disjoint() -> None:
    y = (np.arange(1000) % 10 == 0).astype(np.uint8)
    held = [h for _, h in split_folds(y, 5, seed=1)]
    assert np.array_equal(np.sort(np.concatenate(held)), np.arange(1000))
    assert [int(y[h].sum()) for h in held] == [20] * 5
    kept, out = hold_out(y, 0.2, seed=1)
    assert (out.size, int(y[out].sum()), np.intersect1d(kept, out).size) == (200, 20, 0)


@pytest.mark.parametrize("name", sorted(set(find_views()) - {"amounts"}))  # which needs an event log
def test_every_view_separates_what_is_separable(name: str, feature: Feature, rows: tuple[str, str]) -> None:
    matched = match_labels(labels_of(rows[1]), feature)
    users, _ = gather_users(feature, matched.row_N)
    kept, held = hold_out(matched.label_N, 0.3, seed=2)
    views = [find_views()[name]() for _ in range(2)]
    for view in views:
        view.fit(users.take(kept), matched.label_N[kept], strength=view.strengths[1], seed=1)
    z = views[0].predict(users.take(held))
    assert z.shape == held.shape
    assert np.isfinite(z).all()
    assert np.array_equal(z, views[1].predict(users.take(held)))
    assert measure_auroc(z, matched.label_N[held]) > 0.75
    assert "bias" in views[0].arrays()


def test_the_shipped_customers_reach_the_promised_quality(tmp_path: Path) -> None:
    source = file_source(SHIPPED / "sequences.csv.gz")
    feature = store_source(source, tmp_path)
    train, test = (read_labels([file_source(SHIPPED / name)]) for name in ("train.tsv", "test.tsv"))
    task = train_task(feature, train, feature, test, seed=1)
    assert task.auroc >= 0.73
    assert task.summary["calibration_error"] < 0.054
    best_view = max(view["AUROC_out_of_fold"] for view in task.summary["views"].values())
    assert task.summary["AUROC_out_of_fold"] > best_view - 0.005


def store_source(source: object, directory: Path) -> Feature:
    make_feature([source], fit_encoder([source], seed=1), directory)  # type: ignore[list-item]
    return open_feature(directory)
