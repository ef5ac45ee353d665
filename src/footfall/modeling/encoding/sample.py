"""A bounded, uniform sample of the users of a data set, taken in one pass.

Knows lines, logs and hashes of ids. Whether a user is in the sample depends on the hash of the id and on how many users
there are, not on the order of the file. Long histories are clipped to their newest part.

Shapes: B bytes, N users of the sample.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from footfall.modeling.compiled import njit
from footfall.modeling.dtypes import I64, U8, U64
from footfall.modeling.events.log import EventLog
from footfall.modeling.events.texts import Texts
from footfall.modeling.reading.histories import Histories, join_histories, keep_events, split_texts, take_users
from footfall.modeling.reading.sequences import Block, map_blocks
from footfall.modeling.reading.source import PersonalData, Progress, Source, keep_quiet
from footfall.modeling.text.hashes import gather_bytes, hash_bytes

_MAX_TEXT_BYTES = 256 << 10
_TOP = 1 << 64


@dataclass(frozen=True)
class Sample:
    """Histories of some users, in the order of the hash of their ids."""

    histories: Histories
    n_users: int
    """Users of the whole data set."""
    categories: Texts | None = None
    """Names of the categories of an event log."""


def sample_users(
    sources: Sequence[Source],
    *,
    seed: int,
    max_users: int,
    max_bytes: int,
    personal_data: PersonalData = "off",
    unique_ids: bool = True,
    stage: str = "sample",
    progress: Progress = keep_quiet,
) -> Sample:
    """Read ``sources`` once and keep about as many users as the limits allow.

    Raises:
        DataError: as ``map_blocks`` does.
    """
    salt = np.uint64(seed)
    pieces: list[_Piece] = []
    below, n_users = _TOP, 0

    def hash_users(block: Block) -> U64:
        return _hash_ids(block.data_B, block.start_N, block.tab_N, salt)

    blocks = map_blocks(sources, hash_users, personal_data=personal_data, unique_ids=unique_ids, stage=stage, progress=progress)
    for block, hash_N in blocks:
        n_users += hash_N.size
        pieces.append(_take(block, hash_N, below))
        while sum(p.hash_N.size for p in pieces) > 1 and (
            sum(p.hash_N.size for p in pieces) > max_users or sum(p.data_B.size for p in pieces) > max_bytes
        ):
            below = below // 8 * 7
            pieces = [p.keep_below(below) for p in pieces]
    return _join(pieces, n_users)


@dataclass(frozen=True)
class _Piece:
    hash_N: U64
    data_B: U8
    length_N: I64

    def keep_below(self, below: int) -> "_Piece":
        if below >= _TOP:
            return self
        keep_N = self.hash_N < np.uint64(below)
        end_N = np.cumsum(self.length_N)
        start_N = end_N - self.length_N
        return _Piece(self.hash_N[keep_N], gather_bytes(self.data_B, start_N[keep_N], end_N[keep_N])[0], self.length_N[keep_N])


def _take(block: Block, hash_N: U64, below: int) -> _Piece:
    keep_N = np.ones(hash_N.size, np.bool_) if below >= _TOP else hash_N < np.uint64(below)
    start_N = _clip(block.data_B, block.tab_N[keep_N] + 1, block.end_N[keep_N], _MAX_TEXT_BYTES)
    end_N = block.end_N[keep_N]
    return _Piece(hash_N[keep_N], gather_bytes(block.data_B, start_N, end_N)[0], end_N - start_N)


def _join(pieces: list[_Piece], n_users: int) -> Sample:
    length_N = np.concatenate([p.length_N for p in pieces])
    data_B = np.concatenate([p.data_B for p in pieces])
    order_N = np.argsort(np.concatenate([p.hash_N for p in pieces]), kind="stable")
    end_N = np.cumsum(length_N)
    data_B, _ = gather_bytes(data_B, (end_N - length_N)[order_N], end_N[order_N])
    data_B.setflags(write=False)  # one type of array for the compiled code
    end_N = np.cumsum(length_N[order_N])
    return Sample(split_texts(data_B, end_N - length_N[order_N] - 1, end_N, 0), n_users)


def sample_log(log: EventLog, *, max_users: int, max_bytes: int, progress: Progress = keep_quiet) -> Sample:
    """Keep the users of a log that ``sample_users`` would keep of a sequence file with the same behaviors.

    The log's users come by the hash that decides, so that only the first ones are read.
    """
    pieces: list[tuple[U64, I64, Histories]] = []
    n_users = n_bytes = 0
    blocks = log.plan_blocks()
    for done, block in enumerate(blocks):
        users = log.read_users(block)
        histories, size_N = _clip_histories(users.histories)
        pieces.append((users.hash_N, size_N, histories))
        n_users, n_bytes = n_users + size_N.size, n_bytes + int(size_N.sum())
        progress("sample", done + 1, len(blocks))
        if n_users > max_users or n_bytes > max_bytes:
            break
    hash_N = np.concatenate([piece[0] for piece in pieces])
    size_N = np.concatenate([piece[1] for piece in pieces])
    below = _TOP
    n_kept = hash_N.size
    while n_kept > 1 and (n_kept > max_users or size_N[:n_kept].sum() > max_bytes):
        below = below // 8 * 7
        n_kept = int(np.searchsorted(hash_N, np.uint64(below)))
    joined = join_histories([piece[2] for piece in pieces])
    total = log.n_users if len(pieces) < len(blocks) else hash_N.size
    return Sample(take_users(joined, np.arange(n_kept)), total, log.categories)


def _clip_histories(histories: Histories) -> tuple[Histories, I64]:
    """Return histories without their oldest parts beyond the limit, and how many bytes they are as text."""
    size_L = histories.end_L - histories.start_L + 2
    total_L1 = np.concatenate([np.zeros(1, np.int64), np.cumsum(size_L)])
    size_N = total_L1[histories.offset_N1[1:]] - total_L1[histories.offset_N1[:-1]]
    size_N -= 2 * (size_N > 0)
    if not (size_N > _MAX_TEXT_BYTES).any():
        return histories, size_N
    end_N = np.repeat(total_L1[histories.offset_N1[1:]], np.diff(histories.offset_N1))
    is_long_N = np.repeat(size_N > _MAX_TEXT_BYTES, np.diff(histories.offset_N1))
    keep_L = ~is_long_N | (end_N - total_L1[:-1] <= _MAX_TEXT_BYTES)
    histories = keep_events(histories, keep_L)
    total_L1 = np.concatenate([np.zeros(1, np.int64), np.cumsum(size_L[keep_L])])
    size_N = total_L1[histories.offset_N1[1:]] - total_L1[histories.offset_N1[:-1]]
    return histories, size_N - 2 * (size_N > 0)


@njit(cache=True, nogil=True)
def _hash_ids(data_B: U8, start_N: I64, tab_N: I64, salt: np.uint64) -> U64:
    hash_N = np.empty(start_N.size, np.uint64)
    for n in range(start_N.size):
        hash_N[n] = hash_bytes(data_B, start_N[n], tab_N[n], salt)
    return hash_N


@njit(cache=True, nogil=True)
def _clip(data_B: U8, start_N: I64, end_N: I64, max_bytes: int) -> I64:
    """Return where each text begins when only its newest bytes count, after an arrow if there is one."""
    out_N = start_N.copy()
    for n in range(start_N.size):
        if end_N[n] - start_N[n] <= max_bytes:
            continue
        i = end_N[n] - max_bytes
        out_N[n] = i
        while i + 1 < end_N[n]:
            if data_B[i] == 45 and data_B[i + 1] == 62:
                out_N[n] = i + 2
                break
            i += 1
    return out_N
