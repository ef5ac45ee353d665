"""Detect duplicate user ids over any number of files, in 16 to 32 bytes a user.

Knows hashes and line numbers; ids are fetched again only to verify that equal hashes are equal ids, so that two ids
with one hash are no false alarm.

Shapes: N users of a block, S slots.
"""

from bisect import bisect_right
from collections.abc import Callable

import numpy as np

from footfall.errors import DataError
from footfall.modeling.compiled import njit
from footfall.modeling.dtypes import U32, U64
from footfall.modeling.reading.source import Source
from footfall.modeling.text.hashes import find_slot, grow_table

_MAX_USERS = 1 << 32


@njit(cache=True, nogil=True)
def _insert(key_S: U64, ordinal_S: U32, hash_N: U64, first: int, start: int) -> int:
    """Insert hashes from ``start`` on; return the index of the first one that is there already, or N."""
    for n in range(start, hash_N.size):
        slot = find_slot(key_S, hash_N[n])
        if key_S[slot] != np.uint64(0):
            return n
        key_S[slot] = hash_N[n]
        ordinal_S[slot] = first + n
    return hash_N.size


class UserIds:
    """The users seen so far, by the hash of their id."""

    def __init__(self, read_id: Callable[[Source, int], bytes]) -> None:
        self._read_id = read_id
        self._key_S = np.zeros(1 << 16, np.uint64)
        self._ordinal_S = np.zeros(1 << 16, np.uint32)
        self._n = 0
        self._firsts: list[int] = []
        self._places: list[tuple[Source, int]] = []

    def add(self, source: Source, first_line: int, hash_N: U64) -> None:
        """Add the users of consecutive lines.

        Raises:
            DataError: DUPLICATE_USERID, naming both lines; COMMON_ERROR, if there are too many to count.
        """
        if self._n + hash_N.size > _MAX_USERS:
            raise DataError(
                "COMMON_ERROR",
                f"there are more than {_MAX_USERS:,} users; split the data set.",
                path=source.name,
                line=first_line,
            )
        while self._n + hash_N.size > 0.75 * self._key_S.size:
            self._key_S, self._ordinal_S = grow_table(self._key_S, self._ordinal_S, 2)
        self._firsts.append(self._n)
        self._places.append((source, first_line))
        n = _insert(self._key_S, self._ordinal_S, hash_N, self._n, 0)
        while n < hash_N.size:
            self._verify(int(self._ordinal_S[find_slot(self._key_S, hash_N[n])]), source, first_line + n)
            n = _insert(self._key_S, self._ordinal_S, hash_N, self._n, n + 1)
        self._n += hash_N.size

    def _verify(self, ordinal: int, source: Source, line: int) -> None:
        at = bisect_right(self._firsts, ordinal) - 1
        earlier, first_line = self._places[at]
        earlier_line = first_line + ordinal - self._firsts[at]
        if self._read_id(earlier, earlier_line) == self._read_id(source, line):
            where = f"line {earlier_line}" if earlier is source else f"{earlier.name}, line {earlier_line}"
            raise DataError(
                "DUPLICATE_USERID",
                f"the user id came before, in {where}. A user may have one line over all files: merge or remove one.",
                path=source.name,
                line=line,
            )
