"""Archives that were made to cost whoever unpacks them, and what each is refused with."""

import gzip
import io
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

BLOCK = 512


def member(name: str, kind: bytes = tarfile.REGTYPE, content: bytes = b"", *, target: str = "", size: int | None = None) -> bytes:
    """A header and what follows it, whatever they say."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, target, len(content)
    header = bytearray(info.tobuf(tarfile.USTAR_FORMAT if len(name) < 100 and len(target) < 100 else tarfile.GNU_FORMAT))
    if size is not None:
        at = len(header) - BLOCK
        header[at + 124 : at + 136] = b"\xff" * 4 + size.to_bytes(8, "big", signed=True)
        header[at + 148 : at + 156] = b" " * 8
        header[at + 148 : at + 156] = b"%06o\0 " % sum(header[at:])
    return bytes(header) + content + bytes(-len(content) % BLOCK)


def pax(kind: bytes = tarfile.XHDTYPE, **fields: str) -> bytes:
    records = b""
    for key, value in fields.items():
        text = f" {key.replace('__', '.')}={value}\n".encode()
        length = len(text)
        while len(str(length)) + len(text) != length:
            length = len(str(length)) + len(text)
        records += str(length).encode() + text
    return member("././@PaxHeader", kind, records)


def many(parts: Iterator[bytes]) -> bytes:
    return b"".join(parts)


TAR_ARCHIVES: dict[str, tuple[Callable[[], bytes], str]] = {
    "a sparse map of two million numbers": (
        lambda: (
            pax(GNU__sparse__major="1", GNU__sparse__minor="0", GNU__sparse__name="s", GNU__sparse__realsize="1")
            + member("s", content=b"1000000\n" + b"0\n" * 2_000_000)
        ),
        "sparse",
    ),
    "a sparse map in a header": (
        lambda: pax(GNU__sparse__map="0,1", GNU__sparse__size="1", GNU__sparse__name="s") + member("s"),
        "sparse",
    ),
    "an old sparse file": (lambda: member("s", tarfile.GNUTYPE_SPARSE), "sparse"),
    "a name of a thousand directories": (lambda: member("a/" * 1000 + "b"), "directories deep"),
    "a long name": (lambda: member("a/" * 3000 + "b"), "4,096 bytes"),
    "a step of 300 letters": (lambda: member("d/" + "x" * 300), "255 bytes"),
    "a link to a long name": (lambda: member("link", tarfile.SYMTYPE, target="x/../" * 1000), "4,096 bytes"),
    "implied directories": (
        lambda: many(member("/".join([f"{n}", *"abcdefghijklmnopqrstuvwxyz"])) for n in range(200)),
        "larger",
    ),
    "links without end": (lambda: many(member(f"l{n}", tarfile.SYMTYPE, target="x") for n in range(5000)), "larger"),
    "hard links without end": (
        lambda: member("x") + many(member(f"l{n}", tarfile.LNKTYPE, target="x") for n in range(5000)),
        "larger",
    ),
    "empty files without end": (lambda: many(member(f"f{n}") for n in range(5000)), "larger"),
    "a long global header": (lambda: pax(tarfile.XGLTYPE, comment="x" * 5000) + member("a"), "too long"),
    "a long header": (lambda: pax(comment="x" * 20_000) + member("a"), "too long"),
    "a name of 20,000 letters": (
        lambda: member("././@LongLink", tarfile.GNUTYPE_LONGNAME, b"x" * 20_000) + member("a"),
        "too long",
    ),
    "a size below zero": (lambda: member("a", size=-BLOCK), "below zero"),
    "a size below zero in a header": (lambda: pax(size="-1024") + member("a"), "below zero"),
    "headers behind headers": (lambda: pax(comment="x") * 3000 + member("a"), "follow each other"),
    "a device": (lambda: member("a", tarfile.CHRTYPE), "is no file"),
    "a pipe": (lambda: member("a", tarfile.FIFOTYPE), "is no file"),
    "a huge file": (lambda: member("a", content=bytes(11_000_000)), "larger"),
}
"""By what they are: the bytes of a tar, and a part of the sentence with which it is refused within 10 MB."""

FINE_IN_IMAGES = {"a device", "a pipe", "headers behind headers", "a long header", "a name of 20,000 letters"}
"""Devices and pipes are left out; a header may be longer, and as many follow each other as time allows."""


def costly(n: int) -> bytes:
    """Many empty files, each of which takes its time to make."""
    return many(member(f"f{i}") for i in range(n))


def write(path: Path, content: bytes) -> Path:
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(content + bytes(2 * BLOCK))
    return path


def good(path: Path, form: int) -> Path:
    """What people really send: long and Korean names, links of both kinds, directories, a program."""
    with tarfile.open(path, "w:gz", format=form) as tar:
        for name, content in (
            ("src/main.py", b"print(1)\n"),
            ("데이터/모델_설정_파일.yaml", "이름: 값\n".encode()),
            ("long/" + "very-long-directory-name/" * 9 + "x" * 200, b"long"),
            ("/".join("abcdefghijklmnopqrstuvwxyz" * 2) + "/deep", b"deep"),
        ):
            info = tarfile.TarInfo(name)
            info.size, info.mtime = len(content), 1_700_000_000.5 if form == tarfile.PAX_FORMAT else 1_700_000_000
            tar.addfile(info, io.BytesIO(content))
        for name, kind, target in (("twin.py", tarfile.LNKTYPE, "src/main.py"), ("링크", tarfile.SYMTYPE, "src/main.py")):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, target
            tar.addfile(info)
    return path
