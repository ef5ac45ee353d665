"""The encoder and what it makes of texts: tokens, bags, aggregates, latent vectors; saved, loaded, the same again."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from modeling_data import make_rows, make_source

from footfall.modeling.encoding import aggregates, bag
from footfall.modeling.encoding.encoder import Encoder, fit_encoder, load_encoder, measure_coverage
from footfall.modeling.encoding.latent import build_fold_table, fold_in, to_half
from footfall.modeling.encoding.sample import sample_users
from footfall.modeling.reading.sequences import Block, map_blocks
from footfall.modeling.text.tokens import count_words, split_behaviors


def block_of(text: str) -> Block:
    return next(iter(map_blocks([make_source(text.encode())], lambda block: None)))[0]


def split(text: str, limit: int = 0) -> tuple[list[list[str]], list[int], list[int]]:
    block = block_of(text)
    offset, _, start, end, _, tokens, cut = split_behaviors(block.data_B, block.tab_N, block.end_N, limit)
    texts = [block.data_B[s:e].tobytes().decode() for s, e in zip(start, end, strict=True)]
    users = [texts[a:b] for a, b in pairwise(offset)]
    return users, tokens.tolist(), cut.tolist()


def test_behaviors_are_trimmed_and_empty_ones_dropped() -> None:
    users, tokens, _ = split("a\t x y -> ->b->\u3000->c-d>e\nb\t\nc\t->\n")
    assert users == [["x y", "b", "c-d>e"], [], []]
    assert tokens == [8, 0, 1]


@pytest.mark.parametrize("text", ["", "a", " a  b ", "a\u00a0b\u3000c", "é ü", "\u2003x\u2009y"])
def test_words_are_counted_as_str_split_does(text: str) -> None:
    data = np.frombuffer(text.encode() + b" ", np.uint8)
    assert count_words(data, 0, data.size) == len(text.split())


def test_a_limit_keeps_the_newest_tokens() -> None:
    users, tokens, cut = split("a\told one->mid two->new three\nb\tx\n", 4)
    assert users == [["two", "new three"], ["x"]]
    assert (tokens, cut) == ([8, 1], [4, 0])


def test_the_sample_is_bounded_and_does_not_depend_on_the_order_of_the_file() -> None:
    lines = [f"u{n}\tact {n % 7}\n" for n in range(3000)]
    one = sample_users([make_source("".join(lines).encode())], seed=1, max_users=200, max_bytes=1 << 20)
    two = sample_users([make_source("".join(lines[::-1]).encode())], seed=1, max_users=200, max_bytes=1 << 20)
    assert one.n_users == 3000
    assert 100 < one.histories.n_users <= 200
    assert one.histories.hash_L.tolist() == two.histories.hash_L.tolist()
    small = sample_users([make_source("".join(lines).encode())], seed=1, max_users=10**6, max_bytes=2000)
    assert small.histories.data_B.size <= 2000


def test_a_saved_encoder_is_the_same_encoder(encoder: Encoder, rows: tuple[str, str], tmp_path: Path) -> None:
    encoder.save(tmp_path)
    loaded = load_encoder(tmp_path)
    block = block_of(rows[0])
    fitted_users, loaded_users = (e.encode(block.data_B, block.tab_N, block.end_N) for e in (encoder, loaded))
    assert loaded.content_hash == encoder.content_hash
    assert all(np.array_equal(getattr(fitted_users, name), getattr(loaded_users, name)) for name in vars(fitted_users))


def test_one_thread_or_two_give_the_same_bytes(
    rows: tuple[str, str], encoder: Encoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FOOTFALL_THREADS", "1")
    fit_encoder([make_source(rows[0].encode(), chunk=1000)], seed=1).save(tmp_path / "one")
    encoder.save(tmp_path / "two")
    for name in ("encoder.json", "encoder.safetensors"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_another_seed_or_other_data_is_another_encoder(rows: tuple[str, str], encoder: Encoder) -> None:
    other = fit_encoder([make_source(make_rows(300, seed=5)[0].encode())], seed=1)
    assert other.content_hash != encoder.content_hash


def test_coverage_counts_behaviors_whose_words_are_known(encoder: Encoder) -> None:
    def cover(text: str) -> float:
        return measure_coverage(encoder, [make_source(text.encode())])

    assert cover("a\tsee red thing 3->see blue thing 4\n") == 1.0
    assert cover("a\tthing see red\n") == 1.0
    assert cover("a\tpay purple bill\n") == 0.0
    assert cover("a\tsee red thing 3->pay purple bill->x9\n") == pytest.approx(1 / 3)
    assert cover("a\t\n") == 1.0


def test_bags_are_weighted_by_block_to_unit_length(encoder: Encoder, rows: tuple[str, str]) -> None:
    block = block_of(rows[0])
    encoded = encoder.encode(block.data_B, block.tab_N, block.end_N)
    bound_K = encoder.vocabulary.bound_K
    weight_M = bag.weigh(encoded.offset_N1, encoded.token_M, encoded.count_M, encoder.idf_V, bound_K, encoded.inverse_NK)
    for n in (5, 24, 700):
        part = slice(encoded.offset_N1[n], encoded.offset_N1[n + 1])
        kind = np.searchsorted(bound_K, encoded.token_M[part], side="right")
        assert (np.diff(kind) >= 0).all()
        for k in np.unique(kind):
            assert np.square(weight_M[part][kind == k]).sum() == pytest.approx(1.0, abs=1e-5)


def test_an_unseen_behavior_still_speaks_through_its_words(encoder: Encoder) -> None:
    block = block_of("a\tthing see red\nb\tzzz qqq\nc\t\n")
    encoded = encoder.encode(block.data_B, block.tab_N, block.end_N)
    tokens = np.split(encoded.token_M, encoded.offset_N1[1:-1])
    bound_K = encoder.vocabulary.bound_K
    n_words = encoder.vocabulary.word_hash_W.size
    assert len(tokens[0]) == 3
    assert ((tokens[0] >= bound_K[0]) & (tokens[0] < bound_K[0] + n_words)).all()
    assert ((tokens[1] >= bound_K[0] + n_words) & (tokens[1] < bound_K[1])).all()
    assert tokens[2].size == 0
    assert encoded.n_behaviors_N.tolist() == [1, 1, 0]


@pytest.mark.parametrize(("times", "count"), [(254, 254), (300, 255), (70_000, 255)])
def test_counts_stop_at_255(encoder: Encoder, times: int, count: int) -> None:
    block = block_of("a\t" + "->".join(["see red thing"] * times) + "\n")
    encoded = encoder.encode(block.data_B, block.tab_N, block.end_N)
    n_text = int((encoded.token_M < encoder.vocabulary.bound_K[1]).sum())
    assert encoded.count_M[:n_text].tolist() == [count] * n_text


@pytest.mark.parametrize("n_dims", [3, 64])
def test_a_user_is_the_weighted_sum_of_its_tokens(n_dims: int) -> None:
    rng = np.random.default_rng(n_dims)
    vector_VD, idf_V = rng.normal(size=(40, n_dims)).astype(np.float32), rng.uniform(1, 9, 50).astype(np.float32)
    offset_N1, bound_K = np.array([0, 1, 1, 9, 30]), np.array([20, 40, 50])
    token_M = np.concatenate([[45], np.sort(rng.permutation(50)[:8]), np.sort(rng.permutation(50)[:21])]).astype(np.uint32)
    count_M = rng.integers(1, 255, token_M.size).astype(np.uint8)
    inverse_NK = rng.uniform(0.1, 1, (4, 3)).astype(np.float32)
    z_ND = fold_in(offset_N1, token_M, count_M, bound_K, inverse_NK, build_fold_table(vector_VD, idf_V))
    for n, rows in enumerate([[], [], range(1, 9), range(9, 30)]):
        kept = [i for i in rows if token_M[i] < 40]
        weights = [np.log1p(int(count_M[i])) * idf_V[token_M[i]] * inverse_NK[n, int(token_M[i] >= 20)] for i in kept]
        expected = np.array(weights) @ vector_VD[token_M[kept]] if kept else np.zeros(n_dims)
        assert z_ND[n] == pytest.approx(expected, abs=float(0.02 * max(1.0, np.abs(expected).max())))


def test_the_first_number_of_a_behavior_counts_by_its_logarithm_known_or_not() -> None:
    lines = "".join(f"u{n}\tbuy 7 of 9->see thing\n" for n in range(20))
    fitted = fit_encoder([make_source(lines.encode())], seed=1)
    block = block_of("a\tbuy 7 of 9->see thing->never 7 seen\n")
    _, hash_L, start_L, end_L, *_ = split_behaviors(block.data_B, block.tab_N, block.end_N, 0)
    lookup = bag.find_behaviors(block.data_B, hash_L, start_L, end_L, fitted.tables)
    assert (lookup.index_L >= 0).tolist() == [True, True, False]
    assert lookup.log_number_L.tolist() == pytest.approx([np.log(8), -1, np.log(8)])


def test_aggregates_say_what_they_are_named_for(encoder: Encoder) -> None:
    names = aggregates.name_columns(0)
    hash_L = np.array([1, 2, 1, 1, 3], np.uint64)
    zeros = np.zeros(5, np.int32)
    row = aggregates.aggregate(
        np.array([0, 5, 5]), hash_L, zeros - 1, zeros + 2, np.zeros(5, np.bool_),
        np.array([-1, np.log(4), -1, np.log(8), -1], np.float32), zeros, np.ones(4, np.float32), 0, len(names),
    )  # fmt: skip
    of = dict(zip(names, row[0].tolist(), strict=True))
    assert (of["behaviors"], of["distinct"], of["repeats"], of["longest_run"]) == (5, 3, 2, 2)
    assert (of["passes"], of["last_pass"], of["since_new"]) == (3, 2, 0)
    assert of["same_as_last_share"] == pytest.approx(0.2)
    assert of["entropy"] == pytest.approx(-(0.6 * np.log(0.6) + 0.4 * np.log(0.2)))
    assert (of["words"], of["words_mean"], of["unknown_share"]) == (10, 2, 1)
    assert of["number_last"] == pytest.approx(np.log(8))
    assert (row[1] == 0).all()


def test_bytes_are_quantile_bins() -> None:
    rng = np.random.default_rng(0)
    x_NA = np.column_stack([rng.normal(size=5000), rng.integers(0, 3, 5000), np.zeros(5000)]).astype(np.float32)
    edge_E, offset_A1, rank_A256 = aggregates.fit_bins(x_NA)
    out_NA = np.empty(x_NA.shape, np.uint8)
    aggregates.put_in_bins(x_NA, edge_E, offset_A1, out_NA)
    assert np.bincount(out_NA[:, 0]).max() < 60
    assert np.array_equal(out_NA[:, 1], x_NA[:, 1])
    assert (out_NA[:, 2] == 0).all()
    ranks = rank_A256[0, out_NA[:, 0]]
    assert np.corrcoef(ranks, x_NA[:, 0].argsort().argsort())[0, 1] > 0.999


def test_half_floats_are_those_of_numpy() -> None:
    x = np.random.default_rng(0).normal(size=(200, 64)).astype(np.float32) * 10.0 ** np.arange(-6, 2).repeat(8)
    x = np.ascontiguousarray(x.astype(np.float32))
    assert np.array_equal(to_half(x), x.astype(np.float16).view(np.uint16))


def test_the_latent_space_puts_users_of_one_taste_together(encoder: Encoder) -> None:
    block = block_of("a\t" + "->".join(["see red thing 1"] * 5) + "\nb\tsee red thing 1->see red thing 2\nc\tsee blue thing 9\n")
    z = encoder.encode(block.data_B, block.tab_N, block.end_N).latent_ND.view(np.float16).astype(np.float32)
    z /= np.linalg.norm(z, axis=1, keepdims=True)
    assert z[0] @ z[1] > z[0] @ z[2] + 0.1


@pytest.mark.parametrize("text", ["a\t\n", "a\tx\n", "a\tx\nb\tx\nc\t\n", "a\t->->\nb\t-\n"])
def test_the_smallest_data_sets_can_be_encoded(text: str) -> None:
    encoder = fit_encoder([make_source(text.encode())], seed=1)
    block = block_of(text)
    assert encoder.encode(block.data_B, block.tab_N, block.end_N).n_behaviors_N.size == text.count("\n")


def test_a_user_of_two_million_behaviors_is_encoded() -> None:
    text = "big\t" + "->".join(f"act {n % 1000}" for n in range(2_000_000)) + "\nsmall\tact 1\n"
    encoder = fit_encoder([make_source(text.encode())], seed=1)
    encoded_users = [
        encoder.encode(block.data_B, block.tab_N, block.end_N)
        for block, _ in map_blocks([make_source(text.encode())], lambda block: None)
    ]
    assert [n for encoded in encoded_users for n in encoded.n_behaviors_N.tolist()] == [2_000_000, 1]
    assert sum(encoded.n_tokens for encoded in encoded_users) == 2_000_000 * 3 - 1 + 2
