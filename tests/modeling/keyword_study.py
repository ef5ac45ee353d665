"""Are keywords sound? Hide every behavior that holds a word, rank users by the word, and see who bought such things.

The encoder is fitted on half A of the users. In half B every behavior that holds the word is taken away; who loses one is
a buyer of such things. The ranking is judged inside tenths of activity (behaviors left), because busy users buy more of
everything.
"""

import gzip
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from footfall.modeling.dtypes import BOOL, F64
from footfall.modeling.encoding.encode import make_feature
from footfall.modeling.encoding.encoder import Encoder, fit_encoder
from footfall.modeling.reading.source import Source
from footfall.modeling.scoring.keywords import match_keywords

WORDS = ("christmas", "garden", "cake", "candle", "lunch", "kitchen", "flower")
N_TENTHS = 10
_SPLIT = re.compile(r"[^0-9a-z\x80-\U0010ffff]+")


@dataclass(frozen=True)
class Judgement:
    """How well a ranking finds the buyers inside tenths of activity."""

    auc: float
    lift: float
    """Buyers in the first tenth of the ranking of each stratum, over what drawing by lot gives."""


@dataclass(frozen=True)
class Study:
    """What one word gave."""

    word: str
    buyers: float
    by_keyword: Judgement
    by_activity: Judgement


def source_of(lines: Sequence[str]) -> Source:
    data = ("\n".join(lines) + "\n").encode()

    def read() -> Iterator[bytes]:
        yield data

    return Source("users", read, len(data))


def study_words(sequences: Path, words: Sequence[str], scratch: Path, *, seed: int = 0) -> Iterator[Study]:
    """Yield what each word gives on a sequence file (``.gz``)."""
    lines = gzip.decompress(sequences.read_bytes()).decode().splitlines()
    order = np.random.default_rng(seed).permutation(len(lines)).tolist()
    half = len(lines) // 2
    encoder = fit_encoder([source_of([lines[n] for n in order[:half]])], seed=1)
    encoder.save(scratch / "encoder")
    for word in words:
        yield _study(word, [lines[n] for n in order[half:]], encoder, scratch)


def _study(word: str, lines: Sequence[str], encoder: Encoder, scratch: Path) -> Study:
    kept: list[str] = []
    buyers: list[bool] = []
    activity: list[float] = []
    for line in lines:
        user, _, text = line.partition("\t")
        acts = text.split("->")
        left = [act for act in acts if word not in _SPLIT.split(act.lower())]
        if left:
            kept.append(f"{user}\t{'->'.join(left)}")
            buyers.append(len(left) < len(acts))
            activity.append(len(left))
    make_feature([source_of(kept)], encoder, scratch / word)
    match_keywords(scratch / "encoder", scratch / word, [word], scratch / f"{word}.tsv")
    rows = [row.split("\t") for row in (scratch / f"{word}.tsv").read_text().splitlines()]
    assert [user for user, _ in rows] == [line.split("\t")[0] for line in kept]
    similarity_N, buyer_N, activity_N = np.array([float(s) for _, s in rows]), np.array(buyers), np.array(activity)
    return Study(word, float(buyer_N.mean()), judge(similarity_N, buyer_N, activity_N), judge(activity_N, buyer_N, activity_N))


def judge(score_N: F64, buyer_N: BOOL, activity_N: F64) -> Judgement:
    """Judge a ranking inside tenths of activity; among equals of activity, by order."""
    stratum_N = np.empty(score_N.size, np.int64)
    stratum_N[np.argsort(activity_N, kind="stable")] = np.arange(score_N.size) * N_TENTHS // score_N.size
    right = pairs = n_found = expected = 0.0
    for stratum in range(N_TENTHS):
        mine_N = stratum_N == stratum
        score, buyer = score_N[mine_N], buyer_N[mine_N]
        more = score[buyer][:, None] - score[~buyer][None]
        right += float((more > 0).sum() + 0.5 * (more == 0).sum())
        pairs += more.size
        n_first = max(1, round(score.size / N_TENTHS))
        first = np.argsort(-score, kind="stable")[:n_first]
        n_found += float(buyer[first].sum())
        expected += n_first * float(buyer.mean())
    return Judgement(right / pairs, n_found / expected)
