"""The fitted whole that turns histories into features, without labels: vocabulary, weights, latent space, bins.

Knows local files and blocks of lines; nothing of labels or stores. Saved as JSON and safetensors; its id is the
SHA-256 of those bytes. The same data and seed give the same bytes, whatever the number of threads.

Shapes: N users, L behaviors, M bag entries, V tokens, D dimensions, A dense columns, K blocks.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

import numpy as np
import numpy.typing as npt
import scipy.sparse
from safetensors.numpy import load_file, save_file

from footfall.errors import DataError
from footfall.modeling import aggregates, bag, latent
from footfall.modeling.sample import Sample, sample_users
from footfall.modeling.sequences import PersonalData, Progress, Source, keep_quiet
from footfall.modeling.tokens import split_behaviors
from footfall.modeling.vocabulary import Vocabulary, VocabularyConfig, fit_vocabulary

FORMAT = 1
_OWN_ARRAYS = ("idf_V", "vector_VD", "edge_E", "edge_offset_A1", "rank_A256", "spread_D")
_VOCABULARY_ARRAYS = tuple(f.name for f in fields(Vocabulary) if f.name != "n_tail")


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

    n_behaviors_N: npt.NDArray[np.uint32]
    inverse_NK: npt.NDArray[np.float32]
    latent_ND: npt.NDArray[np.uint16]
    """The bits of float16."""
    dense_NA: npt.NDArray[np.uint8]
    offset_N1: npt.NDArray[np.int64]
    token_M: npt.NDArray[np.uint32]
    count_M: npt.NDArray[np.uint8]
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
    idf_V: npt.NDArray[np.float32]
    vector_VD: npt.NDArray[np.float32]
    edge_E: npt.NDArray[np.float32]
    edge_offset_A1: npt.NDArray[np.int64]
    rank_A256: npt.NDArray[np.float32]
    """Middle rank of each bin of each dense column among the users it was fitted on."""
    spread_D: npt.NDArray[np.float32]
    """Standard deviation of the latent dimensions among them."""
    tables: bag.Tables = field(repr=False)

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
        save_file(
            {name: np.ascontiguousarray(a) for name, a in self._arrays().items()}, directory / "encoder.safetensors"
        )

    def _header(self) -> str:
        header = {"format": FORMAT, "n_users": self.n_users, "config": asdict(self.config)}
        return json.dumps(header, indent=1, sort_keys=True) + "\n"

    def _arrays(self) -> dict[str, npt.NDArray[np.generic]]:
        own = {name: getattr(self, name) for name in _OWN_ARRAYS}
        return own | {name: getattr(self.vocabulary, name) for name in _VOCABULARY_ARRAYS}

    def encode(
        self,
        data_B: npt.NDArray[np.uint8],
        tab_N: npt.NDArray[np.int64],
        end_N: npt.NDArray[np.int64],
        *,
        max_tokens_per_user: int | None = None,
    ) -> Encoded:
        """Encode the users whose texts are ``data_B[tab + 1:end]``."""
        split = split_behaviors(data_B, tab_N, end_N, max_tokens_per_user or 0)
        parts = _count_all(data_B, split, self.tables, self.idf_V)
        z_ND = latent.fold_in(*parts.bag, self.idf_V, self.vocabulary.bound_K, parts.inverse_NK, self.vector_VD)
        dense_NA = np.empty((tab_N.size, self.n_columns), np.uint8)
        aggregates.put_in_bins(_dense(parts.raw_NA, z_ND, self.config), self.edge_E, self.edge_offset_A1, dense_NA)
        n_tokens_N, n_cut_N = split[5], split[6]
        return Encoded(
            n_behaviors_N=np.diff(split[0]).astype(np.uint32),
            inverse_NK=parts.inverse_NK,
            latent_ND=latent.to_half(z_ND),
            dense_NA=dense_NA,
            offset_N1=parts.bag[0],
            token_M=parts.bag[1],
            count_M=parts.bag[2],
            n_tokens=int(n_tokens_N.sum()),
            n_cut_users=int((n_cut_N > 0).sum()),
            n_cut_tokens=int(n_cut_N.sum()),
        )


@dataclass(frozen=True)
class _Counted:
    bag: tuple[npt.NDArray[np.int64], npt.NDArray[np.uint32], npt.NDArray[np.uint8]]
    inverse_NK: npt.NDArray[np.float32]
    raw_NA: npt.NDArray[np.float32]


Split = tuple[
    npt.NDArray[np.int64],
    npt.NDArray[np.uint64],
    npt.NDArray[np.int64],
    npt.NDArray[np.int64],
    npt.NDArray[np.int32],
    npt.NDArray[np.int64],
    npt.NDArray[np.int64],
]


def _count_all(
    data_B: npt.NDArray[np.uint8], split: Split, tables: bag.Tables, idf_V: npt.NDArray[np.float32] | None
) -> _Counted:
    """Count bags and aggregates; without ``idf_V`` only the bags."""
    offset_N1, hash_L, start_L, end_L, words_L, _, _ = split
    found = bag.find_behaviors(data_B, hash_L, start_L, end_L, tables)
    bags = bag.count_tokens(offset_N1, hash_L, found, tables)
    if idf_V is None:
        none = np.empty((0, 0), np.float32)
        return _Counted(bags, none, none)
    n_groups = tables.vocabulary.group_hash_C.size
    raw_NA = aggregates.aggregate(
        offset_N1, hash_L, found.index_L, words_L, found.is_known_L, found.number_L, found.group_L,
        idf_V, n_groups, len(aggregates.name_columns(n_groups)),
    )  # fmt: skip
    return _Counted(bags, bag.invert_norms(*bags, idf_V, tables.vocabulary.bound_K), raw_NA)


def _dense(
    raw_NA: npt.NDArray[np.float32], z_ND: npt.NDArray[np.float32], config: EncoderConfig
) -> npt.NDArray[np.float32]:
    return np.hstack([raw_NA, z_ND[:, : config.n_latent_bytes]])


def take_sample(
    sources: Sequence[Source],
    *,
    seed: int,
    progress: Progress = keep_quiet,
    config: EncoderConfig | None = None,
    personal_data: PersonalData = "off",
) -> Sample:
    """Read ``sources`` once and keep what an encoder is chosen by, or fitted on.

    Raises:
        DataError: as the reader does.
    """
    config = config or EncoderConfig()
    return sample_users(
        sources, seed=seed, max_users=config.sample_users, max_bytes=config.sample_bytes,
        personal_data=personal_data, stage="sample", progress=progress,
    )  # fmt: skip


def fit_encoder(
    sources: Sequence[Source],
    *,
    seed: int,
    scratch: Path | None = None,
    progress: Progress = keep_quiet,
    config: EncoderConfig | None = None,
    personal_data: PersonalData = "off",
) -> Encoder:
    """Fit an encoder on a sample of the users of ``sources``.

    ``scratch`` is for larger fits to come; the sample of this one stays under 64 MiB and is held in memory.

    Raises:
        DataError: as the reader does.
    """
    del scratch
    sample = take_sample(sources, seed=seed, progress=progress, config=config, personal_data=personal_data)
    return fit_sample(sample, seed=seed, progress=progress, config=config)


def fit_sample(
    sample: Sample, *, seed: int, progress: Progress = keep_quiet, config: EncoderConfig | None = None
) -> Encoder:
    """Fit an encoder on a sample that was taken before."""
    config = config or EncoderConfig()
    progress("fit vocabulary", 0, 3)
    tables = bag.build_tables(fit_vocabulary(sample, config.vocabulary))
    progress("fit latent space", 1, 3)
    split = split_behaviors(sample.data_B, sample.tab_N, sample.end_N, 0)
    offset_N1, token_M, count_M = _count_all(sample.data_B, split, tables, None).bag
    idf_V = _weigh_tokens(token_M, sample.tab_N.size, tables.vocabulary.n_tokens)
    bound_K = tables.vocabulary.bound_K
    inverse_NK = bag.invert_norms(offset_N1, token_M, count_M, idf_V, bound_K)
    weight_M = bag.weigh(offset_N1, token_M, count_M, idf_V, bound_K, inverse_NK)
    text_NV = scipy.sparse.csr_matrix(
        (weight_M, token_M.astype(np.int32), offset_N1), shape=(sample.tab_N.size, tables.vocabulary.n_tokens)
    )[: config.latent_users, : int(bound_K[1])]
    n_dims = max(1, min(config.max_dims, sample.tab_N.size // 8, int(bound_K[1])))
    vector_VD = latent.fit_latent(text_NV, n_dims, seed=seed)
    progress("fit aggregates", 2, 3)
    raw_NA = _count_all(sample.data_B, split, tables, idf_V).raw_NA
    z_ND = latent.fold_in(offset_N1, token_M, count_M, idf_V, bound_K, inverse_NK, vector_VD)
    edge_E, edge_offset_A1, rank_A256 = aggregates.fit_bins(_dense(raw_NA, z_ND, config))
    progress("fit aggregates", 3, 3)
    return Encoder(
        config, sample.n_users, tables.vocabulary, idf_V, vector_VD, edge_E, edge_offset_A1, rank_A256,
        z_ND.std(axis=0), tables,
    )  # fmt: skip


def _weigh_tokens(token_M: npt.NDArray[np.uint32], n_users: int, n_tokens: int) -> npt.NDArray[np.float32]:
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
        raise DataError("COMMON_ERROR", f"the encoder has format {header['format']}; this release reads {FORMAT}.")
    # copies, because compiled code takes writable arrays and read-only ones for different types
    arrays = {name: np.array(a) for name, a in load_file(directory / "encoder.safetensors").items()}
    settings = dict(header["config"])
    config = EncoderConfig(vocabulary=VocabularyConfig(**settings.pop("vocabulary")), **settings)
    vocabulary = Vocabulary(n_tail=config.vocabulary.n_tail, **{name: arrays[name] for name in _VOCABULARY_ARRAYS})
    return Encoder(
        config, header["n_users"], vocabulary, **{name: arrays[name] for name in _OWN_ARRAYS},
        tables=bag.build_tables(vocabulary),
    )  # fmt: skip


def measure_coverage(encoder: Encoder, sources: Sequence[Source], *, n_users: int = 10_000, seed: int = 1) -> float:
    """Return the share of behaviors, in a sample of users, that the encoder knows; 1 when there are none.

    A behavior is known when it is in the vocabulary, or all its words are.
    """
    sample = sample_users(sources, seed=seed, max_users=n_users, max_bytes=32 << 20, unique_ids=False)
    return cover_sample(encoder, sample, n_users=n_users)


def cover_sample(encoder: Encoder, sample: Sample, *, n_users: int = 10_000) -> float:
    """Return ``measure_coverage`` of a sample taken before, to ask several encoders; ``n_users`` of it, spread."""
    chosen_N = np.unique(np.linspace(0, max(0, sample.tab_N.size - 1), n_users).astype(np.int64))[: sample.tab_N.size]
    _, hash_L, start_L, end_L, *_ = split_behaviors(sample.data_B, sample.tab_N[chosen_N], sample.end_N[chosen_N], 0)
    found = bag.find_behaviors(sample.data_B, hash_L, start_L, end_L, encoder.tables)
    return float(found.is_known_L.mean()) if hash_L.size else 1.0
