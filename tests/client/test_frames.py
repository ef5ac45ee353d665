"""Data frames need polars, which the base install has not."""

import sys

import pytest

from footfall.client.frames import read_frame
from footfall.errors import InputError


def test_a_tsv_becomes_a_frame_whose_texts_are_texts() -> None:
    frame = read_frame(b'007\t0.5\n"x\t1\n', {"user_id": "String", "score": "Float64"})
    assert frame.rows() == [("007", 0.5), ('"x', 1.0)]
    assert read_frame(b"", {"user_id": "String", "score": "Float64"}).schema == frame.schema


def test_without_polars_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "polars", None)
    with pytest.raises(InputError, match=r"pip install 'footfall\[frames\]'"):
        read_frame(b"a\t1\n", {"user_id": "String", "score": "Float64"})
