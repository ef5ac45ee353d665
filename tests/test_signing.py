"""The signature agrees with vectors that openssl and four independent signers computed."""

import json
from pathlib import Path
from typing import Any

import pytest

from footfall import signing

VECTORS: list[dict[str, Any]] = json.loads((Path(__file__).parent / "contract" / "signature-vectors.json").read_text())["vectors"]


@pytest.mark.parametrize("vector", VECTORS, ids=[vector["name"] for vector in VECTORS])
def test_sign_gives_the_signature_of_the_vector(vector: dict[str, Any]) -> None:
    given = (vector["secret_key"], vector["method"], vector["uri"], vector["timestamp"], vector["access_key"])
    secret, method, target, timestamp, key = given
    made = signing.sign(secret.encode(), method, target.encode(), timestamp.encode(), key.encode())
    assert made.decode() == vector["signature"]


@pytest.mark.parametrize("vector", VECTORS, ids=[vector["name"] for vector in VECTORS])
def test_verify_accepts_the_vector_and_no_changed_one(vector: dict[str, Any]) -> None:
    path, mark, query = vector["uri"].encode().partition(b"?")
    secret, stamp, key = (vector[name].encode() for name in ("secret_key", "timestamp", "access_key"))
    given = vector["signature"].encode()
    assert signing.verify(given, secret, vector["method"], path, query, stamp, key)
    assert not signing.verify(given, secret, "PATCH", path, query, stamp, key)
    assert not signing.verify(given, secret, vector["method"], path + b"/", query, stamp, key)
    assert not signing.verify(given, secret, vector["method"], path, query + b"&a", stamp, key)
    assert not signing.verify(given[:-2] + b"F=", secret, vector["method"], path, query, stamp, key)
    assert not signing.verify("서명".encode(), secret, vector["method"], path, query, stamp, key)
    assert mark in (b"", b"?")


@pytest.mark.parametrize(
    "stamp",
    [
        *(b"", b" 1700000000000", b"+1700000000000", b"1_700_000_000", b"17000000000.0", b"1700000000", b"9" * 400),
        *("１７００００００００００００".encode(), "１７０".encode() * 4 + b"0", b"1700000000000\n"),
    ],
)
def test_row_06_a_time_stamp_is_thirteen_ascii_digits(stamp: bytes) -> None:
    assert not signing.is_fresh(stamp, 1_700_000_000_000)


@pytest.mark.parametrize(("off_ms", "is_fresh"), [(0, True), (299_000, True), (301_000, False)])
@pytest.mark.parametrize("sign", [1, -1])
def test_row_06_a_time_stamp_is_good_for_five_minutes_both_ways(off_ms: int, is_fresh: bool, sign: int) -> None:
    assert signing.is_fresh(b"1700000000000", 1_700_000_000_000 + sign * off_ms) is is_fresh
