"""Plain, gzip or Zstandard bytes, recognised by content, as a stream of plain bytes.

Knows nothing of lines. Every member of a gzip file is read; a cut-off file, trailing bytes that are no member and a
bomb (more than ``MAX_RATIO`` times its size once it passes ``FREE_BYTES``) are refused; what is inside is not
unpacked again. Sources: RFC 1952, RFC 8878; the contract's UNEXPECTED_FILE_TYPE.
"""

import zlib
from collections.abc import Iterator
from typing import Protocol

import zstandard

from footfall.errors import DataError

GZIP_MAGIC = b"\x1f\x8b"
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"

FREE_BYTES = 60 << 20
"""Below this the ratio is not checked. Less than the longest line, so that a bomb without a newline is reported as one."""
MAX_RATIO = 200
"""Sequence files compress 5 to 30 times; gzip reaches 1,030 on constant bytes."""
MAX_BYTES = 1 << 41
"""Plain bytes of one file."""

_STEP_BYTES = 1 << 20
_ZSTD_INPUT_BYTES = 2048  # a block of 4 bytes can stand for 128 KiB, so this bounds one step to 64 MiB


class _Decoder(Protocol):
    """One member or frame under way."""

    def feed(self, chunk: bytes) -> Iterator[bytes]: ...

    @property
    def rest(self) -> bytes | None: ...


class _Gzip:
    def __init__(self) -> None:
        self._z = zlib.decompressobj(wbits=31)

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        yield self._z.decompress(chunk, _STEP_BYTES)
        while self._z.unconsumed_tail and not self._z.eof:
            yield self._z.decompress(self._z.unconsumed_tail, _STEP_BYTES)

    @property
    def rest(self) -> bytes | None:
        return self._z.unused_data if self._z.eof else None


class _Zstd:
    def __init__(self) -> None:
        self._z = zstandard.ZstdDecompressor(max_window_size=128 << 20).decompressobj()
        self._left = b""

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        for i in range(0, len(chunk), _ZSTD_INPUT_BYTES):
            yield self._z.decompress(chunk[i : i + _ZSTD_INPUT_BYTES])
            if self._z.eof:
                self._left = self._z.unused_data + chunk[i + _ZSTD_INPUT_BYTES :]
                return

    @property
    def rest(self) -> bytes | None:
        return self._left if self._z.eof else None


_KINDS: tuple[tuple[bytes, type[_Gzip] | type[_Zstd]], ...] = ((GZIP_MAGIC, _Gzip), (ZSTD_MAGIC, _Zstd))


def decompress(name: str, chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the plain bytes of ``chunks`` in pieces of at most about 64 MiB.

    Raises:
        DataError: UNEXPECTED_FILE_TYPE, if the compression is broken, cut off, followed by junk, or a bomb.
    """
    head, chunks = _peek(chunks)
    for magic, kind in _KINDS:
        if head.startswith(magic):
            yield from _decode(name, kind, magic, chunks)
            return
    yield from chunks


def _peek(chunks: Iterator[bytes]) -> tuple[bytes, Iterator[bytes]]:
    head = b""
    for chunk in chunks:
        head += chunk
        if len(head) >= 4:
            break

    def again() -> Iterator[bytes]:
        if head:
            yield head
        yield from chunks

    return head, again()


def _decode(name: str, kind: type[_Gzip] | type[_Zstd], magic: bytes, chunks: Iterator[bytes]) -> Iterator[bytes]:
    decoder: _Decoder | None = kind()
    n_in = n_out = 0
    pending = b""
    for chunk in chunks:
        n_in += len(chunk)
        pending += chunk
        while pending:
            if decoder is None:
                if len(pending) < len(magic):
                    break
                if not pending.startswith(magic):
                    raise _broken(name, "bytes follow the end of the compressed data")
                decoder = kind()
            pieces = decoder.feed(pending)
            pending = b""
            for piece in _guarded(name, pieces):
                n_out += len(piece)
                _check_size(name, n_in, n_out)
                yield piece
            if decoder.rest is not None:
                pending, decoder = decoder.rest, None
    if pending:
        raise _broken(name, "bytes follow the end of the compressed data")
    if decoder is not None:
        raise _broken(name, "the compressed data ends too early")


def _guarded(name: str, pieces: Iterator[bytes]) -> Iterator[bytes]:
    try:
        yield from pieces
    except (zlib.error, zstandard.ZstdError) as cause:
        raise _broken(name, f"the compressed data is damaged ({cause})") from cause


def _check_size(name: str, n_in: int, n_out: int) -> None:
    if n_out > MAX_BYTES or (n_out > FREE_BYTES and n_out > MAX_RATIO * n_in):
        raise _broken(name, f"it unpacks to more than {MAX_RATIO} times its size ({n_in:,} bytes gave {n_out:,} so far)")


def _broken(name: str, what: str) -> DataError:
    return DataError("UNEXPECTED_FILE_TYPE", f"{what}. Compress the file again with gzip or zstd, or send it plain.", path=name)
