"""Score every user of a feature with a task, and write the scores as text; compiled.

Needs numpy and numba alone, so that the job starts at once. Knows the artefacts of ``task.py`` and ``encode.py`` and
no view: a head is arrays (``view.HEAD_ARRAYS``) whose sum is the log-odds. A user without behaviors gets the prior.
A line is ``user_id<TAB>score`` with 6 decimals, in the feature's order. Source: the contract, 9-15.

Shapes: N users, K views, V tokens, D latent dimensions, A dense columns, T trees, M bag entries, B bytes.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from footfall.modeling.arrays import read_arrays
from footfall.modeling.blocks import TF_256, FeatureBlock, open_feature
from footfall.modeling.compiled import njit
from footfall.modeling.dtypes import F32, F64, I32, I64, U8, U16, U32
from footfall.modeling.scoring.tree_predictor import BLOCK_USERS, add_trees, turn_users
from footfall.modeling.threads import map_ordered

HALF_65536: F32 = np.arange(65536, dtype=np.uint16).view(np.float16).astype(np.float32)
"""float16 by its bits."""

TASK_FORMAT = 2
_MAX_LOG_ODDS = 15.0


@dataclass(frozen=True)
class Head:
    """One view's head as arrays; what a view does not use is empty."""

    bias: float
    log_p: float
    log_q: float
    token_V: F32
    token_range: tuple[int, int]
    """The whole blocks of token numbers outside of which all weights are 0."""
    latent_D: F32
    byte_A256: F32
    node_TW: U32
    keep_TW: U16
    leaf_TL: F32
    edge_KE: F32

    def add(self, block: FeatureBlock, bound_K: I64, first_level_KN: F32, z_N: F32) -> None:
        """Add the log-odds of a block's users to ``z_N``; ``first_level_KN`` are those of the heads before this one."""
        z_N += np.float32(self.bias)
        if self.token_range[0] < self.token_range[1]:
            _add_tokens(
                block.offset_N1, block.token_M, block.count_M, block.inverse_NK,
                bound_K, self.token_V, *self.token_range, z_N,
            )  # fmt: skip
        if self.latent_D.size:
            _add_latent(block.latent_ND, self.latent_D, z_N)
        if self.byte_A256.size:
            _add_bytes(block.dense_NA, self.byte_A256, z_N)
        if self.node_TW.size:
            _add_trees(block.dense_NA, first_level_KN, self.edge_KE, self.node_TW, self.keep_TW, self.leaf_TL, z_N)


@dataclass(frozen=True)
class Scorer:
    """A task's artefact, ready to score."""

    encoder_hash: str
    prior: float
    heads: tuple[Head, ...]
    bound_K: I64
    bias: float
    curve_x_J: F64
    curve_y_J: F64

    def score(self, block: FeatureBlock) -> F64:
        """Return (N,) scores in [0, 1]."""
        score_N = np.full(block.n_users, self.prior)
        if not self.heads:
            return score_N
        z_KN = np.zeros((len(self.heads), block.n_users), np.float32)
        for k, head in enumerate(self.heads):
            head.add(block, self.bound_K, z_KN[:k], z_KN[k])
        log_p_K = np.array([head.log_p for head in self.heads])
        log_q_K = np.array([head.log_q for head in self.heads])
        _combine(z_KN, log_p_K, log_q_K, self.bias, self.curve_x_J, self.curve_y_J, block.n_behaviors_N, score_N)
        return score_N


def load_scorer(task_dir: Path) -> Scorer:
    """Read what ``TrainedTask.save`` wrote.

    Raises:
        ValueError: if it is of another format.
    """
    header = json.loads((task_dir / "task.json").read_text())
    if header["format"] != TASK_FORMAT:
        raise ValueError(f"The task has format {header['format']}; this release reads {TASK_FORMAT}. Train a new one.")
    arrays = read_arrays(task_dir / "task.safetensors")
    heads = []
    for k, name in enumerate(header["views"]):
        log_p, log_q = float(arrays["stack.log_p_K"][k]), float(arrays["stack.log_q_K"][k])
        heads.append(_load_head(arrays, name, log_p, log_q))
    return Scorer(
        header["encoder"], float(header["prior"]), tuple(heads), arrays["stack.bound_K"],
        float(arrays["stack.bias"][0]), arrays["stack.curve_x_J"], arrays["stack.curve_y_J"],
    )  # fmt: skip


def _load_head(arrays: dict[str, npt.NDArray[Any]], name: str, log_p: float, log_q: float) -> Head:
    none = np.zeros((0, 0), np.float32)
    token_V = arrays.get(f"{name}.token_V", none[0:0].ravel())
    used = np.flatnonzero(token_V)
    bound_K1 = np.concatenate([[0], arrays["stack.bound_K"]])
    return Head(
        bias=float(arrays[f"{name}.bias"][0]),
        log_p=log_p,
        log_q=log_q,
        token_V=token_V,
        token_range=_cover(bound_K1, used),
        latent_D=arrays.get(f"{name}.latent_D", none.ravel()),
        byte_A256=arrays.get(f"{name}.byte_A256", none),
        node_TW=arrays.get(f"{name}.node_TW", none.astype(np.uint32)),
        keep_TW=arrays.get(f"{name}.keep_TW", none.astype(np.uint16)),
        leaf_TL=arrays.get(f"{name}.leaf_TL", none),
        edge_KE=arrays.get(f"{name}.edge_KE", none),
    )


def _cover(bound_K1: I64, used: I64) -> tuple[int, int]:
    """Return the whole blocks that hold the tokens ``used``, as (first number, number after the last)."""
    if used.size == 0:
        return 0, 0
    low = bound_K1[np.searchsorted(bound_K1, used[0], side="right") - 1]
    return int(low), int(bound_K1[np.searchsorted(bound_K1, used[-1], side="right")])


def score_feature(
    task_dir: Path,
    feature_dir: Path,
    out_path: Path,
    *,
    progress: Callable[[str, int, int], None] = lambda stage, done, total: None,
) -> int:
    """Write a line for every user of a feature; return how many.

    Raises:
        ValueError: the feature was made by another encoder than the task's.
    """
    scorer, feature = load_scorer(task_dir), open_feature(feature_dir)
    if scorer.encoder_hash != feature.encoder_hash:
        raise ValueError("The feature was made by another encoder than the task's train feature.")
    total, done = feature.user_count, 0

    def work(block: FeatureBlock) -> tuple[int, U8]:
        score_N = scorer.score(block)
        return block.n_users, write_lines(block.id_B, block.id_offset_N1, score_N)

    with out_path.open("wb", buffering=0) as out:
        for n_users, line_B in map_ordered(work, feature.read_blocks()):
            out.write(line_B.data)
            done += n_users
            progress("score", done, total)
    return done


@njit(cache=True, nogil=True, fastmath=True)
def _add_tokens(
    offset_N1: I32, token_M: U32, count_M: U8, inverse_NK: F32, bound_K: I64, token_V: F32, low: int, high: int, z_N: F32
) -> None:
    for n in range(z_N.size):
        i, end = np.int64(offset_N1[n]), np.int64(offset_N1[n + 1])
        last = end
        while i < last:  # the first token of the blocks that count
            middle = (i + last) // 2
            if token_M[middle] < low:
                i = middle + 1
            else:
                last = middle
        for k in range(bound_K.size):
            total = np.float32(0.0)
            stop = min(high, bound_K[k])
            while i < end and token_M[i] < stop:
                total += TF_256[count_M[i]] * token_V[token_M[i]]
                i += 1
            z_N[n] += total * inverse_NK[n, k]


@njit(cache=True, nogil=True, fastmath=True)
def _add_latent(latent_ND: U16, latent_D: F32, z_N: F32) -> None:
    for n in range(z_N.size):
        total = np.float32(0.0)
        for d in range(latent_D.size):
            total += HALF_65536[latent_ND[n, d]] * latent_D[d]
        z_N[n] += total


@njit(cache=True, nogil=True)
def _add_bytes(dense_NA: U8, byte_A256: F32, z_N: F32) -> None:
    for n in range(z_N.size):
        total = np.float32(0.0)
        for a in range(byte_A256.shape[0]):
            total += byte_A256[a, dense_NA[n, a]]
        z_N[n] += total


@njit(cache=True, nogil=True)
def _add_trees(dense_NA: U8, first_level_KN: F32, edge_KE: F32, node_TW: U32, keep_TW: U16, leaf_TL: F32, z_N: F32) -> None:
    n_columns, n_heard = dense_NA.shape[1], edge_KE.shape[0]
    column_AB = np.zeros((n_columns + n_heard, BLOCK_USERS), np.uint8)
    for first in range(0, z_N.size, BLOCK_USERS):
        last = min(first + BLOCK_USERS, z_N.size)
        turn_users(dense_NA, first, last, column_AB)
        for k in range(n_heard):
            for i in range(last - first):
                column_AB[n_columns + k, i] = np.searchsorted(edge_KE[k], first_level_KN[k, first + i])
        add_trees(column_AB, node_TW, keep_TW, leaf_TL, z_N[first:last])


@njit(cache=True, nogil=True)
def _log_sigmoid(z: float) -> float:
    return float(-np.log1p(np.exp(-z)) if z > 0 else z - np.log1p(np.exp(z)))


@njit(cache=True, nogil=True)
def _combine(z_KN: F32, log_p_K: F64, log_q_K: F64, bias: float, x_J: F64, y_J: F64, n_behaviors_N: U32, score_N: F64) -> None:
    for n in range(score_N.size):
        if n_behaviors_N[n] == 0:
            continue
        total = bias
        for k in range(z_KN.shape[0]):
            z = min(max(np.float64(z_KN[k, n]), -_MAX_LOG_ODDS), _MAX_LOG_ODDS)
            log_p = _log_sigmoid(z)
            total += log_p_K[k] * log_p + log_q_K[k] * (log_p - z)
        p = 1 / (1 + np.exp(-total))
        score_N[n] = np.interp(p, x_J, y_J) if x_J.size else p


@njit(cache=True, nogil=True)
def write_lines(id_B: U8, id_offset_N1: I32, score_N: F64) -> U8:
    """Return ``id<TAB>d.dddddd<newline>`` for each user as bytes; scores are in [0, 1]."""
    width = 10  # the tab, eight characters of the score, the newline
    n_users = score_N.size
    out_B = np.empty(np.int64(id_offset_N1[n_users] - id_offset_N1[0]) + width * n_users, np.uint8)
    at = 0
    for n in range(n_users):
        for i in range(id_offset_N1[n], id_offset_N1[n + 1]):
            out_B[at] = id_B[i]
            at += 1
        micro = np.int64(score_N[n] * 1e6 + 0.5)
        out_B[at] = 9
        out_B[at + 1] = 48 + micro // 1_000_000
        out_B[at + 2] = 46
        for d in range(6):
            out_B[at + 8 - d] = 48 + micro % 10
            micro //= 10
        out_B[at + 9] = 10
        at += width
    return out_B
