"""Predict boosted trees over bytes: every node of a tree looked at for 64 users at a time, without a branch.

Knows packed trees only; needs numpy and numba. The users of a block are turned so that a column's bytes lie together.
A user starts a tree with one bit a leaf. A node, ``column << 8 | threshold``, takes the bits of the leaves on its left
from all users whose byte is greater; the lowest bit that is left is the leaf, because leaves are numbered from left to
right. That costs more comparisons than walking down, but sixteen and more of them are one instruction. Exact to float32
sums. Source: QuickScorer (Lucchese et al. 2015), here over all nodes in any order.

Shapes: N users, A columns, B users of a block, T trees, W nodes, L = W + 1 leaves.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

U8 = npt.NDArray[np.uint8]
U32 = npt.NDArray[np.uint32]
F32 = npt.NDArray[np.float32]

BLOCK_USERS = 64
MAX_LEAVES = 32
_ALL = np.uint32(0xFFFFFFFF)
_DE_BRUIJN = np.uint32(0x077CB531)
_PLACE_32 = np.zeros(32, np.uint8)
"""Which bit is set, by the upper five bits of its product with the number above. Source: Leiserson et al. 1998."""
for _bit in range(32):
    _PLACE_32[((0x077CB531 << _bit) & 0xFFFFFFFF) >> 27] = _bit


def pack_trees(trees: list[dict[str, Any]]) -> tuple[U32, U32, F32]:
    """Pack trees as LightGBM dumps them (``tree_structure``) into (node_TW, keep_TW, leaf_TL).

    ``keep`` has the bits that a user keeps who goes right. Nodes that a small tree does not have take nothing.

    Raises:
        ValueError: if a tree has more than ``MAX_LEAVES`` leaves or a node that does not compare with ``<=``.
    """
    packed = [_pack(tree) for tree in trees]
    n_nodes = max([1, *(len(nodes) for nodes, _ in packed)])
    node_TW = np.full((len(trees), n_nodes), 255, np.uint32)  # no byte is greater
    keep_TW = np.full((len(trees), n_nodes), _ALL, np.uint32)
    leaf_TL = np.zeros((len(trees), n_nodes + 1), np.float32)
    for t, (nodes, leaves) in enumerate(packed):
        leaf_TL[t, : len(leaves)] = leaves
        for w, (node, keep) in enumerate(nodes):
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
        nodes.append((int(node["split_feature"]) << 8 | threshold, ~left & 0xFFFFFFFF))
        return left | visit(node["right_child"])

    visit(tree)
    if len(leaves) > MAX_LEAVES:
        raise ValueError(f"The tree has {len(leaves)} leaves; at most {MAX_LEAVES} can be packed.")
    return nodes, leaves


@njit(cache=True, nogil=True)
def turn_users(dense_NA: U8, first: int, last: int, column_AB: U8) -> None:
    """Write the bytes of the users from ``first`` to before ``last`` column by column."""
    for i in range(last - first):
        for a in range(dense_NA.shape[1]):
            column_AB[a, i] = dense_NA[first + i, a]


@njit(cache=True, nogil=True)
def add_trees(column_AB: U8, node_TW: U32, keep_TW: U32, leaf_TL: F32, out_B: F32) -> None:
    """Add the trees' sum to each of a block's users; ``out_B`` says how many there are."""
    live_B = np.empty(BLOCK_USERS, np.uint32)
    for t in range(node_TW.shape[0]):
        live_B[:] = _ALL
        for w in range(node_TW.shape[1]):
            node, keep = node_TW[t, w], keep_TW[t, w]
            byte_B, threshold = column_AB[node >> np.uint32(8)], np.uint8(node & np.uint32(255))
            for i in range(BLOCK_USERS):
                live_B[i] &= keep if byte_B[i] > threshold else _ALL
        leaf_L = leaf_TL[t]
        for i in range(out_B.size):
            lowest = np.uint32(live_B[i] & np.uint32(~live_B[i] + np.uint32(1)))
            out_B[i] += leaf_L[_PLACE_32[np.uint32(lowest * _DE_BRUIJN) >> np.uint32(27)]]


@njit(cache=True, nogil=True)
def predict_trees(dense_NA: U8, node_TW: U32, keep_TW: U32, leaf_TL: F32) -> F32:
    """Return (N,) float32: the sum of the trees' leaves."""
    out_N = np.zeros(dense_NA.shape[0], np.float32)
    column_AB = np.zeros((dense_NA.shape[1], BLOCK_USERS), np.uint8)
    for first in range(0, dense_NA.shape[0], BLOCK_USERS):
        last = min(first + BLOCK_USERS, dense_NA.shape[0])
        turn_users(dense_NA, first, last, column_AB)
        add_trees(column_AB, node_TW, keep_TW, leaf_TL, out_N[first:last])
    return out_N
