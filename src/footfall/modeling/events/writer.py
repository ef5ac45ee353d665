"""Turn batches of rows into the records of an event log, and write them.

Knows columns, values and scratch files; nothing of file formats.

Shapes: N rows, P partitions.
"""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from footfall.errors import DataError
from footfall.modeling.compiled import njit
from footfall.modeling.dtypes import BOOL, I64, U64
from footfall.modeling.events.arrays import read_ids, read_numbers, read_texts
from footfall.modeling.events.columns import Columns
from footfall.modeling.events.event_log import N_PARTITIONS, EventLog
from footfall.modeling.events.formats.location import Location
from footfall.modeling.events.options import LogOptions
from footfall.modeling.events.texts import ACT, CATEGORY, USER, TextTable, personal_data_error
from footfall.modeling.events.times import Times
from footfall.modeling.events.users import UserCounts
from footfall.modeling.reading.histories import Schema
from footfall.modeling.reading.source import PersonalData

CHUNK_ROWS = 1 << 19
_MAX_WITHOUT_USER = 0.5
"""With a larger share of events without a user a log is refused."""
_SHIFT = np.uint64(54)


class Writer:
    """Turns batches into records and writes them."""

    def __init__(
        self,
        columns: Columns,
        options: LogOptions,
        times: Times,
        scratch: Path,
        salt: int,
        personal_data: PersonalData,
        allowed: frozenset[str] = frozenset(),
    ) -> None:
        self.columns, self.times, self.counts = columns, times, Counter[str]()
        self.is_until_given = options.observed_until is not None
        self._until_us = 0 if options.observed_until is None else int(options.observed_until.timestamp() * 1e6)
        self.too_big: dict[str, tuple[Location, int]] = {}
        """Columns with numbers that are too big, and where the first one stands."""
        self._personal: PersonalData = personal_data
        self._allowed = allowed
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
        self._header_hash = self._ids.hash_id(columns.user_id)
        self.users = UserCounts()
        self._path = scratch / "events"
        self._file = self._path.open("wb")
        self._held: list[dict[str, Any]] = []
        self._n_held = 0
        self._chunks: list[tuple[int, int, I64]] = []

    def add(self, location: Location, batch: dict[str, Any]) -> None:
        """Add the rows of one batch."""
        columns = self.columns
        ids = read_ids(batch[columns.user_id], columns.user_id, location)
        user_N, hash_N, suspect_ids = self._ids.add(
            ids, location, column=columns.user_id, personal_data=self._personal, are_ids=True, allowed=self._allowed
        )
        self._refuse_second_header(batch, location, hash_N)
        acts = read_texts([batch[name] for name in columns.behavior], location)
        act_N, _, suspect_acts = self._acts.add(
            acts, location, column=" + ".join(columns.behavior), personal_data=self._personal, allowed=self._allowed
        )
        self._note_personal_data(location, [*suspect_ids, *suspect_acts])
        record: dict[str, Any] = {"hash": hash_N, "user": user_N.astype(np.uint32), "act": act_N.astype(np.int32)}
        record["time"] = self.times.read(batch, location, user_N.size)
        record["category"] = np.zeros((user_N.size, len(columns.categorical)), np.uint64)
        for c, name in enumerate(columns.categorical):
            _, record["category"][:, c], suspects = self._categories.add(
                read_texts(batch[name], location),
                location,
                column=name,
                personal_data=self._personal,
                are_ids=name in columns.ids,
                allowed=self._allowed,
            )
            self._note_personal_data(location, suspects)
        record["number"] = np.empty((user_N.size, len(columns.numeric)), np.float32)
        for q, name in enumerate(columns.numeric):
            record["number"][:, q], big_N = read_numbers(batch[name], name, location, columns.notations.get(name))
            if big_N.size:
                self.too_big.setdefault(name, (location, int(big_N[0])))
                self.counts[f"too big {name}"] += big_N.size
        self._hold(record, user_N >= 0)

    def _refuse_second_header(self, batch: dict[str, Any], location: Location, hash_N: U64) -> None:
        """Refuse a row in which the user and another column hold the names of their columns."""
        row_N = np.flatnonzero(hash_N == self._header_hash)
        for row in row_N.tolist():
            others = [name for name in batch if name != self.columns.user_id]
            values = {name: batch[name][row].as_py() for name in others}
            if any(value in (name, name.encode()) for name, value in values.items()):
                raise location.error(row, "the header comes again in this row. Remove it.")

    def missing_shares(self) -> dict[str, float]:
        """Return the share of events without a value, by column, of those with a user."""
        columns, n_rows = self.columns, max(1, self.counts["rows"])
        shares = {name: self.counts[f"missing {name}"] / n_rows for name in (*columns.numeric, *columns.categorical)}
        if len(columns.behavior) == 1 and columns.behavior[0] not in shares:
            shares[columns.behavior[0]] = self.counts["blank"] / n_rows
        return shares | {columns.user_id: self.counts["no user"] / max(1, self.counts["read"])}

    def _note_personal_data(self, location: Location, suspects: list[tuple[int, str]]) -> None:
        self._n_suspects.update(kind for _, kind in suspects)
        few = suspects[: 10 - len(self._warnings)]  # to find a line, its file is read again
        self._warnings += [str(location.error(row, kind)) for row, kind in few]

    def _hold(self, record: dict[str, Any], has_user_N: BOOL) -> None:
        self.counts["read"] += has_user_N.size
        if not has_user_N.all():
            self.counts["no user"] += int(has_user_N.size - has_user_N.sum())
            record = {name: column[has_user_N] for name, column in record.items()}
        self.users.count(record["hash"])
        self.counts["rows"] += record["hash"].size
        for q, name in enumerate(self.columns.numeric):
            self.counts[f"missing {name}"] += int(np.isnan(record["number"][:, q]).sum())
        for c, name in enumerate(self.columns.categorical):
            self.counts[f"missing {name}"] += int((record["category"][:, c] == 0).sum())
        self.counts["blank"] += int((record["act"] < 0).sum())
        if self.is_until_given and self.columns.timestamp is not None:
            keep_N = record["time"] <= self._until_us
            self.counts["late"] += int(keep_N.size - keep_N.sum())
            if not keep_N.all():
                record = {name: column[keep_N] for name, column in record.items()}
        if self.columns.timestamp is not None:
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

    def _judge_bare_digits(self) -> None:
        """Refuse or note bare digits of a column of which most pass the check of a card or a resident registration number."""
        columns = [item for table in (self._ids, self._acts, self._categories) for item in table.bare.items()]
        for column, (bare, firsts) in columns:
            for kind, (location, row, finding) in firsts.items():
                count = bare.verdict(kind)
                if count and self._personal == "refuse":
                    raise personal_data_error(location, row, column, finding, count)
                if count:
                    self._note_personal_data(location, [(row, f"{kind}, in the column {column!r}; {count}")])

    def shut(self) -> None:
        """Close the files."""
        self._file.close()
        for table in (self._ids, self._acts, self._categories):
            table.shut()

    def close(self) -> EventLog:
        """Return the log."""
        self._write_chunk()
        self._file.close()
        self._judge_bare_digits()
        if self.counts["no user"] > _MAX_WITHOUT_USER * self.counts["read"]:
            raise DataError(
                "UNEXPECTED_TXT_FORMAT",
                f"{self.counts['no user']:,} of {self.counts['read']:,} events have no user id in the column "
                f'{self.columns.user_id!r}. Name a column that is better filled as "user_id" in `columns`, or leave such events '
                "out of the file.",
            )
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
