"""What the values of a column look like: numbers, times, texts, or nothing that can be read.

Knows values; nothing of names or files.

Shapes: B bytes, N rows.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from footfall.modeling.events.columns import DIGITS, EMPTY, NUMBER, OTHER, TEXT, TIME
from footfall.modeling.events.values import parse_numbers, parse_times

_MOST = 0.8
"""Of the first values, how many must be dates in a column of times."""


def kind_of(values: pa.Array, *, is_typed: bool) -> str:
    """Return the kind of a column by some of its values; the texts of typed files are never numbers, nor empty columns."""
    kind = values.type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return TIME
    if (
        pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_boolean(kind)
        or pa.types.is_decimal(kind)
    ):
        return NUMBER
    texts = kind.value_type if pa.types.is_dictionary(kind) else kind
    if not (
        pa.types.is_string(texts) or pa.types.is_large_string(texts) or pa.types.is_binary(texts)
        or pa.types.is_large_binary(texts) or pa.types.is_string_view(texts) or pa.types.is_null(texts)
    ):  # fmt: skip
        return OTHER
    known = [text for text in _decoded(values).to_pylist() if text]
    data_B, offset_N1 = pack_texts(known)
    number_N = np.empty(len(known))
    are_numbers = parse_numbers(data_B, offset_N1, number_N) < 0
    if are_numbers and not np.isfinite(number_N).any():
        return TEXT if is_typed and not pa.types.is_null(texts) else EMPTY
    if are_numbers:
        return DIGITS if is_typed else NUMBER
    return TIME if _count_times(data_B, offset_N1) >= _MOST * len(known) else TEXT


def _count_times(data_B: Any, offset_N1: Any) -> int:
    """Count the texts that are dates; a column of which most are is one of times, and the others are refused later."""
    start, n_bad, n_rows = 0, 0, len(offset_N1) - 1
    while start < n_rows:
        bad = parse_times(data_B, offset_N1[start:], np.nan, np.empty(n_rows - start, np.int64))
        n_bad += int(bad >= 0)
        start = n_rows if bad < 0 else start + bad + 1
    return n_rows - n_bad


def pack_texts(texts: Sequence[bytes]) -> tuple[Any, Any]:
    """Return texts as (bytes, offsets)."""
    offset_N1 = np.cumsum([0, *(len(text) for text in texts)]).astype(np.int64)
    offset_N1.setflags(write=False)  # as the texts of files are, for which the parsers are compiled
    return np.frombuffer(b"".join(texts), np.uint8), offset_N1


def _decoded(values: pa.Array) -> pa.Array:
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    return values.cast(pa.large_string()).cast(pa.large_binary()) if pa.types.is_string_view(values.type) else (
        values.cast(pa.large_binary())
    )  # fmt: skip
