"""Predict boosted trees over bytes: complete binary trees, walked level by level, 64 users at a time.

Knows packed trees only; needs numpy and numba. A node is one 32-bit word, ``column << 8 | threshold``: go right when
the byte is greater. Shallow branches are filled with nodes that send all to the left. Exact to float32 sums.
Source: the layout follows QuickScorer's and XGBoost's array trees; measured in modelling.md.

Shapes: N users, A dense columns, T trees, W = 2**depth - 1 nodes, W + 1 leaves.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

U8 = npt.NDArray[np.uint8]
U32 = npt.NDArray[np.uint32]
F32 = npt.NDArray[np.float32]

BLOCK_USERS = 64


def pack_trees(trees: list[dict[str, Any]], depth: int) -> tuple[U32, F32]:
    """Pack trees as LightGBM dumps them (``tree_structure``) into (node_TW, leaf_TW).

    Raises:
        ValueError: if a tree is deeper than ``depth`` or has a node that does not compare with ``<=``.
    """
    node_TW = np.full((len(trees), 2**depth - 1), 255, np.uint32)
    leaf_TW = np.zeros((len(trees), 2**depth), np.float32)
    for t, tree in enumerate(trees):
        _pack(tree, 0, depth, node_TW[t], leaf_TW[t])
    return node_TW, leaf_TW


def _pack(node: dict[str, Any], at: int, levels: int, node_W: U32, leaf_W: F32) -> None:
    if "leaf_value" in node:
        while at < node_W.size:  # filled-in nodes have threshold 255: all go left
            at = 2 * at + 1
        leaf_W[at - node_W.size] = node["leaf_value"]
        return
    if levels == 0 or node["decision_type"] != "<=":
        raise ValueError("The tree is too deep or splits by category.")
    threshold = int(np.floor(node["threshold"]))
    node_W[at] = (int(node["split_feature"]) << 8) | min(255, max(0, threshold))
    _pack(node["left_child"], 2 * at + 1, levels - 1, node_W, leaf_W)
    _pack(node["right_child"], 2 * at + 2, levels - 1, node_W, leaf_W)


@njit(cache=True, nogil=True)
def add_trees(dense_NA: U8, first: int, last: int, node_TW: U32, leaf_TW: F32, out_N: F32) -> None:
    """Add the trees' sum to ``out_N[i]`` for each user ``first + i`` before ``last``; at most 64 of them."""
    n_users, n_nodes = last - first, node_TW.shape[1]
    at_N = np.empty(BLOCK_USERS, np.int32)
    for t in range(node_TW.shape[0]):
        node_W, leaf_W = node_TW[t], leaf_TW[t]
        at_N[:] = 0
        begin = 0
        while begin < n_nodes:
            for i in range(n_users):
                word = node_W[at_N[i]]
                right = np.uint32(dense_NA[first + i, word >> np.uint32(8)]) > (word & np.uint32(255))
                at_N[i] = 2 * at_N[i] + 1 + np.int32(right)
            begin = 2 * begin + 1
        for i in range(n_users):
            out_N[i] += leaf_W[at_N[i] - n_nodes]


@njit(cache=True, nogil=True)
def predict_trees(dense_NA: U8, node_TW: U32, leaf_TW: F32) -> F32:
    """Return (N,) float32: the sum of the trees' leaves."""
    out_N = np.zeros(dense_NA.shape[0], np.float32)
    for first in range(0, dense_NA.shape[0], BLOCK_USERS):
        last = min(first + BLOCK_USERS, dense_NA.shape[0])
        add_trees(dense_NA, first, last, node_TW, leaf_TW, out_N[first:last])
    return out_N
