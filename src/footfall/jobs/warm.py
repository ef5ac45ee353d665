"""Compile the numerical code into its cache on disk, so that no job waits for it; ``make setup`` calls this.

Runs the whole flow on a made-up data set, once with fresh arrays and once with arrays as they are read back, because
these have types of their own. The old cache is removed first: functions that have moved leave files that nobody reads.
"""

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from footfall import modeling
from footfall.modeling.encoding.encode import make_feature, open_feature
from footfall.modeling.encoding.encoder import fit_encoder, load_encoder, measure_coverage
from footfall.modeling.events.log import read_log
from footfall.modeling.events.options import LogOptions
from footfall.modeling.learning.gather import gather_users
from footfall.modeling.learning.labels import read_labels
from footfall.modeling.learning.task import train_task
from footfall.modeling.reading.source import Source
from footfall.modeling.scoring.audience import describe_audience
from footfall.modeling.scoring.keywords import match_keywords
from footfall.modeling.scoring.score import score_feature


def warm_cache(*, clear: bool = True) -> None:
    """Compile everything; ``clear`` removes what was compiled before."""
    if clear:
        for cached in Path(modeling.__file__).parent.glob("**/__pycache__/*.nb[ic]"):
            cached.unlink()
    with tempfile.TemporaryDirectory() as name:
        _run_flow(Path(name))


def _run_flow(directory: Path) -> None:
    rng = np.random.default_rng(0)
    sequences, labels = [], []
    for n in range(300):
        acts = [f"see item {i % 40} of shelf/{i % 5}" for i in rng.integers(0, 60, n % 30)]
        sequences.append(f"u{n}\t{'->'.join(acts)}\n")
        labels.append(f"u{n}\t{int(sum(len(act) for act in acts) % 100 > 40)}\n")
    source, answers = _source("".join(sequences)), _source("".join(labels))
    fitted = fit_encoder([source], seed=1, personal_data="refuse")
    fitted.save(directory / "encoder")
    loaded = load_encoder(directory / "encoder")
    measure_coverage(loaded, [_source("u1\tnever seen before 12 x->seen\n")])
    for encoder, limit in ((fitted, None), (loaded, 20)):
        make_feature([source], encoder, directory / "feature", max_tokens_per_user=limit)
    feature = open_feature(directory / "feature")
    task = train_task(feature, read_labels([answers]), seed=1, min_labels_per_class=1)
    task.save(directory / "task")
    score_feature(directory / "task", directory / "feature", directory / "scores.tsv")
    _run_log_flow(directory)
    match_keywords(directory / "encoder", directory / "feature", ["item"], directory / "similarities.tsv")
    describe_audience(directory / "task", directory / "feature", directory / "encoder", [], directory / "audience.tsv")


def _run_log_flow(directory: Path) -> None:
    """An event log with times, a number and a category; read-only arrays are types of their own."""
    rng = np.random.default_rng(1)
    lines = ["user_id,timestamp,behavior,amount,place\n"]
    for n in range(3000):
        day, item, amount = rng.integers(1, 28, 2).tolist(), int(rng.integers(40)), float(rng.gamma(2, 9))
        lines.append(
            f"u{n % 250},2025-{1 + day[0] % 12:02}-{day[1]:02},see item {item} of a/{item % 5},{amount:.2f},p{item % 3}\n"
        )
    scratch = directory / "log"
    scratch.mkdir()
    log = read_log([_source("".join(lines))], "csv", LogOptions(), scratch, salt=1, personal_data="refuse")
    fitted = fit_encoder(log, seed=1)
    fitted.save(directory / "log-encoder")
    loaded = load_encoder(directory / "log-encoder")
    for encoder, limit in ((fitted, None), (loaded, 20)):
        make_feature(log, encoder, directory / "log-feature", max_tokens_per_user=limit)
    gather_users(open_feature(directory / "log-feature"), np.arange(9))


def _source(text: str) -> Source:
    def read() -> Iterator[bytes]:
        yield text.encode()

    return Source("warm-up", read)


if __name__ == "__main__":
    warm_cache()
    sys.stdout.write("compiled\n")
