"""Made-up histories: users with 5 to 200 behaviors each, drawn from a Zipf distribution, as a sequence file and as an event log.

Every user has a favourite of 20 topics; the labels are whether that is one of four, with a quarter of them wrong, so that
there is something to learn. Made in blocks, the same for the same number of users.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from footfall.modeling.dtypes import F64, I32, I64

N_BEHAVIORS, N_TOPICS, EXPONENT = 50_000, 20, 1.05
MEAN_LENGTH, SPREAD = 3.45, 0.75
FAVOURITE_SHARE = 0.3
BLOCK = 50_000
FIRST_S = 1_700_000_000
_WORDS = (
    "book", "shoe", "lamp", "tea", "bike", "game", "phone", "chair", "watch", "bag", "coat", "ring", "pen", "cup", "toy",
    "hat", "desk", "sofa", "rug", "fan", "red", "blue", "green", "small", "large", "new", "light", "warm", "soft", "dark",
    "round", "old", "quick", "plain", "fresh", "cold", "thin", "wide", "long", "sweet",
)  # fmt: skip


def _texts() -> pa.Array:
    maker = np.random.default_rng(7)
    kinds = ("view", "cart", "buy", "search", "like")
    words = maker.integers(0, len(_WORDS), (N_BEHAVIORS, 2))
    return pa.array([f"{kinds[n % 5]} {_WORDS[a]} {_WORDS[b]} {n}" for n, (a, b) in enumerate(words)])


def _cumulative() -> F64:
    share = np.arange(1, N_BEHAVIORS + 1, dtype=np.float64) ** -EXPONENT
    return np.cumsum(share / share.sum())


class Histories:
    """Blocks of users: ids, offsets, behavior numbers, favourite topics."""

    def __init__(self, n_users: int) -> None:
        self.n_users = n_users
        self.texts = _texts()
        self._cumulative = _cumulative()

    def block(self, first: int) -> tuple[pa.Array, I32, I32, I64]:
        """Return (user ids, (N + 1,) offsets, behavior numbers, (N,) topics) of the users from ``first``."""
        maker = np.random.default_rng((11, first))
        n = min(BLOCK, self.n_users - first)
        length = np.clip(np.exp(maker.normal(MEAN_LENGTH, SPREAD, n)), 5, 200).astype(np.int32)
        offset = np.concatenate([[0], np.cumsum(length)]).astype(np.int32)
        number = np.searchsorted(self._cumulative, maker.random(offset[-1])).clip(0, N_BEHAVIORS - 1)
        topic = maker.integers(0, N_TOPICS, n)
        of_favourite = maker.random(number.size) < FAVOURITE_SHARE
        number = np.where(of_favourite, number - number % N_TOPICS + np.repeat(topic, length), number)
        ids = pa.array([f"user-{user:07d}" for user in range(first, first + n)])
        return ids, offset, number.astype(np.int32), topic


def write_sequences(path: Path, n_users: int) -> int:
    """Write the sequence file; return its size in bytes."""
    histories = Histories(n_users)
    with path.open("wb") as file:
        for first in range(0, n_users, BLOCK):
            ids, offset, number, _ = histories.block(first)
            lists = pa.ListArray.from_arrays(pa.array(offset), histories.texts.take(pa.array(number)))
            lines = pc.binary_join_element_wise(ids, pc.binary_join(lists, "->"), "\t")
            whole = pa.ListArray.from_arrays(pa.array([0, len(lines)], pa.int32()), lines)
            file.write(pc.binary_join(whole, "\n")[0].as_buffer())
            file.write(b"\n")
    return path.stat().st_size


def write_events(path: Path, n_users: int) -> int:
    """Write the same histories as Parquet, a row an event, in random order; return how many events there are."""
    histories = Histories(n_users)
    users, numbers, seconds = [], [], []
    for first in range(0, n_users, BLOCK):
        _, offset, number, _ = histories.block(first)
        length = np.diff(offset)
        users.append(np.repeat(np.arange(first, first + length.size, dtype=np.int32), length))
        numbers.append(number)
        seconds.append(np.arange(number.size, dtype=np.int32) - np.repeat(offset[:-1], length))
    user, number, second = np.concatenate(users), np.concatenate(numbers), np.concatenate(seconds)
    order = np.random.default_rng(13).permutation(user.size)
    schema = pa.schema([("user_id", pa.string()), ("timestamp", pa.timestamp("ms")), ("behavior", pa.string())])
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for begin in range(0, order.size, 1 << 20):
            row = order[begin : begin + (1 << 20)]
            ids = pa.array(np.char.add("user-", np.char.zfill(user[row].astype("U7"), 7)))
            at = pa.array((FIRST_S + second[row].astype(np.int64) * 3600) * 1000).cast(pa.timestamp("ms"))
            writer.write_table(pa.table([ids, at, histories.texts.take(pa.array(number[row]))], schema=schema))
    return int(order.size)


def write_labels(path: Path, n_users: int, n_labels: int) -> int:
    """Write labels of some users, spread over all; return how many."""
    histories = Histories(n_users)
    step = max(1, n_users // n_labels)
    n = 0
    with path.open("w") as file:
        for first in range(0, n_users, BLOCK):
            ids, _, _, topic = histories.block(first)
            wrong = np.random.default_rng((17, first)).random(topic.size) < 0.25
            for k in range((-first) % step, topic.size, step):
                if n < n_labels:
                    file.write(f"{ids[k].as_py()}\t{int((topic[k] < 4) ^ wrong[k])}\n")
                    n += 1
    return n
