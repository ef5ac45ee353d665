"""What the target of a task has in common: planted behaviors and attributes are found, chance is not."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from modeling_data import make_source

from footfall.modeling.encoding.encode import make_feature, open_feature
from footfall.modeling.encoding.encoder import fit_encoder
from footfall.modeling.learning.labels import read_labels
from footfall.modeling.learning.task import train_task
from footfall.modeling.scoring.audience import HEADER, Audience, OtherTask, describe_audience
from footfall.modeling.scoring.score import load_scorer

N_USERS = 3000


class World:
    """Users of whom a tenth run; of the runners most are tall; who sings has nothing to do with it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        rng = np.random.default_rng(0)
        self.runs_N, self.sings_N = rng.random(N_USERS) < 0.1, rng.random(N_USERS) < 0.3
        tall_N = rng.random(N_USERS) < np.where(self.runs_N, 0.8, 0.2)
        rows, labels = [], {"runs": self.runs_N, "tall": tall_N, "sings": self.sings_N}
        for n in range(N_USERS):
            acts = [f"see page {page}" for page in rng.integers(0, 30, 6)]
            acts += ["buy shoes"] * (rng.random() < (0.7 if self.runs_N[n] else 0.05))
            acts += ["buy a long coat"] * (rng.random() < (0.8 if tall_N[n] else 0.1))
            acts += ["buy a song"] * (rng.random() < (0.8 if self.sings_N[n] else 0.1))
            rows.append(f"u{n}\t{'->'.join(acts)}\n")
        source = make_source("".join(rows).encode())
        encoder = fit_encoder([source], seed=1)
        encoder.save(root / "encoder")
        make_feature([source], encoder, root / "feature")
        feature = open_feature(root / "feature")
        for name, answer_N in labels.items():
            text = "".join(f"u{n}\t{int(answer)}\n" for n, answer in enumerate(answer_N))
            train_task(feature, read_labels([make_source(text.encode())]), seed=1).save(root / name)

    def describe(self, task: str, *others: str) -> tuple[Audience, list[list[str]]]:
        tasks = [OtherTask(name, load_scorer(self.root / name)) for name in others]
        folders = (self.root / task, self.root / "feature", self.root / "encoder")
        audience = describe_audience(*folders, tasks, self.root / "out.tsv")
        lines = (self.root / "out.tsv").read_text().splitlines(keepends=True)
        assert lines[0] == HEADER
        return audience, [line.rstrip("\n").split("\t") for line in lines[1:]]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("audience"))


def test_what_the_target_has_in_common_comes_first_and_chance_is_left_out(world: World) -> None:
    audience, rows = world.describe("runs")
    behaviors = [row[1] for row in rows if row[0] == "behavior"]
    assert audience == Audience(N_USERS, 300, len(behaviors))
    assert behaviors[0] == "buy shoes"
    assert "buy a song" not in behaviors
    assert len(behaviors) <= 6


def test_shares_lift_and_users_are_counts(world: World) -> None:
    _, rows = world.describe("runs")
    _, name, target, base, lift, users = rows[0]
    lines = sum(block.n_users for block in open_feature(world.root / "feature").read_blocks())
    assert (lines, name) == (N_USERS, "buy shoes")
    assert float(target) == pytest.approx(int(users) / 300, abs=1e-6)
    assert 0.05 < float(base) < 0.2
    assert float(lift) == pytest.approx(float(target) / float(base), rel=1e-3)


def test_attributes_are_the_other_tasks_by_lift(world: World) -> None:
    _, rows = world.describe("runs", "sings", "tall")
    attributes = [row for row in rows if row[0] == "attribute"]
    assert [row[1] for row in attributes] == ["tall", "sings"]
    tall, sings = ([float(value) for value in row[2:]] for row in attributes)
    assert tall[2] > 1.5
    assert sings[2] == pytest.approx(1.0, abs=0.25)
    assert sings[1] == pytest.approx(world.sings_N.mean(), abs=0.05)
    assert tall[3] == round(tall[0] * 300)


def test_a_task_that_says_nothing_has_nobody_in_particular(world: World, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    text = "".join(f"u{n}\t{int(rng.random() < 0.5)}\n" for n in range(N_USERS))
    feature = open_feature(world.root / "feature")
    train_task(feature, read_labels([make_source(text.encode())]), seed=1).save(world.root / "noise")
    scorer = load_scorer(world.root / "noise")
    _, rows = world.describe("noise", "tall")
    assert scorer.encoder_hash == feature.encoder_hash
    assert all(0.5 < float(row[4]) < 3 for row in rows)


def test_a_task_of_another_encoder_is_refused(world: World) -> None:
    other = OtherTask("x", replace(load_scorer(world.root / "tall"), encoder_hash="other"))
    folders = (world.root / "runs", world.root / "feature", world.root / "encoder")
    with pytest.raises(ValueError, match="another encoder"):
        describe_audience(*folders, [other], world.root / "none.tsv")
    assert not (world.root / "none.tsv").exists()
