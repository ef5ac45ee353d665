"""Score the users of a feature by their similarity to keywords, and write the scores as text; compiled.

Needs numpy and numba alone, as ``score.py``. Knows the artefacts of ``encoder.py`` and ``encode.py``, which must belong
together, and no labels. A keyword becomes a direction of the latent space, whose dimensions count by how far they spread the
users: without that, few tokens in many dimensions would have nothing to do with each other. A user is compared by the sum, over
the tokens of the own behaviors, of ``tf-idf * max(0, cos(token, keyword))**2``, which finds more than the cosine of user and
keyword does. The keyword's own tokens (the words, the behaviors that hold them) count in full.
A sum ``s`` becomes a similarity ``1 - exp(-s)``; several keywords mean AND: the geometric mean of their similarities, which
is 0 if any of them is. A line is ``user_id<TAB>similarity`` with 6 decimals, in the feature's order. Source: the contract,
9-16; modelling.md.

Shapes: N users, Q keywords, V tokens of behaviors and words, U behaviors, D dimensions, M bag entries, K blocks, B bytes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from footfall.errors import DataError
from footfall.modeling.arrays import map_arrays, read_arrays
from footfall.modeling.blocks import TF_256, FeatureBlock, open_feature
from footfall.modeling.compiled import njit
from footfall.modeling.dtypes import F32, F64, I32, I64, U8, U32
from footfall.modeling.scoring.score import write_lines
from footfall.modeling.text.lexicon import Keyword, Lexicon
from footfall.modeling.threads import map_ordered

_ENCODING = "encoding.safetensors"
_ROWS = 16_384


@dataclass(frozen=True)
class KeywordMatch:
    """What a comparison wrote."""

    line_count: int
    unknown: tuple[str, ...]
    """Words that the encoder has never seen; they were left out."""


@dataclass(frozen=True)
class KeywordScorer:
    """Keywords, ready to score users."""

    bound_K: I64
    weight_VQ: F32
    """What a token of weight 1 adds to the sum of each keyword, idf included."""
    unknown: tuple[str, ...]

    def score(self, block: FeatureBlock) -> F64:
        """Return (N,) similarities in [0, 1]."""
        similarity_N = np.empty(block.n_users)
        _score(block.offset_N1, block.token_M, block.count_M, block.inverse_NK, self.bound_K, self.weight_VQ, similarity_N)
        return similarity_N


def build_scorer(encoder_dir: Path, feature_dir: Path, keywords: Sequence[str]) -> KeywordScorer:
    """Look keywords up in an encoder.

    Raises:
        DataError: UNKNOWN_KEYWORD, naming all words, if the encoder knows none of them.
        ValueError: the feature was not made by this encoder.
    """
    encoder, encoding = map_arrays(encoder_dir / "encoder.safetensors"), read_arrays(feature_dir / _ENCODING)
    if encoder["idf_V"].shape != encoding["idf_V"].shape or not np.array_equal(encoder["idf_V"], encoding["idf_V"]):
        raise ValueError("The feature was made by another encoder.")
    bound_K = encoding["bound_K"]
    lexicon = Lexicon(encoder["text_B"], encoder["text_end_U"], encoder["word_hash_W"], int(bound_K[0]))
    meanings = [lexicon.find(keyword) for keyword in keywords]
    known = [keyword for keyword in meanings if keyword.is_known]
    unknown = tuple(dict.fromkeys(word for keyword in meanings for word in keyword.unknown))
    if not known:
        raise DataError(
            "UNKNOWN_KEYWORD",
            f"No behavior of the users that the encoder was fitted on holds {_name(unknown)}. "
            "Use words that stand in the behaviors of your data set.",
        )
    space = _Space(encoder["vector_VD"], encoding["spread_D"])
    return KeywordScorer(bound_K, _weigh(space, encoding["idf_V"], known), unknown)


def match_keywords(
    encoder_dir: Path,
    feature_dir: Path,
    keywords: Sequence[str],
    out_path: Path,
    *,
    progress: Callable[[str, int, int], None] = lambda stage, done, total: None,
) -> KeywordMatch:
    """Write a line for every user of a feature; a user without behaviors has similarity 0.

    Raises:
        DataError, ValueError: as ``build_scorer`` does.
    """
    scorer, feature = build_scorer(encoder_dir, feature_dir, keywords), open_feature(feature_dir)
    total, done = feature.user_count, 0

    def work(block: FeatureBlock) -> tuple[int, U8]:
        return block.n_users, write_lines(block.id_B, block.id_offset_N1, scorer.score(block))

    with out_path.open("wb", buffering=0) as out:
        for n_users, line_B in map_ordered(work, feature.read_blocks()):
            out.write(line_B.data)
            done += n_users
            progress("compare", done, total)
    return KeywordMatch(done, scorer.unknown)


def _name(words: Sequence[str]) -> str:
    shown = [repr(word) for word in words[:20]]
    return f"{', '.join(shown)} and {len(words) - 20} more" if len(words) > 20 else " or ".join(shown)


@dataclass(frozen=True)
class _Space:
    vector_VD: npt.NDArray[Any]
    spread_D: F32

    def directions(self, tokens: I64 | slice) -> F32:
        """Return (T, D) float32 of length 1, or 0 for a token without a place."""
        rows_TD = np.asarray(self.vector_VD[tokens] * self.spread_D, np.float32)
        rows_TD /= np.maximum(np.linalg.norm(rows_TD, axis=1, keepdims=True), 1e-9)
        return rows_TD


def _weigh(space: _Space, idf_V: F32, keywords: Sequence[Keyword]) -> F32:
    """Return (V, Q): idf times the squared cosine, where it is positive, of each token and each keyword."""
    direction_DQ = np.stack([_direction(space, keyword) for keyword in keywords], axis=1)
    n_tokens = space.vector_VD.shape[0]
    weight_VQ = np.empty((n_tokens, len(keywords)), np.float32)
    for first in range(0, n_tokens, _ROWS):  # the vectors are mapped; never a copy of all of them
        rows = slice(first, first + _ROWS)
        weight_VQ[rows] = np.clip(space.directions(rows) @ direction_DQ, 0.0, 1.0) ** 2
    for q, keyword in enumerate(keywords):
        weight_VQ[keyword.own_tokens, q] = 1.0
    weight_VQ *= idf_V[:n_tokens, None]
    return weight_VQ


def _direction(space: _Space, keyword: Keyword) -> F32:
    """Return (D,) of length 1, or 0: the words' tokens and the middle of the behaviors that hold them, alike in weight."""
    middles_PD = [space.directions(tokens).mean(axis=0) for tokens in keyword.token_sets if len(tokens)]
    sum_D = np.sum(middles_PD, axis=0)
    return np.asarray(sum_D / max(float(np.linalg.norm(sum_D)), 1e-9), np.float32)


@njit(cache=True, nogil=True, fastmath=True)
def _score(offset_N1: I32, token_M: U32, count_M: U8, inverse_NK: F32, bound_K: I64, weight_VQ: F32, similarity_N: F64) -> None:
    n_tokens, n_keywords = weight_VQ.shape
    sum_Q = np.empty(n_keywords, np.float32)
    for n in range(similarity_N.size):
        sum_Q[:] = 0.0
        k = 0
        for i in range(offset_N1[n], offset_N1[n + 1]):
            token = token_M[i]
            if token >= n_tokens:
                break
            while token >= bound_K[k]:
                k += 1
            weight = TF_256[count_M[i]] * inverse_NK[n, k]
            for q in range(n_keywords):
                sum_Q[q] += weight * weight_VQ[token, q]
        log_sum, has_all = 0.0, True
        for q in range(n_keywords):
            similarity = -np.expm1(-np.float64(sum_Q[q]))
            has_all = has_all and similarity > 0.0
            log_sum += np.log(similarity) if has_all else 0.0
        similarity_N[n] = np.exp(log_sum / n_keywords) if has_all else 0.0
