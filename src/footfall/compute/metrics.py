"""A run's metric points, as its nodes' runners write them: read, hidden by resets, thinned for a chart, and summed up.

A thinned curve keeps the smallest and the largest value of every stretch of steps, so that a spike is never lost; its first
and last points are always there. Values that are no finite numbers are counted, with the last step at which one came, and
have no place on a curve. Knows no HTTP.
"""

import json
import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from footfall import layout

if TYPE_CHECKING:
    from numpy import ndarray

RECORD_BYTES = 32
NON_FINITE, RESET = 2, 4
BLOCK_RECORDS = 1 << 18
MOST_SUMMED = 1 << 22
"""Points of one series that are held in memory to be thinned; of a longer one each block is thinned first."""


@dataclass(frozen=True, slots=True)
class Series:
    """The points of one key of one node, by order of arrival: ``points`` are (step, value, unix seconds)."""

    key: str
    node: int
    n_points: int
    points: list[tuple[float, float, float]]


@dataclass(frozen=True, slots=True)
class Summary:
    """What is known of a key over all nodes. ``last``, ``min``, ``max`` are None when every value was non-finite."""

    last: float | None
    min: float | None
    max: float | None
    count: int
    non_finite: int
    last_non_finite_step: float | None

    def to_wire(self) -> dict[str, Any]:
        """Return it as JSON shows it."""
        return {
            "last": self.last,
            "min": self.min,
            "max": self.max,
            "count": self.count,
            "nonFinite": self.non_finite,
            "lastNonFiniteStep": self.last_non_finite_step,
        }


def read_series(
    runs_root: Path, run_id: str, attempts: int, n_nodes: int, *, keys: Collection[str] | None, max_points: int
) -> list[Series]:
    """Return the curves of a run, each of at most about ``max_points`` points, ordered by key and node.

    Args:
        keys: only these; None for all.
    """
    found: dict[tuple[str, int], _Thinner] = {}
    for node, names, records in _visible(_files(runs_root, run_id, attempts, n_nodes)):
        finite = records[records["flags"] & NON_FINITE == 0]
        for name, of_key in _by_key(names, finite):
            if keys is None or name in keys:
                found.setdefault((name, node), _Thinner(max_points)).add(of_key)
    return [Series(key, node, thinner.n_points, thinner.points()) for (key, node), thinner in sorted(found.items())]


def read_summary(runs_root: Path, run_id: str, attempts: int, n_nodes: int) -> tuple[dict[str, Summary], int]:
    """Return the summary of every key over all nodes and attempts, and how many points could not be kept.

    Made of what the runners publish about once a second, so that no points are read; but where one node's reset hides what
    others wrote, only the points themselves can tell.
    """
    files = _files(runs_root, run_id, attempts, n_nodes)
    dropped = sum(int(one.published["droppedPoints"]) for one in files)
    merged: dict[str, Summary] = {}
    if len(files) > 1 and any(one.reset_at for one in files):
        for _, names, records in _visible(files):
            for name, of_key in _by_key(names, records):
                merged[name] = _merge(merged.get(name), _sum_up(of_key))
    else:
        for one in files:
            for name, values in one.published["keys"].items():
                merged[name] = _merge(merged.get(name), _published(values))
    return dict(sorted(merged.items())), dropped


@dataclass(frozen=True, slots=True)
class _File:
    """What one node's runner wrote in one attempt."""

    node: int
    directory: Path
    published: dict[str, Any]

    @property
    def reset_at(self) -> float:
        return float(self.published["resetAt"] or 0.0)


def _files(runs_root: Path, run_id: str, attempts: int, n_nodes: int) -> list[_File]:
    """Return the nodes and attempts that have metrics, by node, then attempt."""
    found: list[_File] = []
    for node in range(n_nodes):
        for attempt in range(attempts):
            directory = runs_root / layout.node_dir(run_id, attempt, node)
            path = directory / layout.METRIC_SUMMARY
            if path.exists():
                found.append(_File(node, directory, json.loads(path.read_bytes())))
    return found


def _visible(files: list[_File]) -> "Iterator[tuple[int, list[str], ndarray[Any, Any]]]":
    """Yield (node, names, records) but for what a reset hides.

    In the node's own files that is all before it; of other nodes, what carries an earlier time.
    """
    import numpy as np

    for node in sorted({one.node for one in files}):
        mine = [one for one in files if one.node == node]
        others_s = max((one.reset_at for one in files if one.node != node), default=0.0)
        last_reset = max((index for index, one in enumerate(mine) if one.reset_at), default=0)
        for one in mine[last_reset:]:
            resets = 0
            if one.reset_at:
                resets = sum(int(np.count_nonzero(part["flags"] & RESET)) for _, part in _blocks(one.directory))
            for names, records in _blocks(one.directory):
                is_reset = records["flags"] & RESET != 0
                visible = np.cumsum(is_reset) >= resets if resets else np.ones(len(records), dtype=bool)
                resets -= int(np.count_nonzero(is_reset))
                yield node, names, records[visible & ~is_reset & (records["at"] > others_s)]


def _by_key(names: list[str], records: "ndarray[Any, Any]") -> "Iterator[tuple[str, ndarray[Any, Any]]]":
    """Yield the points of each key, in order of arrival."""
    import numpy as np

    records = records[np.argsort(records["key"], kind="stable")]
    ids, starts = np.unique(records["key"], return_index=True)
    for id, of_key in zip(ids.tolist(), np.split(records, starts[1:]) if len(ids) else [], strict=True):
        if id < len(names):
            yield names[id], of_key


def _sum_up(points: "ndarray[Any, Any]") -> Summary:
    bad = points["flags"] & NON_FINITE != 0
    values, bad_steps = points["value"][~bad], points["step"][bad]
    return Summary(
        last=float(values[-1]) if len(values) else None,
        min=float(values.min()) if len(values) else None,
        max=float(values.max()) if len(values) else None,
        count=len(points),
        non_finite=int(bad.sum()),
        last_non_finite_step=float(bad_steps[-1]) if len(bad_steps) else None,
    )


def _published(one: dict[str, Any]) -> Summary:
    return Summary(one["last"], one["min"], one["max"], one["count"], one["nonFinite"], one["lastNonFiniteStep"])


def _merge(known: Summary | None, new: Summary) -> Summary:
    """Return what is known of a key with what came later, or of another node."""
    if known is None:
        return new
    lows = [value for value in (known.min, new.min) if value is not None]
    highs = [value for value in (known.max, new.max) if value is not None]
    bad_step = known.last_non_finite_step if new.last_non_finite_step is None else new.last_non_finite_step
    return Summary(
        last=known.last if new.last is None else new.last,
        min=min(lows, default=None),
        max=max(highs, default=None),
        count=known.count + new.count,
        non_finite=known.non_finite + new.non_finite,
        last_non_finite_step=bad_step,
    )


class _Thinner:
    """Collects the points of a series; thins what it holds when that grows beyond a bound."""

    def __init__(self, max_points: int) -> None:
        self._max = max(4, max_points)
        self._held: list[ndarray[Any, Any]] = []
        self._n_held = 0
        self.n_points = 0

    def add(self, records: "ndarray[Any, Any]") -> None:
        """Take the next points."""
        import numpy as np

        points = np.column_stack((records["step"], records["value"], records["at"]))
        self.n_points += len(points)
        self._held.append(points)
        self._n_held += len(points)
        if self._n_held > MOST_SUMMED:
            # Far finer than what is asked for, so that thinning twice loses nothing that thinning once would keep.
            self._held = [_thin(self._all(), MOST_SUMMED // 4)]
            self._n_held = len(self._held[0])

    def points(self) -> list[tuple[float, float, float]]:
        """Return them, thinned."""
        return [(step, value, at) for step, value, at in _thin(self._all(), self._max).tolist()]

    def _all(self) -> "ndarray[Any, Any]":
        import numpy as np

        return np.concatenate(self._held) if len(self._held) != 1 else self._held[0]


def _thin(points: "ndarray[Any, Any]", max_points: int) -> "ndarray[Any, Any]":
    import numpy as np

    n = len(points)
    if n <= max_points:
        return points
    n_stretches = max(1, (max_points - 2) // 2)
    edges = np.linspace(0, n, n_stretches + 1).astype(np.int64)
    values = points[:, 1]
    keep = np.zeros(n, dtype=bool)
    keep[[0, n - 1]] = True
    for extreme in (np.minimum, np.maximum):
        level = np.repeat(extreme.reduceat(values, edges[:-1]), np.diff(edges))
        at = np.flatnonzero(values == level)
        stretch = np.searchsorted(edges, at, side="right") - 1
        keep[at[np.unique(stretch, return_index=True)[1]]] = True
    return points[keep]


def _blocks(directory: Path) -> "Iterator[tuple[list[str], ndarray[Any, Any]]]":
    """Yield the records of a node's attempt in blocks of bounded size, with the names of the keys that they use."""
    # Here and not above: a server that nobody asks for a chart stays small.
    import numpy as np

    record = np.dtype([("key", "<u4"), ("flags", "<u4"), ("step", "<f8"), ("at", "<f8"), ("value", "<f8")])
    try:
        file = os.open(directory / layout.METRICS, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        offset = 0
        while data := os.pread(file, BLOCK_RECORDS * RECORD_BYTES, offset):
            whole = data[: len(data) // RECORD_BYTES * RECORD_BYTES]
            # A key is written before its first point, so the keys are read behind the points.
            names = [json.loads(line) for line in (directory / layout.METRIC_KEYS).read_bytes().split(b"\n")[:-1]]
            if whole:
                yield names, np.frombuffer(whole, dtype=record)
            offset += len(whole)
            if len(whole) < len(data) or len(data) < BLOCK_RECORDS * RECORD_BYTES:
                return
    finally:
        os.close(file)
