"""Metrics of a run, from the records that its nodes write: resets applied, downsampled for charts, summarized.

A thinned curve keeps the smallest and the largest value of every stretch of steps, so that a spike is never lost; its first
and last points are always there. Values that are no finite numbers are counted, with the last step at which one came, and
have no place on a curve. Knows no HTTP.
"""

import json
import os
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from footfall import layout

if TYPE_CHECKING:
    from numpy import ndarray, ufunc

RECORD_BYTES = 32
NON_FINITE, RESET = layout.METRIC_IS_NON_FINITE, layout.METRIC_IS_RESET
BLOCK_RECORDS = 1 << 18
MAX_ALL_POINTS = 1_000_000
"""Points of one answer, over all of its curves: some 150 MB while it is made."""
MAX_SUMMED_BYTES = 64 << 20
"""Of files that are larger in all, no summary reads the points: it is made while a run's end waits for it."""


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
    """Return the curves of a run, ordered by key and node.

    Each has at most ``max_points`` points, and all together about ``MAX_ALL_POINTS``. The files are read twice: to count, and to
    thin each block as it comes, so that no more is held in memory than a block and what is returned.

    Args:
        keys: only these; None for all.
    """
    files = _files(runs_root, run_id, attempts, n_nodes)
    counts: Counter[tuple[str, int]] = Counter()
    for node, names, records in _visible(files):
        for name, n in _count(names, records):
            if n and (keys is None or name in keys):
                counts[name, node] += n
    max_of_each = min(max_points, max(4, MAX_ALL_POINTS // max(1, len(counts))))
    thinners = {of: _Thinner(n, max_of_each) for of, n in counts.items()}
    for node, names, records in _visible(files):
        for name, of_key in _by_key(names, records[records["flags"] & NON_FINITE == 0]):
            if (name, node) in thinners:
                thinners[name, node].add(of_key)
    return [Series(key, node, counts[key, node], thinners.pop((key, node)).points()) for key, node in sorted(thinners)]


def read_summary(runs_root: Path, run_id: str, attempts: int, n_nodes: int) -> tuple[dict[str, Summary], int]:
    """Return the summary of every key over all nodes and attempts, and how many points could not be kept.

    Made of what the runners publish about once a second, so that no points are read; but where one node's reset hides what
    others wrote, only the points themselves can tell. Where there are more than ``MAX_SUMMED_BYTES`` of them, what a node
    published counts whole unless a reset of its own hides it; the curves show what is hidden.
    """
    files = _files(runs_root, run_id, attempts, n_nodes)
    dropped = sum(int(one.published["droppedPoints"]) for one in files)
    merged: dict[str, Summary] = {}
    n_writers = len({one.node for one in files})
    if n_writers > 1 and any(one.reset_at for one in files) and sum(one.size for one in files) <= MAX_SUMMED_BYTES:
        for _, names, records in _visible(files):
            for name, of_key in _by_key(names, records):
                merged[name] = _merge(merged.get(name), _sum_up(of_key))
    else:
        for one in _not_hidden(files):
            for name, values in one.published["keys"].items():
                merged[name] = _merge(merged.get(name), _published(values))
    return dict(sorted(merged.items())), dropped


@dataclass(frozen=True, slots=True)
class _File:
    """What one node's runner wrote in one attempt; of its points, the first ``size`` bytes."""

    node: int
    directory: Path
    published: dict[str, Any]
    size: int

    @property
    def reset_at(self) -> float:
        return float(self.published["resetAt"] or 0.0)


def _files(runs_root: Path, run_id: str, attempts: int, n_nodes: int) -> list[_File]:
    """Return the nodes and attempts that have metrics, by node, then attempt."""
    files: list[_File] = []
    for node in range(n_nodes):
        for attempt in range(attempts):
            directory = runs_root / layout.node_dir(run_id, attempt, node)
            path = directory / layout.METRIC_SUMMARY
            if path.exists():
                files.append(_File(node, directory, _read(path), _size_of(directory / layout.METRICS)))
    return files


def _read(path: Path) -> dict[str, Any]:
    try:
        published: dict[str, Any] = json.loads(path.read_bytes())
    except ValueError:
        # A machine that lost its power may leave a file of nothing; the run's end must not wait for it.
        return {"keys": {}, "droppedPoints": 0, "resetAt": None}
    return published


def _size_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _not_hidden(files: list[_File]) -> list[_File]:
    """Return the files but for those that a reset of the same node in a later attempt hides."""
    last_reset = {one.node: index for index, one in enumerate(files) if one.reset_at}
    return [one for index, one in enumerate(files) if index >= last_reset.get(one.node, 0)]


def _visible(files: list[_File]) -> "Iterator[tuple[int, list[str], ndarray[Any, Any]]]":
    """Yield (node, names, records) but for what a reset hides.

    In the node's own files that is all before it; of other nodes, what carries an earlier time.
    """
    import numpy as np

    for one in _not_hidden(files):
        others_s = max((other.reset_at for other in files if other.node != one.node), default=0.0)
        resets = 0
        if one.reset_at:
            resets = sum(int(np.count_nonzero(part["flags"] & RESET)) for _, part in _blocks(one))
        for names, records in _blocks(one):
            is_reset = records["flags"] & RESET != 0
            visible = np.cumsum(is_reset) >= resets if resets else np.ones(len(records), dtype=bool)
            resets -= int(np.count_nonzero(is_reset))
            yield one.node, names, records[visible & ~is_reset & (records["at"] > others_s)]


def _count(names: list[str], records: "ndarray[Any, Any]") -> Iterable[tuple[str, int]]:
    """Return how many points with finite values each key has."""
    import numpy as np

    is_drawn = (records["flags"] & NON_FINITE == 0) & (records["key"] < len(names))
    return zip(names, np.bincount(records["key"][is_drawn], minlength=len(names)).tolist(), strict=True)


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
    """Takes the points of a series and keeps what is drawn: the first, the last, and two of each stretch.

    Args:
        n_points: how many will come.
        max_points: the most that are kept; four always are.
    """

    def __init__(self, n_points: int, max_points: int) -> None:
        import numpy as np

        self._n_points = n_points
        n_stretches = n_points if n_points <= max_points else max(1, (max_points - 2) // 2)
        self._edges = np.linspace(0, n_points, n_stretches + 1).astype(np.int64)
        self._n_taken = 0
        # Rows of place, step, value, time; no value is smaller than that of a stretch not begun, nor larger.
        self._lows, self._highs = np.full((n_stretches, 4), np.inf), np.full((n_stretches, 4), -np.inf)
        self._ends = np.full((2, 4), np.inf)

    def add(self, records: "ndarray[Any, Any]") -> None:
        """Take the next points."""
        import numpy as np

        begin = self._n_taken
        end = min(begin + len(records), self._n_points)
        if begin == end:
            return  # or a batch that was counted was taken back, for the disk was full, and another one came
        records = records[: end - begin]
        self._n_taken = end
        rows = np.column_stack((np.arange(begin, end), records["step"], records["value"], records["at"]))
        if not begin:
            self._ends[0] = rows[0]
        self._ends[1] = rows[-1]
        first, last = np.searchsorted(self._edges, (begin, end - 1), side="right") - 1
        starts = np.maximum(self._edges[first : last + 1] - begin, 0)
        values, lows, highs = rows[:, 2], self._lows[first : last + 1], self._highs[first : last + 1]
        extreme = rows[_places(values, starts, np.minimum)]
        lows[:] = np.where((extreme[:, 2] < lows[:, 2])[:, None], extreme, lows)
        extreme = rows[_places(values, starts, np.maximum)]
        highs[:] = np.where((extreme[:, 2] > highs[:, 2])[:, None], extreme, highs)

    def points(self) -> list[tuple[float, float, float]]:
        """Return what is kept, in order of arrival."""
        import numpy as np

        rows = np.concatenate((self._ends, self._lows, self._highs))
        rows = rows[np.isfinite(rows[:, 0])]
        rows = rows[np.unique(rows[:, 0], return_index=True)[1]]
        return list(zip(rows[:, 1].tolist(), rows[:, 2].tolist(), rows[:, 3].tolist(), strict=True))


def _places(values: "ndarray[Any, Any]", starts: "ndarray[Any, Any]", extreme: "ufunc") -> "ndarray[Any, Any]":
    """Return where the smallest, or the largest, of each stretch is found first; a stretch goes to the start of the next."""
    import numpy as np

    lengths = np.diff(starts, append=len(values))
    at = np.flatnonzero(values == np.repeat(extreme.reduceat(values, starts), lengths))
    places: ndarray[Any, Any] = at[np.searchsorted(at, starts)]
    return places


def _blocks(of: _File) -> "Iterator[tuple[list[str], ndarray[Any, Any]]]":
    """Yield the records of a file in blocks of bounded size, with the names of the keys that they use."""
    # Here and not above: a server that nobody asks for a chart stays small.
    import numpy as np

    record = np.dtype(list(layout.METRIC_POINT_FIELDS))
    try:
        file = os.open(of.directory / layout.METRICS, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        offset, end = 0, of.size // RECORD_BYTES * RECORD_BYTES
        while data := os.pread(file, min(BLOCK_RECORDS * RECORD_BYTES, end - offset), offset):
            # A key is written before its first point, so the keys are read behind the points.
            names = [json.loads(line) for line in (of.directory / layout.METRIC_KEYS).read_bytes().split(b"\n")[:-1]]
            yield names, np.frombuffer(data[: len(data) // RECORD_BYTES * RECORD_BYTES], dtype=record)
            offset += len(data)
    finally:
        os.close(file)
