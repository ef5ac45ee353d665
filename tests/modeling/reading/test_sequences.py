"""The reader: what it takes, what it refuses, by which name, in which line, in how much memory."""

import gzip
import resource
import tracemalloc
from collections.abc import Iterator

import pytest
import zstandard
from modeling_data import make_source

from footfall.errors import DataError
from footfall.modeling.reading import sequences
from footfall.modeling.reading.sequences import map_blocks, read_ids
from footfall.modeling.reading.source import Source
from footfall.modeling.reading.user_ids import UserIds


def read(*sources: Source, **options: object) -> list[bytes]:
    ids: list[bytes] = []
    for block, _ in map_blocks(sources, lambda block: None, **options):  # type: ignore[arg-type]
        ids += read_ids(block)
    return ids


def refuse(data: bytes, **options: object) -> DataError:
    with pytest.raises(DataError) as caught:
        read(make_source(data), **options)
    return caught.value


BROKEN_GZIP = gzip.compress(b"u1\ta\n", mtime=0)[:12] + b"\xff\xff\xff" + gzip.compress(b"u1\ta\n", mtime=0)[15:]


@pytest.mark.parametrize(
    ("data", "name", "line"),
    [
        (b"u1\ta\nu2 b\nu3\tc\n", "UNEXPECTED_TXT_FORMAT", 2),
        (b"u1\ta\nu2\tb\tc\n", "UNEXPECTED_TXT_FORMAT", 2),
        (b"u1\ta\n\nu2\tb\n", "UNEXPECTED_TXT_FORMAT", 2),
        (b"u1\ta\nu2\tb\n\n", "UNEXPECTED_TXT_FORMAT", 3),
        (b"u1\ta\n\r\n", "UNEXPECTED_TXT_FORMAT", 2),
        (b"u1\ta\x00b\n", "UNEXPECTED_TXT_FORMAT", 1),
        (b"u1\ta\x01b\n", "UNEXPECTED_TXT_FORMAT", 1),
        (b"u1\ta\x7fb\n", "UNEXPECTED_TXT_FORMAT", 1),
        (b"u1\ta\rb\n", "UNEXPECTED_TXT_FORMAT", 1),
        (b"u1\t\x0b\n", "UNEXPECTED_TXT_FORMAT", 1),
        (b"u1\ta\nu2\t\xff\n", "UNEXPECTED_TXT_FORMAT", 2),
        (b"u1\t\xc0\xaf\n", "UNEXPECTED_TXT_FORMAT", 1),
        (b"u1\t\xed\xa0\x80\n", "UNEXPECTED_TXT_FORMAT", 1),
        (b"u1\t\xf4\x90\x80\x80\n", "UNEXPECTED_TXT_FORMAT", 1),
        (b"u1\t\xe2\x82\n", "UNEXPECTED_TXT_FORMAT", 1),
        (b"\ta\n", "UNEXPECTED_TXT_FORMAT", 1),
        (b" \xc2\xa0\ta\n", "UNEXPECTED_TXT_FORMAT", 1),
        (b"u\ta\n" + b"x" * 101 + b"\ta\n", "LIMIT_ERROR_MID_LENGTH", 2),
        ("é".encode() * 101 + b"\ta\n", "LIMIT_ERROR_MID_LENGTH", 1),
        (b"", "NOT_EXIST_FILE", None),
        (b"\xef\xbb\xbf", "NOT_EXIST_FILE", None),
        (gzip.compress(b"", mtime=0), "NOT_EXIST_FILE", None),
        (b"u1\ta\nu2\tb\nu1\tc\n", "DUPLICATE_USERID", 3),
        (gzip.compress(b"u1\ta\n" * 9, mtime=0)[:-4], "UNEXPECTED_FILE_TYPE", None),
        (gzip.compress(b"u1\ta\n", mtime=0) + b"junk", "UNEXPECTED_FILE_TYPE", None),
        (gzip.compress(b"u1\ta\n", mtime=0) + b"\0", "UNEXPECTED_FILE_TYPE", None),
        (BROKEN_GZIP, "UNEXPECTED_FILE_TYPE", None),
        (zstandard.compress(b"u1\ta\n" * 9)[:-4], "UNEXPECTED_FILE_TYPE", None),
        (zstandard.compress(b"u1\ta\n") + b"junk", "UNEXPECTED_FILE_TYPE", None),
        (gzip.compress(gzip.compress(b"u1\ta\n", mtime=0), mtime=0), "UNEXPECTED_TXT_FORMAT", 1),
    ],
)  # fmt: skip
def test_a_wrong_file_is_refused_by_name_and_line(data: bytes, name: str, line: int | None) -> None:
    error = refuse(data)
    assert (error.name, error.line) == (name, line)
    assert "bucket/file.csv" in str(error)


@pytest.mark.parametrize(
    "data",
    [
        b"u1\ta\nu2\tb",
        b"u1\ta\r\nu2\tb\r\n",
        b"\xef\xbb\xbfu1\ta\nu2\tb\n",
        gzip.compress(b"u1\ta\nu2\tb\n", mtime=0),
        gzip.compress(b"u1\ta\n", mtime=0) + gzip.compress(b"", mtime=0) + gzip.compress(b"u2\tb\n", mtime=0),
        gzip.compress(b"\xef\xbb\xbfu1\ta\r\nu2\tb\r\n", mtime=0),
        zstandard.compress(b"u1\ta\n") + zstandard.compress(b"u2\tb\n"),
        "u1\tline\u2028sep\u0085arator\nu2\t한국어 𝄞\n".encode(),
        b"u1\t\nu2\t-> ->\n",
    ],
)
@pytest.mark.parametrize("chunk", [1, 3, 1 << 16])
def test_what_is_right_is_read_however_it_arrives(data: bytes, chunk: int) -> None:
    assert read(make_source(data, chunk=chunk)) == [b"u1", b"u2"]


def test_an_id_of_100_characters_is_taken() -> None:
    assert len(read(make_source("é".encode() * 100 + b"\ta\n"))) == 1


def test_a_duplicate_in_another_file_names_both_places() -> None:
    with pytest.raises(DataError) as caught:
        read(make_source(b"a\tx\nb\tx\n", "one"), make_source(b"c\tx\nb\tx\n", "two"))
    assert (caught.value.name, caught.value.path, caught.value.line) == ("DUPLICATE_USERID", "two", 2)
    assert "one, line 2" in str(caught.value)


def test_a_duplicate_far_away_is_found_across_blocks() -> None:
    data = b"".join(b"u%d\ta\n" % n for n in range(5000)) + b"u77\tb\n"
    with pytest.raises(DataError) as caught:
        read(make_source(data), block_bytes=1000)
    assert caught.value.line == 5001
    assert "line 78" in str(caught.value)


def test_equal_hashes_of_two_ids_are_no_duplicate() -> None:
    import numpy as np

    source = make_source(b"a\tx\nb\tx\n")
    users = UserIds(sequences.read_id)
    users.add(source, 1, np.array([9, 9], np.uint64))  # as if both ids had one hash
    with pytest.raises(DataError):
        users.add(make_source(b"a\ty\n"), 1, np.array([9], np.uint64))


def test_an_empty_part_among_others_is_passed_over() -> None:
    assert read(make_source(b"", "part-0"), make_source(b"u\ta\n", "part-1")) == [b"u"]


def test_blocks_do_not_depend_on_how_bytes_arrive() -> None:
    data = b"".join(b"u%d\tact %d\n" % (n, n) for n in range(3000))
    sizes = [
        [block.start_N.size for block, _ in map_blocks([make_source(data, chunk=c)], lambda b: None, block_bytes=4096)]
        for c in (7, 1000, 1 << 20)
    ]
    assert sizes[0] == sizes[1] == sizes[2]
    assert len(sizes[0]) > 5


def test_security_row_23_a_gzip_bomb_is_stopped_early() -> None:
    bomb = gzip.compress(bytes(256 << 20), compresslevel=9, mtime=0)
    tracemalloc.start()
    error = refuse(bomb)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert error.name == "UNEXPECTED_FILE_TYPE"
    assert peak < 160 << 20


def test_security_row_23_a_zstd_bomb_is_stopped_early() -> None:
    assert refuse(zstandard.compress(bytes(1 << 30), 3)).name == "UNEXPECTED_FILE_TYPE"


def test_security_row_24_a_line_over_64_mib_is_refused_without_holding_it() -> None:
    taken = 0

    def endless() -> Iterator[bytes]:
        nonlocal taken
        yield b"u1\ta\nu2\t"
        while taken < 400:
            taken += 1
            yield b"abcdefgh" * (1 << 17)

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(DataError) as caught:
        read(Source("s", endless))
    assert (caught.value.name, caught.value.line) == ("UNEXPECTED_TXT_FORMAT", 2)
    assert taken <= 66
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 400 << 10


def test_a_line_of_64_mib_less_a_little_is_taken() -> None:
    assert read(make_source(b"u1\t" + b"a" * ((64 << 20) - 10) + b"\nu2\tb\n", chunk=1 << 20)) == [b"u1", b"u2"]


def test_personal_data_is_refused_with_the_line_and_never_the_value() -> None:
    error = refuse(b"u1\ta\nu2\tmail kim@example.com->b\n", personal_data="refuse")
    assert (error.name, error.line) == ("PERSONAL_DATA_NOT_ALLOWED", 2)
    assert "kim" not in str(error)


def test_personal_data_is_only_noted_when_asked_to_warn() -> None:
    blocks = [b for b, _ in map_blocks([make_source(b"u1\tcall 010-1234-5678\n")], lambda b: None, personal_data="warn")]
    assert blocks[0].personal == [(1, "a mobile phone number")]
    assert read(make_source(b"u1\tcall 010-1234-5678\n"), personal_data="off") == [b"u1"]
