"""JSON Lines as batches of columns. Source: jsonlines.org.

Knows JSON and where a line stands; nothing of users or features.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa

from footfall.modeling.events.columns import EMPTY, NUMBER, OTHER, kind_of
from footfall.modeling.events.location import BOM, PEEK_ROWS, EventFile, Location, peek, whole_lines, without_rows
from footfall.modeling.reading.compression import decompress
from footfall.modeling.reading.source import Source


def open_lines(source: Source, scratch: Path) -> EventFile:
    """Open a file of JSON Lines; its first lines determine the columns.

    Raises:
        DataError: UNEXPECTED_TXT_FORMAT: a line that is no JSON object.
    """
    del scratch
    lines = [line for line in peek(source).split(b"\n") if line.strip()]
    if not lines:
        return without_rows(source)
    lines = lines[:-1] or lines  # the last one may be cut
    kinds = _kinds_of_lines(source, lines[:PEEK_ROWS])
    if EMPTY in kinds.values():
        kinds = _kinds_of_lines(source, lines)
    return EventFile(source.name, kinds, lambda names: _read_lines(source, names))


def _kinds_of_lines(source: Source, lines: list[bytes]) -> dict[str, str]:
    location = Location(source.name, 1, None, source)
    rows = [_decode_line(location, n, line) for n, line in enumerate(lines)]
    names = list(dict.fromkeys(name for row in rows for name in row))
    return {name: _kind_of_values([row.get(name) for row in rows]) for name in names}


def _kind_of_values(values: list[Any]) -> str:
    known = [value for value in values if value is not None]
    if not known:
        return EMPTY
    if any(isinstance(value, dict | list) for value in known):
        return OTHER
    if all(isinstance(value, int | float) for value in known):
        return NUMBER
    return kind_of(pa.array([str(value).encode() for value in known], pa.binary()), is_typed=True)


def _decode_line(location: Location, row: int, text: bytes) -> dict[str, Any]:
    try:
        try:
            record = msgspec.json.decode(text)
        except msgspec.DecodeError:
            record = msgspec.json.decode(_without_constants(text))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as cause:
        raise location.error(row, f"the line is no JSON ({cause}). Write one object a line.") from cause
    if not isinstance(record, dict):
        raise location.error(row, "the line is no JSON object. Write one a line.")
    return record


def _without_constants(text: bytes) -> bytes:
    """Return a line with null for NaN and Infinity, which are no JSON but written by Python; other lines as they are."""
    try:
        return json.dumps(json.loads(text.decode(), parse_constant=lambda name: None)).encode()
    except ValueError:
        return text


def _read_lines(source: Source, names: list[str]) -> Iterator[tuple[Location, dict[str, pa.Array]]]:
    row_type = msgspec.defstruct(
        "Row", [(f"field_{i}", Any, None) for i in range(len(names))],
        rename={f"field_{i}": name for i, name in enumerate(names)}, gc=False,
    )  # fmt: skip
    decoder = msgspec.json.Decoder(type=row_type)
    first, row = True, 1
    for block in whole_lines(decompress(source.name, source.open())):
        if first:
            block, first = block.removeprefix(BOM), False
        location = Location(source.name, row, None, source)
        try:
            rows = decoder.decode_lines(block)
            columns = {name: [getattr(one, f"field_{i}") for one in rows] for i, name in enumerate(names)}
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            texts = [text for text in block.split(b"\n") if text.strip()]
            lines = [_decode_line(location, i, text) for i, text in enumerate(texts)]
            columns = {name: [line.get(name) for line in lines] for name in names}
        yield location, {name: _pack_values(values, name, location) for name, values in columns.items()}
        row += len(columns[names[0]])


def _pack_values(values: list[Any], name: str, location: Location) -> pa.Array:
    """Return values of one JSON field as texts or as numbers."""
    try:
        return pa.array(values, pa.large_string())
    except (pa.ArrowInvalid, pa.ArrowTypeError, TypeError):
        pass
    if all(value is None or isinstance(value, int | float) for value in values):
        values = [int(value) if isinstance(value, bool) else value for value in values]
        is_whole = all(value is None or isinstance(value, int) for value in values)
        try:
            return pa.array(values, pa.int64() if is_whole else pa.float64())
        except (pa.ArrowInvalid, OverflowError):
            pass
    for row, value in enumerate(values):
        if isinstance(value, dict | list):
            raise location.error(row, f"the column {name!r} is nested. Write a text or a number.")
    return pa.array([None if value is None else str(value) for value in values], pa.large_string())
