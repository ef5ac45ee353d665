"""Predict boosted trees over bytes: each node of a tree is evaluated for 64 users at a time, without a branch.

Knows packed trees only; needs numpy and numba. The users of a block are turned so that a column's bytes lie together.
A user starts a tree with one bit a leaf. A node, ``column << 8 | threshold``, takes the bits of the leaves on its left
from all users whose byte is greater; the lowest bit that is left is the leaf, because leaves are numbered from left to
right. That costs more comparisons than walking down, but thirty-two of them are one instruction. Exact to float32 sums.
Source: QuickScorer (Lucchese et al. 2015), here over all nodes in any order.

Shapes: N users, A columns, B users of a block, T trees, W steps (a node once for each byte of bits that it takes from),
L leaves.
"""

from typing import Any

import numpy as np

from footfall.modeling.compiled import njit
from footfall.modeling.dtypes import F32, U8, U16, U32

BLOCK_USERS = 64
MAX_LEAVES = 32
_PARTS = MAX_LEAVES // 8
_NOTHING = 255
"""A step that takes no bit; all after it in a tree are like it."""


def pack_trees(trees: list[dict[str, Any]]) -> tuple[U32, U16, F32]:
    """Pack trees as LightGBM dumps them (``tree_structure``) into (node_TW, keep_TW, leaf_TL).

    ``keep`` is ``part << 8 | bits``: which eight leaves, and which of them a user keeps who goes right.

    Raises:
        ValueError: if a tree has more than ``MAX_LEAVES`` leaves or a node that does not compare with ``<=``.
    """
    packed = [_pack(tree) for tree in trees]
    n_steps = max([1, *(len(steps) for steps, _ in packed)])
    node_TW = np.zeros((len(trees), n_steps), np.uint32)
    keep_TW = np.full((len(trees), n_steps), _NOTHING, np.uint16)
    leaf_TL = np.zeros((len(trees), max([1, *(len(leaves) for _, leaves in packed)])), np.float32)
    for t, (steps, leaves) in enumerate(packed):
        leaf_TL[t, : len(leaves)] = leaves
        for w, (node, keep) in enumerate(steps):
            node_TW[t, w], keep_TW[t, w] = node, keep
    return node_TW, keep_TW, leaf_TL


def _pack(tree: dict[str, Any]) -> tuple[list[tuple[int, int]], list[float]]:
    nodes: list[tuple[int, int]] = []
    leaves: list[float] = []

    def visit(node: dict[str, Any]) -> int:
        """Return the bits of the node's leaves."""
        if "leaf_value" in node:
            leaves.append(node["leaf_value"])
            return 1 << (len(leaves) - 1)
        if node["decision_type"] != "<=":
            raise ValueError("The tree splits by category.")
        left = visit(node["left_child"])
        threshold = min(255, max(0, int(np.floor(node["threshold"]))))
        nodes.append((int(node["split_feature"]) << 8 | threshold, left))
        return left | visit(node["right_child"])

    visit(tree)
    if len(leaves) > MAX_LEAVES:
        raise ValueError(f"The tree has {len(leaves)} leaves; at most {MAX_LEAVES} can be packed.")
    steps = [(node, part << 8 | 255 - (left >> 8 * part & 255)) for node, left in nodes for part in range(_PARTS)]
    return [step for step in steps if step[1] & 255 != 255], leaves


@njit(cache=True, nogil=True)
def turn_users(dense_NA: U8, first: int, last: int, column_AB: U8) -> None:
    """Write the bytes of the users from ``first`` to before ``last`` column by column."""
    for i in range(last - first):
        for a in range(dense_NA.shape[1]):
            column_AB[a, i] = dense_NA[first + i, a]


@njit(cache=True, nogil=True)
def add_trees(column_AB: U8, node_TW: U32, keep_TW: U16, leaf_TL: F32, out_B: F32) -> None:
    """Add the trees' sum to each of a block's users; ``out_B.size`` is their number."""
    live_PB = np.empty((_PARTS, BLOCK_USERS), np.uint8)
    lowest_B = np.empty(BLOCK_USERS, np.float32)  # a power of two, whose exponent is the leaf
    float_B = lowest_B.view(np.uint32)
    for t in range(node_TW.shape[0]):
        live_PB[:] = np.uint8(255)
        for w in range(node_TW.shape[1]):
            node, keep = node_TW[t, w], keep_TW[t, w]
            if keep == _NOTHING:
                break
            byte_B, threshold = column_AB[node >> np.uint32(8)], np.uint8(node & np.uint32(255))
            live_B, bits = live_PB[keep >> np.uint16(8)], np.uint8(keep & np.uint16(255))
            for i in range(BLOCK_USERS):
                live_B[i] &= bits if byte_B[i] > threshold else np.uint8(255)
        for i in range(BLOCK_USERS):
            low = np.uint32(live_PB[0, i]) | np.uint32(live_PB[1, i]) << np.uint32(8)
            live = low | np.uint32(live_PB[2, i]) << np.uint32(16) | np.uint32(live_PB[3, i]) << np.uint32(24)
            lowest_B[i] = np.float32(np.int32(live & (~live + np.uint32(1))))
        leaf_L = leaf_TL[t]
        for i in range(out_B.size):
            out_B[i] += leaf_L[((float_B[i] >> np.uint32(23)) & np.uint32(255)) - np.uint32(127)]


@njit(cache=True, nogil=True)
def predict_trees(dense_NA: U8, node_TW: U32, keep_TW: U16, leaf_TL: F32) -> F32:
    """Return (N,) float32: the sum of the trees' leaves."""
    out_N = np.zeros(dense_NA.shape[0], np.float32)
    column_AB = np.zeros((dense_NA.shape[1], BLOCK_USERS), np.uint8)
    for first in range(0, dense_NA.shape[0], BLOCK_USERS):
        last = min(first + BLOCK_USERS, dense_NA.shape[0])
        turn_users(dense_NA, first, last, column_AB)
        add_trees(column_AB, node_TW, keep_TW, leaf_TL, out_N[first:last])
    return out_N
