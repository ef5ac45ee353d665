"""What is uploaded, in chunks."""

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from footfall.client.transport import CHUNK_BYTES

Source = bytes | str | os.PathLike[str] | Iterable[bytes]
"""Bytes, the path of a file, or chunks of bytes."""


def chunks_of(source: Source, callback: Callable[[int], None] | None) -> Iterator[bytes]:
    """Yield the bytes of a source; ``callback`` is called with the number of bytes yielded so far."""
    sent = 0
    for chunk in _read(source):
        yield chunk
        sent += len(chunk)
        if callback is not None:
            callback(sent)


def _read(source: Source) -> Iterator[bytes]:
    if isinstance(source, bytes):
        for start in range(0, len(source), CHUNK_BYTES):
            yield source[start : start + CHUNK_BYTES]
    elif isinstance(source, str | os.PathLike):
        with Path(source).open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                yield chunk
    else:
        yield from source
