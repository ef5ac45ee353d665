"""Unpack a code archive into the directory where the command will run, in a process without rights and within bounds.

``tarfile`` reads the archive and writes nothing: its ``data`` filter (PEP 706) is not in every Python that we run on, and in
releases before June 2025 it can be led outside through chains of links (CVE-2025-4517, CVE-2024-12718). Here every step of
a path is opened on its own, and the links are made last, so that nothing is ever written through a link of the archive.
Knows no runs.
"""

from __future__ import annotations

import functools
import gzip
import os
import tarfile
import zlib

from footfall.files.directories import open_directory
from footfall.runner.errors import LaunchError
from footfall.runner.process.child import DONE
from footfall.runner.process.spawn import fork_python

MAX_ENTRIES = 200_000
_BLOCK = 512
_MAX_READ_BYTES = 8 << 20
_CHUNK = 1 << 20


class _Bounded:
    """A reader that ends with an error behind so many bytes, and refuses to put a whole header of a bomb into memory."""

    def __init__(self, file: gzip.GzipFile, limit: int) -> None:
        self._file = file
        self._limit = limit

    def read(self, size: int = -1) -> bytes:
        if size < 0 or size > _MAX_READ_BYTES:
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
        LaunchError: it is no such archive, leads out of the directory, or is larger than allowed when unpacked.
    """
    try:
        with os.fdopen(archive, "rb") as file, gzip.GzipFile(fileobj=file) as unzipped:
            # Headers and padding are not what the limit is about, but must be bounded too.
            reader = _Bounded(unzipped, limit_bytes + MAX_ENTRIES * 4 * _BLOCK)
            with tarfile.open(fileobj=reader, mode="r:") as tar:  # type: ignore[call-overload]
                _extract(tar, limit_bytes)
    except (tarfile.TarError, EOFError, zlib.error, OSError, ValueError) as error:
        if isinstance(error, OSError) and not isinstance(error, gzip.BadGzipFile):
            raise LaunchError(f"The code archive could not be unpacked: {error.strerror or error}.") from error
        raise LaunchError(f"The code archive is not a tar.gz that can be unpacked here: {error}.") from error


def start_unpacking(path: str, directory: str, uid: int | None, limit_bytes: int) -> tuple[int, int]:
    """Start a process that unpacks; return its pid and a descriptor that yields the error, or DONE.

    Args:
        uid: the user and group that it becomes first, and who owns what is unpacked.

    Raises:
        LaunchError: the archive is not there.
    """
    try:
        archive = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise LaunchError(f"The code archive cannot be read: {error.strerror}.") from error
    read_end, write_end = os.pipe2(os.O_CLOEXEC)
    os.set_blocking(read_end, False)
    try:
        work = functools.partial(_unpack_as, archive, directory, uid, limit_bytes, write_end)
        return fork_python(work, keep=(archive, write_end)), read_end
    finally:
        os.close(archive)
        os.close(write_end)


def _unpack_as(archive: int, directory: str, uid: int | None, limit_bytes: int, write_end: int) -> None:
    os.chdir(directory)
    if uid is not None:
        os.setgroups([])
        os.setgid(uid)
        os.setuid(uid)
    try:
        unpack(archive, limit_bytes)
        os.write(write_end, DONE)
    except LaunchError as refusal:
        os.write(write_end, str(refusal).encode()[:4000])


def _extract(tar: tarfile.TarFile, limit_bytes: int) -> None:
    remaining = limit_bytes
    links: dict[str, str] = {}
    for number, member in enumerate(tar):
        remaining -= member.size if member.isreg() else 0
        if remaining < 0:
            raise _too_large()
        if number >= MAX_ENTRIES:
            raise LaunchError(f"The code archive holds more than {MAX_ENTRIES:,} files.")
        _take(tar, member, _inside(member.name), links)
        tar.members = []  # type: ignore[attr-defined]  # an archive of many files must not be remembered whole
    for name, target in links.items():
        with _Target(name) as (handle, last):
            os.symlink(target, last, dir_fd=handle)
    if remaining == limit_bytes and tar.offset == 0:
        raise LaunchError("The code archive is empty.")


def _take(tar: tarfile.TarFile, member: tarfile.TarInfo, name: str, links: dict[str, str]) -> None:
    """Make what a member is, or remember it if it is a link."""
    same = links.get(_inside(member.linkname)) if member.islnk() else None
    if member.issym() or same is not None:
        target = member.linkname if same is None else same
        _inside(os.path.join(os.path.dirname(name), target), is_target=True)
        links[name] = target
    elif member.isdir():
        os.close(_open_directory(name))
    elif member.islnk():
        with _Target(_inside(member.linkname), is_new=False) as (source, first), _Target(name) as (handle, last):
            os.link(first, last, src_dir_fd=source, dst_dir_fd=handle, follow_symlinks=False)
    elif member.isreg() and name:
        _write(tar, member, name)
    else:
        raise LaunchError(f"The code archive is not a tar.gz that can be unpacked here: {name!r} is no file, directory or link.")


def _write(tar: tarfile.TarFile, member: tarfile.TarInfo, name: str) -> None:
    content = tar.extractfile(member)
    assert content is not None
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with _Target(name) as (handle, last):
        with os.fdopen(os.open(last, flags, 0o600, dir_fd=handle), "wb") as file:
            while data := content.read(_CHUNK):
                file.write(data)
            os.fchmod(file.fileno(), 0o755 if member.mode & 0o100 else 0o644)


def _inside(path: str, *, is_target: bool = False) -> str:
    """Return a path of the archive without what says nothing; a link's target is one from where the link is.

    A target that begins with ``/`` is taken as it is: a place of the machine that the command may see or not, as with any link
    that it makes itself.

    Raises:
        LaunchError: it leads out of the directory.
    """
    if is_target and path.startswith("/"):
        return path
    steps: list[str] = []
    is_out = False
    for step in path.split("/"):
        if step == "..":
            is_out = is_out or not is_target or not steps
            steps = steps[:-1]
        elif step not in ("", "."):
            steps.append(step)
    if is_out:
        raise LaunchError(f"The code archive is not a tar.gz that can be unpacked here: {path[:200]!r} leads outside of it.")
    return "/".join(steps)


def _open_directory(path: str) -> int:
    """Return a descriptor of a directory below the current one, made if need be, without following any link."""
    return open_directory(".", path.split("/") if path else (), make=lambda _: None)


class _Target:
    """Where a name goes: its directory, open, and its last part; what an archive names twice is replaced, as tar does."""

    def __init__(self, name: str, *, is_new: bool = True) -> None:
        parent, _, self._last = name.rpartition("/")
        self._handle = _open_directory(parent)
        self._is_new = is_new

    def __enter__(self) -> tuple[int, str]:
        if self._is_new:
            try:
                os.unlink(self._last, dir_fd=self._handle)
            except FileNotFoundError:
                pass
        return self._handle, self._last

    def __exit__(self, *_: object) -> None:
        os.close(self._handle)


def _too_large() -> LaunchError:
    return LaunchError("The code archive is larger than allowed when it is unpacked.")
