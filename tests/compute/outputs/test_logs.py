"""A log is one text through all attempts, read by byte offset, from either end, by time, or by what its lines hold."""

import os
import random
import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from footfall import layout
from footfall.compute.outputs import logs
from footfall.compute.outputs.logs import LogTail, NodeLog, read_log

ID = "01900000-0000-7000-8000-000000000000"


def write(root: Path, attempt: int, data: bytes, index: list[tuple[int, int]] | None = None, *, end: bool = False) -> None:
    node = root / layout.node_dir(ID, attempt, 0)
    node.mkdir(parents=True, exist_ok=True)
    with open(node / layout.LOG, "ab") as file:
        file.write(data)
    if index is not None:
        (node / layout.LOG_INDEX).write_bytes(b"".join(struct.pack("<QQ", *entry) for entry in index))
    if end:
        (node / layout.STATUS).write_text("{}")


def test_the_offset_counts_through_all_attempts(tmp_path: Path) -> None:
    write(tmp_path, 0, b"one\n", end=True)
    write(tmp_path, 1, b"two\n")
    page = read_log(tmp_path, ID, 2, offset=2)
    assert (page.data, page.next_offset, page.is_complete) == (b"e\ntwo\n", 8, False)
    write(tmp_path, 1, b"", end=True)
    assert read_log(tmp_path, ID, 2, offset=8).is_complete


@pytest.mark.parametrize(
    ("data", "n", "expected"),
    [
        (b"a\nb\nc\n", 2, b"b\nc\n"),
        (b"a\nb\nc", 2, b"b\nc"),
        (b"a\nb\n", 5, b"a\nb\n"),
        (b"a\n\n\n", 2, b"\n\n"),
        (b"", 3, b""),
        (b"a\nb\n", 0, b""),
        (b"x" * 200_000 + b"\nlast\n", 1, b"last\n"),
        (b"x" * 200_000 + b"\nlast\n", 2, b"x" * 200_000 + b"\nlast\n"),
    ],
)
def test_the_tail_is_the_last_lines(tmp_path: Path, data: bytes, n: int, expected: bytes) -> None:
    cut = len(data) // 3
    write(tmp_path, 0, data[:cut])
    write(tmp_path, 1, data[cut:])
    log = NodeLog(tmp_path, ID, 2)
    assert log.read(log.offset_of_tail(n), 1 << 20) == expected


def test_the_tail_of_a_line_without_end_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "SCAN_BYTES", 100_000)
    write(tmp_path, 0, b"x" * 1_000_000)
    assert NodeLog(tmp_path, ID, 1).offset_of_tail(1) == 900_000


def test_since_finds_the_first_byte_of_a_second_and_a_clock_that_steps_back_loses_nothing(tmp_path: Path) -> None:
    write(tmp_path, 0, b"0123456789", [(100, 0), (101, 3), (50, 6), (102, 8)])
    write(tmp_path, 1, b"abc", [(200, 0), (201, 2)])
    log = NodeLog(tmp_path, ID, 2)
    assert [log.offset_since(t) for t in (0, 100.9, 101, 102, 150, 201, 202)] == [0, 0, 3, 8, 10, 12, 13]


def test_a_search_hands_out_whole_lines_and_says_where_to_go_on(tmp_path: Path) -> None:
    write(tmp_path, 0, b"loss 1\nacc 2\nloss 3\nlos")
    log = NodeLog(tmp_path, ID, 1)
    page = log.search(b"loss", 0, 1 << 20)
    assert (page.data, page.next_offset, page.is_complete) == (b"loss 1\nloss 3\n", 20, False)
    write(tmp_path, 0, b"s 4", end=True)
    page = NodeLog(tmp_path, ID, 1).search(b"loss", page.next_offset, 1 << 20)
    assert (page.data, page.next_offset, page.is_complete) == (b"loss 4", 26, True)


def test_a_search_through_a_huge_line_comes_to_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "SCAN_BYTES", 50_000)
    monkeypatch.setattr(logs, "PAGE_BYTES", 10_000)
    write(tmp_path, 0, b"x" * 333_333 + b" needle\nend\n", end=True)
    log, offset, found, calls = NodeLog(tmp_path, ID, 1), 0, b"", 0
    while True:
        page = log.search(b"needle", offset, 1 << 20)
        assert page.next_offset > offset or page.is_complete
        found, offset, calls = found + page.data, page.next_offset, calls + 1
        if page.is_complete:
            break
    assert found.endswith(b" needle\n")
    assert calls <= 9


@settings(max_examples=60, deadline=None)
@given(st.lists(st.binary(max_size=40), max_size=5), st.integers(1, 17), st.integers(0, 2**32))
def test_reading_by_any_steps_and_following_give_the_same_bytes(
    tmp_path_factory: pytest.TempPathFactory, attempts: list[bytes], step: int, seed: int
) -> None:
    root, chance = tmp_path_factory.mktemp("log"), random.Random(seed)
    tail = LogTail(root, ID, 0, 0)
    seen = b""
    for attempt, data in enumerate(attempts):
        cut = chance.randint(0, len(data))
        for piece in (data[:cut], data[cut:]):
            if chance.random() < 0.9 or piece:
                write(root, attempt, piece)
            tail.poll()
            while piece := tail.read(len(seen), step):
                seen += piece
        write(root, attempt, b"", end=True)
        tail.poll()
        assert tail.has_ended
        if attempt + 1 < len(attempts):
            tail.go_on()
    tail.close()
    whole = b"".join(attempts)
    assert seen == whole
    offset, pages = 0, []
    while data := read_log(root, ID, len(attempts), offset=offset, limit=step).data:
        pages.append(data)
        offset += len(data)
    assert b"".join(pages) == whole
    late = LogTail(root, ID, max(len(attempts) - 1, 0), 0)
    parts, offset = [], 0
    while data := late.read(offset, step):
        parts.append(data)
        offset += len(data)
    late.close()
    assert b"".join(parts) == whole


def test_a_tail_holds_no_file_open_when_closed(tmp_path: Path) -> None:
    write(tmp_path, 0, b"x")
    before = len(os.listdir("/proc/self/fd"))
    tail = LogTail(tmp_path, ID, 0, 0)
    tail.close()
    assert len(os.listdir("/proc/self/fd")) == before
