"""Read an event log of any order and size: rows to whole users, out of core.

Knows columns, values and scratch files; nothing of vocabularies. Rows are written as fixed-size records into chunks
that are sorted by the leading bits of the user's hash; a block of users is what all chunks hold of some leading bits,
sorted by user and time. So users come in the order of their hash, whatever the order of the rows or the number of
threads, and memory does not grow with the log. Events at one time stay in the order of the files.

Shapes: N rows or users, L events, Q numeric columns, C categorical columns, P partitions.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from footfall.errors import DataError
from footfall.modeling.compiled import njit
from footfall.modeling.dtypes import I32, I64, U8, U64
from footfall.modeling.events.arrays import read_numbers, read_texts
from footfall.modeling.events.columns import (
    EMPTY,
    NUMBER,
    OTHER,
    TIME,
    Columns,
    LogOptions,
    describe_columns,
    find_columns,
    is_code,
    names_user,
)
from footfall.modeling.events.files import open_file
from footfall.modeling.events.location import EventFile, Location
from footfall.modeling.events.texts import ACT, CATEGORY, USER, Texts, TextTable
from footfall.modeling.events.times import Times
from footfall.modeling.events.users import group_users
from footfall.modeling.reading.histories import Histories, Schema
from footfall.modeling.reading.source import PersonalData, Progress, Source, keep_quiet

T = TypeVar("T")

N_PARTITIONS = 1024
CHUNK_ROWS = 1 << 19
BLOCK_EVENTS = 1 << 17
_MAX_PEEKED_FILES = 64
"""So many are opened at once to determine the kinds of columns that are empty in the first ones."""
_SHIFT = np.uint64(54)
Log = Callable[[str], None]


@dataclass(frozen=True)
class Users:
    """Whole users of a log."""

    id_B: U8
    id_offset_N1: I32
    hash_N: U64
    histories: Histories


@dataclass(frozen=True)
class EventLog:
    """A log in scratch files, which go with their directory."""

    columns: Columns
    schema: Schema
    until_us: int
    n_events: int
    personal_data: dict[str, int]
    """How many different texts look like personal data, by kind, if ``personal_data`` is "warn"."""
    personal_data_lines: tuple[str, ...]
    """The first few places of them."""
    _path: Path
    _kinds: tuple[tuple[str, npt.DTypeLike, int | None], ...]
    _chunks: tuple[tuple[int, int, I64], ...]
    """(place in the file, rows, first row of each partition) of each chunk."""
    _ids: Texts = field(repr=False)
    _texts: Texts = field(repr=False)
    categories: Texts = field(repr=False)

    @property
    def n_users(self) -> int:
        """How many users there are; an upper bound in logs of more than about two million."""
        return int(self._ids.end_V.size)

    def plan_blocks(self, max_events: int = BLOCK_EVENTS) -> list[tuple[int, int]]:
        """Return ranges of partitions of about so many events each, none of them empty."""
        size_P = np.zeros(N_PARTITIONS, np.int64)
        for _, _, first_P1 in self._chunks:
            size_P += np.diff(first_P1)
        blocks, start, n_events = [], 0, 0
        for p in range(N_PARTITIONS):
            if n_events and n_events + size_P[p] > max_events:
                blocks.append((start, p))
                start, n_events = p, 0
            n_events += int(size_P[p])
        return [*blocks, (start, N_PARTITIONS)] if n_events else blocks

    def read_users(self, block: tuple[int, int], max_tokens: int = 0) -> Users:
        """Return the users of a range of partitions; their ``max_tokens`` newest words and arrows, 0 for all."""
        file_B = np.asarray(np.memmap(self._path, np.uint8, "r"))
        parts: dict[str, list[Any]] = {name: [] for name, _, _ in self._kinds}
        for offset, n_rows, first_P1 in self._chunks:
            start, end = int(first_P1[block[0]]), int(first_P1[block[1]])
            for name, kind, width in self._kinds:
                size = np.dtype(kind).itemsize * (1 if width is None else width)
                part = file_B[offset + start * size : offset + end * size].view(kind)
                parts[name].append(part if width is None else part.reshape(end - start, width))
                offset += n_rows * size
        records = {name: np.concatenate(pieces) for name, pieces in parts.items()}
        return Users(*group_users(records, self._ids, self._texts, self.schema, self.until_us, max_tokens))


def read_log(
    sources: Sequence[Source],
    format: str,
    options: LogOptions,
    scratch: Path,
    *,
    salt: int,
    personal_data: PersonalData = "off",
    progress: Progress = keep_quiet,
    log: Log = lambda line: None,
) -> EventLog:
    """Read all rows of a log into scratch files; ``salt`` decides in which order its users come.

    Raises:
        DataError: by the contract's names, with the file and the line, or the row group and row, and a remedy.
    """
    files = (open_file(source, format, scratch) for source in sources)
    opened, first, kinds = _peek_kinds(files)
    if not first.has_rows and (not kinds or names_user(list(kinds))):
        raise DataError(
            "NOT_EXIST_FILE", "the log has no events: no file of it has a row. Check the path and write it again.",
            path=sources[0].name,
        )  # fmt: skip
    columns = find_columns(options, kinds, first.name)
    for line in describe_columns(columns, options, kinds):
        log(line)
    unsure = {name for name in columns.categorical if kinds[name] == EMPTY and not (options.categorical or is_code(name))}
    dates = [name for name, kind in kinds.items() if kind == TIME and name != columns.timestamp]
    times = Times(columns.timestamp, [] if options.timestamp else dates)
    writer = _Writer(columns, options, times, scratch, salt, personal_data)
    total, done = sum(source.size_bytes for source in sources), 0
    size_bytes = {source.name: source.size_bytes for source in sources}
    try:
        for file in chain(opened, files):
            if not file.has_rows:
                log(f"{file.name} has no rows")
            if file.has_rows or file.kinds:
                _check_same(file, columns, unsure)
            for location, columns_of_batch in _read_ahead(file.read(columns.names)):
                writer.add(location, columns_of_batch)
                progress("read events", done, total)
            done += size_bytes[file.name]
        event_log = writer.close()
    finally:
        writer.shut()
    progress("read events", total, total)
    _log_summary(event_log, writer, log)
    return event_log


def _peek_kinds(files: Iterator[EventFile]) -> tuple[list[EventFile], EventFile, dict[str, str]]:
    """Return (opened files, the first with rows, the kinds of its columns).

    Columns that are empty in it have their kind from the next files. Without any rows it is the file with most columns.
    """
    opened: list[EventFile] = []
    kinds: dict[str, str] = {}
    for file in files:
        opened.append(file)
        if file.has_rows:
            kinds = {name: file.kinds.get(name, EMPTY) if kind == EMPTY else kind for name, kind in (kinds or file.kinds).items()}
            if EMPTY not in kinds.values() or len(opened) >= _MAX_PEEKED_FILES:
                break
    first = next((file for file in opened if file.has_rows), max(opened, key=lambda file: len(file.kinds)))
    return opened, first, kinds or first.kinds


def _check_same(file: EventFile, columns: Columns, unsure: set[str]) -> None:
    what = ""
    for name in columns.names:
        if name not in file.kinds:
            what = f"there is no column {name!r}, which the first file has. All files of a log have the same columns."
        elif file.kinds[name] == OTHER:
            what = f"the column {name!r} is nested or of a type that cannot be read, unlike in the first file. Write it alike."
        elif name in unsure and file.kinds[name] == NUMBER:
            what = (
                f"the column {name!r} holds numbers, but is empty in the first {_MAX_PEEKED_FILES} files. Declare it as numeric "
                "or as categorical in `columns`."
            )
        if what:
            raise DataError("UNEXPECTED_TXT_FORMAT", what, path=file.name)


def _read_ahead(items: Iterator[T]) -> Iterator[T]:
    """Yield ``items``, the next one being made while one is used."""
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(next, items, None)
        while True:
            item = waiting.result()
            if item is None:
                return
            waiting = pool.submit(next, items, None)
            yield item


def _log_summary(event_log: EventLog, writer: "_Writer", log: Log) -> None:
    counts = writer.counts
    log(f"{counts['rows']:,} events of {event_log.n_users:,} users")
    if event_log.schema.has_time:
        for line in writer.times.describe(event_log.until_us, is_until_given=writer.is_until_given):
            log(line)
    for name, (location, row) in writer.too_big.items():
        n_big = counts[f"too big {name}"]
        log(
            "warning: "
            + str(
                location.error(
                    row, f"the first of {n_big:,} number{'s' * (n_big > 1)} of {name!r} beyond 3.4e38, which count as missing"
                )
            )
        )
    if counts["late"]:
        log(f"{counts['late']:,} events after observed_until were left out")
    if counts["blank"]:
        log(f"{counts['blank']:,} events without a behavior were left out")


class _Writer:
    """Turns batches into records and writes them."""

    def __init__(
        self, columns: Columns, options: LogOptions, times: Times, scratch: Path, salt: int, personal_data: PersonalData
    ) -> None:
        self.columns, self.times, self.counts = columns, times, Counter[str]()
        self.is_until_given = options.observed_until is not None
        self._until_us = 0 if options.observed_until is None else int(options.observed_until.timestamp() * 1e6)
        self.too_big: dict[str, tuple[Location, int]] = {}
        """Columns with numbers that are too big, and where the first one stands."""
        self._personal: PersonalData = personal_data
        self._n_suspects = Counter[str]()
        self._warnings: list[str] = []
        self._ids = TextTable(scratch, "ids", kind=USER, salt=salt)
        self._acts = TextTable(scratch, "acts", kind=ACT)
        self._categories = TextTable(scratch, "categories", kind=CATEGORY)
        n_q, n_c = len(columns.numeric), len(columns.categorical)
        self._kinds: tuple[tuple[str, npt.DTypeLike, int | None], ...] = (
            ("hash", np.uint64, None), ("time", np.int64, None), ("category", np.uint64, n_c), ("user", np.uint32, None),
            ("act", np.int32, None), ("number", np.float32, n_q),
        )  # fmt: skip
        self._path = scratch / "events"
        self._file = self._path.open("wb")
        self._held: list[dict[str, Any]] = []
        self._n_held = 0
        self._chunks: list[tuple[int, int, I64]] = []

    def add(self, location: Location, batch: dict[str, Any]) -> None:
        """Add the rows of one batch."""
        columns = self.columns
        texts = {
            name: read_texts(batch[name], location)
            for name in (columns.user_id, *columns.behavior, *columns.categorical)
        }  # fmt: skip
        user_N, hash_N, suspect_ids = self._ids.add(texts[columns.user_id], location, personal_data=self._personal, are_ids=True)
        if user_N.size and user_N.min() < 0:
            raise location.error(int(user_N.argmin()), "the user id is blank. Give every event a user.")
        acts = read_texts([batch[name] for name in columns.behavior], location)
        act_N, _, suspect_acts = self._acts.add(acts, location, personal_data=self._personal)
        self._note_personal_data(location, [*suspect_ids, *suspect_acts])
        record: dict[str, Any] = {"hash": hash_N, "user": user_N.astype(np.uint32), "act": act_N.astype(np.int32)}
        record["time"] = self.times.read(batch, location, user_N.size)
        record["category"] = np.zeros((user_N.size, len(columns.categorical)), np.uint64)
        for c, name in enumerate(columns.categorical):
            _, record["category"][:, c], suspects = self._categories.add(
                texts[name], location, column=name, personal_data=self._personal, are_ids=is_code(name)
            )
            self._note_personal_data(location, suspects)
        record["number"] = np.empty((user_N.size, len(columns.numeric)), np.float32)
        for q, name in enumerate(columns.numeric):
            record["number"][:, q], big_N = read_numbers(batch[name], name, location)
            if big_N.size:
                self.too_big.setdefault(name, (location, int(big_N[0])))
                self.counts[f"too big {name}"] += big_N.size
        self._hold(record)

    def _note_personal_data(self, location: Location, suspects: list[tuple[int, str]]) -> None:
        self._n_suspects.update(kind for _, kind in suspects)
        few = suspects[: 10 - len(self._warnings)]  # to find a line, its file is read again
        self._warnings += [str(location.error(row, kind)) for row, kind in few]

    def _hold(self, record: dict[str, Any]) -> None:
        self.counts["rows"] += record["hash"].size
        self.counts["blank"] += int((record["act"] < 0).sum())
        if self.is_until_given and self.columns.timestamp is not None:
            keep_N = record["time"] <= self._until_us
            self.counts["late"] += int(keep_N.size - keep_N.sum())
            if not keep_N.all():
                record = {name: column[keep_N] for name, column in record.items()}
        if not self.is_until_given and self.columns.timestamp is not None:
            self.times.count(record["time"])
        self._held.append(record)
        self._n_held += record["hash"].size
        if self._n_held >= CHUNK_ROWS:
            self._write_chunk()

    def _write_chunk(self) -> None:
        if self._n_held == 0:
            return
        hash_N = np.concatenate([record["hash"] for record in self._held])
        order_N, first_P1 = _sort_partitions(hash_N)
        self._chunks.append((self._file.tell(), hash_N.size, first_P1))
        for name, kind, _ in self._kinds:
            column = np.concatenate([record[name] for record in self._held])
            self._file.write(np.ascontiguousarray(column[order_N], dtype=kind).data if column.size else b"")
        self._held, self._n_held = [], 0

    def shut(self) -> None:
        """Close the files."""
        self._file.close()
        for table in (self._ids, self._acts, self._categories):
            table.shut()

    def close(self) -> EventLog:
        """Return the log."""
        self._write_chunk()
        self._file.close()
        if not self._chunks:
            why = " before observed_until" if self.counts["late"] else ""
            raise DataError("NOT_EXIST_FILE", f"the log has no events{why}. Check the path and `observed_until`.")
        has_time = self.columns.timestamp is not None
        until_us = self._until_us if self.is_until_given else self.times.last_us if has_time else 0
        return EventLog(
            self.columns, Schema(has_time, self.columns.numeric, self.columns.categorical), until_us,
            self.counts["rows"] - self.counts["late"], dict(self._n_suspects), tuple(self._warnings), self._path, self._kinds,
            tuple(self._chunks), self._ids.close(), self._acts.close(),
            self._categories.close(),
        )  # fmt: skip


@njit(cache=True, nogil=True)
def _sort_partitions(hash_N: U64) -> tuple[I64, I64]:
    """Return (rows by the leading bits of their hash, stable; first row of each partition)."""
    first_P1 = np.zeros(N_PARTITIONS + 1, np.int64)
    for n in range(hash_N.size):
        first_P1[np.int64(hash_N[n] >> _SHIFT) + 1] += 1
    for i in range(N_PARTITIONS):
        first_P1[i + 1] += first_P1[i]
    at_P = first_P1[:-1].copy()
    order_N = np.empty(hash_N.size, np.int64)
    for n in range(hash_N.size):
        p = int(hash_N[n] >> _SHIFT)
        order_N[at_P[p]] = n
        at_P[p] += 1
    return order_N, first_P1
