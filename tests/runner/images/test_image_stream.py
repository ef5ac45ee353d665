"""The tar of an image is read as the program reads it that unpacks it, or not at all."""

import os
import tarfile

import pytest

import hostile_archives
from footfall.runner.images.image_stream import ImageRefusedError, ImageStream

BLOCK = 512


def passed_on(content: bytes) -> bytes:
    (source, given), (taken, target) = os.pipe(), os.pipe()
    try:
        assert len(content) < 60_000, "it must fit into a pipe"
        os.write(given, content)
        os.close(given)
        ImageStream(source, target, 1 << 20).pass_on()
        return os.read(taken, 1 << 16)
    finally:
        for fd in (source, taken, target):
            os.close(fd)


def sized(field: bytes) -> bytes:
    header = bytearray(hostile_archives.member("a"))
    header[124:136] = field.ljust(12, b"\0")
    return bytes(header)


@pytest.mark.parametrize("field", [b"0o7", b"1_0", b"+7", b"-7", b"9", b"7\0 7", b"\xff" * 12, b"AAAA"])
def test_security_row_24_a_size_that_two_would_read_differently_is_refused(field: bytes) -> None:
    with pytest.raises(ImageRefusedError, match="a size is"):
        passed_on(sized(field))


@pytest.mark.parametrize("size", ["1_0", "+1", " 1", "-1", "0x1", "1" * 5000])
def test_security_row_24_a_size_in_an_extended_header_is_digits(size: str) -> None:
    with pytest.raises(ImageRefusedError, match="a size is"):
        passed_on(hostile_archives.pax(size=size) + hostile_archives.member("a"))


def test_every_byte_is_passed_on_and_what_stands_behind_the_end_too() -> None:
    content = (
        hostile_archives.pax(tarfile.XGLTYPE, comment="of git")
        + hostile_archives.pax(path="이름/" + "x" * 200)
        + hostile_archives.member("short", content=b"1" * 700)
        + hostile_archives.member("d" * 150, tarfile.DIRTYPE)
        + hostile_archives.member("link", tarfile.SYMTYPE, target="short")
        + bytes(2 * BLOCK)
        + b"padding"
    )
    assert passed_on(content) == content
    assert passed_on(content[:1300]) == content[:1300], "the program that unpacks it says that it is cut off"
