"""What counts as personal data, what does not, and that the compiled sieve in front of it lets all of it through."""

import numpy as np
import pytest

from footfall.modeling.text.personal_data import find_suspects
from footfall.personal_data import CARD, EMAIL, LICENCE, MOBILE, PASSPORT, RESIDENT, find_personal_data

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
def test_the_sieve_lets_personal_data_through(line: str, kind: str) -> None:
    for text in (line, line.upper(), f"u0\ta->b->c\n{line}"):
        data = text.encode()
        rows = data.split(b"\n")
        start = np.cumsum([0, *(len(row) + 1 for row in rows[:-1])])
        end = start + [len(row) for row in rows]
        tab = np.array([data.index(b"\t", s) for s in start])
        suspects = find_suspects(np.frombuffer(data, np.uint8), start, tab, end)
        assert suspects.tolist() == [len(rows) - 1], (text, kind)
