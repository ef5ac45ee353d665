"""Read a stored feature block by block, as numpy views of the mapped files.

Knows the layout file that ``encode.py`` writes next to the Arrow shards (where each column's bytes lie); needs numpy
alone, so that the scoring job starts at once. Source: the Arrow IPC file format, whose buffers are plain arrays.

Shapes: N users of a block, K blocks of the bag, D latent dimensions, A dense columns, M bag entries.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from footfall.modeling.dtypes import F32, I32, U8, U16, U32

LAYOUT_FILE = "feature.json"
FORMAT = 1

TF_256 = np.log1p(np.arange(256)).astype(np.float32)
"""What a stored count weighs before idf."""

BUFFERS: dict[str, str] = {
    "id_offset": "<i4",
    "id": "<u1",
    "n_behaviors": "<u4",
    "inverse": "<f4",
    "latent": "<u2",
    "dense": "<u1",
    "offset": "<i4",
    "token": "<u4",
    "count": "<u1",
}
"""The buffers of a batch and their numpy types; ``latent`` holds the bits of float16."""


@dataclass(frozen=True)
class FeatureBlock:
    """Some users, in order. Arrays are read-only views of the file."""

    first_row: int
    id_offset_N1: I32
    id_B: U8
    n_behaviors_N: U32
    inverse_NK: F32
    latent_ND: U16
    dense_NA: U8
    offset_N1: I32
    token_M: U32
    count_M: U8

    @property
    def n_users(self) -> int:
        """N."""
        return int(self.n_behaviors_N.size)


@dataclass(frozen=True)
class Feature:
    """A stored feature; see ``encode.make_feature``."""

    directory: Path
    layout: dict[str, Any]

    @property
    def user_count(self) -> int:
        """Users of the feature."""
        return int(self.layout["user_count"])

    @property
    def encoder_hash(self) -> str:
        """The identity of the encoder that made it."""
        return str(self.layout["encoder"])

    def read_blocks(self) -> Iterator[FeatureBlock]:
        """Yield the users, in order."""
        row = 0
        for shard in self.layout["shards"]:
            file_B = np.asarray(np.memmap(self.directory / shard["file"], np.uint8, "r"))
            for batch in shard["batches"]:
                yield self._view(file_B, batch, row)
                row += batch["n"]

    def _view(self, file_B: U8, batch: dict[str, Any], row: int) -> FeatureBlock:
        n = batch["n"]
        a: dict[str, npt.NDArray[Any]] = {}
        for name, (start, size) in batch["buffers"].items():
            a[name] = file_B[start : start + size].view(BUFFERS[name])
        return FeatureBlock(
            first_row=row,
            id_offset_N1=a["id_offset"][: n + 1],
            id_B=a["id"],
            n_behaviors_N=a["n_behaviors"][:n],
            inverse_NK=a["inverse"][: n * self.layout["n_blocks"]].reshape(n, self.layout["n_blocks"]),
            latent_ND=a["latent"][: n * self.layout["n_dims"]].reshape(n, self.layout["n_dims"]),
            dense_NA=a["dense"][: n * self.layout["n_columns"]].reshape(n, self.layout["n_columns"]),
            offset_N1=a["offset"][: n + 1],
            token_M=a["token"],
            count_M=a["count"],
        )


def open_feature(directory: Path) -> Feature:
    """Open a stored feature; its columns are mapped, not read.

    Raises:
        ValueError: if it is of a later format.
    """
    layout = json.loads((directory / LAYOUT_FILE).read_text())
    if layout["format"] != FORMAT:
        raise ValueError(f"The feature has format {layout['format']}; this release reads {FORMAT}.")
    return Feature(directory, layout)
