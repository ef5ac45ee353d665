"""Labels as logs may be: any words for 0 and 1, with a header or without, CSV, Parquet, JSON Lines."""

import io
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from modeling_data import make_source

from footfall.errors import DataError
from footfall.label_rules import find_fault
from footfall.modeling.learning.ids import shorten_id
from footfall.modeling.learning.labels import Labels, read_labels

N = 40
WORDS = [("0", "1"), ("0.0", "1.0"), ("false", "true"), ("False", "True"), ("no", "yes"), ("NO", "YES"), ("n", "y"), ("f", "t")]


def as_pairs(labels: Labels) -> dict[str, int]:
    raw, ends = labels.id_B.tobytes(), labels.id_offset_N1.tolist()
    return {raw[ends[n] : ends[n + 1]].decode(): int(label) for n, label in enumerate(labels.label_N.tolist())}


def text(separator: str, words: tuple[str, str] = ("0", "1"), head: str = "", more: str = "") -> bytes:
    lines = [f"u{n}{separator}{words[n % 2]}{more}" for n in range(N)]
    return "\n".join([*([head] if head else []), *lines, ""]).encode()


HEADS = [("\t", ""), ("\t", "user_id\tlabel"), (",", ""), (",", "user_id,churn"), (";", "id;is_active")]
EXPECTED = {f"u{n}": n % 2 for n in range(N)}


@pytest.mark.parametrize("words", WORDS)
@pytest.mark.parametrize(
    ("separator", "head"), [("\t", ""), ("\t", "user_id\tlabel"), (",", ""), (",", "user_id,churn"), (";", "id;is_active")]
)
def test_words_separators_and_headers(words: tuple[str, str], separator: str, head: str) -> None:
    data = text(separator, words, head)
    assert as_pairs(read_labels([make_source(data)])) == EXPECTED
    assert find_fault(data) is None


@pytest.mark.parametrize("labels", ["int", "float", "bool", "text"])
def test_parquet_and_json(labels: str, tmp_path: Path) -> None:
    make = {"int": int, "float": float, "bool": bool, "text": str}[labels]
    rows = [{"seen": "2024-01-01", "customer_id": f"u{n}", "target": make(n % 2)} for n in range(N)]
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), out)
    assert as_pairs(read_labels([make_source(out.getvalue())], tmp_path)) == EXPECTED
    lines = "".join(json.dumps(row) + "\n" for row in rows).encode()
    assert as_pairs(read_labels([make_source(lines)], tmp_path)) == EXPECTED
    assert find_fault(out.getvalue()) is find_fault(lines) is None


def test_ids_of_numbers_are_their_digits(tmp_path: Path) -> None:
    out = io.BytesIO()
    pq.write_table(pa.table({"user_id": pa.array([1000.0, 1001.0]), "label": [0, 1]}), out)
    assert as_pairs(read_labels([make_source(out.getvalue())], tmp_path)) == {"1000": 0, "1001": 1}


def test_files_are_read_together_and_a_contradiction_names_both(tmp_path: Path) -> None:
    parts = [make_source(text(",", head="user_id,label"), "one"), make_source(b"user_id,label\nu9,1\nu50,0\n", "two")]
    assert len(as_pairs(read_labels(parts))) == N + 1
    bad = make_source(b"user_id,label\nu50,0\nu9,0\n", "three")
    with pytest.raises(DataError, match="three, line 3: the user has another label in one, line 11") as caught:
        read_labels([parts[0], bad])
    assert caught.value.name == "UNEXPECTED_LABEL"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (text(",", head="who,score", words=("2", "3")), "no column is the user id"),
        (text(",", head="user_id,score", words=("2", "3")), "no column holds labels alone"),
        (text(",", head="user_id,a,b", more=",1"), "'a' and 'b' could both be the label"),
        (b"user_id,label\n,1\nu2,0\n", "line 2: the user id is blank"),
        (b"user_id,label\nkim@example.com,1\nu2,0\n", "line 2: the user id is an e-mail address"),
        (b'[{"user_id": "a", "label": 1}]', "is a JSON array"),
    ],
)
def test_what_cannot_be_told_is_said(data: bytes, words: str) -> None:
    with pytest.raises(DataError, match=words) as caught:
        read_labels([make_source(data)])
    assert "kim" not in str(caught.value)


@pytest.mark.parametrize("data", [text("\t", ("2", "3")), text(",", ("low", "high"), "user_id,label"), b"u1\nu2\n"])
def test_the_beginning_shows_what_holds_no_labels(data: bytes) -> None:
    fault = find_fault(data)
    assert fault is not None
    assert "true or false" in fault
    assert "u1" not in fault


def test_one_bad_label_is_left_to_the_job_with_its_line() -> None:
    data = text("\t") + b"u77\tmaybe\n"
    assert find_fault(data) is None
    with pytest.raises(DataError, match=f"line {N + 1}: the label is not 0 or 1, true or false"):
        read_labels([make_source(data)])


@pytest.mark.parametrize(
    ("id", "shown"), [("1000.0", "'10….0' of 6"), ("1000", "'1…0' of 4"), ("U1000", "'U…0' of 5"), ("7", "'7…' of 1")]
)
def test_ids_are_shortened(id: str, shown: str) -> None:
    assert shorten_id(id).startswith(shown)
