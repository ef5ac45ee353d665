"""Keywords meet users: those who have the word, those who have what goes with it, and nobody by chance."""

import unicodedata
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from keyword_study import WORDS, study_words
from modeling_data import SHIPPED, make_source

from footfall.errors import DataError
from footfall.modeling.arrays import map_arrays, read_arrays
from footfall.modeling.encoding.encode import make_feature
from footfall.modeling.encoding.encoder import EncoderConfig, fit_encoder
from footfall.modeling.events.log import read_log
from footfall.modeling.events.options import LogOptions
from footfall.modeling.scoring.keywords import KeywordMatch, build_scorer, match_keywords
from footfall.modeling.text.lexicon import Lexicon

TOPICS = {
    "sport": ["run in the park", "marathon ticket", "buy Running shoes", "energy bar", "heart rate watch"],
    "cook": ["buy a pan", "cake form", "herbs", "buy a pan", "recipe book"],
    "seoul": ["운동화를 샀다", "서울 마라톤", "달리기 양말", "물병", "단백질"],
    "moscow": ["Кроссовки Nike", "кроссовки adidas", "МАРАФОН билет", "бутылка", "часы"],
}
Match = Callable[..., tuple[KeywordMatch, dict[str, float]]]


def topic_lines(n_users: int = 600) -> list[str]:
    rng = np.random.default_rng(0)
    names = list(TOPICS)
    lines = []
    for n in range(n_users):
        acts = TOPICS[names[n % len(names)]]
        chosen = [acts[i] for i in rng.integers(0, len(acts), 3 + n % 4)] + [f"see page {rng.integers(9)}"]
        lines.append(f"{names[n % len(names)]}-{n}\t{'->'.join(chosen)}\n")
    return [*lines, "nobody\t\n", "other\tnever seen before by anybody\n"]


@pytest.fixture(scope="module")
def match(tmp_path_factory: pytest.TempPathFactory) -> Match:
    root = tmp_path_factory.mktemp("keywords")
    source = make_source("".join(topic_lines()).encode())
    encoder = fit_encoder([source], seed=1)
    encoder.save(root / "encoder")
    make_feature([source], encoder, root / "feature")

    def compare(*keywords: str) -> tuple[KeywordMatch, dict[str, float]]:
        result = match_keywords(root / "encoder", root / "feature", keywords, root / "out.tsv")
        rows = [line.split("\t") for line in (root / "out.tsv").read_text().splitlines()]
        return result, {user: float(similarity) for user, similarity in rows}

    return compare


def mean_of(similarity: dict[str, float], topic: str) -> float:
    return float(np.mean([value for user, value in similarity.items() if user.startswith(topic + "-")]))


def test_every_user_has_a_line_in_order_between_0_and_1(match: Match) -> None:
    result, similarity = match("marathon")
    assert list(similarity) == [line.split("\t")[0] for line in topic_lines()]
    assert result == KeywordMatch(602, ())
    assert min(similarity.values()) == similarity["nobody"] == 0.0
    assert max(similarity.values()) < 1.0


def test_who_has_the_word_comes_first_and_who_does_such_things_next(match: Match) -> None:
    _, similarity = match("marathon")
    has = {line.split("\t")[0]: "marathon" in line for line in topic_lines()}
    sport = [user for user in similarity if user.startswith("sport-")]
    holders, friends = [[similarity[u] for u in sport if has[u] is which] for which in (True, False)]
    assert min(holders) > max(friends)
    assert np.mean(friends) > 5 * mean_of(similarity, "cook")


@pytest.mark.parametrize(
    ("keyword", "topic"),
    [
        ("running", "sport"), ("RUNNING", "sport"), ("shoes", "sport"), ("Running shoes", "sport"), ("herbs", "cook"),
        ("마라톤", "seoul"), (unicodedata.normalize("NFD", "마라톤"), "seoul"), ("운동화", "seoul"),
        ("марафон", "moscow"), ("КРОССОВКИ", "moscow"), ("nike", "moscow"),
    ],
)  # fmt: skip
def test_any_language_and_any_case_finds_its_people(match: Match, keyword: str, topic: str) -> None:
    result, similarity = match(keyword)
    assert result.unknown == ()
    assert max(TOPICS, key=lambda each: mean_of(similarity, each)) == topic


def test_case_and_unicode_form_do_not_matter(match: Match) -> None:
    assert match("running") == match("RuNNing")
    assert match("кроссовки") == match("КРОССОВКИ")
    assert match("마라톤") == match(unicodedata.normalize("NFD", "마라톤"))


def test_a_word_is_not_found_within_another(match: Match) -> None:
    with pytest.raises(DataError) as caught:
        match("thon", "россов", "hoe")
    assert caught.value.name == "UNKNOWN_KEYWORD"


def test_the_keywords_own_tokens_count_in_full(tmp_path: Path) -> None:
    source = make_source("".join(topic_lines()).encode())
    encoder = fit_encoder([source], seed=1, config=EncoderConfig(max_dims=2))  # too few for any word to be its own direction
    encoder.save(tmp_path / "encoder")
    make_feature([source], encoder, tmp_path / "feature")
    scorer = build_scorer(tmp_path / "encoder", tmp_path / "feature", ["buy"])
    v = encoder.vocabulary
    own = Lexicon(v.text_B, v.text_end_U, v.word_hash_W, int(v.bound_K[0])).find("buy").own_tokens
    assert len(own) == 3  # the word, and the two behaviors that hold it
    assert scorer.weight_VQ[own, 0] == pytest.approx(encoder.idf_V[own])


def test_several_keywords_mean_and(match: Match) -> None:
    _, running = match("running")
    _, herbs = match("herbs")
    _, both = match("running", "herbs")
    for user, similarity in both.items():
        assert similarity == pytest.approx(np.sqrt(running[user] * herbs[user]), abs=2e-5)
    assert mean_of(both, "sport") < mean_of(running, "sport")


def test_a_behavior_that_holds_the_whole_phrase_counts_in_full(match: Match) -> None:
    _, phrase = match("running shoes")
    has = [user for user, line in ((each.split("\t")[0], each) for each in topic_lines()) if "Running shoes" in line]
    others = [phrase[user] for user in phrase if user.startswith("sport-") and user not in has]
    assert min(phrase[user] for user in has) > max(others)


def test_unknown_words_are_named_and_left_out(match: Match) -> None:
    alone = match("marathon")[1]
    result, similarity = match("marathon", "flibber", "gabble marathon", "!!", "flibber")
    assert result.unknown == ("flibber", "gabble", "!!")
    assert mean_of(similarity, "sport") == pytest.approx(mean_of(alone, "sport"), rel=0.2)


def test_no_known_word_fails_and_names_them_all(match: Match) -> None:
    with pytest.raises(DataError) as caught:
        match("flibber", "gabble grue")
    assert caught.value.name == "UNKNOWN_KEYWORD"
    assert "'flibber' or 'gabble' or 'grue'" in str(caught.value)


def test_a_feature_of_another_encoder_is_refused(match: Match, tmp_path: Path) -> None:
    other = fit_encoder([make_source(b"a\tx->y\nb\tx\n")], seed=1)
    other.save(tmp_path / "other")
    mine = fit_encoder([make_source("".join(topic_lines()).encode())], seed=1)
    make_feature([make_source(b"a\trun in the park\n")], mine, tmp_path / "feature")
    with pytest.raises(ValueError, match="another encoder"):
        match_keywords(tmp_path / "other", tmp_path / "feature", ["run"], tmp_path / "out.tsv")


def test_users_of_an_event_log_meet_keywords_too(tmp_path: Path) -> None:
    rows = ["user_id,timestamp,behavior,minutes,place"]
    for n in range(400):
        acts = ["run a marathon", "buy shoes"] if n % 2 else ["bake a cake", "buy herbs"]
        rows += [f"u{n},2025-05-{1 + (n + i) % 28:02d}T10:00:00Z,{act},{5 + n % 7},p{n % 3}" for i, act in enumerate(acts)]
    (tmp_path / "log").mkdir()
    log = read_log([make_source("\n".join(rows).encode())], "csv", LogOptions(), tmp_path / "log", salt=1)
    encoder = fit_encoder(log, seed=1)
    encoder.save(tmp_path / "encoder")
    make_feature(log, encoder, tmp_path / "feature")
    match_keywords(tmp_path / "encoder", tmp_path / "feature", ["marathon"], tmp_path / "out.tsv")
    similarity = {
        user: float(value) for user, value in (row.split("\t") for row in (tmp_path / "out.tsv").read_text().split("\n")[:-1])
    }
    assert len(similarity) == 400
    assert min(similarity[f"u{n}"] for n in range(1, 400, 2)) > 0.5
    assert max(similarity[f"u{n}"] for n in range(0, 400, 2)) < 0.1


def test_mapped_arrays_are_the_arrays_read(tmp_path: Path) -> None:
    fit_encoder([make_source(b"a\tx->y z\nb\tx\n")], seed=1).save(tmp_path)
    mapped, read = (each(tmp_path / "encoder.safetensors") for each in (map_arrays, read_arrays))
    assert list(mapped) == list(read)
    for name, array in read.items():
        assert np.array_equal(mapped[name], array)
        assert array.flags.writeable
        assert not mapped[name].flags.writeable


def test_keywords_are_sound_on_real_purchases(tmp_path: Path) -> None:
    similarity = {study.word: study for study in study_words(SHIPPED / "sequences.csv.gz", WORDS, tmp_path)}
    assert set(similarity) == set(WORDS)
    christmas = similarity["christmas"]
    assert christmas.by_keyword.auc >= 0.70
    assert christmas.by_keyword.lift >= 2.2
    assert christmas.by_activity.auc < 0.6
    for study in similarity.values():
        assert study.by_keyword.auc >= 0.65
        assert study.by_keyword.auc > study.by_activity.auc + 0.08
        assert study.by_keyword.lift > study.by_activity.lift + 0.2
