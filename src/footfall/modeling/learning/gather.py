"""Gather the labelled users of a stored feature into the arrays that views are fitted on.

Knows feature files; nothing of heads.

Shapes: N labelled users, V tokens, D latent dimensions, A dense columns, M bag entries.
"""

from collections.abc import Iterator

import numpy as np
import scipy.sparse

from footfall.modeling.arrays import read_arrays
from footfall.modeling.blocks import Feature, FeatureBlock
from footfall.modeling.dtypes import I64, U32
from footfall.modeling.encoding.bag import weigh
from footfall.modeling.encoding.encode import ENCODING_FILE
from footfall.modeling.threads import map_ordered
from footfall.modeling.view import Encoding, Users


def read_encoding(feature: Feature) -> Encoding:
    """Return what the feature keeps of its encoder."""
    arrays = read_arrays(feature.directory / ENCODING_FILE)
    return Encoding(
        feature.encoder_hash, arrays["idf_V"], arrays["bound_K"], arrays["rank_A256"], arrays["spread_D"],
        tuple(feature.layout["columns"]),
    )  # fmt: skip


def gather_users(feature: Feature, row_N: I64) -> tuple[Users, U32]:
    """Return the users in the ascending rows ``row_N``, and how many behaviors each has."""
    encoding = read_encoding(feature)
    layout = feature.layout
    latent_ND = np.empty((row_N.size, layout["n_dims"]), np.float32)
    dense_NA = np.empty((row_N.size, layout["n_columns"]), np.uint8)
    n_behaviors_N = np.empty(row_N.size, np.uint32)

    def pick() -> Iterator[tuple[FeatureBlock, int, int]]:
        for block in feature.read_blocks():
            start, end = np.searchsorted(row_N, [block.first_row, block.first_row + block.n_users])
            if start < end:
                yield block, int(start), int(end)

    def gather(picked: tuple[FeatureBlock, int, int]) -> scipy.sparse.csr_matrix:
        block, start, end = picked
        local_N = row_N[start:end] - block.first_row
        latent_ND[start:end] = block.latent_ND[local_N].view(np.float16)
        dense_NA[start:end] = block.dense_NA[local_N]
        n_behaviors_N[start:end] = block.n_behaviors_N[local_N]
        return _weigh_block(block, encoding)[local_N]

    bags = list(map_ordered(gather, pick()))
    n_tokens = int(encoding.bound_K[-1])
    bag_NV = scipy.sparse.vstack(bags, format="csr") if bags else scipy.sparse.csr_matrix((0, n_tokens), dtype="f4")
    n_text, n_order = int(encoding.bound_K[1]), int(encoding.bound_K[2])
    parts = bag_NV[:, :n_text], bag_NV[:, n_text:n_order], bag_NV[:, n_order:]
    return Users(encoding, *parts, latent_ND, dense_NA), n_behaviors_N


def _weigh_block(block: FeatureBlock, encoding: Encoding) -> scipy.sparse.csr_matrix:
    offset_N1 = block.offset_N1.astype(np.int64)
    weight_M = weigh(offset_N1, block.token_M, block.count_M, encoding.idf_V, encoding.bound_K, block.inverse_NK)
    shape = (block.n_users, int(encoding.bound_K[-1]))
    return scipy.sparse.csr_matrix((weight_M, block.token_M.astype(np.int32), offset_N1), shape=shape)
