"""What only event logs have: times, numbers and categories, in columns, in the bag, in views and in scores."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from modeling_data import make_source

from footfall.modeling.encoding import aggregates, amounts, timing
from footfall.modeling.encoding.dense import find_missing
from footfall.modeling.encoding.encode import Feature, make_feature, open_feature
from footfall.modeling.encoding.encoder import Encoder, fit_encoder, load_encoder
from footfall.modeling.events.log import EventLog, read_log
from footfall.modeling.events.options import LogOptions
from footfall.modeling.learning.gather import gather_users
from footfall.modeling.learning.labels import match_labels, read_labels
from footfall.modeling.learning.metrics import measure_auroc
from footfall.modeling.learning.task import train_task
from footfall.modeling.reading.histories import Schema
from footfall.modeling.scoring.score import score_feature

DAY = timedelta(days=1)
UNTIL = datetime(2025, 6, 1, tzinfo=UTC)


def read(frame: pl.DataFrame, scratch: Path) -> EventLog:
    scratch.mkdir()
    options = LogOptions(observed_until=UNTIL)
    return read_log([make_source(frame.write_csv().encode())], "csv", options, scratch, salt=1)


def make_frame(n_users: int = 600) -> tuple[pl.DataFrame, str]:
    """Users with label 1 spend twice as long on red things, come more lately, and prefer one place."""
    rng = np.random.default_rng(3)
    rows, labels = [], []
    for n in range(n_users):
        label = n % 2
        for _ in range(int(rng.integers(3, 20))):
            colour = "red" if rng.random() < 0.5 else "blue"
            minutes = rng.gamma(4, 5 * (1 + label * (colour == "red")))
            at = UNTIL - timedelta(days=float(rng.gamma(2, 40 - 15 * label)), minutes=1)
            place = "home" if rng.random() < 0.4 + 0.2 * label else f"away {rng.integers(5)}"
            rows.append((f"u{n}", at, f"paint {colour}", round(minutes, 2), place))
        labels.append(f"u{n}\t{label}\n")
    return pl.DataFrame(rows, ["user_id", "timestamp", "behavior", "minutes", "place"], orient="row"), "".join(labels)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Encoder, Feature, str, pl.DataFrame]:
    root = tmp_path_factory.mktemp("made")
    frame, labels = make_frame()
    log = read(frame, root / "log")
    encoder = fit_encoder(log, seed=1)
    make_feature(log, encoder, root / "feature")
    return encoder, open_feature(root / "feature"), labels, frame


def test_times_become_columns() -> None:
    at = [UNTIL - 100 * DAY, UNTIL - 100 * DAY + timedelta(minutes=10), UNTIL - 20 * DAY, UNTIL - 5 * DAY]
    time_L = np.array([int(one.timestamp() * 1e6) for one in at])
    visit_L = np.zeros(4, np.int32)
    offset = np.array([0, 4, 4])
    values = timing.count_times(offset, time_L, int(UNTIL.timestamp() * 1e6), visit_L, len(timing.NAMES))
    column = dict(zip(timing.NAMES, values[0].tolist(), strict=True))
    assert visit_L.tolist() == [0, 0, 1, 2]
    assert (column["visits"], column["active_days"], column["largest_visit"]) == (3, 3, 2)
    assert (column["days_since_last"], column["days_since_first"]) == (5, 100)
    assert column["gap_mean"] == pytest.approx(47.5)
    assert (column["gap_last"], column["gap_longest"]) == (15, 80)
    assert [column[f"events_{d}_days"] for d in (7, 30, 90)] == [1, 2, 2]
    assert column["hour_0_share"] == 1
    assert sum(column[f"weekday_{d}_share"] for d in range(7)) == pytest.approx(1)
    assert column[f"weekday_{(UNTIL - 5 * DAY).weekday()}_share"] >= 0.25
    assert np.isnan(values[1]).all()


def test_one_visit_has_no_gaps_and_equal_times_are_fine() -> None:
    time_L, visit_L = np.full(3, 10**15), np.zeros(3, np.int32)
    values = timing.count_times(np.array([0, 3]), time_L, 10**15, visit_L, len(timing.NAMES))
    column = dict(zip(timing.NAMES, values[0].tolist(), strict=True))
    assert np.isnan(column["gap_mean"])
    assert (column["visits"], column["days_since_last"], column["last_over_first"]) == (1, 0, 0)


def test_numbers_become_columns() -> None:
    number_LQ = np.array([[1.0], [np.nan], [3.0], [-4.0]], np.float32)
    time_L = np.array([0, 0, 60, 60]) * 86_400 * 10**6
    visit_L = np.array([0, 0, 1, 1], np.int32)
    until_us = 70 * 86_400 * 10**6
    n_per = len(amounts.PER_NUMBER)
    values = amounts.count_numbers(np.array([0, 4, 4]), number_LQ, visit_L, time_L, until_us, n_per)
    column = dict(zip(amounts.PER_NUMBER, values[0].tolist(), strict=True))
    assert (column["sum"], column["mean"], column["least"], column["most"], column["last"]) == (0, 0, -4, 3, -4)
    assert column["negative_share"] == pytest.approx(1 / 3)
    assert (column["last_visit_sum"], column["visit_mean"], column["visit_most"]) == (-1, 0, 1)
    assert (column["30_days_sum"], column["90_days_sum"], column["trend"]) == (-1, 0, -1.5)
    assert np.isnan(values[1]).all()


def test_missing_values_have_a_byte_of_their_own() -> None:
    x_NA = np.array([[1.0], [np.nan], [2.0]], np.float32)
    edge_E, offset_A1, rank_A256 = aggregates.fit_bins(x_NA)
    out_NA = np.zeros((3, 1), np.uint8)
    aggregates.put_in_bins(x_NA, edge_E, offset_A1, out_NA)
    assert out_NA[:, 0].tolist() == [0, 255, 1]
    assert rank_A256[0, 255] == 0.5


def test_an_encoder_keeps_what_it_knows_of_events(made: tuple[Encoder, Feature, str, pl.DataFrame], tmp_path: Path) -> None:
    encoder, feature = made[:2]
    assert encoder.schema == Schema(True, ("minutes",), ("place",))
    assert len(encoder.column_names) == encoder.n_columns == feature.layout["n_columns"]
    assert {"visits", "minutes_sum", "place_distinct", "behavior_0_sum"} <= set(encoder.column_names)
    assert b"place=home" in encoder.vocabulary.category_text_B.tobytes()
    encoder.save(tmp_path)
    assert load_encoder(tmp_path).content_hash == encoder.content_hash


def test_no_column_is_constant_or_a_copy(made: tuple[Encoder, Feature, str, pl.DataFrame]) -> None:
    dense_NA = np.concatenate([block.dense_NA for block in made[1].read_blocks()])
    n_aggregates = made[0].plan.keep_A.size
    assert (dense_NA[:, :n_aggregates].min(axis=0) < dense_NA[:, :n_aggregates].max(axis=0)).all()
    assert n_aggregates <= 200


def test_the_amounts_view_sees_what_counts_do_not(made: tuple[Encoder, Feature, str, pl.DataFrame]) -> None:
    _, feature, labels, _ = made
    task = train_task(feature, read_labels([make_source(labels.encode())]), seed=1)
    values = {name: view["AUROC_out_of_fold"] for name, view in task.summary["views"].items()}
    assert values["amounts"] > values["bag"] + 0.1
    assert task.auroc > 0.85


def test_scores_of_a_log_are_those_of_the_stack(made: tuple[Encoder, Feature, str, pl.DataFrame], tmp_path: Path) -> None:
    _, feature, labels, _ = made
    answers = read_labels([make_source(labels.encode())])
    task = train_task(feature, answers, seed=1)
    task.save(tmp_path / "task")
    score_feature(tmp_path / "task", feature.directory, tmp_path / "scores.tsv")
    scores = dict(line.split("\t") for line in (tmp_path / "scores.tsv").read_text().splitlines())
    matched = match_labels(answers, feature)
    users, _ = gather_users(feature, matched.row_N)
    expected = task.stack.predict(users)
    ids = [id for block in feature.read_blocks() for id in _ids(block.id_B.tobytes(), block.id_offset_N1)]
    assert np.allclose([float(scores[ids[row]]) for row in matched.row_N], expected, atol=2e-5)
    assert measure_auroc(expected, matched.label_N) > 0.9


def _ids(data: bytes, offset_N1: "np.ndarray[tuple[int], np.dtype[np.int32]]") -> list[str]:
    return [data[a:b].decode() for a, b in pairwise(offset_N1.tolist())]


def test_a_sequence_file_can_be_read_by_the_encoder_of_a_log(
    made: tuple[Encoder, Feature, str, pl.DataFrame], tmp_path: Path
) -> None:
    encoder = made[0]
    assert find_missing(encoder.schema, Schema()) == ["times", "minutes", "place"]
    make_feature([make_source(b"a\tpaint red->paint blue\nb\t\n")], encoder, tmp_path)
    feature = open_feature(tmp_path)
    block = next(iter(feature.read_blocks()))
    names = encoder.column_names
    assert block.dense_NA[0, names.index("visits")] == 255
    assert block.dense_NA[0, names.index("minutes_sum")] == 255
    assert block.dense_NA[0, names.index("behaviors")] != 255


def test_columns_of_a_log_are_matched_by_name(made: tuple[Encoder, Feature, str, pl.DataFrame], tmp_path: Path) -> None:
    encoder, feature, _, frame = made
    other = frame.select("place", "behavior", "user_id", pl.lit(1.5).alias("noise"), "minutes", "timestamp")
    make_feature(read(other, tmp_path / "log"), encoder, tmp_path / "feature")
    for one, two in zip(feature.read_blocks(), open_feature(tmp_path / "feature").read_blocks(), strict=True):
        assert np.array_equal(one.dense_NA, two.dense_NA)
        assert np.array_equal(one.token_M, two.token_M)
        assert np.array_equal(one.count_M, two.count_M)
