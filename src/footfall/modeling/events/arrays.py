"""Arrow columns of an event log as the arrays that it is made of: texts, numbers, times.

Knows Arrow's types and where a row stands; nothing of users. Nulls are blank texts, missing numbers, and refused as
times.

Shapes: B bytes, N rows.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from footfall.modeling.dtypes import F64, I64, U8
from footfall.modeling.events.formats.location import Location
from footfall.modeling.events.notations import Notation, read_number
from footfall.modeling.events.profiles import MISSING, is_missing
from footfall.modeling.events.values import (
    count_dates,
    find_lookalike,
    find_numbers,
    has_nothing,
    parse_numbers,
    parse_times,
    scale_times,
    unit_of_times,
)

_NOTHING = pa.array(sorted(word.decode() for word in MISSING), pa.large_string())


def read_texts(column: Any, location: Location) -> tuple[U8, I64]:
    """Return texts as (bytes, offsets); those of several columns joined by a blank, without blank parts.

    Whole numbers are written without a point.
    """
    columns = [_as_texts(one, location) for one in (column if isinstance(column, list) else [column])]
    texts = columns[0]
    if len(columns) > 1:
        trimmed = [pc.ascii_trim_whitespace(one.cast(pa.large_string())) for one in columns]
        known = [pc.if_else(_is_nothing(one), pa.scalar(None, pa.large_string()), one) for one in trimmed]
        texts = pc.binary_join_element_wise(*known, pa.scalar(" ", pa.large_string()), null_handling="skip").cast(
            pa.large_binary()
        )
    return _arrays_of(texts)


def _arrays_of(texts: pa.Array) -> tuple[U8, I64]:
    _, offsets, data = texts.buffers()
    offset_N1 = np.frombuffer(offsets, np.int64)[texts.offset : texts.offset + len(texts) + 1]
    data_B = np.frombuffer(data if data is not None and data.size else b"\0", np.uint8)
    return _frozen(data_B), _frozen(offset_N1)


def _is_nothing(texts: pa.Array) -> pa.Array:
    """Return which texts are blank or a word for nothing; words are searched only where a quick look finds one."""
    return pc.is_in(texts, _NOTHING) if has_nothing(*_arrays_of(texts)) else pc.equal(texts, "")


def _frozen(array: npt.NDArray[Any]) -> Any:
    """Return an array that may not be written: Arrow gives either kind, and each would be compiled for by itself, in seconds."""
    array.setflags(write=False)
    return array


def read_ids(column: Any, name: str, location: Location) -> tuple[U8, I64]:
    """Return user ids as (bytes, offsets): whole numbers of any type without a point, UUIDs as they are written.

    Raises:
        DataError: floating numbers so large that several ids became one.
    """
    kind = column.type
    if isinstance(kind, pa.BaseExtensionType):
        column, kind = column.storage, column.storage.type
    if pa.types.is_fixed_size_binary(kind):
        column = _hex_texts(column)
    elif pa.types.is_floating(kind):
        column = _whole_ids(column, name, location)
    elif pa.types.is_decimal(kind) and kind.scale > 0:
        column = pc.utf8_rtrim(pc.utf8_rtrim(column.cast(pa.large_string()), "0"), ".")
    return read_texts(column, location)


_UUID_BYTES = 16
_EXACT = {16: 2**11, 32: 2**24, 64: 2**53}
"""Whole numbers up to here are exact in a floating type of so many bits."""


def _whole_ids(column: pa.Array, name: str, location: Location) -> pa.Array:
    """Return floating ids as texts; NaN is missing."""
    limit = _EXACT[column.type.bit_width]
    value_N = column.cast(pa.float64()).to_numpy(zero_copy_only=False)
    with np.errstate(invalid="ignore"):
        is_large_N = np.abs(value_N) > limit
    if is_large_N.any():
        raise location.error(
            int(is_large_N.argmax()),
            f"the user ids in {name!r} are floating numbers beyond {limit:,}, where several become "
            f"one. Write them as whole numbers or texts, such as by CAST({name} AS VARCHAR) before they become floating.",
        )
    is_whole = pc.equal(pc.floor(column), column)
    whole = pc.if_else(is_whole, column, None).cast(pa.float64()).cast(pa.int64()).cast(pa.large_string())
    return pc.if_else(pc.is_nan(column), None, pc.coalesce(whole, column.cast(pa.large_string())))


def _hex_texts(column: pa.Array) -> pa.Array:
    """Return bytes of one width as hexadecimal texts; 16 of them as a UUID."""
    width = column.type.byte_width
    texts = [None if value is None else value.hex() for value in column.to_pylist()]
    if width == _UUID_BYTES:
        texts = [text and f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}" for text in texts]
    return pa.array(texts, pa.large_string())


def _as_texts(column: pa.Array, location: Location) -> pa.Array:
    if isinstance(column.type, pa.BaseExtensionType):
        column = column.storage
    if pa.types.is_fixed_size_binary(column.type):
        column = _hex_texts(column)
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_floating(column.type):
        whole = pc.all(pc.equal(pc.floor(column), column)).as_py() is not False
        column = column.cast(pa.int64()) if whole and _fits(column) else column
    if not pa.types.is_large_binary(column.type):
        try:
            column = column.cast(pa.large_string()).cast(pa.large_binary())
        except pa.ArrowInvalid as cause:
            raise location.error(0, f"texts of this batch cannot be read ({cause}). Save them as UTF-8.") from cause
    return pc.fill_null(column, b"") if column.null_count else column


def _fits(column: pa.Array) -> bool:
    span = pc.min_max(column).as_py()
    return span["min"] is None or max(abs(span["min"]), abs(span["max"])) < 2**53


def read_numbers(column: pa.Array, name: str, location: Location, notation: Notation | None = None) -> tuple[F64, I64]:
    """Return (numbers, the rows of those too big for float32); NaN for these, and for what is missing or infinite.

    Raises:
        DataError: a text that is no number, or is written in another way than the column's ``notation``, with its place.
    """
    value_N = _typed_numbers(column)
    is_text = value_N is None
    if value_N is None:
        value_N, bad = _written_numbers(column, location, notation)
        if bad >= 0:
            raise location.error(bad, _no_number(_shown(column, bad), name, notation))
    with np.errstate(over="ignore"):
        is_odd_N = ~np.isfinite(value_N.astype(np.float32))
    if not is_odd_N.any():
        return value_N, np.empty(0, np.int64)
    # a text of infinity is missing; one that became infinite was too big even before
    is_big_N = is_odd_N & ~np.isnan(value_N) & (np.isfinite(value_N) | is_text)
    return np.where(is_odd_N, np.nan, value_N), np.flatnonzero(is_big_N)


def _written_numbers(column: pa.Array, location: Location, notation: Notation | None) -> tuple[F64, int]:
    """Return (numbers of texts, the first row that holds none or -1)."""
    if notation is None:
        value_N = np.empty(len(column))
        return value_N, parse_numbers(*read_texts(column, location), value_N)
    coded = _as_texts(column, location).dictionary_encode()  # each distinct text is read once
    found = [np.nan if is_missing(text) else read_number(text, notation) for text in coded.dictionary.to_pylist()]
    index_N = coded.indices.to_numpy(zero_copy_only=False)
    is_bad_N = np.array([value is None for value in found], np.bool_)[index_N]
    value_N = np.array([np.nan if value is None else value for value in found], np.float64)[index_N]
    return value_N, int(is_bad_N.argmax()) if is_bad_N.any() else -1


def _no_number(shown: str, name: str, notation: Notation | None) -> str:
    written = f" as the others are written ({notation.describe()})" if notation else ""
    if shown == repr(name):
        return f"{shown} in the column {name!r} is no number: does the header come again here? Remove it."
    return (
        f"{shown} in the column {name!r} is no number{written}. Correct it, leave it empty, or declare the "
        "column as categorical in `columns`."
    )


def _typed_numbers(column: pa.Array) -> F64 | None:
    kind = column.type
    if pa.types.is_boolean(kind):
        column = column.cast(pa.int8())
    elif not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)):
        return None
    return np.asarray(column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False), dtype=np.float64)


def read_times(column: pa.Array, name: str, location: Location, unit_us: float) -> tuple[I64, float]:
    """Return (times in microseconds, how many of them one number of the column is); ``unit_us`` 0: determine it.

    Raises:
        DataError: a row without a time, or with a text that is none, with its place.
    """
    kind = column.type
    if column.null_count:
        bad = int(np.asarray(column.is_null().to_numpy(zero_copy_only=False)).argmax())
        raise location.error(bad, f"the column {name!r} is empty. Give every event a time, or leave the column out.")
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        zone = kind.tz if pa.types.is_timestamp(kind) else None
        return column.cast(pa.timestamp("us", zone), safe=False).cast(pa.int64()).to_numpy(), unit_us
    value_N = _typed_numbers(column)
    if value_N is not None:
        unit_us = unit_us or _find_unit(value_N, name, location)
        time_N, bad = scale_times(value_N, unit_us)
    else:
        time_N, bad, unit_us = _written_times(column, name, location, unit_us)
    if bad >= 0:
        shown = _shown(column, bad)
        if shown == repr(name):
            raise location.error(bad, f"the header comes again in this row: {shown} in the column {name!r}. Remove it.")
        found = f", and the others are {UNITS[unit_us]} since 1970" if unit_us else ""
        raise location.error(
            bad,
            f"{shown} in the column {name!r} is no time{found}. Write ISO 8601, such as 2025-03-31T14:05:00Z, or "
            "seconds or milliseconds since 1970.",
        )
    return time_N, unit_us


UNITS = {1e6: "seconds", 1e3: "milliseconds", 1.0: "microseconds", 1e-3: "nanoseconds"}


def _written_times(column: pa.Array, name: str, location: Location, unit_us: float) -> tuple[I64, int, float]:
    """Return (times of texts, the first row that is none or -1, the unit of numbers).

    They are numbers if more of them are numbers than dates; then what is neither is the bad one, and not what came first.
    """
    data_B, offset_N1 = read_texts(column, location)
    time_N = np.empty(len(column), np.int64)
    bad = parse_times(data_B, offset_N1, unit_us or np.nan, time_N)
    if bad < 0 or unit_us:
        return time_N, bad, unit_us
    number_N = np.empty(len(column))
    if parse_numbers(data_B, offset_N1, number_N) >= 0:
        number_N = find_numbers(data_B, offset_N1)
    is_number_N = np.isfinite(number_N)
    n_dates = count_dates(data_B, offset_N1)
    if not is_number_N.any() or n_dates > is_number_N.sum():
        return time_N, bad, unit_us
    unit_us = _find_unit(number_N, name, location)
    return time_N, parse_times(data_B, offset_N1, unit_us, time_N), unit_us


def _find_unit(value_N: F64, name: str, location: Location) -> float:
    lookalike, row = find_lookalike(value_N)
    if lookalike:
        raise location.error(
            row,
            f"the column {name!r} holds {lookalike}, such as {value_N[row]:.15g}. Write ISO 8601, such as 2025-03-31, or seconds "
            "since 1970.",
        )
    return unit_of_times(value_N)


def _shown(column: pa.Array, row: int) -> str:
    value = column[row].as_py()
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    return repr(text[:60])
