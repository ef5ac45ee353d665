"""JSON Lines as batches of columns. Source: jsonlines.org.

Knows JSON and where a line stands; nothing of users or features.
"""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa

from footfall.errors import DataError
from footfall.modeling.events.formats.location import BOM, PEEK_ROWS, EventFile, Location, peek, whole_lines, without_rows
from footfall.modeling.events.formats.nested import Steps, name_paths, take
from footfall.modeling.events.profiles import EMPTY, LISTS, OTHER, Profile, profile_of
from footfall.modeling.reading.compression import decompress
from footfall.modeling.reading.source import Source


def open_lines(source: Source, scratch: Path) -> EventFile:
    """Open a file of JSON Lines; its first lines determine the columns.

    Raises:
        DataError: UNEXPECTED_TXT_FORMAT: a line that is no JSON object.
    """
    del scratch
    refuse_array(source.name, peek(source))
    lines = [line for line in peek(source).split(b"\n") if line.strip()]
    if not lines:
        return without_rows(source)
    lines = lines[:-1] or lines  # the last one may be cut
    paths, profiles = _profile_lines(source, lines[:PEEK_ROWS])
    if any(profile.kind == EMPTY for profile in profiles.values()):
        paths, profiles = _profile_lines(source, lines)
    return EventFile(source.name, profiles, lambda names: _read_lines(source, names, paths))


def refuse_array(path: str, head: bytes) -> None:
    """Refuse a file that begins as a JSON array does.

    Raises:
        DataError: UNEXPECTED_TXT_FORMAT.
    """
    start = head.lstrip()[:64]
    if start.startswith(b"[") and (start[1:].lstrip()[:1] in (b"{", b"[", b'"', b"]", b"") or start[1:2] in (b"\n", b"\r")):
        raise DataError(
            "UNEXPECTED_TXT_FORMAT",
            "the file is a JSON array. Write one object a line (JSON Lines), such as by `jq -c '.[]' FILE > FILE.jsonl`.",
            path=path,
        )


def _profile_lines(source: Source, lines: list[bytes]) -> tuple[dict[str, Steps], dict[str, Profile]]:
    location = Location(source.name, 1, None, source)
    rows = [_decode_line(location, n, line) for n, line in enumerate(lines)]
    paths = name_paths(rows)
    return paths, {name: profile_values([take(row, path) for row in rows], len(path) - 1) for name, path in paths.items()}


def profile_values(values: list[Any], depth: int = 0) -> Profile:
    """Judge a column of JSON values; those of the Parquet types that have no columns of their own are such, too."""
    known = [value for value in values if value is not None]
    n, n_missing = len(values), len(values) - len(known)
    if not known:
        return Profile(EMPTY, n, n, depth=depth)
    if any(isinstance(value, dict | list) for value in known):
        return Profile(LISTS if any(isinstance(value, list) for value in known) else OTHER, n, n_missing, depth=depth)
    if all(isinstance(value, int | float) for value in known):
        numbers = pa.array([None if value is None else float(value) for value in values], pa.float64())
        return replace(profile_of(numbers, is_typed=True), examples=tuple(dict.fromkeys(map(_shown, known)))[:3], depth=depth)
    texts = [None if value is None else str(value).encode() for value in values]
    return replace(profile_of(pa.array(texts, pa.binary()), is_typed=True), depth=depth)


def _shown(value: Any) -> str:
    return json.dumps(value) if not isinstance(value, float) else f"{value:.6g}"


def _decode_line(location: Location, row: int, text: bytes) -> dict[str, Any]:
    try:
        try:
            record = msgspec.json.decode(text)
        except msgspec.DecodeError:
            record = msgspec.json.decode(_without_constants(text))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as cause:
        raise location.error(
            row, f"the line is no JSON ({cause}). Write one object a line, such as by `jq -c . FILE`."
        ) from cause
    if not isinstance(record, dict):
        raise location.error(row, "the line is no JSON object. Write one a line.")
    return record


def _without_constants(text: bytes) -> bytes:
    """Return a line with null for NaN and Infinity, which are no JSON but written by Python; other lines as they are."""
    try:
        return json.dumps(json.loads(text.decode(), parse_constant=lambda name: None)).encode()
    except ValueError:
        return text


def _read_lines(
    source: Source, names: list[str], paths: dict[str, Steps]
) -> Iterator[tuple[Location, dict[str, pa.Array]]]:  # fmt: skip
    tops = list(dict.fromkeys(paths.get(name, (name,))[0] for name in names))
    row_type = msgspec.defstruct(
        "Row", [(f"field_{i}", Any, None) for i in range(len(tops))],
        rename={f"field_{i}": name for i, name in enumerate(tops)}, gc=False,
    )  # fmt: skip
    decoder = msgspec.json.Decoder(type=row_type)
    first, row = True, 1
    for block in whole_lines(decompress(source.name, source.open())):
        if first:
            block, first = block.removeprefix(BOM), False
        location = Location(source.name, row, None, source)
        try:
            rows = decoder.decode_lines(block)
            held = {top: [getattr(one, f"field_{i}") for one in rows] for i, top in enumerate(tops)}
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            texts = [text for text in block.split(b"\n") if text.strip()]
            lines = [_decode_line(location, i, text) for i, text in enumerate(texts)]
            held = {top: [line.get(top) for line in lines] for top in tops}
        columns = {}
        for name in names:
            top, *steps = paths.get(name, (name,))
            columns[name] = [_plain(take(value, tuple(steps))) for value in held[top]] if steps else held[top]
        yield location, {name: pack_values(values, name, location) for name, values in columns.items()}
        row += len(columns[names[0]])


def _plain(value: Any) -> Any:
    """Return a value within an object; what is itself nested is missing, as what is not there is."""
    return None if isinstance(value, dict | list) else value


def pack_values(values: list[Any], name: str, location: Location) -> pa.Array:
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
