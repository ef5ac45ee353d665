"""Keywords: are they sound, and how long do custom attributes take? Options: ``--users N`` (0 leaves the second part out).

    python benchmarks/keywords.py [SEQUENCES.gz] [--users 1209478]

The first part hides every behavior that holds a word from half of the users and ranks them by it, see
``tests/modeling/keyword_study.py``; without a file it takes the purchases that the demo ships. The second part compares
made-up users, of 5 to 200 behaviors drawn from a Zipf distribution, with keywords, in a process of its own: wall time and
processor time from its start to the written file, page cache warm.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "modeling"))

import numpy as np
from keyword_study import WORDS, study_words
from modeling_data import SHIPPED

from footfall.modeling.encoding.encode import make_feature
from footfall.modeling.encoding.encoder import fit_encoder
from footfall.modeling.reading.source import Source
from machine import describe, report

N_BEHAVIORS, EXPONENT = 50_000, 1.05
BLOCK = 20_000
TIMES = 5
JOB = (
    "import sys; from pathlib import Path; from footfall.modeling.scoring.keywords import match_keywords; "
    "folder = Path(sys.argv[1]); match_keywords(folder / 'encoder', folder / 'feature', sys.argv[2:], folder / 'out.tsv')"
)


def soundness(sequences: Path) -> list[dict[str, Any]]:
    """Return a row a word, and print them."""
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        for study in study_words(sequences, WORDS, Path(scratch)):
            keyword, activity = study.by_keyword, study.by_activity
            print(
                f"{study.word:<10} buyers {study.buyers:.0%}  by keyword: AUC {keyword.auc:.3f}, lift {keyword.lift:.2f}  "
                f"by activity: AUC {activity.auc:.3f}, lift {activity.lift:.2f}"
            )
            rows.append(
                {
                    "measure": f"keyword {study.word!r}: order of buyers inside tenths of activity",
                    "measured": f"AUC {keyword.auc:.3f}, lift {keyword.lift:.2f}",
                    "bar": "AUC >= .70, lift >= 2.2" if study.word == "christmas" else "",
                    "by_activity": f"AUC {activity.auc:.3f}, lift {activity.lift:.2f}",
                    "buyers": round(study.buyers, 3),
                }
            )
    return rows


def made_up_users(n_users: int) -> Source:
    """Return users whose behaviors are drawn from a Zipf distribution; the same users at each reading."""
    words = [
        "red",
        "blue",
        "green",
        "small",
        "large",
        "new",
        "light",
        "warm",
        "soft",
        "dark",
        "round",
        "old",
        "quick",
        "plain",
        "fresh",
        "cold",
        "thin",
        "wide",
    ]
    texts = np.array([f"buy {words[n % 12]} item {n}" for n in range(N_BEHAVIORS)], object)
    share = np.arange(1, N_BEHAVIORS + 1, dtype=np.float64) ** -EXPONENT
    cumulative = np.cumsum(share / share.sum())

    def read() -> Iterator[bytes]:
        for first in range(0, n_users, BLOCK):
            rng = np.random.default_rng(first)
            n = min(BLOCK, n_users - first)
            lengths = np.clip(np.exp(rng.normal(3.45, 0.75, n)), 5, 200).astype(np.int64)
            chosen = texts[np.searchsorted(cumulative, rng.random(int(lengths.sum()))).clip(max=N_BEHAVIORS - 1)]
            pieces = np.split(chosen, np.cumsum(lengths)[:-1])
            yield "".join(f"u{first + i}\t{'->'.join(piece)}\n" for i, piece in enumerate(pieces)).encode()

    return Source("made-up users", read)


def speed(n_users: int) -> list[dict[str, Any]]:
    """Return a row for one keyword and one for three, and print them."""
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = made_up_users(n_users)
        encoder = fit_encoder([made_up_users(100_000)], seed=1)
        encoder.save(folder / "encoder")
        make_feature([source], encoder, folder / "feature")
        for keywords in (["green"], ["green", "warm", "round"]):
            walls, busy = [], []
            for _ in range(TIMES):
                before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
                subprocess.run([sys.executable, "-c", JOB, name, *keywords], check=True)
                walls.append(time.perf_counter() - started)
                after = resource.getrusage(resource.RUSAGE_CHILDREN)
                busy.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
            what = f"custom attributes, {n_users:,} users, {len(keywords)} keyword{'s' * (len(keywords) > 1)}"
            wall, cpu = float(np.median(walls)), float(np.median(busy))
            print(f"{what}: {wall:.2f} s (processor {cpu:.2f} s), first time {walls[0]:.2f} s")
            rows.append(
                {
                    "measure": what,
                    "measured": f"{wall:.2f} s, processor {cpu:.2f} s",
                    "bar": "<= 5 s",
                    "s": [round(each, 2) for each in walls],
                    "processor_s": [round(each, 2) for each in busy],
                }
            )
    return rows


def main() -> None:
    """Run both parts and keep their numbers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sequences", nargs="?", type=Path, default=SHIPPED / "sequences.csv.gz")
    parser.add_argument("--users", type=int, default=1_209_478)
    args = parser.parse_args()
    machine = describe()
    rows = soundness(args.sequences)
    if args.users:
        rows += speed(args.users)
    report("keywords", rows, machine)


if __name__ == "__main__":
    main()
