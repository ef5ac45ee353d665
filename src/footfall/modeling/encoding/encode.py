"""Write a feature: every user of a data set, encoded, in columns that can be mapped.

Knows Arrow and local files; nothing of labels. A feature is a directory of Arrow IPC shards (about 256 MB each; a
record batch holds at most 16,384 users) and ``feature.json``, which holds how many users there are, which encoder made
it and where each column lies, so that ``blocks.py`` reads it without Arrow.

Shapes: N users of a batch, K blocks of the bag, D latent dimensions, A dense columns, M bag entries.
"""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from safetensors.numpy import save_file

from footfall.files.durable import sync
from footfall.modeling.blocks import BUFFERS, FORMAT, LAYOUT_FILE, Feature, FeatureBlock, open_feature
from footfall.modeling.dtypes import I32, U8
from footfall.modeling.encoding.encoder import Encoded, Encoder
from footfall.modeling.events.log import EventLog
from footfall.modeling.reading.histories import Histories, split_texts, take_users
from footfall.modeling.reading.sequences import Block, map_blocks
from footfall.modeling.reading.source import PersonalData, Progress, Source, keep_quiet
from footfall.modeling.text.hashes import gather_bytes
from footfall.modeling.threads import map_ordered

__all__ = ["Feature", "FeatureBlock", "FeatureSummary", "make_feature", "open_feature"]

ENCODING_FILE = "encoding.safetensors"
"""What tasks need of the encoder: weights, scales and ranks."""

_BATCH_USERS = 16_384
_SHARD_BYTES = 256 << 20


@dataclass(frozen=True)
class FeatureSummary:
    """Counts of a feature that was made."""

    user_count: int
    token_count: int
    """Words and arrows of the whole data set."""
    coverage: float
    """Share of the behaviors that the encoder knows, 1 when there are none: in its vocabulary, or of known words alone."""
    empty_users: int
    """Users without a behavior."""
    truncated_users: int
    truncated_tokens: int
    disk_usage: int
    """Bytes of the feature."""
    personal_data: dict[str, int]
    """Lines, or different texts of a log, by kind, if ``personal_data`` is "warn"."""
    personal_data_lines: tuple[str, ...]
    """The first few, as ``file, line n: kind``."""


def make_feature(
    sources: Sequence[Source] | EventLog,
    encoder: Encoder,
    out_dir: Path,
    *,
    max_tokens_per_user: int | None = None,
    personal_data: PersonalData = "refuse",
    progress: Progress = keep_quiet,
    shard_bytes: int = _SHARD_BYTES,
) -> FeatureSummary:
    """Encode every user of ``sources`` into ``out_dir``, in the order of the files, or of a log, in its order.

    ``max_tokens_per_user`` keeps the newest words and arrows of a user. Memory does not depend on the size of the
    data but for 16 to 32 bytes a user of sequence files. A log is checked for personal data when it is read.

    Raises:
        DataError: as the reader does.
    """
    out_dir.mkdir(parents=True, exist_ok=True)
    counts: Counter[str] = Counter()
    kinds: Counter[str] = Counter()
    places: list[str] = []
    if isinstance(sources, EventLog):
        blocks = _encode_log(sources, encoder, max_tokens_per_user or 0, progress)
        places += sources.personal_data_lines
        kinds.update(sources.personal_data)
    else:
        blocks = _encode_texts(sources, encoder, max_tokens_per_user or 0, personal_data, progress, kinds, places)
    with ThreadPoolExecutor(1) as pool:
        content_hash = pool.submit(lambda: encoder.content_hash)
        writer = _ShardWriter(out_dir, shard_bytes, pool)
        for batch, encoded in blocks:
            writer.write(batch)
            counts["users"] += batch.num_rows
            counts["tokens"] += encoded.n_tokens
            counts["behaviors"] += int(encoded.n_behaviors_N.sum())
            counts["known"] += encoded.n_known
            counts["empty"] += int((encoded.n_behaviors_N == 0).sum())
            counts["cut_users"] += encoded.n_cut_users
            counts["cut_tokens"] += encoded.n_cut_tokens
        shards = writer.close()
    save_file(
        {
            "idf_V": encoder.idf_V,
            "bound_K": encoder.vocabulary.bound_K,
            "rank_A256": encoder.rank_A256,
            "spread_D": encoder.spread_D,
        },
        out_dir / ENCODING_FILE,
    )
    layout = {
        "format": FORMAT,
        "encoder": content_hash.result(),
        "user_count": counts["users"],
        "n_blocks": int(encoder.vocabulary.bound_K.size),
        "n_dims": encoder.n_dims,
        "n_columns": encoder.n_columns,
        "columns": encoder.column_names,
        "shards": shards,
    }
    (out_dir / LAYOUT_FILE).write_text(json.dumps(layout, sort_keys=True) + "\n")
    return FeatureSummary(
        user_count=counts["users"],
        token_count=counts["tokens"],
        coverage=counts["known"] / counts["behaviors"] if counts["behaviors"] else 1.0,
        empty_users=counts["empty"],
        truncated_users=counts["cut_users"],
        truncated_tokens=counts["cut_tokens"],
        disk_usage=sum(path.stat().st_size for path in out_dir.iterdir()),
        personal_data=dict(sorted(kinds.items())),
        personal_data_lines=tuple(places),
    )


Blocks = Iterator[tuple[pa.RecordBatch, Encoded]]


def _encode_texts(
    sources: Sequence[Source], encoder: Encoder, max_tokens: int, personal_data: PersonalData, progress: Progress,
    kinds: Counter[str], places: list[str],
) -> Blocks:  # fmt: skip
    """Encode sequence files; counts lines that look like personal data in ``kinds`` and names some in ``places``."""

    def work(block: Block) -> list[tuple[pa.RecordBatch, Encoded]]:
        batches = []
        for first in range(0, block.start_N.size, _BATCH_USERS):
            rows = slice(first, first + _BATCH_USERS)
            id_B, id_offset_N1 = gather_bytes(block.data_B, block.start_N[rows], block.tab_N[rows])
            texts = split_texts(block.data_B, block.tab_N[rows], block.end_N[rows], max_tokens)
            batches.append(_encode(id_offset_N1, id_B, texts, encoder))
        return batches

    for block, batches in map_blocks(sources, work, personal_data=personal_data, stage="encode", progress=progress):
        yield from batches
        kinds.update(kind for _, kind in block.personal)
        places += [f"{block.source.name}, line {line}: {kind}" for line, kind in block.personal[: 10 - len(places)]]


def _encode_log(log: EventLog, encoder: Encoder, max_tokens: int, progress: Progress) -> Blocks:
    def work(block: tuple[int, int]) -> list[tuple[pa.RecordBatch, Encoded]]:
        users = log.read_users(block, max_tokens)
        encoded = []
        for first in range(0, users.hash_N.size, _BATCH_USERS):
            row_N = np.arange(first, min(first + _BATCH_USERS, users.hash_N.size))
            offset_N1 = users.id_offset_N1[first : first + row_N.size + 1]
            id_B = users.id_B[offset_N1[0] : offset_N1[-1]]
            whole = row_N.size == users.hash_N.size
            histories = users.histories if whole else take_users(users.histories, row_N)
            encoded.append(_encode(offset_N1 - offset_N1[0], id_B, histories, encoder))
        return encoded

    plan = log.plan_blocks()
    for done, batches in enumerate(map_ordered(work, plan)):
        progress("encode", done + 1, len(plan))
        yield from batches


def _encode(offset_N1: I32, id_B: U8, histories: Histories, encoder: Encoder) -> tuple[pa.RecordBatch, Encoded]:
    encoded = encoder.encode_histories(histories)
    n = offset_N1.size - 1
    bag_offset = pa.py_buffer(encoded.offset_N1.astype(np.int32))
    columns = {
        "user_id": pa.StringArray.from_buffers(n, pa.py_buffer(offset_N1), pa.py_buffer(id_B)),
        "n_behaviors": pa.array(encoded.n_behaviors_N),
        "inverse_norms": _fixed(encoded.inverse_NK, pa.float32()),
        "latent": _fixed(encoded.latent_ND, pa.float16()),
        "dense": _fixed(encoded.dense_NA, pa.uint8()),
        "token": _lists(n, bag_offset, encoded.token_M, pa.uint32()),
        "count": _lists(n, bag_offset, encoded.count_M, pa.uint8()),
    }
    schema = pa.schema([pa.field(name, column.type, nullable=False) for name, column in columns.items()])
    return pa.record_batch(list(columns.values()), schema=schema), encoded


def _fixed(x_ND: npt.NDArray[Any], kind: pa.DataType) -> pa.Array:
    values = pa.Array.from_buffers(kind, x_ND.size, [None, pa.py_buffer(np.ascontiguousarray(x_ND))])
    return pa.FixedSizeListArray.from_arrays(values, type=pa.list_(pa.field("item", kind, nullable=False), x_ND.shape[1]))


def _lists(n: int, offset: pa.Buffer, x_M: npt.NDArray[Any], kind: pa.DataType) -> pa.Array:
    values = pa.Array.from_buffers(kind, x_M.size, [None, pa.py_buffer(x_M)])
    return pa.Array.from_buffers(pa.list_(pa.field("item", kind, nullable=False)), n, [None, offset], children=[values])


class _ShardWriter:
    """Writes batches into shards and notes where their buffers lie; the disk takes a full one while the next is made."""

    def __init__(self, directory: Path, shard_bytes: int, pool: Executor) -> None:
        self._directory, self._shard_bytes, self._pool = directory, shard_bytes, pool
        self._syncing: list[Future[None]] = []
        self._shards: list[dict[str, Any]] = []
        self._path: Path | None = None
        self._file: Any = None
        self._writer: Any = None

    def write(self, batch: pa.RecordBatch) -> None:
        if self._writer is None:
            self._path = self._directory / f"part-{len(self._shards):05d}.arrow"
            self._file = pa.OSFile(str(self._path), "wb")
            self._writer = pa.ipc.new_file(self._file, batch.schema)
        self._writer.write_batch(batch)
        if self._file.tell() >= self._shard_bytes:
            self._finish()

    def close(self) -> list[dict[str, Any]]:
        self._finish()
        for waiting in self._syncing:
            waiting.result()
        return self._shards

    def _finish(self) -> None:
        if self._writer is None or self._path is None:
            return
        self._writer.close()
        self._file.close()
        self._writer = None
        self._syncing.append(self._pool.submit(sync, self._path))
        self._shards.append({"file": self._path.name, "batches": _find_buffers(self._path)})


def _find_buffers(path: Path) -> list[dict[str, Any]]:
    whole = pa.memory_map(str(path)).read_buffer()
    reader = pa.ipc.open_file(whole)
    batches = []
    for i in range(reader.num_record_batches):
        batch = reader.get_batch(i)
        buffers = _name_buffers(batch)
        extents = {name: [b.address - whole.address if b else 0, b.size if b else 0] for name, b in buffers.items()}
        for name, extent in extents.items():  # cut the padding, so that a view has a whole number of items
            extent[1] -= extent[1] % np.dtype(BUFFERS[name]).itemsize
        batches.append({"n": batch.num_rows, "buffers": extents})
    return batches


def _name_buffers(batch: pa.RecordBatch) -> dict[str, Any]:
    user_id, behaviors = batch.column("user_id").buffers(), batch.column("n_behaviors").buffers()
    token, count = batch.column("token").buffers(), batch.column("count").buffers()
    return {
        "id_offset": user_id[1],
        "id": user_id[2],
        "n_behaviors": behaviors[1],
        "inverse": batch.column("inverse_norms").buffers()[-1],
        "latent": batch.column("latent").buffers()[-1],
        "dense": batch.column("dense").buffers()[-1],
        "offset": token[1],
        "token": token[-1],
        "count": count[-1],
    }
