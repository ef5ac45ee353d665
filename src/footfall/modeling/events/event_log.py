"""An event log in scratch files, and its whole users.

Rows are fixed-size records in chunks that are sorted by the leading bits of the user's hash; a block of users is what all
chunks hold of some leading bits, sorted by user and time.

Shapes: N rows or users, P partitions.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from footfall.contract.found import FoundColumn
from footfall.modeling.dtypes import I32, I64, U8, U64
from footfall.modeling.events.columns import Columns
from footfall.modeling.events.texts import Texts
from footfall.modeling.events.users import group_users
from footfall.modeling.reading.histories import Histories, Schema

N_PARTITIONS = 1024
BLOCK_EVENTS = 1 << 17


@dataclass(frozen=True)
class Users:
    """Whole users of a log."""

    id_B: U8
    id_offset_N1: I32
    hash_N: U64
    histories: Histories


@dataclass(frozen=True)
class EventLog:
    """A log in scratch files, which go with their directory."""

    columns: Columns
    schema: Schema
    until_us: int
    n_events: int
    personal_data: dict[str, int]
    """How many different texts look like personal data, by kind, if ``personal_data`` is "warn"."""
    personal_data_lines: tuple[str, ...]
    """The first few places of them."""
    _path: Path
    _kinds: tuple[tuple[str, npt.DTypeLike, int | None], ...]
    _chunks: tuple[tuple[int, int, I64], ...]
    """(place in the file, rows, first row of each partition) of each chunk."""
    _ids: Texts = field(repr=False)
    _texts: Texts = field(repr=False)
    categories: Texts = field(repr=False)
    found: tuple[FoundColumn, ...] = ()
    """Its columns, for people."""
    warnings: tuple[str, ...] = ()
    format: str = ""

    @property
    def n_users(self) -> int:
        """How many users there are; an upper bound in logs of more than about two million."""
        return int(self._ids.end_V.size)

    def plan_blocks(self, max_events: int = BLOCK_EVENTS) -> list[tuple[int, int]]:
        """Return ranges of partitions of about so many events each, none of them empty."""
        size_P = np.zeros(N_PARTITIONS, np.int64)
        for _, _, first_P1 in self._chunks:
            size_P += np.diff(first_P1)
        blocks, start, n_events = [], 0, 0
        for p in range(N_PARTITIONS):
            if n_events and n_events + size_P[p] > max_events:
                blocks.append((start, p))
                start, n_events = p, 0
            n_events += int(size_P[p])
        return [*blocks, (start, N_PARTITIONS)] if n_events else blocks

    def read_users(self, block: tuple[int, int], max_tokens: int = 0) -> Users:
        """Return the users of a range of partitions; their ``max_tokens`` newest words and arrows, 0 for all."""
        file_B = np.asarray(np.memmap(self._path, np.uint8, "r"))
        parts: dict[str, list[Any]] = {name: [] for name, _, _ in self._kinds}
        for offset, n_rows, first_P1 in self._chunks:
            start, end = int(first_P1[block[0]]), int(first_P1[block[1]])
            for name, kind, width in self._kinds:
                size = np.dtype(kind).itemsize * (1 if width is None else width)
                part = file_B[offset + start * size : offset + end * size].view(kind)
                parts[name].append(part if width is None else part.reshape(end - start, width))
                offset += n_rows * size
        records = {name: np.concatenate(pieces) for name, pieces in parts.items()}
        return Users(*group_users(records, self._ids, self._texts, self.schema, self.until_us, max_tokens))
