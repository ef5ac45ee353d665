"""Unpack a code archive into the directory where the command will run, in a process without rights and within bounds.

Knows no runs. Source: tarfile's ``data`` filter, PEP 706.
"""

from __future__ import annotations

import functools
import gzip
import os
import tarfile
import zlib

from footfall.runner.refusal import RefusalError
from footfall.runner.spawn import fork_python

DONE = b"\0done"
"""What the process that unpacks says last when all went well."""
MOST_ENTRIES = 200_000
_BLOCK = 512
_MOST_AT_ONCE = 8 << 20


class _Bounded:
    """A reader that ends with an error behind so many bytes, and refuses to put a whole header of a bomb into memory."""

    def __init__(self, file: gzip.GzipFile, limit: int) -> None:
        self._file = file
        self._limit = limit

    def read(self, size: int = -1) -> bytes:
        if size < 0 or size > _MOST_AT_ONCE:
            raise tarfile.ReadError("one of its headers is too long")
        data = self._file.read(size)
        if self._file.tell() > self._limit:
            raise _too_large()
        return data

    def seek(self, offset: int) -> int:
        if offset > self._limit:
            raise _too_large()
        return self._file.seek(offset)

    def tell(self) -> int:
        return self._file.tell()


def unpack(archive: int, limit_bytes: int) -> None:
    """Unpack a tar.gz into the current directory.

    Args:
        archive: its descriptor; the path may be out of this process's reach.

    Raises:
        RefusalError: it is no such archive, leads out of the directory, or is larger than allowed when unpacked.
    """
    if not hasattr(tarfile, "data_filter"):
        raise RefusalError(
            "Code archives need Python 3.11.4 or newer on the server, whose tarfile can be told to be careful."
        )
    try:
        with os.fdopen(archive, "rb") as file, gzip.GzipFile(fileobj=file) as unzipped:
            # Headers and padding are not what the limit is about, but must be bounded too.
            reader = _Bounded(unzipped, limit_bytes + MOST_ENTRIES * 4 * _BLOCK)
            with tarfile.open(fileobj=reader, mode="r:") as tar:  # type: ignore[call-overload]
                _extract(tar, limit_bytes)
    except (tarfile.TarError, EOFError, zlib.error, OSError, ValueError) as error:
        if isinstance(error, OSError) and not isinstance(error, gzip.BadGzipFile):
            raise RefusalError(f"The code archive could not be unpacked: {error.strerror or error}.") from error
        raise RefusalError(f"The code archive is not a tar.gz that can be unpacked here: {error}.") from error


def unpack_aside(path: str, directory: str, uid: int | None, limit_bytes: int) -> tuple[int, int]:
    """Start a process that unpacks; return its pid and a descriptor that yields its refusal, or DONE.

    Args:
        uid: the user and group that it becomes first, and who owns what is unpacked.

    Raises:
        RefusalError: the archive is not there.
    """
    try:
        archive = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise RefusalError(f"The code archive cannot be read: {error.strerror}.") from error
    heard, tell = os.pipe2(os.O_CLOEXEC)
    os.set_blocking(heard, False)
    try:
        work = functools.partial(_unpack_as, archive, directory, uid, limit_bytes, tell)
        return fork_python(work, keep=(archive, tell)), heard
    finally:
        os.close(archive)
        os.close(tell)


def _unpack_as(archive: int, directory: str, uid: int | None, limit_bytes: int, tell: int) -> None:
    os.chdir(directory)
    if uid is not None:
        os.setgroups([])
        os.setgid(uid)
        os.setuid(uid)
    try:
        unpack(archive, limit_bytes)
        os.write(tell, DONE)
    except RefusalError as refusal:
        os.write(tell, str(refusal).encode()[:4000])


def _extract(tar: tarfile.TarFile, limit_bytes: int) -> None:
    """Extract what ``tarfile`` lets pass, the links last: so nothing is ever written through a link of the archive.

    Its filter alone is not enough: releases of Python before June 2025 can be led outside through chains of links
    (CVE-2025-4517, CVE-2024-12718), and a server that is not root has everything to lose there.
    """
    left = limit_bytes
    links: dict[str, str] = {}
    for number, member in enumerate(tar):
        left -= member.size if member.isreg() else 0
        if left < 0:
            raise _too_large()
        if number >= MOST_ENTRIES:
            raise RefusalError(f"The code archive holds more than {MOST_ENTRIES:,} files.")
        same = links.get(os.path.normpath(member.linkname)) if member.islnk() else None
        if member.issym() or same is not None:
            name = os.path.normpath(tarfile.data_filter(member, ".").name)
            links[name] = member.linkname if same is None else same
        else:
            tar.extract(member, filter="data")
        tar.members = []  # type: ignore[attr-defined]  # an archive of many files must not be remembered whole
    for name, target in links.items():
        _link(target, name)
    if left == limit_bytes and tar.offset == 0:
        raise RefusalError("The code archive is empty.")


def _link(target: str, name: str) -> None:
    """Make a link below the current directory, without following any that was made before."""
    parent, _, last = name.rpartition("/")
    handle = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for step in parent.split("/") if parent else ():
            try:
                os.mkdir(step, dir_fd=handle)
            except FileExistsError:
                pass  # mostly it was made for a file before
            below = os.open(step, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=handle)
            os.close(handle)
            handle = below
        try:
            os.unlink(last, dir_fd=handle)
        except FileNotFoundError:
            pass  # only what the archive names twice is replaced, as tar does
        os.symlink(target, last, dir_fd=handle)
    finally:
        os.close(handle)


def _too_large() -> RefusalError:
    return RefusalError("The code archive is larger than allowed when it is unpacked.")
