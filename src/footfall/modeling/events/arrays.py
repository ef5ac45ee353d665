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
from footfall.modeling.events.location import Location
from footfall.modeling.events.values import find_lookalike, parse_numbers, parse_times, scale_times, unit_of_times


def read_texts(column: Any, location: Location) -> tuple[U8, I64]:
    """Return texts as (bytes, offsets); those of several columns joined by a blank, without blank parts.

    Whole numbers are written without a point.
    """
    columns = [_as_texts(one, location) for one in (column if isinstance(column, list) else [column])]
    texts = columns[0]
    if len(columns) > 1:
        trimmed = [pc.ascii_trim_whitespace(one.cast(pa.large_string())) for one in columns]
        known = [pc.if_else(pc.equal(one, ""), pa.scalar(None, pa.large_string()), one) for one in trimmed]
        texts = pc.binary_join_element_wise(*known, pa.scalar(" ", pa.large_string()), null_handling="skip").cast(
            pa.large_binary()
        )
    _, offsets, data = texts.buffers()
    offset_N1 = np.frombuffer(offsets, np.int64)[texts.offset : texts.offset + len(texts) + 1]
    data_B = np.frombuffer(data if data is not None and data.size else b"\0", np.uint8)
    return _frozen(data_B), _frozen(offset_N1)


def _frozen(array: npt.NDArray[Any]) -> Any:
    """Return an array that may not be written: Arrow gives either kind, and each would be compiled for by itself, in seconds."""
    array.setflags(write=False)
    return array


def _as_texts(column: pa.Array, location: Location) -> pa.Array:
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


def read_numbers(column: pa.Array, name: str, location: Location) -> tuple[F64, I64]:
    """Return (numbers, the rows of those too big for float32); NaN for these, and for what is missing or infinite.

    Raises:
        DataError: a text that is no number, with its place.
    """
    value_N = _typed_numbers(column)
    is_text = value_N is None
    if value_N is None:
        value_N = np.empty(len(column))
        bad = parse_numbers(*read_texts(column, location), value_N)
        if bad >= 0:
            raise location.error(
                bad,
                f"{_shown(column, bad)} in the column {name!r} is no number. Correct it, leave it empty, or declare the "
                "column as categorical in `columns`.",
            )
    with np.errstate(over="ignore"):
        is_odd_N = ~np.isfinite(value_N.astype(np.float32))
    if not is_odd_N.any():
        return value_N, np.empty(0, np.int64)
    # a text of infinity is missing; one that became infinite was too big even before
    is_big_N = is_odd_N & ~np.isnan(value_N) & (np.isfinite(value_N) | is_text)
    return np.where(is_odd_N, np.nan, value_N), np.flatnonzero(is_big_N)


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
        data_B, offset_N1 = read_texts(column, location)
        time_N = np.empty(len(column), np.int64)
        bad = parse_times(data_B, offset_N1, unit_us or np.nan, time_N)
        if bad >= 0 and not unit_us:  # not all of them are dates, so they may be numbers
            number_N = np.empty(len(column))
            if parse_numbers(data_B, offset_N1, number_N) < 0 and np.isfinite(number_N).any():
                unit_us = _find_unit(number_N, name, location)
                bad = parse_times(data_B, offset_N1, unit_us, time_N)
    if bad >= 0:
        raise location.error(
            bad,
            f"{_shown(column, bad)} in the column {name!r} is no time. Write ISO 8601, such as 2025-03-31T14:05:00Z, or "
            "seconds or milliseconds since 1970.",
        )
    return time_N, unit_us


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
