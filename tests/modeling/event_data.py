"""Event logs of tests: written, read, and as histories."""

import io
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from modeling_data import make_source

from footfall.modeling.events.event_log import EventLog
from footfall.modeling.events.formats.files import find_format
from footfall.modeling.events.log import read_log
from footfall.modeling.events.options import LogOptions
from footfall.modeling.reading.source import Source

SEED = 5


def parquet(frame: pl.DataFrame | pa.Table, name: str = "log.parquet", **given: Any) -> Source:
    out = io.BytesIO()
    pq.write_table(frame.to_arrow() if isinstance(frame, pl.DataFrame) else frame, out, **given)
    return make_source(out.getvalue(), name)


_count = iter(range(10**6))


def read(sources: Source | list[Source], tmp_path: Path, options: LogOptions = LogOptions(), **given: Any) -> EventLog:  # noqa: B008
    sources = sources if isinstance(sources, list) else [sources]
    scratch = tmp_path / f"scratch-{next(_count)}"
    scratch.mkdir()
    format = find_format(sources[0], has_columns=options.has_columns)
    return read_log(sources, format, options, scratch, salt=SEED, **given)


def histories(log: EventLog) -> dict[str, list[str]]:
    behaviors = {}
    for block in log.plan_blocks():
        users = log.read_users(block)
        h, ids = users.histories, users.id_B.tobytes()
        for n in range(h.n_users):
            acts = range(int(h.offset_N1[n]), int(h.offset_N1[n + 1]))
            id = ids[users.id_offset_N1[n] : users.id_offset_N1[n + 1]].decode()
            behaviors[id] = [h.data_B[h.start_L[i] : h.end_L[i]].tobytes().decode() for i in acts]
    return behaviors
