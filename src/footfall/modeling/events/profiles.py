"""What a column of an event log holds, by its first values: its kind, how full it is, whether it numbers the rows.

Knows values; nothing of names, roles or files.

Shapes: B bytes, N values.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from footfall.modeling.dtypes import F64
from footfall.modeling.events.notations import Notation, doubt_points, find_notation
from footfall.modeling.events.values import count_dates, parse_numbers

NUMBER, TIME, TEXT, EMPTY, OTHER = "number", "time", "text", "empty", "nested or unreadable"
DIGITS, LISTS = "numbers as text", "list"
"""Kinds of columns: by their values. An empty one may turn out to be of any kind, and is read as text;
so are numbers as text where a file could have held numbers, but for times."""
UNREADABLE = (OTHER, LISTS)
MISSING = frozenset(
    word.encode()
    for word in (
        "", "NA", "N/A", "n/a", "#N/A", "<NA>", "nan", "NaN", "NAN", "NaT", "None", "NONE", "NULL", "null", "Null", "\\N",
        "(null)", "(not set)",
    )
)  # fmt: skip
"""What stands for nothing where a value should be."""
_MIN_TIME_SHARE = 0.8
"""Of the first values, how many must be dates in a column of times."""
_MIN_COUNTED, _MIN_NUMBERED = 100, 20
"""So many rows must be numbered one by one before that is no chance; so many, where the column is called so."""
_MAX_EXAMPLES = 3
_DIGITS_OF_IDS = 1e8
_NO_AMOUNTS = 1e17, 1e20
"""Whole numbers of so many digits, as far as 64 bits reach, are names; beyond are measurements."""


@dataclass(frozen=True)
class Profile:
    """What the first values of a column show."""

    kind: str
    n: int = 0
    n_missing: int = 0
    n_distinct: int = 0
    is_whole: bool = False
    """Whether all of its numbers are."""
    median: float = 0.0
    counts_rows: bool = False
    """Whether it holds n, n + 1, n + 2, … in the order of the file."""
    may_count_rows: bool = False
    """Whether it holds another whole number in each row, as an index that was filtered or shuffled does."""
    notation: Notation | None = None
    """How its numbers are written, if not plainly."""
    doubt: str = ""
    """Why texts that look like numbers are not taken for them."""
    examples: tuple[str, ...] = ()
    depth: int = 0
    """How many objects the column lies in."""
    is_fixed: bool = False
    """Whether it is the file's path that says it."""

    @property
    def missing(self) -> float:
        """Share of the values that are missing."""
        return self.n_missing / self.n if self.n else 0.0

    @property
    def is_empty(self) -> bool:
        """Whether no value is known."""
        return self.n_missing == self.n and (self.kind == EMPTY or self.n > 0)

    @property
    def looks_like_ids(self) -> bool:
        """Whether its numbers are whole, and longer than any amount, or long, all of about one length and mostly different."""
        if not self.is_whole:
            return False
        if _NO_AMOUNTS[0] <= self.median < _NO_AMOUNTS[1]:
            return True
        is_distinct = self.n_distinct > 0.9 * (self.n - self.n_missing) >= _MIN_NUMBERED
        return is_distinct and self.median >= _DIGITS_OF_IDS and self._is_of_one_length

    _is_of_one_length: bool = False


def profile_of(values: pa.Array, *, is_typed: bool) -> Profile:
    """Judge a column by some of its values; the texts of typed files are never plain numbers, nor empty columns."""
    if isinstance(values.type, pa.BaseExtensionType):
        values = values.storage
    kind = values.type
    n, n_null = len(values), values.null_count
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return Profile(TIME, n, n_null, examples=_examples(str(value) for value in values.drop_null().to_pylist()[:50]))
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind) or pa.types.is_decimal(kind):
        number_N = _as_floats(values)
        return _profile_numbers(number_N, Profile(NUMBER, examples=_examples(_shown_numbers(values))))
    if pa.types.is_fixed_size_binary(kind):
        return Profile(TEXT, n, n_null)
    texts = kind.value_type if pa.types.is_dictionary(kind) else kind
    if not (
        pa.types.is_string(texts) or pa.types.is_large_string(texts) or pa.types.is_binary(texts)
        or pa.types.is_large_binary(texts) or pa.types.is_string_view(texts) or pa.types.is_null(texts)
    ):  # fmt: skip
        return Profile(LISTS if pa.types.is_list(texts) or pa.types.is_large_list(texts) else OTHER, n, n_null)
    return _profile_texts(_decoded(values).to_pylist(), is_typed=is_typed and not pa.types.is_null(texts))


def profile_path(values: Sequence[str | None]) -> Profile:
    """Judge a column that is told by the paths of the files, by one value a file: times or texts."""
    known = [value for value in values if value is not None]
    found = _profile_texts([None if value is None else value.encode() for value in values], is_typed=True)
    kind = found.kind if found.kind == TIME else TEXT if known else EMPTY
    return replace(found, kind=kind, doubt="", notation=None, is_fixed=True)


def is_missing(text: bytes | None) -> bool:
    """Return whether a text stands for nothing."""
    return text is None or text.strip() in MISSING


def _as_floats(values: pa.Array) -> F64:
    numbers = values.cast(pa.int8()) if pa.types.is_boolean(values.type) else values
    return np.asarray(numbers.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False), dtype=np.float64)


def _shown_numbers(values: pa.Array) -> list[str]:
    return [f"{value:.6g}" if isinstance(value, float) else str(value) for value in values.drop_null().to_pylist()[:50]]


def _profile_texts(texts: list[bytes | None], *, is_typed: bool) -> Profile:
    known = [text for text in texts if text is not None and not is_missing(text)]
    found = Profile(
        TEXT, len(texts), len(texts) - len(known), len(set(known)),
        examples=_examples(text.decode("utf-8", "replace").strip() for text in known),
    )  # fmt: skip
    if not known:
        has_text = is_typed and any(text is not None for text in texts)
        return replace(found, kind=TEXT if has_text else EMPTY)
    data_B, offset_N1 = pack_texts([b"" if is_missing(text) else text or b"" for text in texts])
    number_N = np.empty(len(texts))
    if parse_numbers(data_B, offset_N1, number_N) < 0:
        if not np.isfinite(number_N).any():
            return replace(found, kind=TEXT if is_typed else EMPTY)
        found = _profile_numbers(number_N, replace(found, kind=DIGITS if is_typed else NUMBER))
        if is_typed and not found.is_whole:
            return replace(found, kind=NUMBER)
        return replace(found, doubt="" if is_typed or found.is_whole else doubt_points(known))
    if count_dates(*pack_texts(known)) >= _MIN_TIME_SHARE * len(known):
        return replace(found, kind=TIME)
    written = find_notation(known)
    if written.notation is None:
        return replace(found, doubt=written.doubt)
    return replace(found, kind=NUMBER, notation=written.notation, is_whole=written.is_whole)


def _profile_numbers(number_N: F64, found: Profile) -> Profile:
    is_known_N = np.isfinite(number_N)
    known_N = number_N[is_known_N]
    if not known_N.size:
        return replace(found, n=number_N.size, n_missing=number_N.size)
    is_whole = bool((np.floor(known_N) == known_N).all())
    n_distinct = int(np.unique(known_N).size)
    step_N = np.diff(number_N)
    is_numbered = is_whole and known_N.size == number_N.size and (n_distinct == number_N.size or bool((step_N > 0).all()))
    ends = np.abs(known_N).min(), np.abs(known_N).max()
    return replace(
        found,
        n=number_N.size,
        n_missing=int(number_N.size - known_N.size),
        n_distinct=n_distinct,
        is_whole=is_whole,
        median=float(np.median(np.abs(known_N))),
        counts_rows=is_numbered and number_N.size >= _MIN_COUNTED and bool((step_N == 1).all()),
        may_count_rows=is_numbered and number_N.size >= _MIN_NUMBERED,
        _is_of_one_length=bool(ends[0] * 100 > ends[1]),
    )


def _examples(texts: Any) -> tuple[str, ...]:
    return tuple(dict.fromkeys(text for text in texts if text))[:_MAX_EXAMPLES]


def pack_texts(texts: Sequence[bytes]) -> tuple[Any, Any]:
    """Return texts as (bytes, offsets)."""
    offset_N1 = np.cumsum([0, *(len(text) for text in texts)]).astype(np.int64)
    offset_N1.setflags(write=False)  # as the texts of files are, for which the parsers are compiled
    return np.frombuffer(b"".join(texts) or b"\0", np.uint8), offset_N1


def _decoded(values: pa.Array) -> pa.Array:
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if pa.types.is_string_view(values.type):
        values = values.cast(pa.large_string())
    return values.cast(pa.large_binary())
