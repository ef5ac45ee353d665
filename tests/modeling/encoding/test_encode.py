"""Stored features, labels, tasks and scores on a made-up data set."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from modeling_data import make_rows, make_source

from footfall.errors import DataError, IncompatibleError
from footfall.modeling.encoding.encode import Feature, make_feature, open_feature
from footfall.modeling.encoding.encoder import Encoder, fit_encoder
from footfall.modeling.learning.labels import match_labels, read_labels


def ids_of(feature: Feature) -> list[str]:
    ids = []
    for block in feature.read_blocks():
        data = block.id_B.tobytes()
        ids += [data[a:b].decode() for a, b in zip(block.id_offset_N1, block.id_offset_N1[1:], strict=False)]
    return ids


@pytest.fixture(scope="module")
def feature(rows: tuple[str, str], encoder: Encoder, tmp_path_factory: pytest.TempPathFactory) -> Feature:
    directory = tmp_path_factory.mktemp("feature")
    make_feature([make_source(rows[0].encode())], encoder, directory)
    return open_feature(directory)


def test_a_feature_holds_every_user_in_order(rows: tuple[str, str], feature: Feature) -> None:
    assert ids_of(feature) == [line.split("\t")[0] for line in rows[0].splitlines()]
    assert feature.user_count == 1200


def test_the_summary_counts_what_is_there(encoder: Encoder, tmp_path: Path) -> None:
    text = "a\tone two->three\nb\t\nc\tx y z->u v w\n"
    summary = make_feature([make_source(text.encode())], encoder, tmp_path, max_tokens_per_user=5)
    assert (summary.user_count, summary.token_count, summary.empty_users) == (3, 4 + 7, 1)
    assert (summary.truncated_users, summary.truncated_tokens) == (1, 2)
    assert summary.disk_usage == sum(path.stat().st_size for path in tmp_path.iterdir())


def test_arrow_reads_what_numpy_maps(feature: Feature) -> None:
    tables = [pa.ipc.open_file(feature.directory / shard["file"]).read_all() for shard in feature.layout["shards"]]
    table = pa.concat_tables(tables)
    table.validate(full=True)
    block = next(iter(feature.read_blocks()))
    assert table["user_id"].to_pylist()[: block.n_users] == ids_of(feature)[: block.n_users]
    assert table["token"][7].as_py() == block.token_M[block.offset_N1[7] : block.offset_N1[8]].tolist()
    assert table["dense"][7].as_py() == block.dense_NA[7].tolist()
    assert np.array_equal(np.array(table["latent"][7].as_py(), np.float16).view(np.uint16), block.latent_ND[7])


def test_small_shards_hold_the_same_users(rows: tuple[str, str], encoder: Encoder, tmp_path: Path) -> None:
    parts = rows[0].splitlines(keepends=True)
    sources = [make_source("".join(parts[i : i + 300]).encode(), f"part-{i}") for i in range(0, 1200, 300)]
    make_feature(sources, encoder, tmp_path, shard_bytes=1)
    feature = open_feature(tmp_path)
    assert len(feature.layout["shards"]) == 4
    assert ids_of(feature) == [line.split("\t")[0] for line in parts]


def test_the_same_data_give_the_same_bytes(
    rows: tuple[str, str], encoder: Encoder, feature: Feature, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FOOTFALL_THREADS", "1")
    make_feature([make_source(rows[0].encode(), chunk=777)], encoder, tmp_path)
    names = sorted(path.name for path in feature.directory.iterdir())
    assert names == sorted(path.name for path in tmp_path.iterdir())
    assert all((tmp_path / name).read_bytes() == (feature.directory / name).read_bytes() for name in names)


def test_personal_data_stops_a_feature_or_is_counted(encoder: Encoder, tmp_path: Path) -> None:
    source = make_source(b"a\tx\nb\tcall 010-1234-5678\n")
    with pytest.raises(DataError) as caught:
        make_feature([source], encoder, tmp_path / "no")
    assert (caught.value.name, caught.value.line) == ("PERSONAL_DATA_NOT_ALLOWED", 2)
    summary = make_feature([source], encoder, tmp_path / "yes", personal_data="warn")
    assert summary.personal_data == {"a mobile phone number": 1}
    assert summary.personal_data_lines == ("bucket/file.csv, line 2: a mobile phone number",)


def test_labels_are_matched_to_users_in_the_order_of_the_feature(feature: Feature) -> None:
    labels = read_labels([make_source(b"u9\t1\nnobody\t1\nu3\t0\nu9\t1\nu1000\t1")])
    matched = match_labels(labels, feature)
    assert (matched.row_N.tolist(), matched.label_N.tolist(), matched.n_unknown) == ([3, 9, 1000], [0, 1, 1], 1)
    assert labels.n_lines == 5


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b"u1\t1\nu2\t2\n", 2),
        (b"u1\t1\nu2\t\n", 2),
        (b"u1\t01\n", 1),
        (b"u1\t1\nu2\t0\nu1\t0\n", 3),
        (b"u1\tmaybe\nu2\t1\n", 1),
        (b"u1\t1.5\n", 1),
        (b"user_id,churn\nu1,1\nu2,2\n" + b"u3,1\n" * 40, 3),
        (b"user_id,churn\nu1,1\nu1,0\n", 3),
    ],
)
def test_a_wrong_or_contradictory_label_is_refused_with_its_line(data: bytes, line: int) -> None:
    with pytest.raises(DataError) as caught:
        read_labels([make_source(data)])
    assert (caught.value.name, caught.value.line) == ("UNEXPECTED_LABEL", line)


def test_contradictory_labels_in_two_files_name_both() -> None:
    with pytest.raises(DataError, match="one, line 2") as caught:
        read_labels([make_source(b"a\t1\nb\t1\n", "one"), make_source(b"b\t0\n", "two")])
    assert (caught.value.name, caught.value.path, caught.value.line) == ("UNEXPECTED_LABEL", "two", 1)


def test_labels_of_a_million_users_are_read() -> None:
    data = b"".join(b"user%d\t%d\n" % (n, n & 1) for n in range(1_000_000))
    labels = read_labels([make_source(data)])
    assert (labels.label_N.size, int(labels.label_N.sum())) == (1_000_000, 500_000)


def test_features_of_two_encoders_do_not_mix(feature: Feature, tmp_path: Path) -> None:
    from footfall.modeling.learning.task import train_task

    text, answers = make_rows(300, seed=9)
    make_feature([make_source(text.encode())], fit_encoder([make_source(text.encode())], seed=1), tmp_path)
    labels = read_labels([make_source(answers.encode())])
    with pytest.raises(IncompatibleError):
        train_task(feature, labels, open_feature(tmp_path), labels, seed=1)
