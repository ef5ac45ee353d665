"""The columns of an event log: their kinds, and which one is the user, the time, the behavior, a number or a category.

Knows names of columns and some of their values; nothing of files. What is declared holds; what is not is found by name and
kind: a user id by its name, a time by its name or type, a behavior by its name, every other column of numbers is
numeric and every other column of text a category. The contract knows sequence files alone.

Shapes: B bytes, N rows.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa

from footfall.errors import DataError
from footfall.modeling.events.values import parse_numbers, parse_times

NUMBER, TIME, TEXT, EMPTY, OTHER = "number", "time", "text", "empty", "nested or unreadable"
DIGITS = "numbers as text"
"""Kinds of columns: by their values. An empty one may turn out to be of any kind, and is read as text;
so are numbers as text where a file could have held numbers, but for times."""

FORMATS = ("auto", "sequence", "parquet", "csv", "jsonl")
_MIN_TIME_SHARE = 0.8
"""Of the first values, how many must be dates in a column of times."""
MAX_NUMERIC, MAX_CATEGORICAL = 8, 8
"""Columns beyond the first so many are left out, and the run's log lists them."""

_USER = ("user_id", "userid", "user", "uid", "customer_id", "customerid", "customer", "client_id", "member_id", "member",
         "account_id", "visitor_id", "visitorid", "person_id", "subscriber_id", "mid")  # fmt: skip
_TIME = ("timestamp", "event_time", "event_timestamp", "time", "datetime", "date_time", "ts", "occurred_at", "created_at",
         "event_date", "date", "day", "invoice_date", "order_date", "transaction_date")  # fmt: skip
_PARTS = ("time", "day")
"""Beside a column called as times are, these may hold a part of them: the hour, the weekday."""
_BEHAVIOR = ("behavior", "behaviour", "activity", "act")
_VERB = ("event", "event_type", "event_name", "action", "verb", "type")
_OBJECT = ("description", "item_description", "text", "title", "item_name", "product_name", "name", "item", "product",
           "page", "url", "path", "category", "item_id", "product_id", "sku", "query", "code", "mcc", "mcc_code")  # fmt: skip

_CODES = ("id", "code", "mcc", "zip", "zipcode", "postcode", "sku", "no", "type", "kind", "status")
"""What numbers that are only names are called."""


@dataclass(frozen=True)
class LogOptions:
    """The options of a data set in a request; each may be left open."""

    format: str = "auto"
    user_id: str | None = None
    timestamp: str | None = None
    behavior: tuple[str, ...] = ()
    """One column, or several whose texts are joined by a blank."""
    numeric: tuple[str, ...] | None = None
    categorical: tuple[str, ...] | None = None
    observed_until: datetime | None = None
    """Later events are left out; recency is counted back from here, else from the last event."""

    @property
    def has_columns(self) -> bool:
        """Whether a column is declared, which only an event log has."""
        return any((self.user_id, self.timestamp, self.behavior, self.numeric, self.categorical))

    @classmethod
    def from_json(cls, request: Mapping[str, Any] | None) -> "LogOptions":
        """Return the options of a checked request: ``format``, ``columns``, ``observed_until``."""
        request = request or {}
        columns = request.get("columns") or {}
        behavior = columns.get("behavior") or ()
        until = request.get("observed_until")
        return cls(
            format=request.get("format") or "auto",
            user_id=columns.get("user_id"),
            timestamp=columns.get("timestamp"),
            behavior=(behavior,) if isinstance(behavior, str) else tuple(behavior),
            numeric=None if columns.get("numeric") is None else tuple(columns["numeric"]),
            categorical=None if columns.get("categorical") is None else tuple(columns["categorical"]),
            observed_until=None if until is None else _aware(datetime.fromisoformat(until)),
        )


@dataclass(frozen=True)
class Columns:
    """The columns of a log by what they are."""

    user_id: str
    timestamp: str | None
    behavior: tuple[str, ...]
    numeric: tuple[str, ...]
    categorical: tuple[str, ...]

    @property
    def names(self) -> list[str]:
        """All of them, once each."""
        time = () if self.timestamp is None else (self.timestamp,)
        return list(dict.fromkeys((self.user_id, *time, *self.behavior, *self.numeric, *self.categorical)))


def find_columns(options: LogOptions, kinds: Mapping[str, str], path: str) -> Columns:
    """Return the roles of the columns of a log; ``kinds`` are all of its columns, in order.

    Raises:
        DataError: UNEXPECTED_TXT_FORMAT, naming the columns: a declared one is not there or cannot be used, or no user
            id or behavior is found.
    """
    _check_declared(options, kinds, path)
    simple = _Names(kinds)
    user = options.user_id or simple.find(_USER, lambda name: kinds[name] != OTHER)
    if user is None:
        raise _refuse(path, kinds, "no column is the user id", _NAME.format("user_id"))
    timestamp = options.timestamp or _find_time(options, simple, kinds, user, path)
    taken = {user, timestamp, *(options.numeric or ()), *(options.categorical or ())}
    behavior = options.behavior or _find_behavior(simple, kinds, taken)
    if not behavior:
        remedy = f"{_NAME.format('behavior')} Or add one with a text of what was done."
        raise _refuse(path, kinds, "no column says what the user did", remedy)
    rest = [name for name in kinds if name not in {user, timestamp, *behavior}]
    numeric, categorical = options.numeric, options.categorical
    codes = {n for n in rest if kinds[n] == NUMBER and is_code(n)}
    if numeric is None:
        numeric = tuple(n for n in rest if kinds[n] == NUMBER and n not in {*codes, *(categorical or ())})[:MAX_NUMERIC]
    if categorical is None:
        others = [n for n in rest if (kinds[n] in (TEXT, DIGITS, EMPTY) or n in codes) and n not in numeric]
        # a verb that is part of the behavior distinguishes kinds of events by itself, too
        verbs = [n for n in behavior if len(behavior) > 1 and _simple(n) in _VERB]
        categorical = tuple([*verbs, *others])[:MAX_CATEGORICAL]
    return Columns(user, timestamp, behavior, numeric, categorical)


def describe_columns(columns: Columns, options: LogOptions, kinds: Mapping[str, str]) -> list[str]:
    """Return log lines with the roles of the columns, and warnings about doubtful ones."""
    left = [name for name in kinds if name not in columns.names]
    parts = [
        f"user_id: {columns.user_id}", f"timestamp: {columns.timestamp or 'none'}", f"behavior: {' + '.join(columns.behavior)}",
        f"numeric: {', '.join(columns.numeric) or 'none'}", f"categorical: {', '.join(columns.categorical) or 'none'}",
    ]  # fmt: skip
    lines = ["columns: " + "; ".join(parts) + (f"; not used: {', '.join(left)}" if left else "")]
    clock = next((name for name in columns.categorical if _simple(name) == "time" and kinds[name] == TEXT), None)
    if clock is not None and columns.timestamp is not None and options.timestamp is None:
        lines.append(
            f"warning: the times are those of {columns.timestamp!r} alone; if {clock!r} holds hours, write both in one column"
        )
    lines += [
        f"warning: the column {name!r} is empty as far as was looked, and taken for a category. Declare it in `columns` if it "
        "is something else."
        for name in columns.categorical
        if kinds[name] == EMPTY and not options.categorical
    ]
    return lines


def names_user(header: Sequence[str]) -> bool:
    """Return whether one of these words is a name that the column of the user has."""
    return any(_simple(word) in _USER for word in header)


def is_code(name: str) -> bool:
    """Return whether a column is called as numbers that are only names are: ``item_id``, ``zip``."""
    return _simple(name).split("_")[-1] in _CODES


class _Names:
    """Columns by their names in small letters with underscores."""

    def __init__(self, kinds: Mapping[str, str]) -> None:
        self._by_name: dict[str, str] = {}
        for name in kinds:
            self._by_name.setdefault(_simple(name), name)

    def find_all(self, candidates: tuple[str, ...], is_fit: Callable[[str], bool]) -> list[str]:
        names = [self._by_name[simple] for simple in candidates if simple in self._by_name]
        return [name for name in names if is_fit(name)]

    def find(self, candidates: tuple[str, ...], is_fit: Callable[[str], bool]) -> str | None:
        return next(iter(self.find_all(candidates, is_fit)), None)


def _simple(name: str) -> str:
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name.strip())
    return re.sub(r"[^0-9a-z]+", "_", snake.lower()).strip("_")


def _find_time(options: LogOptions, simple: _Names, kinds: Mapping[str, str], user: str, path: str) -> str | None:
    """Return the column of times; none and another one are refused where one is called as times are and holds no times.

    It would go unnoticed that the right one is not used.
    """
    named = simple.find_all(_TIME, lambda name: name != user)
    by_name = next((name for name in named if kinds[name] in (TIME, NUMBER, DIGITS)), None)
    column = by_name or next((name for name, kind in kinds.items() if kind == TIME and name != user), None)
    declared = {*options.behavior, *(options.categorical or ()), *(options.numeric or ())}
    parts = _PARTS if by_name else ()
    before = [name for name in (named[: named.index(by_name)] if by_name else named) if _simple(name) not in parts]
    unread = next((n for n in before if n not in declared and (column is None or kinds[n] != EMPTY)), None)
    if unread is not None:
        other = "" if column is None else f'name another column, such as {column!r}, as "timestamp" in `columns`; '
        raise DataError(
            "UNEXPECTED_TXT_FORMAT",
            f"the column {unread!r} is called as times are, but most of its first values are none. Write ISO 8601, such as "
            f"2025-03-31T14:05:00Z, or seconds since 1970; {other}or declare it as categorical in `columns` if it holds no "
            "times.",
            path=path,
        )
    if column is None and options.observed_until is not None:
        raise _refuse(path, kinds, "`observed_until` needs times, but no column holds any", _NAME.format("timestamp"))
    return column


def _find_behavior(simple: _Names, kinds: Mapping[str, str], taken: set[str | None]) -> tuple[str, ...]:
    def is_free(name: str) -> bool:
        return kinds[name] in (TEXT, DIGITS, NUMBER, EMPTY) and name not in taken

    behavior = simple.find(_BEHAVIOR, is_free)
    if behavior is not None:
        return (behavior,)
    verb, thing = simple.find(_VERB, is_free), simple.find(_OBJECT, is_free)
    if verb is not None and thing is not None:
        return (verb, thing)
    if (verb or thing) is not None:
        return (str(verb or thing),)
    return tuple(name for name, kind in kinds.items() if kind in (TEXT, DIGITS) and name not in taken)[:1]


def _check_declared(options: LogOptions, kinds: Mapping[str, str], path: str) -> None:
    declared = {
        "user_id": (options.user_id,), "timestamp": (options.timestamp,), "behavior": options.behavior,
        "numeric": options.numeric or (), "categorical": options.categorical or (),
    }  # fmt: skip
    for role, names in declared.items():
        for name in names:
            if name is None:
                continue
            if name not in kinds:
                what = f"there is no column {name!r}, which `columns` declares"
                raise _refuse(path, kinds, what, _NAME.format(role))
            if kinds[name] == OTHER:
                what = f"the column {name!r} is nested or of a type that cannot be read"
                raise _refuse(path, kinds, what, "Write its values as columns of numbers or texts, or declare another.")
    for role, limit in (("numeric", MAX_NUMERIC), ("categorical", MAX_CATEGORICAL)):
        if len(declared[role]) > limit:
            what = f"{len(declared[role])} {role} columns are declared"
            raise _refuse(path, kinds, what, f"Declare at most {limit}.")


_NAME = 'Name the right one as "{}" in `columns`, or rename it.'


def _refuse(path: str, kinds: Mapping[str, str], what: str, remedy: str) -> DataError:
    shown = ", ".join(f"{name} ({kind})" for name, kind in list(kinds.items())[:40]) or "none"
    return DataError("UNEXPECTED_TXT_FORMAT", f"{what}. The columns are: {shown}. {remedy}", path=path)


def _aware(time: datetime) -> datetime:
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


def kind_of(values: pa.Array, *, is_typed: bool) -> str:
    """Return the kind of a column by some of its values; the texts of typed files are never numbers, nor empty columns."""
    kind = values.type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return TIME
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind) or pa.types.is_decimal(kind):
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
    return TIME if _count_times(data_B, offset_N1) >= _MIN_TIME_SHARE * len(known) else TEXT


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
