"""What counts as personal data, what does not, and that the compiled sieve in front of it lets all of it through."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from modeling_data import make_source

from footfall.errors import DataError
from footfall.modeling.events.log import read_log
from footfall.modeling.events.options import LogOptions
from footfall.modeling.reading.sequences import map_blocks
from footfall.modeling.text.personal_data import find_suspects
from footfall.personal_data import CARD, EMAIL, LICENCE, MOBILE, PASSPORT, RESIDENT, Bare, find, find_personal_data

YES = [
    ("u\twrote to kim.lee+x@mail.example.co.kr", EMAIL),
    ("kim@example.com\tbuy a", EMAIL),
    ("u\tmail kim@example.com->buy a", EMAIL),
    ("u\t메일 kim@example.com로", EMAIL),
    ("u\tpaid 4111111111111111", CARD),
    ("u\tpaid 4111-1111-1111-1111 today", CARD),
    ("u\tpaid 4111 1111 1111 1111 12/27", CARD),
    ("u\t카드4111111111111111번", CARD),
    ("u\t5555555555554444->buy", CARD),
    ("u\t2223003122003222", CARD),
    ("u\t378282246310005", CARD),
    ("u\t3782 822463 10005", CARD),
    ("u\t30569309025904", CARD),
    ("u\t3530111333300000", CARD),
    ("u\t6011111111111117", CARD),
    ("u\t900101-1234568", RESIDENT),
    ("u\t9001011234568", RESIDENT),
    ("u\t900101 - 1234568", RESIDENT),
    ("u\t010-1234-5678", MOBILE),
    ("u\t01012345678", MOBILE),
    ("u\t010 1234 5678->b", MOBILE),
    ("u\t010.1234.5678", MOBILE),
    ("u\t(010) 1234-5678", MOBILE),
    ("u\t016-123-4567", MOBILE),
    ("u\t+82 10-1234-5678", MOBILE),
    ("u\t+821012345678", MOBILE),
    ("u\tpassport no. M12345678", PASSPORT),
    ("u\t여권번호: M123A4567", PASSPORT),
    ("u\t운전면허 11-22-123456-78", LICENCE),
    ("u\tdriver's license 11-22-123456-78", LICENCE),
]
NO = [
    "u\tbuy red shoes->see shop",
    "u\timg logo@2x.png",
    "u\tfollow @someone on the web",
    "u\tprice 12,345,678 won",
    "010-1234-5678\tbuy a",
    "4111111111111111\tbuy a",
    "u\torder 4111111111111112",
    "u\torder 1234567812345670",
    "u\tsku a4111111111111111",
    "u\t8801062123457",
    "u\t901301-1234567",
    "u\t900101-1234567",
    "u\tM12345678",
    "u\t11-22-123456-78",
    "u\t02-123-4567",
    "u\t010203->010101->020301",
    "u\t2024-01-02 10:11:12",
    "u\t4111111111111111222",
    "u\t/list?page=2&_=1706895754054",
    "u\t/img/1706895754054.jpg",
    "u\tt=9001011234568",
    "u\t900101-9234568",
    "u\t900101-0234569",
    "u\tpassport cover red 12345",
    "",
]


@pytest.mark.parametrize(("line", "kind"), YES)
def test_personal_data_is_found(line: str, kind: str) -> None:
    assert find_personal_data(line) == kind
    assert find_personal_data(line.encode()) == kind


@pytest.mark.parametrize("line", NO)
def test_what_is_not_personal_data_passes(line: str) -> None:
    assert find_personal_data(line) is None


def test_a_gtin_of_14_digits_is_no_card() -> None:
    both = [n for n in range(30500000000000, 30500000002000) if find_personal_data(f"u\t{n}") == CARD]

    def gtin(n: int) -> bool:
        return sum(int(c) * (1 if i % 2 == 0 else 3) for i, c in enumerate(reversed(str(n)))) % 10 == 0

    assert both
    assert not any(gtin(n) for n in both)


def test_numbers_in_text_without_a_user_id_are_looked_at() -> None:
    assert find_personal_data("010-1234-5678", has_user_id=False) == MOBILE


def test_a_line_of_many_at_signs_takes_no_time() -> None:
    assert find_personal_data("u\t" + "a@" * 200_000) is None


@pytest.mark.parametrize(("line", "kind"), YES)
def test_a_long_line_hides_nothing_wherever_it_stands(line: str, kind: str) -> None:
    user, text = line.split("\t")
    for before in (*range(3900, 4200, 7), *range(7700, 8100, 13), 100_000):
        assert find_personal_data(f"{user}\t{'a b->' * (before // 5)}{' ' * (before % 5)} {text} {'c->' * 2000}") == kind


@pytest.mark.parametrize("line", NO)
def test_a_long_line_is_no_suspect_for_being_searched_in_parts(line: str) -> None:
    user, _, text = line.partition("\t")
    for before in range(3900, 4200, 3):
        assert find_personal_data(f"{user}\t{'a ->' * (before // 4)}{' ' * (before % 4)} {text} {'c->' * 2000}") is None


@pytest.mark.parametrize(
    "line", [f"u\t{digits}" for digits in ("4111111111111111" * 600, "9001011234568" * 700, "01012345678" * 800)]
)
def test_digits_without_end_are_no_number(line: str) -> None:
    assert find_personal_data(line) is None


@pytest.mark.parametrize(("line", "kind"), YES)
def test_the_sieve_lets_personal_data_through(line: str, kind: str) -> None:
    for text in (line, line.upper(), f"u0\ta->b->c\n{line}"):
        data = text.encode()
        rows = data.split(b"\n")
        start = np.cumsum([0, *(len(row) + 1 for row in rows[:-1])])
        end = start + [len(row) for row in rows]
        tab = np.array([data.index(b"\t", s) for s in start])
        suspects = find_suspects(np.frombuffer(data, np.uint8), start, tab, end)
        assert suspects.tolist() == [len(rows) - 1], (text, kind)


RNG = np.random.default_rng(4)
START_MS = 1_704_067_200_000
NO_PERSONS = {
    "cache busters": [f"/list?page=2&_={START_MS + n * 997_331}" for n in range(4000)],
    "uploads": [f"/img/{START_MS + n * 997_331}.jpg" for n in range(4000)],
    "times of other years": [f"at {1_500_000_000_000 + n * 99_733_129}" for n in range(4000)],
    "orders": [f"order {n}" for n in RNG.integers(4 * 10**15, 5 * 10**15, 4000)],
    "other orders": [f"order {n}" for n in RNG.integers(51 * 10**14, 56 * 10**14, 4000)],
    "receipts": [f"receipt {n}" for n in RNG.integers(85 * 10**11, 99 * 10**11, 4000)],
    "a gift card and an order": [
        f"buy gift card for my mother and her friend->order {n}" for n in RNG.integers(4 * 10**15, 5 * 10**15, 4000)
    ],
}


def with_check_digits(stems: list[str]) -> list[str]:
    """The numbers that pass; a few stems have none, being those of bar codes."""
    numbers = [f"{stem}{digit}" for stem in stems for digit in range(10)]
    return [number for number in numbers if find_personal_data(number, has_user_id=False) is not None][:40]


PERSONS = {
    CARD: with_check_digits([f"4{n}" for n in RNG.integers(10**13, 10**14, 60)]),
    RESIDENT: with_check_digits([f"8503{10 + n % 18}1{n}" for n in RNG.integers(10_000, 100_000, 90)]),
}


def read_both(texts: list[str], allowed: frozenset[str], tmp_path: Path) -> None:
    lines = "".join(f"u{n},{text}\n" for n, text in enumerate(texts))
    log = replace(make_source(f"user_id,what\n{lines}".encode()), allowed=allowed)
    read_log([log], "csv", LogOptions(behavior=("what",)), tmp_path, salt=1, personal_data="refuse")
    sequences = replace(make_source("".join(f"u{n}\t{text}\n" for n, text in enumerate(texts)).encode()), allowed=allowed)
    list(map_blocks([sequences], lambda block: None, personal_data="refuse"))


@pytest.mark.parametrize("what", NO_PERSONS)
def test_numbers_of_another_kind_are_no_persons(what: str, tmp_path: Path) -> None:
    read_both(NO_PERSONS[what], frozenset(), tmp_path)


@pytest.mark.parametrize("kind", PERSONS)
def test_bare_numbers_that_nearly_all_pass_are_refused_with_their_rule(kind: str, tmp_path: Path) -> None:
    texts = [f"paid {number}" for number in PERSONS[kind]]
    with pytest.raises(
        DataError, match=f"the column 'what' holds what looks like {kind} .*check digit of bare digits; 40 of 40"
    ) as caught:
        read_both(texts, frozenset(), tmp_path)
    assert caught.value.line == 2
    assert "personal_data_allowed" in str(caught.value)
    assert PERSONS[kind][0] not in str(caught.value)
    sequences = make_source("".join(f"u{n}\t{text}\n" for n, text in enumerate(texts)).encode())
    with pytest.raises(DataError, match=f"line 1: the line holds what looks like {kind} .*40 of 40"):
        list(map_blocks([sequences], lambda block: None, personal_data="refuse"))
    read_both(texts, frozenset((kind,)), tmp_path)
    mixed = [*texts, *NO_PERSONS["orders" if kind == CARD else "receipts"]]
    read_both(mixed, frozenset(), tmp_path)


COMPANY = [
    ("card 4111111111111111", CARD),
    ("카드 4111111111111111", CARD),
    ("4111-1111-1111-1111", CARD),
    ("주민번호 9001011234568", RESIDENT),
    ("900101-1234568", RESIDENT),
    ("?rrn=9001011234568", RESIDENT),
    ("kim@example.com", EMAIL),
]


@pytest.mark.parametrize(("text", "kind"), COMPANY)
def test_a_number_with_company_is_sure_among_any_others(text: str, kind: str, tmp_path: Path) -> None:
    finding = find(text, has_user_id=False)
    assert finding is not None
    assert (finding.kind, finding.is_sure) == (kind, True)
    with pytest.raises(DataError, match=f"looks like {kind}"):
        read_both([*NO_PERSONS["orders"], text], frozenset(), tmp_path)
    assert find(text, has_user_id=False, allowed=frozenset((kind,))) is None


def test_bare_numbers_are_judged_by_all_of_their_form() -> None:
    bare = Bare()
    bare.count(" ".join(PERSONS[CARD]).encode())
    assert bare.verdict(CARD) == "40 of 40 such numbers pass"
    assert bare.verdict(RESIDENT) == ""
