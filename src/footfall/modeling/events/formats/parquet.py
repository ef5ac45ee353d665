"""Parquet as batches of columns; fields of structs, of maps and of lists of pairs are columns by their path.

Knows Arrow's types and where a row stands; nothing of users. Source: Apache Parquet.
"""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from footfall.errors import DataError
from footfall.modeling.events.formats.json_lines import pack_values, profile_values
from footfall.modeling.events.formats.location import PEEK_ROWS, EventFile, Location, without_rows
from footfall.modeling.events.formats.nested import MAX_DEPTH, Steps, name_paths, take
from footfall.modeling.events.profiles import NUMBER, Profile, profile_of
from footfall.modeling.reading.compression import decompress
from footfall.modeling.reading.source import Source

BATCH_ROWS = 131_072


def open_parquet(source: Source, scratch: Path) -> EventFile:
    """Open a Parquet file by a copy of it in ``scratch``.

    Raises:
        DataError: UNEXPECTED_FILE_TYPE: it is none; UNEXPECTED_TXT_FORMAT: two columns have one name.
    """
    path = scratch / f"parquet-{len(list(scratch.glob('parquet-*')))}"
    with path.open("wb") as out:
        for piece in decompress(source.name, source.open()):
            out.write(piece)
    try:
        file = pq.ParquetFile(path, memory_map=True)
        head = next(file.iter_batches(PEEK_ROWS), None)
    except (pa.ArrowException, OSError) as cause:
        raise _no_parquet(source.name, cause) from cause
    names = file.schema_arrow.names
    if head is None:
        return without_rows(source, names)
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise two_columns(source.name, twice[0])
    with Location(source.name, 1, 0).reading():
        paths, profiles = _profile_columns(head, _index_columns(file.schema_arrow))

    def read(names_to_read: list[str]) -> Iterator[tuple[Location, dict[str, pa.Array]]]:
        steps_of = {name: paths.get(name, (name,)) for name in names_to_read}
        tops = list(dict.fromkeys(steps[0] for steps in steps_of.values()))
        for group in range(file.metadata.num_row_groups):
            row = 1
            batches = file.iter_batches(BATCH_ROWS, row_groups=[group], columns=tops)
            while True:
                try:
                    batch = next(batches, None)
                except (pa.ArrowException, OSError) as cause:
                    raise _no_parquet(source.name, cause) from cause
                if batch is None:
                    break
                location = Location(source.name, row, group)
                yield location, {name: _at(batch.column(steps[0]), steps[1:], location) for name, steps in steps_of.items()}
                row += batch.num_rows

    return EventFile(source.name, profiles, read)


def _profile_columns(head: pa.RecordBatch, index: set[str]) -> tuple[dict[str, Steps], dict[str, Profile]]:
    paths: dict[str, Steps] = {}
    profiles: dict[str, Profile] = {}
    nested: dict[str, Profile] = {}
    for name in head.schema.names:
        column = head.column(name)
        profile = profile_of(column, is_typed=True)
        if name in index and profile.kind == NUMBER and profile.may_count_rows:
            profile = replace(profile, counts_rows=True)
        profiles[name] = profile
        if not _is_nested(column.type):
            continue
        rows = [{name: value} for value in column.to_pylist()]
        for path_name, steps in name_paths(rows).items():
            if len(steps) == 1 or len(steps) > MAX_DEPTH or path_name in head.schema.names:
                continue
            paths[path_name] = steps
            values = _at(column, steps[1:], None)
            nested[path_name] = (
                profile_values([take(row, steps) for row in rows], len(steps) - 1)
                if values is None
                else replace(profile_of(values, is_typed=True), depth=len(steps) - 1)
            )
    return paths, profiles | nested


def _is_nested(kind: pa.DataType) -> bool:
    return bool(pa.types.is_nested(kind))


def _at(column: pa.Array, steps: Steps, location: Location | None) -> Any:
    """Return the field at a path as a column; None without a location where it has to be made of single values."""
    for i, step in enumerate(steps):
        if pa.types.is_struct(column.type):
            column = pc.struct_field(column, step)
            continue
        if location is None:
            return None
        values = [take(value, steps[i:]) for value in column.to_pylist()]
        plain = [None if isinstance(value, dict | list) else value for value in values]
        return pack_values(plain, ".".join(steps), location)
    return column


def _index_columns(schema: pa.Schema) -> set[str]:
    """Return the columns that pandas says are its index."""
    try:
        stored = json.loads((schema.metadata or {}).get(b"pandas", b"{}"))
        return {name for name in stored.get("index_columns", []) if isinstance(name, str)}
    except (ValueError, AttributeError, TypeError):
        return set()


def _no_parquet(path: str, cause: Exception) -> DataError:
    return DataError("UNEXPECTED_FILE_TYPE", f"the file cannot be read as Parquet ({cause}). Write it again.", path=path)


def two_columns(path: str, name: str) -> DataError:
    """Return the error about two columns of one name."""
    return DataError("UNEXPECTED_TXT_FORMAT", f"two columns are called {name!r}. Rename one.", path=path)
