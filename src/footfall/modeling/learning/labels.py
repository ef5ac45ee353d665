"""Read label files, and find the labelled users in a feature.

Knows ``{user_id}<TAB>{0 or 1}`` and stored features; nothing of learning. A user may come twice with the same label.
Source: the contract, 5.2 and 9-12.

Shapes: N labelled users, B bytes of their ids, S slots.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from footfall.errors import DataError
from footfall.modeling.blocks import Feature
from footfall.modeling.compiled import njit
from footfall.modeling.dtypes import BOOL, I32, I64, U8, U64
from footfall.modeling.reading.sequences import Block, map_blocks
from footfall.modeling.reading.source import PersonalData, Progress, Source, keep_quiet
from footfall.modeling.text.hashes import count_slots, hash_bytes

_SEED = np.uint64(7)


@dataclass(frozen=True)
class Labels:
    """One label for each of N users, in the order of the files."""

    id_B: U8
    id_offset_N1: I64
    label_N: U8
    n_lines: int
    """Lines read; more than N when users came twice."""
    personal_data_lines: tuple[str, ...] = ()
    """The first few lines that look like personal data, if ``personal_data`` is "warn"."""
    name: str | None = None
    """Where they came from, for errors: the first file's name."""


@dataclass(frozen=True)
class Matched:
    """The labelled users that a feature holds, in the feature's order."""

    row_N: I64
    label_N: U8
    n_unknown: int
    """Labelled users that are not in the feature."""


def read_labels(sources: Sequence[Source], *, personal_data: PersonalData = "refuse", progress: Progress = keep_quiet) -> Labels:
    """Read the labels of ``sources``.

    Raises:
        DataError: UNEXPECTED_LABEL, with the line, for a label that is not 0 or 1 and for a second, different label
            of a user; otherwise as the reader does.
    """
    ids: list[U8] = []
    lengths: list[I64] = []
    labels: list[U8] = []
    firsts: list[int] = []
    places: list[tuple[Source, int]] = []
    n_lines = 0
    warnings: list[str] = []
    blocks = map_blocks(sources, _parse, personal_data=personal_data, unique_ids=False, stage="read labels", progress=progress)
    for block, (id_B, length_N, label_N) in blocks:
        ids.append(id_B)
        lengths.append(length_N)
        labels.append(label_N)
        firsts.append(n_lines)
        places.append((block.source, block.first_line))
        n_lines += label_N.size
        warnings += [f"{block.source.name}, line {n}: {kind}" for n, kind in block.personal[: 10 - len(warnings)]]
    id_B, label_N = np.concatenate(ids), np.concatenate(labels)
    offset_N1 = np.concatenate([np.zeros(1, np.int64), np.cumsum(np.concatenate(lengths))])
    first_N, clash, earlier = _find_twins(id_B, offset_N1, label_N)
    if clash >= 0:
        source, line = _locate(firsts, places, clash)
        other, other_line = _locate(firsts, places, earlier)
        where = f"line {other_line}" if other is source else f"{other.name}, line {other_line}"
        raise DataError(
            "UNEXPECTED_LABEL", f"the user has another label in {where}. Keep one label for a user.", path=source.name, line=line
        )
    return Labels(*_keep(id_B, offset_N1, label_N, first_N), n_lines, tuple(warnings), sources[0].name)


def match_labels(labels: Labels, feature: Feature) -> Matched:
    """Find the labelled users among the users of a feature."""
    key_S, value_S = _index(labels.id_B, labels.id_offset_N1)
    row_N = np.full(labels.label_N.size, -1, np.int64)
    for block in feature.read_blocks():
        _match(
            block.id_B, block.id_offset_N1, block.first_row,
            labels.id_B, labels.id_offset_N1, key_S, value_S, row_N,
        )  # fmt: skip
    known_N = np.flatnonzero(row_N >= 0)
    known_N = known_N[np.argsort(row_N[known_N], kind="stable")]
    return Matched(row_N[known_N], labels.label_N[known_N], int(labels.label_N.size - known_N.size))


def _locate(firsts: list[int], places: list[tuple[Source, int]], ordinal: int) -> tuple[Source, int]:
    at = bisect_right(firsts, ordinal) - 1
    source, first_line = places[at]
    return source, first_line + ordinal - firsts[at]


def _parse(block: Block) -> tuple[U8, I64, U8]:
    id_B, length_N, label_N, bad = _parse_lines(block.data_B, block.start_N, block.tab_N, block.end_N)
    if bad >= 0:
        raise DataError(
            "UNEXPECTED_LABEL",
            "the label is not 0 or 1. A line is the user id, a tab, and 0 or 1; there is no header.",
            path=block.source.name,
            line=block.first_line + bad,
        )
    return id_B, length_N, label_N


@njit(cache=True, nogil=True)
def _parse_lines(data_B: U8, start_N: I64, tab_N: I64, end_N: I64) -> tuple[U8, I64, U8, int]:
    n_lines = start_N.size
    length_N, label_N = np.empty(n_lines, np.int64), np.empty(n_lines, np.uint8)
    id_B, at = np.empty(data_B.size, np.uint8), 0
    for n in range(n_lines):
        value = data_B[tab_N[n] + 1] if end_N[n] == tab_N[n] + 2 else np.uint8(0)
        if value != 48 and value != 49:
            return id_B, length_N, label_N, n
        label_N[n] = value - 48
        length_N[n] = tab_N[n] - start_N[n]
        id_B[at : at + length_N[n]] = data_B[start_N[n] : tab_N[n]]
        at += length_N[n]
    return id_B[:at].copy(), length_N, label_N, -1


@njit(cache=True, nogil=True)
def _is_same(a_B: U8, a: int, b_B: U8, b: int, length: int) -> bool:
    i = 0
    while i < length and a_B[a + i] == b_B[b + i]:
        i += 1
    return i == length


@njit(cache=True, nogil=True)
def _find(
    key_S: U64, value_S: I32, h: np.uint64, id_B: U8, offset_N1: I64, other_B: U8, start: int, length: int
) -> tuple[int, int]:
    """Return (slot, index) of an id; the index is -1 and the slot empty when it is not there."""
    mask = np.uint64(key_S.size - 1)
    slot = h & mask
    while key_S[slot] != np.uint64(0):
        n = value_S[slot]
        if (
            key_S[slot] == h
            and offset_N1[n + 1] - offset_N1[n] == length
            and _is_same(id_B, offset_N1[n], other_B, start, length)
        ):
            return int(slot), int(n)
        slot = (slot + np.uint64(1)) & mask
    return int(slot), -1


@njit(cache=True, nogil=True)
def _make_slots(n: int) -> tuple[U64, I32]:
    n_slots = count_slots(n)
    return np.zeros(n_slots, np.uint64), np.zeros(n_slots, np.int32)


@njit(cache=True, nogil=True)
def _find_twins(id_B: U8, offset_N1: I64, label_N: U8) -> tuple[BOOL, int, int]:
    """Return (whether a line is its user's first, the first line that contradicts or -1, what it contradicts)."""
    key_S, value_S = _make_slots(label_N.size)
    first_N = np.ones(label_N.size, np.bool_)
    for n in range(label_N.size):
        start, length = offset_N1[n], offset_N1[n + 1] - offset_N1[n]
        h = hash_bytes(id_B, start, start + length, _SEED)
        slot, earlier = _find(key_S, value_S, h, id_B, offset_N1, id_B, start, length)
        if earlier < 0:
            key_S[slot], value_S[slot] = h, n
            continue
        first_N[n] = False
        if label_N[n] != label_N[earlier]:
            return first_N, n, earlier
    return first_N, -1, -1


def _keep(id_B: U8, offset_N1: I64, label_N: U8, first_N: BOOL) -> tuple[U8, I64, U8]:
    if first_N.all():
        return id_B, offset_N1, label_N
    length_N = np.diff(offset_N1)
    keep_B = np.repeat(first_N, length_N)
    offset_F1 = np.concatenate([np.zeros(1, np.int64), np.cumsum(length_N[first_N])])
    return id_B[keep_B], offset_F1, label_N[first_N]


@njit(cache=True, nogil=True)
def _index(id_B: U8, offset_N1: I64) -> tuple[U64, I32]:
    key_S, value_S = _make_slots(offset_N1.size - 1)
    for n in range(offset_N1.size - 1):
        start, length = offset_N1[n], offset_N1[n + 1] - offset_N1[n]
        h = hash_bytes(id_B, start, start + length, _SEED)
        slot, _ = _find(key_S, value_S, h, id_B, offset_N1, id_B, start, length)
        key_S[slot], value_S[slot] = h, n
    return key_S, value_S


@njit(cache=True, nogil=True)
def _match(
    user_B: U8, user_offset_N1: I32, first_row: int, id_B: U8, offset_N1: I64, key_S: U64, value_S: I32, row_N: I64
) -> None:
    for n in range(user_offset_N1.size - 1):
        start, length = int(user_offset_N1[n]), int(user_offset_N1[n + 1] - user_offset_N1[n])
        h = hash_bytes(user_B, start, start + length, _SEED)
        _, label = _find(key_S, value_S, h, id_B, offset_N1, user_B, start, length)
        if label >= 0:
            row_N[label] = first_row + n
