"""Pass the tar of an image on to the program that unpacks it, and look at its headers on the way.

``tar`` bounds nothing: a few hundred bytes may name millions of directories, a header may announce gigabytes that it reads into
memory, a sparse file is as large as it says. Here everything that will be made is counted, whether it is named or only implied.

Source: POSIX.1-2008, pax; GNU tar's manual, "Basic Tar Format".
"""

from __future__ import annotations

import os

from footfall.files.unpacked import ENTRY_BYTES, MAX_GLOBAL_HEADER_BYTES, MAX_PATH_BYTES, find_fault

MAX_ENTRIES = 3_000_000
MAX_HEADER_BYTES = 64 << 10
"""Images keep extended attributes in headers: larger ones than code has."""
_BLOCK = 512
_LONG_NAMES, _LONG_FIELDS, _GLOBAL = b"LK", b"xX", b"g"
_FILES, _OTHERS = b"0\x007", b"123456"
_PIPE_BYTES = 1 << 20


class ImageRefusedError(Exception):
    """The image holds what is not unpacked; the text says what."""


class ImageStream:
    """Passes a tar on, from one pipe to another."""

    def __init__(self, source: int, target: int, limit_bytes: int) -> None:
        self._source, self._target = source, target
        self._left_bytes = limit_bytes
        self._n_entries = 0
        self._directories: set[int] = set()

    def pass_on(self) -> None:
        """Pass everything on, to its end or until who reads it wants no more.

        Raises:
            ImageRefusedError: it holds more than it may, or what is no plain file, directory or link.
        """
        try:
            fields: dict[bytes, bytes] = {}
            while header := self._read(_BLOCK):
                if not any(header):
                    break
                fields = self._member(header, fields)
            self._copy(None)
        except BrokenPipeError:
            pass  # its exit code says why

    def _member(self, header: bytes, fields: dict[bytes, bytes]) -> dict[bytes, bytes]:
        """Pass a header and what follows it on; return the fields that it has for the next one."""
        kind, size = header[156:157], _number(header[124:136])
        if kind in _LONG_NAMES + _LONG_FIELDS + _GLOBAL:
            if not 0 <= size <= (MAX_GLOBAL_HEADER_BYTES if kind == _GLOBAL else MAX_HEADER_BYTES):
                raise ImageRefusedError(f"a header of it announces {size:,} bytes")
            content = self._read(size + -size % _BLOCK)[:size]
            if kind in _LONG_NAMES:
                return {**fields, b"path" if kind == b"L" else b"linkpath": content.rstrip(b"\0")}
            found = _fields_of(content)
            if any(name.startswith(b"GNU.sparse") for name in found) or (kind == _GLOBAL and {b"path", b"size"} & set(found)):
                raise ImageRefusedError("it holds a sparse file, or names for all files")
            return fields if kind == _GLOBAL else {**fields, **found}
        if kind not in _FILES + _OTHERS:
            raise ImageRefusedError(
                f"it holds something of the kind {kind!r}, and only files, directories and links are unpacked"
            )
        written = fields.get(b"size", b"")
        if written.strip(b"0123456789") or len(written) > 20:
            raise ImageRefusedError("a size is no number")
        size = int(written or size)
        if size < 0 or (size and kind not in _FILES):
            raise ImageRefusedError(f"a size is {size}")
        prefix = header[345:500].partition(b"\0")[0] if header[257:263] == b"ustar\0" else b""
        short = header[:100].partition(b"\0")[0]
        self._count(fields.get(b"path", prefix + b"/" + short if prefix else short), size)
        if len(fields.get(b"linkpath", b"")) > MAX_PATH_BYTES:
            raise ImageRefusedError(f"a link leads to a path of more than {MAX_PATH_BYTES:,} bytes")
        self._copy(size + -size % _BLOCK)
        return {}

    def _count(self, path: bytes, size: int) -> None:
        steps = [step for step in path.split(b"/") if step not in (b"", b".")]
        fault = find_fault(path, steps)
        if fault:
            raise ImageRefusedError(fault)
        n_new = 1
        for n in range(1, len(steps)):
            key = hash(tuple(steps[:n]))
            if key not in self._directories:
                self._directories.add(key)
                n_new += 1
        self._n_entries += n_new
        self._left_bytes -= size + n_new * ENTRY_BYTES
        if self._n_entries > MAX_ENTRIES:
            raise ImageRefusedError(f"it holds more than {MAX_ENTRIES:,} files, directories and links")
        if self._left_bytes < 0:
            raise ImageRefusedError("it is larger than a node's files may be (setting run_scratch_limit_bytes)")

    def _read(self, size: int) -> bytes:
        """Read so many bytes, fewer at the end, and pass them on."""
        pieces, left = [], size
        while left and (piece := os.read(self._source, left)):
            pieces.append(piece)
            left -= len(piece)
        data = b"".join(pieces)
        at = 0
        while at < len(data):
            at += os.write(self._target, data[at:])
        return data

    def _copy(self, size: int | None) -> None:
        """Pass so many bytes on, or all that are left, without looking at them."""
        while size is None or size > 0:
            n = os.splice(self._source, self._target, _PIPE_BYTES if size is None else min(size, _PIPE_BYTES))
            if n == 0:
                return
            size = None if size is None else size - n


def _number(field: bytes) -> int:
    if field[0] & 0x80:
        return int.from_bytes(bytes((field[0] & 0x7F, *field[1:])), "big") if field[0] == 0x80 else -1
    digits = field.strip(b" \0")
    if digits.strip(b"01234567"):  # Python reads more than tar does, such as 0o7 and 1_0
        raise ImageRefusedError("a size is no number")
    return int(digits or b"0", 8)


def _fields_of(content: bytes) -> dict[bytes, bytes]:
    fields: dict[bytes, bytes] = {}
    at = 0
    while at < len(content):
        blank = content.find(b" ", at, at + 8)
        length = int(content[at:blank]) if blank > at and content[at:blank].isdigit() else 0
        if length <= blank - at:
            raise ImageRefusedError("an extended header cannot be read")
        name, _, value = content[blank + 1 : at + length - 1].partition(b"=")
        fields[name] = value
        at += length
    return fields
