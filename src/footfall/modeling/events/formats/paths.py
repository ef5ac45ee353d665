"""Columns that the directories of a file say (``dt=2024-01-31/part-0.parquet``) beside those that stand in it."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

import pyarrow as pa

from footfall.modeling.events.formats.location import EventFile, Location
from footfall.modeling.events.profiles import Profile


def add_path_columns(file: EventFile, values: Mapping[str, str | None], said: Mapping[str, Profile]) -> EventFile:
    """Return a file with the columns that paths say; one that stands in the file wins.

    Args:
        values: of this file.
        said: what all files' values of a column show.
    """
    own = {name.lower() for name in file.profiles}
    added = {name: profile for name, profile in said.items() if name.lower() not in own}

    def read(names: list[str]) -> Iterator[tuple[Location, dict[str, pa.Array]]]:
        in_file = [name for name in names if name not in added]
        for location, columns in file.read(in_file or list(file.profiles)[:1]):
            n_rows = len(next(iter(columns.values())))
            constant = {
                name: pa.repeat(pa.scalar(values.get(name), pa.large_string()), n_rows) for name in names if name in added
            }
            yield location, {name: constant[name] if name in constant else columns[name] for name in names}

    return replace(file, profiles={**file.profiles, **added}, read=read)
