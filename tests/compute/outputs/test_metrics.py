"""Curves keep their spikes, resets hide, and what is no finite number is counted."""

import json
import math
import struct
import tracemalloc
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from footfall import layout
from footfall.compute.outputs import metrics
from footfall.compute.outputs.metrics import NON_FINITE, RESET, read_series, read_summary
from footfall.runner.serving.metric_files import Metrics

ID = "01900000-0000-7000-8000-000000000000"
Point = tuple[str, float, float]  # key, step, value


class Writer:
    """Writes the files of one node as its runner does."""

    def __init__(self, root: Path, attempt: int = 0, node: int = 0, clock: float = 1000.0) -> None:
        self.directory = root / layout.node_dir(ID, attempt, node)
        self.directory.mkdir(parents=True)
        self.keys: list[str] = []
        self.clock = clock
        self.summary: dict[str, Any] = {}
        self.reset_at: float | None = None
        (self.directory / layout.METRICS).touch()
        (self.directory / layout.METRIC_KEYS).touch()
        self.publish()

    def post(self, *points: Point) -> None:
        with open(self.directory / layout.METRICS, "ab") as file:
            for key, step, value in points:
                if key not in self.keys:
                    self.keys.append(key)
                    with open(self.directory / layout.METRIC_KEYS, "a") as names:
                        names.write(json.dumps(key) + "\n")
                self.clock += 1
                flags = 1 | (0 if math.isfinite(value) else NON_FINITE)
                file.write(struct.pack("<IIddd", self.keys.index(key), flags, step, self.clock, value))
                one = self.summary.setdefault(
                    key, {"last": None, "min": None, "max": None, "count": 0, "nonFinite": 0, "lastNonFiniteStep": None}
                )
                one["count"] += 1
                if math.isfinite(value):
                    one["last"] = value
                    one["min"] = value if one["min"] is None else min(value, one["min"])
                    one["max"] = value if one["max"] is None else max(value, one["max"])
                else:
                    one["nonFinite"] += 1
                    one["lastNonFiniteStep"] = step
        self.publish()

    def reset(self) -> None:
        self.clock += 1
        self.reset_at = self.clock
        self.summary = {}
        with open(self.directory / layout.METRICS, "ab") as file:
            file.write(struct.pack("<IIddd", 0xFFFFFFFF, RESET, 0.0, self.clock, 0.0))
        self.publish()

    def publish(self) -> None:
        content = {"keys": self.summary, "droppedPoints": 0, "resetAt": self.reset_at}
        (self.directory / layout.METRIC_SUMMARY).write_text(json.dumps(content))


def curves(root: Path, attempts: int = 1, n_nodes: int = 1, **given: Any) -> dict[tuple[str, int], list[Any]]:
    found = read_series(root, ID, attempts, n_nodes, **({"keys": None, "max_points": 1000} | given))
    return {(one.key, one.node): [(step, value) for step, value, _ in one.points] for one in found}


def test_a_run_without_metrics_has_none(tmp_path: Path) -> None:
    assert curves(tmp_path) == {}
    assert read_summary(tmp_path, ID, 1, 1) == ({}, 0)


def test_curves_are_by_key_and_node_through_all_attempts(tmp_path: Path) -> None:
    Writer(tmp_path).post(("loss", 1, 3.0), ("lr", 1, 0.1), ("loss", 2, 2.0))
    Writer(tmp_path, attempt=1).post(("lr", 3, 0.2), ("loss", 3, 1.0))
    Writer(tmp_path, node=1).post(("loss", 1, 9.0))
    assert curves(tmp_path, 2, 2) == {
        ("loss", 0): [(1, 3.0), (2, 2.0), (3, 1.0)],
        ("loss", 1): [(1, 9.0)],
        ("lr", 0): [(1, 0.1), (3, 0.2)],
    }
    assert list(curves(tmp_path, 2, 2, keys=["lr"])) == [("lr", 0)]
    summary, _ = read_summary(tmp_path, ID, 2, 2)
    assert summary["loss"].to_wire() == {
        "last": 9.0, "min": 1.0, "max": 9.0, "count": 4, "nonFinite": 0, "lastNonFiniteStep": None,
    }  # fmt: skip


def test_a_reset_hides_what_came_before_it_on_every_node_and_attempt(tmp_path: Path) -> None:
    Writer(tmp_path).post(("loss", 1, 100.0))
    second = Writer(tmp_path, attempt=1, clock=1010)
    second.post(("loss", 2, 50.0))
    other = Writer(tmp_path, node=1, clock=1000)
    other.post(("acc", 1, 0.5))
    second.reset()
    second.post(("loss", 3, 1.0))
    other.clock = second.clock
    other.post(("acc", 2, 0.9))
    assert curves(tmp_path, 2, 2) == {("acc", 1): [(2, 0.9)], ("loss", 0): [(3, 1.0)]}
    summary, _ = read_summary(tmp_path, ID, 2, 2)
    assert {key: (one.count, one.max) for key, one in summary.items()} == {"acc": (1, 0.9), "loss": (1, 1.0)}


def test_two_resets_in_one_file(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(metrics, "BLOCK_RECORDS", 2)
    writer = Writer(tmp_path)
    for round in range(3):
        writer.post(("a", 1, round), ("a", 2, round), ("a", 3, round))
        if round < 2:
            writer.reset()
    assert curves(tmp_path) == {("a", 0): [(1, 2.0), (2, 2.0), (3, 2.0)]}


def test_what_is_no_finite_number_is_counted_and_not_drawn(tmp_path: Path) -> None:
    Writer(tmp_path).post(("loss", 1, 2.0), ("loss", 2, math.inf), ("loss", 3, math.nan), ("bad", 7, math.nan))
    Writer(tmp_path, node=1).post(("x", 1, 1.0))
    assert curves(tmp_path) == {("loss", 0): [(1, 2.0)]}
    summary, _ = read_summary(tmp_path, ID, 1, 1)
    assert (summary["loss"].non_finite, summary["loss"].last_non_finite_step) == (2, 3.0)
    assert (summary["bad"].last, summary["bad"].non_finite) == (None, 1)


def test_a_summary_that_a_loss_of_power_left_empty_spoils_nothing_else(tmp_path: Path) -> None:
    first, second = Writer(tmp_path), Writer(tmp_path, node=1)
    first.post(("loss", 1, 0.5))
    second.post(("loss", 1, 0.7))
    (second.directory / layout.METRIC_SUMMARY).write_bytes(bytes(40))
    summary, dropped = read_summary(tmp_path, ID, 1, 2)
    assert (summary["loss"].count, summary["loss"].max, dropped) == (1, 0.5, 0)
    assert curves(tmp_path, 1, 2) == {("loss", 0): [(1, 0.5)], ("loss", 1): [(1, 0.7)]}


def test_half_a_record_at_the_end_is_not_read(tmp_path: Path) -> None:
    writer = Writer(tmp_path)
    writer.post(("a", 1, 1.0))
    with open(writer.directory / layout.METRICS, "ab") as file:
        file.write(b"\x00" * 17)
    assert curves(tmp_path) == {("a", 0): [(1, 1.0)]}


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=300), st.integers(4, 60), st.sampled_from([7, 64, 1 << 18]))
def test_a_thinned_curve_keeps_its_ends_and_the_extremes_of_every_stretch(
    tmp_path_factory: Any, values: list[float], max_points: int, block: int
) -> None:
    root = tmp_path_factory.mktemp("metrics")
    Writer(root).post(*[("v", step, value) for step, value in enumerate(values)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(metrics, "BLOCK_RECORDS", block)
        [series] = read_series(root, ID, 1, 1, keys=None, max_points=max_points)
    steps = [int(step) for step, _, _ in series.points]
    assert series.n_points == len(values)
    assert len(steps) <= max_points
    assert steps == sorted(set(steps))
    assert (steps[0], steps[-1]) == (0, len(values) - 1)
    assert all(values[step] == value for step, value, _ in ((int(step), *rest) for step, *rest in series.points))
    if len(values) <= max_points:
        assert len(steps) == len(values)
        return
    n_stretches = max(1, (max_points - 2) // 2)
    edges = [len(values) * n // n_stretches for n in range(n_stretches + 1)]
    for begin, end in pairwise(edges):
        drawn = [values[step] for step in steps if begin <= step < end]
        assert (min(drawn), max(drawn)) == (min(values[begin:end]), max(values[begin:end]))


def test_all_curves_of_an_answer_are_bounded_together(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(metrics, "MAX_ALL_POINTS", 60)
    Writer(tmp_path).post(*[(f"key{n % 5}", n, n) for n in range(500)])
    found = curves(tmp_path)
    assert len(found) == 5
    assert all(8 <= len(points) <= 12 for points in found.values())
    assert len(curves(tmp_path, keys=["key1"])["key1", 0]) > 50


def test_a_chart_holds_a_block_in_memory_and_not_the_points(tmp_path: Path, monkeypatch: Any) -> None:
    writer = Writer(tmp_path)
    writer.post(("v", 0, 1.0))
    record = struct.pack("<IIddd", 0, 1, 7.0, 1000.0, 2.0)
    (writer.directory / layout.METRICS).write_bytes(record * 200_000)
    monkeypatch.setattr(metrics, "BLOCK_RECORDS", 4096)
    curves(tmp_path)  # imports
    tracemalloc.start()
    try:
        [points] = curves(tmp_path, max_points=100).values()
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()
    assert len(points) >= 2


@pytest.mark.parametrize("left", [1, 150])
def test_a_batch_that_is_taken_back_while_a_chart_is_made_harms_nothing(tmp_path: Path, monkeypatch: Any, left: int) -> None:
    """On a full disk the runner cuts off what it could write of a batch, and another batch may follow."""
    writer = Writer(tmp_path)
    writer.post(*[("a", step, 1.0) for step in range(100)], *[("b", step, 1.0) for step in range(50)])
    count = metrics._count

    def then_cut(*given: Any) -> Any:
        found = list(count(*given))
        path = writer.directory / layout.METRICS
        path.write_bytes((path.read_bytes()[:32] * 150)[: left * 32])
        return found

    monkeypatch.setattr(metrics, "_count", then_cut)
    found = curves(tmp_path, max_points=20)
    assert found["a", 0][0] == (0, 1.0)
    assert all(step == 0 and value == 1 for points in found.values() for step, value in points)


def test_of_many_points_no_summary_reads_them(tmp_path: Path, monkeypatch: Any) -> None:
    first, second = Writer(tmp_path), Writer(tmp_path, attempt=1, clock=1010)
    first.post(("loss", 1, 100.0))
    other = Writer(tmp_path, node=1)
    other.post(("loss", 1, 50.0))
    second.reset()
    second.post(("loss", 2, 1.0))
    assert (read_summary(tmp_path, ID, 2, 2)[0]["loss"].count, curves(tmp_path, 2, 2)) == (1, {("loss", 0): [(2, 1.0)]})
    monkeypatch.setattr(metrics, "MAX_SUMMED_BYTES", 32 * 3)
    monkeypatch.setattr(metrics, "_blocks", None)
    summary = read_summary(tmp_path, ID, 2, 2)[0]["loss"]
    assert (summary.count, summary.max) == (2, 50.0), "the first attempt is hidden by the node itself"
    assert read_summary(tmp_path, ID, 2, 1)[0]["loss"].count == 1, "one node alone never needs the points"


Posted = st.dictionaries(
    st.sampled_from(["loss", "a,b", "é"]), st.one_of(st.floats(), st.integers(-(10**400), 10**400)), max_size=3
)
Stepped = st.builds(lambda point, step: point | step, Posted, st.sampled_from([{}, {"@step": 3}, {"@step": -1.5}]))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(st.none(), st.just("again"), Stepped, st.lists(Stepped, max_size=4)), max_size=12))
def test_what_a_runner_publishes_is_what_its_points_sum_up_to(tmp_path_factory: Any, given: list[Any]) -> None:
    """Also when its process is begun again (``again``) between points and resets (None)."""
    root = tmp_path_factory.mktemp("metrics")
    directory = root / layout.node_dir(ID, 0, 0)
    directory.mkdir(parents=True)
    runner = Metrics(str(directory))
    for n, each in enumerate(given):
        if each is None:
            runner.reset()
        elif each == "again":
            runner = Metrics(str(directory))
        else:
            runner.post(each)
        if n % 3 == 0:
            runner.publish()
    runner.publish()
    published, _ = read_summary(root, ID, 1, 1)
    other = Writer(root, node=1)
    other.reset_at = 1e-9  # hides nothing, and makes the points be read
    other.publish()
    assert read_summary(root, ID, 1, 2)[0] == published
