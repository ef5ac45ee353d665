"""The dense columns of an encoder and their values: order and shape of the text, times, numbers, categories.

Knows histories and the look-up of their behaviors; nothing of bins. What a data set does not have is NaN, which
the bins turn into a byte of its own. Columns that are constant or a copy of another one, among the users that the
encoder was fitted on, are left out, then the least informative, until at most ``MAX_COLUMNS`` are left.

Shapes: N users, L events, A columns.
"""

from dataclasses import dataclass

import numpy as np

from footfall.modeling.dtypes import F32, I64, U64
from footfall.modeling.encoding import aggregates, amounts, bag, timing
from footfall.modeling.reading.histories import Facts, Histories, Schema
from footfall.modeling.text.hashes import build_table

MAX_COLUMNS = 200
N_FREQUENT = 24
"""Frequent values over all categorical columns that are counted one by one."""


@dataclass(frozen=True)
class DensePlan:
    """The definition of an encoder's dense columns."""

    n_groups: int
    schema: Schema
    value_column: int
    """The numeric column by which behaviors and categories are summed, -1 without one."""
    frequent_F: U64
    keep_A: I64
    """Which of all columns are kept, ascending."""

    def name_all(self) -> list[str]:
        """Return the names of all columns, kept or not."""
        schema, names = self.schema, aggregates.name_columns(self.n_groups)
        if schema.has_time:
            names += timing.NAMES
        names += [f"{name}_{what}" for name in schema.numeric for what in amounts.PER_NUMBER]
        if schema.categorical:
            names += [f"{name}_{what}" for name in schema.categorical for what in amounts.PER_CATEGORY]
            names += [f"value_{f}_{what}" for f in range(self.frequent_F.size) for what in ("count", "sum")]
        if self.value_column >= 0:
            names += [f"behavior_{u}_sum" for u in range(aggregates.N_COUNTED)]
        return names

    def names(self) -> list[str]:
        """Return the names of the kept columns."""
        all_names = self.name_all()
        return [all_names[a] for a in self.keep_A.tolist()]

    def fill(self, histories: Histories, lookup: bag.Lookup, idf_V: F32) -> F32:
        """Return (N, A) float32, the kept columns."""
        return np.ascontiguousarray(self.fill_all(histories, lookup, idf_V)[:, self.keep_A])

    def fill_all(self, histories: Histories, lookup: bag.Lookup, idf_V: F32) -> F32:
        """Return (N, all columns) float32."""
        parts = [
            aggregates.aggregate(
                histories.offset_N1, histories.hash_L, lookup.index_L, histories.n_words_L, lookup.is_known_L,
                lookup.log_number_L, lookup.group_L, idf_V, self.n_groups, len(aggregates.name_columns(self.n_groups)),
            )
        ]  # fmt: skip
        if self.schema != Schema():
            parts += self._fill_facts(histories, lookup, align(histories, self.schema))
        return np.hstack(parts) if len(parts) > 1 else parts[0]

    def _fill_facts(self, histories: Histories, lookup: bag.Lookup, facts: Facts) -> list[F32]:
        schema, offset_N1, parts = self.schema, histories.offset_N1, list[F32]()
        visit_L = np.zeros(lookup.index_L.size, np.int32)
        if schema.has_time and facts.schema.has_time:
            parts.append(timing.count_times(offset_N1, facts.time_L, facts.until_us, visit_L, len(timing.NAMES)))
        elif schema.has_time:
            parts.append(np.full((histories.n_users, len(timing.NAMES)), np.nan, np.float32))
        if schema.numeric:
            parts.append(
                amounts.count_numbers(offset_N1, facts.number_LQ, visit_L, facts.time_L, facts.until_us, len(amounts.PER_NUMBER))
            )
        value_L = self.value_of(facts)
        if schema.categorical:
            key_S, value_S = build_table(self.frequent_F)
            parts.append(
                amounts.count_categories(
                    offset_N1, facts.category_LC, value_L, key_S, value_S, self.frequent_F.size,
                    len(amounts.PER_CATEGORY),
                )
            )  # fmt: skip
        if self.value_column >= 0:
            parts.append(amounts.sum_behaviors(offset_N1, lookup.index_L, value_L, aggregates.N_COUNTED))
        return parts

    def value_of(self, facts: Facts) -> F32:
        """Return (L,) the value of each event, NaN where there is none."""
        if self.value_column < 0:
            return np.full(facts.time_L.size, np.nan, np.float32)
        return np.ascontiguousarray(facts.number_LQ[:, self.value_column])


def align(histories: Histories, schema: Schema) -> Facts:
    """Return the facts of histories in the columns of ``schema``; what is missing is NaN, or 0 for categories."""
    n_events = int(histories.hash_L.size)
    facts = histories.facts or Facts(
        Schema(), 0, np.zeros(n_events, np.int64), np.zeros((n_events, 0), np.float32), np.zeros((n_events, 0), np.uint64)
    )
    if facts.schema == schema:
        return facts
    number_LQ = np.full((n_events, len(schema.numeric)), np.nan, np.float32)
    category_LC = np.zeros((n_events, len(schema.categorical)), np.uint64)
    for q, name in enumerate(schema.numeric):
        if name in facts.schema.numeric:
            number_LQ[:, q] = facts.number_LQ[:, facts.schema.numeric.index(name)]
    for c, name in enumerate(schema.categorical):
        if name in facts.schema.categorical:
            category_LC[:, c] = facts.category_LC[:, facts.schema.categorical.index(name)]
    kept = Schema(facts.schema.has_time and schema.has_time, schema.numeric, schema.categorical)
    return Facts(kept, facts.until_us, facts.time_L, number_LQ, category_LC)


def find_missing(schema: Schema, other: Schema) -> list[str]:
    """Return the names of what ``schema`` has and ``other`` has not."""
    missing = ["times"] if schema.has_time and not other.has_time else []
    names = [n for n in schema.numeric if n not in other.numeric]
    return missing + names + [n for n in schema.categorical if n not in other.categorical]


def choose_frequent(category_LC: U64, offset_N1: I64) -> U64:
    """Return the values that most users have, but not nearly all of them, the columns taking turns."""
    user_L = np.repeat(np.arange(offset_N1.size - 1), np.diff(offset_N1))
    ranked: list[list[int]] = []
    for c in range(category_LC.shape[1]):
        known_L = category_LC[:, c] != 0
        pairs = np.unique(np.stack([category_LC[known_L, c], user_L[known_L].astype(np.uint64)], axis=1), axis=0)
        hash_F, users_F = np.unique(pairs[:, 0], return_counts=True)
        enough_F = (users_F >= 2) & (users_F < 0.995 * (offset_N1.size - 1))
        order = np.lexsort((hash_F[enough_F], -users_F[enough_F]))
        ranked.append(hash_F[enough_F][order].tolist())
    turns = [values[i] for i in range(N_FREQUENT) for values in ranked if i < len(values)]
    return np.array(list(dict.fromkeys(turns))[:N_FREQUENT], np.uint64)


def choose_columns(raw_NA: F32, names: list[str]) -> I64:
    """Return which columns to keep: not constant, no copy, and the most informative of more than ``MAX_COLUMNS``."""
    seen: dict[bytes, int] = {}
    for a in range(raw_NA.shape[1]):
        x_N = np.ascontiguousarray(raw_NA[:, a])
        known_N = x_N[~np.isnan(x_N)]
        if known_N.size and (known_N.size < x_N.size or known_N.min() < known_N.max()):
            seen.setdefault(x_N.tobytes(), a)
    kept = sorted(seen.values())
    # frequency and recency are dropped last, positions of rare groups first
    surplus = [a for part in _DROP_ORDER for a in reversed(kept) if names[a].startswith(part[0]) and names[a].endswith(part[1])]
    dropped = set(surplus[: max(0, len(kept) - MAX_COLUMNS)])
    columns = [a for a in kept if a not in dropped][:MAX_COLUMNS]
    return np.array(columns or [0], np.int64)


_DROP_ORDER = (("group_", "_since"), ("group_", "_share"), ("behavior_", "_count"), ("group_", "_count"), ("value_", "_count"))
