"""Rebuild the table of quality: Footfall against what a good data scientist writes in a day, on the same users.

``python benchmarks/quality.py [FOLDER ...]`` (or the variable FOOTFALL_QUALITY_DATA) takes folders of data sets: each has
``events.parquet``, ``meta.json`` ({"observed_until": …, "tasks": {name: {"classes": {…}}}}), ``sequences_nclue.csv.gz``, and
a folder a task with ``train.tsv``, ``test.tsv`` and ``train_500.tsv``. Without one it takes the data set that is shipped.
Columns are found as for any user; nothing is tuned here. Tasks of several classes are one-against-the-rest tasks, averaged.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import quality_peers as peers

import footfall
from footfall.modeling.encoding.encode import Feature, make_feature, open_feature
from footfall.modeling.encoding.encoder import fit_encoder
from footfall.modeling.events.columns import LogOptions
from footfall.modeling.events.log import EventLog, read_log
from footfall.modeling.learning.folds import hold_out, sample_rows
from footfall.modeling.learning.labels import read_labels
from footfall.modeling.learning.metrics import measure_auroc, measure_calibration_error
from footfall.modeling.learning.task import train_task
from footfall.modeling.reading.source import Source
from footfall.modeling.scoring.score import score_feature

SEED = 20251121
MIN_LABELS = 50
N_BOOTSTRAP, N_SPLITS = 1000, 5
OURS, TEXT = "Footfall", "Footfall, text alone"
SHIPPED = Path(footfall.__file__).parent / "data"
Labels = dict[str, str]


@dataclass
class Cell:
    """One task with one number of labels: the scores of each method for the test users, class by class."""

    data_set: str
    task: str
    n_labels: str
    truths: list[np.ndarray] = field(default_factory=list)
    scores: dict[str, list[np.ndarray]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    def auroc(self, method: str, row_N: np.ndarray | None = None) -> float:
        """Return the mean over the classes."""
        rows = slice(None) if row_N is None else row_N
        pairs = zip(self.scores[method], self.truths, strict=True)
        return float(np.mean([measure_auroc(score[rows], truth[rows]) for score, truth in pairs]))

    def compare(self, method: str, other: str) -> tuple[float, float, float]:
        """Return (difference of AUROC, its 95 % interval) by a paired bootstrap over the test users."""
        rng, n = np.random.default_rng(0), self.truths[0].size
        times = N_BOOTSTRAP if n < 20_000 else 200
        differences = []
        for _ in range(times):
            row_N = rng.integers(0, n, n)
            differences.append(self.auroc(method, row_N) - self.auroc(other, row_N))
        low, high = np.quantile(differences, [0.025, 0.975])
        return self.auroc(method) - self.auroc(other), float(low), float(high)

    def calibration(self) -> tuple[float, float]:
        """Return (mean error over 15 bins, what perfectly calibrated scores show at the 95th percentile)."""
        rng = np.random.default_rng(0)
        errors, bounds = [], []
        for score, truth in zip(self.scores[OURS], self.truths, strict=True):
            errors.append(measure_calibration_error(score, truth))
            made = [measure_calibration_error(score, (rng.random(score.size) < score).astype(int)) for _ in range(200)]
            bounds.append(float(np.quantile(made, 0.95)))
        return float(np.mean(errors)), float(np.mean(bounds))


@dataclass
class DataSet:
    """One data set, with its features made."""

    name: str
    path: Path
    meta: dict[str, Any]
    scratch: Path
    feature: Feature | None
    text: Feature | None

    def folder(self, task: str) -> Path:
        """Where the labels of a task are."""
        return self.path / self.meta["tasks"][task].get("folder", task)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="*", type=Path)
    parser.add_argument("--only", action="append", help="only this task, or TASK:all, TASK:500; may come several times")
    parser.add_argument("--out", type=Path, help="write the table into this page")
    args = parser.parse_args()
    folders = args.folder or [Path(p) for p in os.environ.get("FOOTFALL_QUALITY_DATA", "").split(os.pathsep) if p]
    if not folders:
        folders = [SHIPPED]
    cells, splits = [], []
    for path in find_data_sets(folders):
        with tempfile.TemporaryDirectory() as scratch:
            data = open_data_set(path, Path(scratch))
            for task in data.meta["tasks"]:
                for train, n_labels in (("train.tsv", "all"), ("train_500.tsv", "500")):
                    is_wanted = not args.only or not {task, f"{task}:{n_labels}"}.isdisjoint(args.only)
                    if not is_wanted or not (data.folder(task) / train).exists():
                        continue
                    cells.append(measure(data, task, train))
                    say(cells[-1])
                is_small = len(read_tsv(data.folder(task) / "train.tsv")) < 10_000
                if is_small and (not args.only or task in args.only):
                    splits += measure_splits(data, task)
    page = write_page(cells, splits)
    print(page)
    if args.out:
        args.out.write_text(page)


def find_data_sets(folders: list[Path]) -> Iterator[Path]:
    for folder in folders:
        folders_here = [folder] if (folder / "meta.json").exists() else sorted(p.parent for p in folder.glob("*/meta.json"))
        if not folders_here:
            raise SystemExit(f"{folder} has no data set: there is no meta.json in it or one level below.")
        yield from folders_here


def open_data_set(path: Path, scratch: Path) -> DataSet:
    meta = json.loads((path / "meta.json").read_text())
    data = DataSet(path.name, path, meta, scratch, None, None)
    until = meta.get("observed_until")
    options = LogOptions(observed_until=datetime.fromisoformat(until).replace(tzinfo=UTC) if until else None)
    if (path / "events.parquet").exists():
        (scratch / "log").mkdir()
        log = read_log([source(path / "events.parquet")], "parquet", options, scratch / "log", salt=SEED, log=print)
        data.feature = build(log, scratch / "feature")
    for name in ("sequences_nclue.csv.gz", "sequences.csv.gz"):
        if (path / name).exists():
            data.text = build([source(path / name)], scratch / "text")
    return data


def build(data: EventLog | list[Source], directory: Path) -> Feature:
    make_feature(data, fit_encoder(data, seed=SEED), directory, personal_data="off")
    return open_feature(directory)


def source(path: Path) -> Source:
    def read() -> Iterator[bytes]:
        with path.open("rb") as file:
            while piece := file.read(1 << 20):
                yield piece

    return Source(path.name, read, path.stat().st_size)


def read_tsv(path: Path) -> Labels:
    return dict(line.split("\t") for line in path.read_text("utf-8").splitlines())


def measure(data: DataSet, task: str, train: str) -> Cell:
    train_labels, test_labels = read_tsv(data.folder(task) / train), read_tsv(data.folder(task) / "test.tsv")
    cell = Cell(data.name, task, "all" if train == "train.tsv" else "500")
    score_all(data, cell, train_labels, test_labels)
    return cell


def measure_splits(data: DataSet, task: str) -> list[tuple[Cell, Cell]]:
    """Return (all labels, 500 labels) for other splits of all labelled users, and other draws of 500."""
    labels = read_tsv(data.folder(task) / "train.tsv") | read_tsv(data.folder(task) / "test.tsv")
    users = sorted(labels)
    label_N = np.array([labels[user] == max(labels.values()) for user in users]).astype(np.uint8)
    values = []
    for split in range(N_SPLITS):
        kept_N, held_N = hold_out(label_N, 0.3, seed=split)
        few_N = kept_N[sample_rows(label_N[kept_N], 500, seed=split)]
        pair = []
        for rows, n_labels in ((kept_N, "all"), (few_N, "500")):
            cell = Cell(data.name, task, n_labels)
            train = {users[n]: labels[users[n]] for n in rows}
            score_all(data, cell, train, {users[n]: labels[users[n]] for n in held_N})
            pair.append(cell)
        say(pair[0])
        say(pair[1])
        values.append((pair[0], pair[1]))
    return values


def score_all(data: DataSet, cell: Cell, train: Labels, test: Labels) -> None:
    """Let every method score the test users, class against the rest."""
    classes = sorted(set(train.values()) | set(test.values()))
    positives = classes[-1:] if len(classes) == 2 else classes
    users = sorted(test)
    methods: dict[str, Callable[[Labels], dict[str, float]]] = {}
    if data.feature is not None:
        feature = data.feature
        methods[OURS] = lambda labels: score_ours(feature, labels, data.scratch)
    if data.text is not None:
        text = data.text
        methods[TEXT if data.feature else OURS] = lambda labels: score_ours(text, labels, data.scratch)
    methods |= peers.methods(data.path, data.meta, [*train, *test])
    for positive in positives:
        cell.truths.append(np.array([test[user] == positive for user in users]).astype(np.int64))
        labels = {user: str(int(label == positive)) for user, label in train.items()}
        for name, score in methods.items():
            began = time.process_time()
            scores = score(labels)
            cell.scores.setdefault(name, []).append(np.array([scores[user] for user in users]))
            cell.seconds[name] = cell.seconds.get(name, 0.0) + time.process_time() - began


def score_ours(feature: Feature, labels: Labels, scratch: Path) -> dict[str, float]:
    """Train on the labels and score everybody, through the files that the service writes."""
    text = "".join(f"{user}\t{label}\n" for user, label in labels.items()).encode()
    train = read_labels([Source("labels", lambda: iter([text]))], personal_data="off")
    task = train_task(feature, train, feature, train, seed=SEED, min_labels_per_class=MIN_LABELS)
    with tempfile.TemporaryDirectory(dir=scratch) as directory:
        task.save(Path(directory))
        score_feature(Path(directory), feature.directory, Path(directory) / "scores.tsv")
        rows = (line.split("\t") for line in (Path(directory) / "scores.tsv").read_text("utf-8").splitlines())
        return {user: float(score) for user, score in rows}


def say(cell: Cell) -> None:
    results = ", ".join(f"{name} {cell.auroc(name):.4f} ({cell.seconds[name]:.0f} s)" for name in cell.scores)
    print(f"{cell.data_set} {cell.task} {cell.n_labels}: {results}", flush=True)


def write_page(cells: list[Cell], splits: list[tuple[Cell, Cell]]) -> str:
    methods = list(dict.fromkeys(name for cell in cells for name in cell.scores))
    lines = [PREFACE, "| data set, task, labels | " + " | ".join(methods) + " |", "|---|" + "---|" * len(methods)]
    for cell in cells:
        shown = [f"{cell.auroc(name):.4f}" if name in cell.scores else "" for name in methods]
        lines.append(f"| {title(cell)} | " + " | ".join(shown) + " |")
    lines += ["", PAIRED, "", "| data set, task, labels | best other | difference | 95 % interval |", "|---|---|---|---|"]
    for cell in cells:
        best = max((name for name in cell.scores if name not in (OURS, TEXT)), key=cell.auroc)
        mean, low, high = cell.compare(OURS, best)
        lines.append(f"| {title(cell)} | {best} | {mean:+.4f} | {low:+.4f} to {high:+.4f} |")
    lines += ["", CALIBRATION, "", "| data set, task, labels | error | bound |", "|---|---|---|"]
    for cell in cells:
        error, bound = cell.calibration()
        lines.append(f"| {title(cell)} | {error:.4f} | {bound:.4f} |")
    if splits:
        lines += ["", SPLITS, "", "| data set, task, labels | " + " | ".join(methods) + " |", "|---|" + "---|" * len(methods)]
        for group in group_splits(splits):
            shown = [f"{np.mean([cell.auroc(name) for cell in group]):.4f}" for name in methods if name in group[0].scores]
            lines.append(f"| {title(group[0])} | " + " | ".join(shown) + " |")
    return "\n".join(lines) + "\n"


def group_splits(splits: list[tuple[Cell, Cell]]) -> list[list[Cell]]:
    groups: dict[str, list[Cell]] = {}
    for pair in splits:
        for cell in pair:
            groups.setdefault(title(cell), []).append(cell)
    return list(groups.values())


def title(cell: Cell) -> str:
    return f"{cell.data_set}, {cell.task}, {cell.n_labels}"


PREFACE = """# How good the scores are

`make quality` wrote this page: ROC-AUC on test users that nothing was learned from. The peers are honest short scripts
([`benchmarks/quality_peers.py`](../../benchmarks/quality_peers.py)) that see the same users and labels: tf-idf with logistic
regression, whose strength is chosen by cross-validation, and hand-made aggregates with LightGBM. "Text alone" is Footfall with
the plain sequence file, which has no times or numbers: what lies between the two columns is what the event log is worth.
Tasks of several classes are averages of one-against-the-rest tasks. One standard error is about .015 on online-retail and .002
on atus, so smaller differences mean nothing.
"""
PAIRED = "Footfall against the best other method, test users drawn again in pairs:"
CALIBRATION = """Expected calibration error over 15 bins; the bound is what perfectly calibrated scores show,
of the same users at the 95th percentile:"""
SPLITS = f"Small data sets once more: the mean over {N_SPLITS} other splits into train and test users, and draws of 500 labels:"

if __name__ == "__main__":
    main()
