"""The encoder, fitted without labels, that turns histories into features: vocabulary, weights, latent space, bins.

Knows local files and histories; nothing of labels or stores. Saved as JSON and safetensors; its id is the
SHA-256 of those bytes. The same data and seed give the same bytes, whatever the number of threads.

Shapes: N users, L behaviors, M bag entries, V tokens, D dimensions, A dense columns, K blocks.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors.numpy import save_file

from footfall.errors import DataError
from footfall.modeling.arrays import map_arrays
from footfall.modeling.dtypes import F32, I64, U8, U16, U32
from footfall.modeling.encoding import aggregates, amounts, bag, fact_bag, latent
from footfall.modeling.encoding.dense import DensePlan, align, choose_columns, choose_frequent
from footfall.modeling.encoding.sample import Sample, sample_log, sample_users
from footfall.modeling.encoding.vocabulary import Vocabulary, VocabularyConfig, fit_vocabulary
from footfall.modeling.events.log import EventLog
from footfall.modeling.reading.histories import Histories, Schema, split_texts, take_users
from footfall.modeling.reading.source import PersonalData, Progress, Source, keep_quiet

FORMAT = 2
FEW_VALUES = 1_000
"""A column with more values is one of names, in which new values are normal."""
_OWN_ARRAYS = ("idf_V", "vector_VD", "edge_E", "edge_offset_A1", "rank_A256", "spread_D", "unit_T")
_PLAN_ARRAYS = ("frequent_F", "keep_A")
_SETTINGS = ("n_tail", "has_facts")
_VOCABULARY_ARRAYS = tuple(f.name for f in fields(Vocabulary) if f.name not in _SETTINGS)


@dataclass(frozen=True)
class EncoderConfig:
    """What an encoder is made of."""

    vocabulary: VocabularyConfig = field(default_factory=VocabularyConfig)
    max_dims: int = 256
    n_latent_bytes: int = 32
    """Leading latent dimensions that trees see as bytes."""
    sample_users: int = 100_000
    sample_bytes: int = 64 << 20
    latent_users: int = 32_768


@dataclass(frozen=True)
class Encoded:
    """Users of a block, encoded."""

    n_behaviors_N: U32
    inverse_NK: F32
    latent_ND: U16
    """The bits of float16."""
    dense_NA: U8
    offset_N1: I64
    token_M: U32
    count_M: U8
    n_known: int
    """Behaviors in the vocabulary, or of known words alone."""
    n_tokens: int
    n_cut_users: int
    n_cut_tokens: int


@dataclass(frozen=True)
class Encoder:
    """See the module."""

    config: EncoderConfig
    n_users: int
    """Users of the data set it was fitted on."""
    vocabulary: Vocabulary
    idf_V: F32
    vector_VD: F32
    edge_E: F32
    edge_offset_A1: I64
    rank_A256: F32
    """Middle rank of each bin of each dense column among the users it was fitted on."""
    spread_D: F32
    """Standard deviation of the latent dimensions among them."""
    unit_T: F32
    """The mean value of behaviors and words; empty without numbers."""
    plan: DensePlan
    tables: bag.Tables = field(repr=False)
    fold_table: latent.FoldTable = field(repr=False)

    @property
    def schema(self) -> Schema:
        """Which facts of events it knows beside their behavior."""
        return self.plan.schema

    @property
    def column_names(self) -> list[str]:
        """Names of the A dense columns."""
        return [*self.plan.names(), *(f"latent_{d}" for d in range(min(self.config.n_latent_bytes, self.n_dims)))]

    @property
    def n_dims(self) -> int:
        """D, dimensions of the latent space."""
        return int(self.vector_VD.shape[1])

    @property
    def n_columns(self) -> int:
        """A, dense columns: aggregates, then latent bytes."""
        return int(self.edge_offset_A1.size - 1)

    @property
    def content_hash(self) -> str:
        """SHA-256 of the content, hexadecimal: the encoder's identity."""
        digest = hashlib.sha256(self._header().encode())
        for name, array in sorted(self._arrays().items()):
            digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()

    def save(self, directory: Path) -> None:
        """Write ``encoder.json`` and ``encoder.safetensors`` into ``directory``."""
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "encoder.json").write_text(self._header())
        save_file({name: np.ascontiguousarray(a) for name, a in self._arrays().items()}, directory / "encoder.safetensors")

    def _header(self) -> str:
        header = {
            "format": FORMAT, "n_users": self.n_users, "config": asdict(self.config), "schema": asdict(self.schema),
            "value_column": self.plan.value_column,
        }  # fmt: skip
        return json.dumps(header, indent=1, sort_keys=True) + "\n"

    def _arrays(self) -> dict[str, npt.NDArray[np.generic]]:
        own = {name: getattr(self, name) for name in _OWN_ARRAYS} | {n: getattr(self.plan, n) for n in _PLAN_ARRAYS}
        return own | {name: getattr(self.vocabulary, name) for name in _VOCABULARY_ARRAYS}

    def encode(self, data_B: U8, tab_N: I64, end_N: I64, *, max_tokens_per_user: int | None = None) -> Encoded:
        """Encode the users whose texts are ``data_B[tab + 1:end]``."""
        return self.encode_histories(split_texts(data_B, tab_N, end_N, max_tokens_per_user or 0))

    def encode_histories(self, histories: Histories) -> Encoded:
        """Encode users, from sequence files or an event log."""
        lookup = bag.find_behaviors(histories.data_B, histories.hash_L, histories.start_L, histories.end_L, self.tables)
        bags = _count_bags(histories, lookup, self.tables, self.plan, self.unit_T)
        bound_K = self.vocabulary.bound_K
        inverse_NK = bag.invert_norms(*bags, self.idf_V, bound_K)
        z_ND = latent.fold_in(*bags, bound_K, inverse_NK, self.fold_table)
        dense_NA = np.empty((histories.n_users, self.n_columns), np.uint8)
        raw_NA = _add_latent(self.plan.fill(histories, lookup, self.idf_V), z_ND, self.config)
        aggregates.put_in_bins(raw_NA, self.edge_E, self.edge_offset_A1, dense_NA)
        return Encoded(
            n_behaviors_N=np.diff(histories.offset_N1).astype(np.uint32),
            inverse_NK=inverse_NK,
            latent_ND=latent.to_half(z_ND),
            dense_NA=dense_NA,
            offset_N1=bags[0],
            token_M=bags[1],
            count_M=bags[2],
            n_known=int(lookup.is_known_L.sum()),
            n_tokens=int(histories.n_tokens_N.sum()),
            n_cut_users=int((histories.n_cut_N > 0).sum()),
            n_cut_tokens=int(histories.n_cut_N.sum()),
        )


def _count_bags(
    histories: Histories, lookup: bag.Lookup, tables: bag.Tables, plan: DensePlan, unit_T: F32 | None
) -> fact_bag.Bag:
    """Return the whole bags of users; without ``unit_T`` the parts that need no units."""
    bags = bag.count_tokens(histories.offset_N1, histories.hash_L, lookup, tables)
    v = tables.vocabulary
    if not v.has_facts or unit_T is None:
        return bags
    facts, bound_K = align(histories, plan.schema), v.bound_K
    n_categories = v.category_hash_W.size
    categories = fact_bag.bag_categories(histories.offset_N1, facts.category_LC, *tables.category, n_categories)
    bags = fact_bag.join_bags(bags, categories, int(bound_K[2]))
    if plan.value_column < 0:
        return bags
    offset_N1, token_M, sum_M = _sum_values(histories, lookup, v, plan.value_of(facts))
    values = (offset_N1, token_M, fact_bag.to_bytes(token_M, sum_M, unit_T))
    return fact_bag.join_bags(bags, values, int(bound_K[3]))


def _sum_values(histories: Histories, lookup: bag.Lookup, v: Vocabulary, value_L: F32) -> tuple[I64, U32, F32]:
    text = (v.text_offset_U1, v.text_token_T, lookup.extra_offset_L1, lookup.extra_T)
    n_behaviors = v.behavior_hash_U.size
    n_tokens = n_behaviors + v.word_hash_W.size
    return fact_bag.sum_values(histories.offset_N1, lookup.index_L, text, value_L, n_behaviors, n_tokens)


def _add_latent(raw_NA: F32, z_ND: F32, config: EncoderConfig) -> F32:
    return np.hstack([raw_NA, z_ND[:, : config.n_latent_bytes]])


def take_sample(
    sources: Sequence[Source] | EventLog,
    *,
    seed: int,
    progress: Progress = keep_quiet,
    config: EncoderConfig | None = None,
    personal_data: PersonalData = "off",
) -> Sample:
    """Read ``sources``, or a log, once and keep what an encoder is chosen by, or fitted on.

    Raises:
        DataError: as the reader does.
    """
    config = config or EncoderConfig()
    if isinstance(sources, EventLog):
        return sample_log(sources, max_users=config.sample_users, max_bytes=config.sample_bytes, progress=progress)
    return sample_users(
        sources, seed=seed, max_users=config.sample_users, max_bytes=config.sample_bytes,
        personal_data=personal_data, stage="sample", progress=progress,
    )  # fmt: skip


def fit_encoder(
    sources: Sequence[Source] | EventLog,
    *,
    seed: int,
    progress: Progress = keep_quiet,
    config: EncoderConfig | None = None,
    personal_data: PersonalData = "off",
) -> Encoder:
    """Fit an encoder on a sample of the users of ``sources``, or of a log; it stays under 64 MiB of text.

    Raises:
        DataError: as the reader does.
    """
    sample = take_sample(sources, seed=seed, progress=progress, config=config, personal_data=personal_data)
    return fit_sample(sample, seed=seed, progress=progress, config=config)


def fit_sample(sample: Sample, *, seed: int, progress: Progress = keep_quiet, config: EncoderConfig | None = None) -> Encoder:
    """Fit an encoder on a sample that was taken before."""
    config = config or EncoderConfig()
    histories = sample.histories
    progress("fit vocabulary", 0, 3)
    tables = bag.build_tables(fit_vocabulary(sample, config.vocabulary))
    progress("fit latent space", 1, 3)
    lookup = bag.find_behaviors(histories.data_B, histories.hash_L, histories.start_L, histories.end_L, tables)
    plan, unit_T = _plan_facts(histories, lookup, tables.vocabulary)
    bags = _count_bags(histories, lookup, tables, plan, unit_T)
    idf_V = _weigh_tokens(bags[1], histories.n_users, tables.vocabulary.n_tokens)
    bound_K = tables.vocabulary.bound_K
    inverse_NK = bag.invert_norms(*bags, idf_V, bound_K)
    vector_VD = _fit_latent(bags, idf_V, bound_K, inverse_NK, config, seed)
    progress("fit aggregates", 2, 3)
    raw_NA = plan.fill_all(histories, lookup, idf_V)
    plan = replace(plan, keep_A=choose_columns(raw_NA, plan.name_all()))
    fold_table = latent.build_fold_table(vector_VD, idf_V)
    z_ND = latent.fold_in(*bags, bound_K, inverse_NK, fold_table)
    edge_E, edge_offset_A1, rank_A256 = aggregates.fit_bins(_add_latent(raw_NA[:, plan.keep_A], z_ND, config))
    progress("fit aggregates", 3, 3)
    return Encoder(
        config, sample.n_users, tables.vocabulary, idf_V, vector_VD, edge_E, edge_offset_A1, rank_A256,
        z_ND.std(axis=0), unit_T, plan, tables, fold_table,
    )  # fmt: skip


def _plan_facts(histories: Histories, lookup: bag.Lookup, v: Vocabulary) -> tuple[DensePlan, F32]:
    """Return what is made of times, numbers and categories, all columns kept, and the units of values."""
    none = np.zeros(0, np.float32)
    n_groups = v.group_hash_C.size
    plan = DensePlan(n_groups, Schema(), -1, np.zeros(0, np.uint64), np.zeros(0, np.int64))
    if histories.facts is None or histories.facts.schema == Schema():
        return plan, none
    facts = histories.facts
    value_column = amounts.choose_value(facts.number_LQ, lookup.index_L)
    plan = replace(
        plan, schema=facts.schema, value_column=value_column,
        frequent_F=choose_frequent(facts.category_LC, histories.offset_N1),
    )  # fmt: skip
    if value_column < 0:
        return plan, none
    _, token_M, sum_M = _sum_values(histories, lookup, v, plan.value_of(facts))
    return plan, fact_bag.fit_units(token_M, sum_M, v.behavior_hash_U.size + v.word_hash_W.size)


def _fit_latent(
    bags: fact_bag.Bag, idf_V: F32, bound_K: I64,
    inverse_NK: F32, config: EncoderConfig, seed: int,
) -> F32:  # fmt: skip
    from footfall.modeling.encoding.latent_fit import fit_bags  # it needs SciPy, which takes a while to load

    weight_M = bag.weigh(*bags, idf_V, bound_K, inverse_NK)
    return fit_bags(
        *bags[:2], weight_M, int(bound_K[1]), n_tokens=idf_V.size, max_dims=config.max_dims,
        max_users=config.latent_users, seed=seed,
    )  # fmt: skip


def _weigh_tokens(token_M: U32, n_users: int, n_tokens: int) -> F32:
    """Return the smoothed inverse document frequencies: ``log((1 + n) / (1 + df)) + 1``."""
    users_V = np.bincount(token_M, minlength=n_tokens)
    return (np.log((1 + n_users) / (1 + users_V)) + 1).astype(np.float32)


def load_encoder(directory: Path) -> Encoder:
    """Read what ``Encoder.save`` wrote.

    Raises:
        DataError: COMMON_ERROR, if it is of a later format.
    """
    header = json.loads((directory / "encoder.json").read_text())
    if header["format"] != FORMAT:
        raise DataError("COMMON_ERROR", f"the encoder has format {header['format']}; this release reads {FORMAT}. Fit a new one.")
    # copies of all but the largest, because compiled code takes writable arrays and read-only ones for different types
    mapped = map_arrays(directory / "encoder.safetensors")
    arrays: dict[str, Any] = {name: a if name == "vector_VD" else a.copy() for name, a in mapped.items()}
    settings = dict(header["config"])
    config = EncoderConfig(vocabulary=VocabularyConfig(**settings.pop("vocabulary")), **settings)
    stored = header["schema"]
    schema = Schema(stored["has_time"], tuple(stored["numeric"]), tuple(stored["categorical"]))
    vocabulary = Vocabulary(
        n_tail=config.vocabulary.n_tail, has_facts=schema != Schema(), **{name: arrays[name] for name in _VOCABULARY_ARRAYS}
    )
    plan = DensePlan(
        vocabulary.group_hash_C.size, schema, header["value_column"], **{name: arrays[name] for name in _PLAN_ARRAYS}
    )
    return Encoder(
        config, header["n_users"], vocabulary, **{name: arrays[name] for name in _OWN_ARRAYS},
        plan=plan, tables=bag.build_tables(vocabulary),
        fold_table=latent.build_fold_table(arrays["vector_VD"], arrays["idf_V"]),
    )  # fmt: skip


def measure_coverage(encoder: Encoder, sources: Sequence[Source], *, n_users: int = 10_000, seed: int = 1) -> float:
    """Return the share of behaviors, in a sample of users, that the encoder knows; 1 when there are none.

    A behavior is known when it is in the vocabulary, or all its words are.
    """
    sample = sample_users(sources, seed=seed, max_users=n_users, max_bytes=32 << 20, unique_ids=False)
    return cover_sample(encoder, sample, n_users=n_users)


def cover_sample(encoder: Encoder, sample: Sample, *, n_users: int = 10_000) -> float:
    """Return ``measure_coverage`` of a sample taken before, for several encoders; ``n_users`` of it, evenly spread."""
    whole = sample.histories
    chosen_N = np.unique(np.linspace(0, max(0, whole.n_users - 1), n_users).astype(np.int64))[: whole.n_users]
    histories = take_users(whole, chosen_N)
    lookup = bag.find_behaviors(histories.data_B, histories.hash_L, histories.start_L, histories.end_L, encoder.tables)
    return float(lookup.is_known_L.mean()) if histories.hash_L.size else 1.0


def cover_categories(encoder: Encoder, sample: Sample) -> dict[str, float]:
    """Return, of each categorical column with at most ``FEW_VALUES`` values, the share of events whose value is known."""
    facts = sample.histories.facts
    if facts is None:
        return {}
    shares = {}
    for c, name in enumerate(facts.schema.categorical):
        value_L = facts.category_LC[:, c][facts.category_LC[:, c] != 0]
        if value_L.size and np.unique(value_L).size <= FEW_VALUES:
            shares[name] = float(np.isin(value_L, encoder.vocabulary.category_hash_W).mean())
    return shares


def cover_numbers(encoder: Encoder, sample: Sample) -> dict[str, float]:
    """Return, of each numeric column, the share of its values within what the encoder was fitted on: its bins tell only those."""
    facts = sample.histories.facts
    columns = {name: a for a, name in enumerate(encoder.column_names)}
    shares = {}
    for q, name in enumerate(() if facts is None else facts.schema.numeric):
        known = [columns[f"{name}_{what}"] for what in ("least", "mean", "last", "most") if f"{name}_{what}" in columns]
        edges = [encoder.edge_E[encoder.edge_offset_A1[a] : encoder.edge_offset_A1[a + 1]] for a in known]
        edge_E = np.concatenate([edge for edge in edges if edge.size] or [np.zeros(0, np.float32)])
        value_L = np.zeros(0) if facts is None else facts.number_LQ[:, q][np.isfinite(facts.number_LQ[:, q])]
        if edge_E.size and value_L.size:
            shares[name] = float(((value_L >= edge_E.min()) & (value_L <= edge_E.max())).mean())
    return shares
