"""Distinct texts by number: each is written to disk once, and found again by its hash in bounded memory.

Knows texts and hashes; nothing of columns' meaning but how a user id, a behavior and a category are cleaned. The table
of hashes is emptied when it is full, so that a text may get a second number; readers compare hashes.

Shapes: B bytes, N rows, V texts, S slots.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from footfall.errors import DataError
from footfall.modeling.compiled import njit
from footfall.modeling.dtypes import I32, I64, U8, U64
from footfall.modeling.events.formats.location import Location
from footfall.modeling.events.values import is_nothing
from footfall.modeling.text.hashes import combine, find_slot, grow_table, hash_bytes
from footfall.modeling.text.personal_data import find_suspects
from footfall.modeling.text.prefetch import prefetch
from footfall.modeling.text.scanner import MAX_ID_CHARS, space_width, utf8_width
from footfall.modeling.text.tokens import BEHAVIOR, count_words
from footfall.personal_data import ALLOWING, Bare, Finding, find

USER, ACT, CATEGORY = 0, 1, 2
"""Kinds of texts: ids are kept as they are; behaviors and categories lose blanks around them, and control characters."""

NONE = -1
"""The number of a text that is blank or stands for nothing, as ``NULL`` does."""
MAX_SLOTS = 1 << 22
_NEW_ROWS, _TEXT_BYTES = 1 << 16, 4 << 20
_CATEGORY_SEED = np.uint64(17)
_AHEAD = 64
"""Rows that are hashed together, so that their slots are prefetched before they are read."""

OK, FULL, BAD_UTF8, LONG_ID, CONTROL = 0, 1, 2, 3, 4
_SENTENCES = {
    BAD_UTF8: ("UNEXPECTED_TXT_FORMAT", "the bytes are not UTF-8. Save the file as UTF-8."),
    LONG_ID: ("LIMIT_ERROR_MID_LENGTH", f"the user id is longer than {MAX_ID_CHARS} characters. Shorten it."),
    CONTROL: ("UNEXPECTED_TXT_FORMAT", "the user id holds a tab, a line end or another control character. Remove it."),
}


@dataclass(frozen=True)
class Texts:
    """Texts by number: text v is ``data_B[end[v - 1]:end[v]]``. The arrays are mapped from files."""

    data_B: U8
    end_V: I64
    hash_V: U64
    n_words_V: I32
    n_distinct: int | None
    """None when some may have two numbers."""

    def start_of(self, code_L: I64) -> I64:
        """Return where texts begin."""
        return np.where(code_L > 0, self.end_V[np.maximum(code_L - 1, 0)], 0)


def hash_name(name: str) -> np.uint64:
    """Hash the name of a column, to keep its categories apart."""
    data_B = np.frombuffer(name.encode(), np.uint8)
    return np.uint64(hash_bytes(data_B, 0, data_B.size, _CATEGORY_SEED))


class TextTable:
    """Assigns numbers to texts. ``personal_data``: whether texts that look like it are refused, or noted."""

    def __init__(self, directory: Path, name: str, *, kind: int, salt: int = 0) -> None:
        self._paths = [directory / f"{name}.{part}" for part in ("text", "end", "hash", "words")]
        self._files = [path.open("wb") for path in self._paths]
        self._kind, self._salt = kind, np.uint64(salt)
        self._key_S, self._value_S = np.zeros(1 << 12, np.uint64), np.zeros(1 << 12, np.int64)
        self._n_keys, self._n_texts, self._n_bytes = 0, 0, 0
        self._is_distinct = True
        self.bare: dict[str, tuple[Bare, dict[str, tuple[Location, int, Finding]]]] = {}
        """By column what was counted of bare digits, and the first of each kind of personal data that they may be."""
        self._text_B = np.empty(_TEXT_BYTES, np.uint8)
        self._new: tuple[I64, U64, I32] = (
            np.empty(_NEW_ROWS, np.int64), np.empty(_NEW_ROWS, np.uint64), np.empty(_NEW_ROWS, np.int32),
        )  # fmt: skip

    def add(
        self,
        texts: tuple[U8, I64],
        location: Location,
        *,
        column: str = "",
        personal_data: str = "off",
        are_ids: bool = False,
        allowed: frozenset[str] = frozenset(),
    ) -> tuple[I64, U64, list[tuple[int, str]]]:
        """Return (code_N, hash_N, (row, kind) of new texts that look like personal data if they are only noted).

        Ids are checked for e-mail addresses alone: long numbers are normal in them.

        Raises:
            DataError: with the location of the row: a text that is not UTF-8 or holds personal data, a user id that is too long.
        """
        data_B, offset_N1 = texts
        n_rows = offset_N1.size - 1
        code_N, hash_N = np.empty(n_rows, np.int64), np.empty(n_rows, np.uint64)
        name_B = np.frombuffer(f"{column}=".encode() if self._kind == CATEGORY else b"", np.uint8)
        name_hash = hash_name(column)
        row, warnings = 0, list[tuple[int, str]]()
        while row < n_rows:
            self._make_room()
            start = row
            row, status, n_new, n_bytes = _intern(
                data_B, offset_N1, row, self._kind, self._salt, name_B, name_hash, self._key_S, self._value_S,
                self._n_keys, self._n_texts, self._n_bytes, self._text_B, *self._new, code_N, hash_N,
            )  # fmt: skip
            if personal_data != "off":
                warnings += self._find_personal_data(
                    n_new, n_bytes, code_N[start:row], start, location, column, allowed,
                    refuse=personal_data == "refuse", are_ids=are_ids,
                )  # fmt: skip
            self._flush(n_new, n_bytes)
            if status not in (OK, FULL):
                name, sentence = _SENTENCES[status]
                raise location.error(row, sentence, name)
            if status == FULL:
                longest = int(offset_N1[row + 1] - offset_N1[row]) + name_B.size
                if longest > self._text_B.size:
                    self._text_B = np.empty(2 * longest, np.uint8)
        return code_N, hash_N, warnings

    def hash_id(self, text: str) -> np.uint64:
        """Return the hash that a user id has here."""
        data_B = np.frombuffer(text.encode() or b"\0", np.uint8)
        return np.uint64(hash_bytes(data_B, 0, len(text.encode()), self._salt))

    def close(self) -> Texts:
        """Return the texts."""
        self.shut()
        kinds: list[Any] = [np.uint8, np.int64, np.uint64, np.int32]
        parts = [
            np.asarray(np.memmap(path, kind, "r")) if path.stat().st_size else _frozen(np.zeros(0, kind))
            for path, kind in zip(self._paths, kinds, strict=True)
        ]
        return Texts(parts[0], parts[1], parts[2], parts[3], self._n_texts if self._is_distinct else None)

    def shut(self) -> None:
        """Close the files."""
        for file in self._files:
            file.close()

    def _make_room(self) -> None:
        if 2 * (self._n_keys + _NEW_ROWS) <= self._key_S.size:
            return
        if self._key_S.size >= MAX_SLOTS:
            if 2 * self._n_keys + _NEW_ROWS > self._key_S.size:
                self._key_S[:], self._n_keys, self._is_distinct = 0, 0, False
            return
        self._key_S, self._value_S = grow_table(self._key_S, self._value_S, 4)
        self._make_room()

    def _flush(self, n_new: int, n_bytes: int) -> None:
        end_V, hash_V, words_V = self._new
        parts: list[npt.NDArray[Any]] = [self._text_B[:n_bytes], end_V[:n_new], hash_V[:n_new], words_V[:n_new]]
        for file, part in zip(self._files, parts, strict=True):
            file.write(part.tobytes())
        self._n_keys += n_new
        self._n_texts += n_new
        self._n_bytes += n_bytes

    def _find_personal_data(
        self,
        n_new: int,
        n_bytes: int,
        code_N: I64,
        start: int,
        location: Location,
        column: str,
        allowed: frozenset[str],
        *,
        refuse: bool,
        are_ids: bool,
    ) -> list[tuple[int, str]]:
        """Return (row, kind) of new texts that look like personal data."""
        if n_new == 0:
            return []
        end_V = self._new[0][:n_new] - self._n_bytes
        start_V = np.concatenate([np.zeros(1, np.int64), end_V[:-1]])
        text_V = end_V - 1 if are_ids else start_V - 1
        suspects, has_bare = [], False
        for v in find_suspects(self._text_B[:n_bytes], start_V, text_V, end_V).tolist():
            text = self._text_B[start_V[v] : end_V[v]].tobytes()
            finding = find(text + b"\t" if are_ids else text, has_user_id=are_ids, allowed=allowed)
            if finding is None:
                continue
            row = start + int(np.flatnonzero(code_N == self._n_texts + v)[0])
            if not finding.is_sure:
                self.bare.setdefault(column, (Bare(), {}))[1].setdefault(finding.kind, (location, row, finding))
                has_bare = True
            elif refuse:
                raise personal_data_error(location, row, column, finding)
            else:
                suspects.append((row, finding.kind))
        if has_bare:
            self.bare[column][0].count(b"\n".join(self._text_B[start_V[v] : end_V[v]].tobytes() for v in range(n_new)))
        return suspects


def personal_data_error(location: Location, row: int, column: str, finding: Finding, count: str = "") -> DataError:
    """Return the error for a row that holds personal data; ``count``: how many others speak for it."""
    return location.error(
        row,
        f"the column {column!r} holds what looks like {finding.kind} (by {finding.rule}{f'; {count}' if count else ''}). Remove "
        f"personal data, or replace it by a made-up id. {ALLOWING}",
        "PERSONAL_DATA_NOT_ALLOWED",
    )


def _frozen(array: Any) -> Any:
    array.setflags(write=False)
    return array


@njit(cache=True, nogil=True)
def _trim(data_B: U8, start: int, end: int) -> tuple[int, int]:
    """Return the extent without white space and control characters around it."""
    while start < end:
        width = space_width(data_B, start, end)
        if width == 0 and data_B[start] >= 32:
            break
        start += max(1, width)
    while end > start:
        back = 1
        while back < 3 and end - back > start and data_B[end - back] & 0xC0 == 0x80:
            back += 1
        if space_width(data_B, end - back, end) == back:
            end -= back
        elif data_B[end - 1] < 32:
            end -= 1
        else:
            break
    return start, end


@njit(cache=True, nogil=True)
def _check(data_B: U8, start: int, end: int, kind: int) -> tuple[int, bool]:
    """Return (status, whether there are control characters)."""
    i, n_chars, has_control = start, 0, False
    while i < end:
        if data_B[i] > 127:
            width = utf8_width(data_B, i, end)
            if width == 0:
                return BAD_UTF8, False
            i += width
        else:
            has_control = has_control or data_B[i] < 32 or data_B[i] == 127
            i += 1
        n_chars += 1
    if kind == USER and n_chars > MAX_ID_CHARS:
        return LONG_ID, False
    if kind == USER and has_control:
        return CONTROL, True
    return OK, has_control


@njit(cache=True, nogil=True)
def _write(data_B: U8, start: int, end: int, name_B: U8, text_B: U8, at: int) -> int:
    """Write a name and a text with blanks for control characters; return where they end."""
    text_B[at : at + name_B.size] = name_B
    at += name_B.size
    for i in range(start, end):
        text_B[at] = data_B[i] if data_B[i] >= 32 and data_B[i] != 127 else np.uint8(32)
        at += 1
    return at


@njit(cache=True, nogil=True)
def _hash_ahead(
    data_B: U8, offset_R1: I64, kind: int, seed: np.uint64, name_hash: np.uint64, key_S: U64, value_S: I64,
    start_R: I64, end_R: I64, hash_N: U64,
) -> None:  # fmt: skip
    """Find extents and hashes of some rows, 0 for a blank one, and prefetch their slots."""
    mask = np.uint64(key_S.size - 1)
    for r in range(offset_R1.size - 1):
        start, end = offset_R1[r], offset_R1[r + 1]
        s, e = _trim(data_B, start, end)
        start_R[r], end_R[r], key = s, e, np.uint64(0)
        if e > s and not is_nothing(data_B, s, e, kind == USER):
            if kind == USER:
                start_R[r], end_R[r] = start, end
            key = hash_bytes(data_B, start_R[r], end_R[r], seed)
            if kind == CATEGORY:
                key = combine(name_hash, key)
            prefetch(key_S, np.int64(key & mask))
            prefetch(value_S, np.int64(key & mask))
        hash_N[r] = key


@njit(cache=True, nogil=True)
def _intern(
    data_B: U8, offset_N1: I64, first: int, kind: int, salt: np.uint64, name_B: U8, name_hash: np.uint64,
    key_S: U64, value_S: I64, n_keys: int, n_texts: int, n_bytes: int, text_B: U8, end_V: I64, hash_V: U64,
    words_V: I32, code_N: I64, hash_N: U64,
) -> tuple[int, int, int, int]:  # fmt: skip
    """Number the texts from row ``first`` on; return (row reached, status, new texts, their bytes)."""
    seed = salt if kind == USER else BEHAVIOR if kind == ACT else _CATEGORY_SEED
    n_new, at, hashed_to = 0, 0, first
    start_R, end_R = np.empty(_AHEAD, np.int64), np.empty(_AHEAD, np.int64)
    for n in range(first, offset_N1.size - 1):
        if n == hashed_to:
            hashed_to = min(n + _AHEAD, offset_N1.size - 1)
            _hash_ahead(data_B, offset_N1[n : hashed_to + 1], kind, seed, name_hash, key_S, value_S, start_R, end_R, hash_N[n:])
        start, end, key = start_R[(n - first) % _AHEAD], end_R[(n - first) % _AHEAD], hash_N[n]
        if key == np.uint64(0):
            code_N[n] = NONE
            continue
        slot = find_slot(key_S, key)
        if key_S[slot] != np.uint64(0):
            code_N[n] = value_S[slot]
            continue
        status, has_control = _check(data_B, start, end, kind)
        if status != OK:
            return n, status, n_new, at
        if (
            n_new == end_V.size
            or at + name_B.size + end - start > text_B.size
            or 2 * (n_keys + n_new + 1) > key_S.size + key_S.size // 2
        ):
            return n, FULL, n_new, at
        stop = _write(data_B, start, end, name_B, text_B, at)
        key_S[slot], value_S[slot] = key, n_texts + n_new
        # what stood between control characters is the same behavior as with blanks
        hash_V[n_new] = hash_bytes(text_B, at, stop, seed) if has_control and kind == ACT else key
        words_V[n_new] = count_words(text_B, at, stop)
        end_V[n_new] = n_bytes + stop
        code_N[n] = n_texts + n_new
        n_new, at = n_new + 1, stop
    return offset_N1.size - 1, OK, n_new, at
