"""Read label files, and find the labelled users in a feature.

Knows ``{user_id}<TAB>{0 or 1}`` and stored features; nothing of learning. A user may come twice with the same label.
Source: the contract, 5.2 and 9-12.

Shapes: N labelled users, B bytes of their ids, S slots.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from footfall.errors import DataError
from footfall.label_rules import FORMS, ONES, ZEROS
from footfall.modeling.blocks import Feature
from footfall.modeling.compiled import njit
from footfall.modeling.dtypes import BOOL, I32, I64, U8, U64
from footfall.modeling.events.formats.location import Location
from footfall.modeling.learning.label_tables import is_table, read_tables
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


def read_labels(
    sources: Sequence[Source],
    scratch: Path | None = None,
    *,
    personal_data: PersonalData = "refuse",
    progress: Progress = keep_quiet,
) -> Labels:
    """Read the labels of ``sources``: lines of an id, a tab and a label, or tables as event logs are; ``scratch`` is for Parquet.

    Raises:
        DataError: UNEXPECTED_LABEL, with the line, for a label that is none and for a second, different label
            of a user; otherwise as the reader does.
    """
    ids: list[U8] = []
    lengths: list[I64] = []
    labels: list[U8] = []
    firsts: list[int] = []
    places: list[Location] = []
    n_lines = 0
    warnings: list[str] = []
    for location, (id_B, length_N, label_N), suspects in _read_parts(sources, scratch, personal_data, progress):
        ids.append(id_B)
        lengths.append(length_N)
        labels.append(label_N)
        firsts.append(n_lines)
        places.append(location)
        n_lines += label_N.size
        warnings += suspects[: 10 - len(warnings)]
    if not ids:
        raise DataError("NOT_EXIST_FILE", "there are no labels. Check the path and write the file again.", path=sources[0].name)
    id_B, label_N = np.concatenate(ids), np.concatenate(labels)
    offset_N1 = np.concatenate([np.zeros(1, np.int64), np.cumsum(np.concatenate(lengths))])
    first_N, clash, earlier = _find_twins(id_B, offset_N1, label_N)
    if clash >= 0:
        location, row = _locate(firsts, places, clash)
        other, other_row = _locate(firsts, places, earlier)
        there = other.error(other_row, "")
        where = f"line {there.line}" if there.line is not None else f"row {other.first + other_row}"
        where = where if other.name == location.name else f"{other.name}, {where}"
        raise location.error(row, f"the user has another label in {where}. Keep one label for a user.", "UNEXPECTED_LABEL")
    return Labels(*_keep(id_B, offset_N1, label_N, first_N), n_lines, tuple(warnings), sources[0].name)


Part = tuple[U8, I64, U8]
"""Bytes of ids, their lengths, labels."""


def _read_parts(
    sources: Sequence[Source], scratch: Path | None, personal_data: PersonalData, progress: Progress
) -> Iterator[tuple[Location, Part, list[str]]]:
    """Yield the labels of the files with their place, and what looks like personal data."""
    first = next((source for source in sources if source.size_bytes), sources[0])
    if is_table(first):
        yield from read_tables(sources, scratch, personal_data)
        return
    blocks = map_blocks(sources, _parse, personal_data=personal_data, unique_ids=False, stage="read labels", progress=progress)
    for block, part in blocks:
        suspects = [f"{block.source.name}, line {n}: {kind}" for n, kind in block.personal]
        yield Location(block.source.name, block.first_line, None, block.source), part, suspects


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


def _locate(firsts: list[int], places: list[Location], ordinal: int) -> tuple[Location, int]:
    at = bisect_right(firsts, ordinal) - 1
    return places[at], ordinal - firsts[at]


def _parse(block: Block) -> tuple[U8, I64, U8]:
    id_B, length_N, label_N, bad = _parse_lines(block.data_B, block.start_N, block.tab_N, block.end_N)
    if bad >= 0:
        raise DataError(
            "UNEXPECTED_LABEL",
            f"the label is not {FORMS}. A line is the user id, a tab, and the label; a header names both.",
            path=block.source.name,
            line=block.first_line + bad,
        )
    return id_B, length_N, label_N


_WORDS = [word.encode() for word in (*sorted(ZEROS), *sorted(ONES))]
_N_ZEROS = len(ZEROS)
_WORD_WX = np.array([list(word.ljust(8, b"\0")) for word in _WORDS], np.uint8)
_LENGTH_W = np.array([len(word) for word in _WORDS])


@njit(cache=True, nogil=True)
def _label(data_B: U8, start: int, end: int) -> int:
    """Return the label that a text is, in any case and without blanks around it; -1 if it is none."""
    if end == start + 1 and (data_B[start] == 48 or data_B[start] == 49):
        return int(data_B[start]) - 48
    while start < end and data_B[start] == 32:
        start += 1
    while end > start and data_B[end - 1] == 32:
        end -= 1
    for w in range(_LENGTH_W.size):
        if _LENGTH_W[w] == end - start:
            i = 0
            while i < end - start and (
                data_B[start + i] == _WORD_WX[w, i]
                or (65 <= data_B[start + i] <= 90 and data_B[start + i] | 32 == _WORD_WX[w, i])
            ):
                i += 1
            if i == end - start:
                return 0 if w < _N_ZEROS else 1
    return -1


@njit(cache=True, nogil=True)
def _parse_lines(data_B: U8, start_N: I64, tab_N: I64, end_N: I64) -> tuple[U8, I64, U8, int]:
    n_lines = start_N.size
    length_N, label_N = np.empty(n_lines, np.int64), np.empty(n_lines, np.uint8)
    id_B, at = np.empty(data_B.size, np.uint8), 0
    for n in range(n_lines):
        label = _label(data_B, tab_N[n] + 1, end_N[n])
        if label < 0:
            return id_B, length_N, label_N, n
        label_N[n] = label
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
