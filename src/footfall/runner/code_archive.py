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
import time
import zlib

from footfall.files.directories import open_directory
from footfall.files.unpacked import ENTRY_BYTES, MAX_GLOBAL_HEADER_BYTES, find_fault
from footfall.runner.errors import LaunchError
from footfall.runner.process.child import DONE, collect_output
from footfall.runner.process.spawn import fork_python

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

MAX_ENTRIES = 200_000
"""Files, directories, also those that only paths name, and links."""
MAX_HEADER_BYTES = 16 << 10
"""Extended headers hold names and times."""
MAX_MEMORY_BYTES = 512 << 20
_EXTENSIONS = (
    tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK,
)  # fmt: skip
_SPARSE = "it holds a sparse file; make it without the option --sparse"
_BLOCK = 512
_CHUNK = 1 << 20


class _Bounded:
    """A reader that ends with an error behind so many bytes."""

    def __init__(self, file: gzip.GzipFile, limit: int) -> None:
        self._file = file
        self._limit = limit

    def read(self, size: int = -1) -> bytes:
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
            with tarfile.open(fileobj=reader, mode="r:", tarinfo=_Member) as tar:  # type: ignore[call-overload]
                _Extraction(tar, limit_bytes).run()
    except MemoryError as error:
        raise _refused("it takes too much memory") from error
    except RecursionError as error:
        raise _refused("too many of its headers follow each other") from error
    except (tarfile.TarError, EOFError, zlib.error, OSError, ValueError) as error:
        if isinstance(error, OSError) and not isinstance(error, gzip.BadGzipFile):
            raise LaunchError(f"The code archive could not be unpacked: {error.strerror or error}.") from error
        raise _refused(str(error)) from error


def unpack_aside(
    path: str,
    directory: str,
    uid: int | None,
    *,
    limit_bytes: int,
    memory_bytes: int,
    timeout_s: float,
    wait: Callable[[float], None],
) -> None:
    """Unpack in a process of its own, which is limited as the run is, since nothing else watches over it yet.

    Args:
        uid: the user and group that it becomes first, and who owns what is unpacked.
        memory_bytes: of the run; it gets no more than that, and no more than it can need.
        timeout_s: how long it may take, by the clock and on a core.
        wait: waits so many seconds while signals are handled; raises what ends the wait.

    Raises:
        LaunchError: the archive is not there, is refused, or takes too long.
    """
    try:
        archive = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise LaunchError(f"The code archive cannot be read: {error.strerror}.") from error
    deadline = time.monotonic() + timeout_s
    read_end, write_end = os.pipe2(os.O_CLOEXEC)
    os.set_blocking(read_end, False)
    memory_bytes = min(memory_bytes, MAX_MEMORY_BYTES)
    try:
        work = functools.partial(_unpack_as, archive, directory, uid, limit_bytes, memory_bytes, timeout_s, write_end)
        pid = fork_python(work, keep=(archive, write_end))
    finally:
        os.close(archive)
        os.close(write_end)

    def wait_within(interval_s: float) -> None:
        wait(interval_s)
        if time.monotonic() > deadline:
            raise _too_late(timeout_s)

    output, is_done = collect_output(pid, read_end, wait_within)
    if not is_done:
        raise LaunchError(output.decode("utf-8", "replace")) if output else _too_late(timeout_s)


def _unpack_as(
    archive: int, directory: str, uid: int | None, limit_bytes: int, memory_bytes: int, timeout_s: float, write_end: int
) -> None:
    from footfall.runner.process.limits import limit_process

    os.chdir(directory)
    limit_process(memory_bytes, timeout_s, limit_bytes)
    if uid is not None:
        os.setgroups([])
        os.setgid(uid)
        os.setuid(uid)
    try:
        unpack(archive, limit_bytes)
        os.write(write_end, DONE)
    except LaunchError as refusal:
        os.write(write_end, str(refusal).encode()[:4000])


class _Member(tarfile.TarInfo):
    """A header that is refused before ``tarfile`` reads what it announces: sparse files, long extensions, sizes below zero."""

    def _proc_member(self, tar: tarfile.TarFile) -> tarfile.TarInfo:
        most = MAX_GLOBAL_HEADER_BYTES if self.type == tarfile.XGLTYPE else MAX_HEADER_BYTES
        if self.size < 0 or (self.type in _EXTENSIONS and self.size > most):
            raise _refused("one of its headers is too long" if self.size > 0 else "a size is below zero")
        if self.type == tarfile.GNUTYPE_SPARSE:
            raise _refused(_SPARSE)
        member: tarfile.TarInfo = super()._proc_member(tar)  # type: ignore[misc]
        return member

    def _proc_gnusparse_00(self, *_: object) -> None:
        raise _refused(_SPARSE)

    _proc_gnusparse_01 = _proc_gnusparse_10 = _proc_gnusparse_00


class _Extraction:
    """Makes what an archive holds in the current directory, and counts all that is made, named or not."""

    def __init__(self, tar: tarfile.TarFile, limit_bytes: int) -> None:
        self._tar = tar
        self._left_bytes = limit_bytes
        self._n_entries = 0
        self._links: dict[str, str] = {}

    def run(self) -> None:
        """Make everything; links last, so that nothing is written through one."""
        for member in self._tar:
            self._count(member.size if member.isreg() else 0)
            self._take(member, _inside(member.name))
            self._tar.members = []  # type: ignore[attr-defined]  # an archive of many files must not be remembered whole
        for name, target in self._links.items():
            with _Target(name, self._open_directory) as (handle, last):
                os.symlink(target, last, dir_fd=handle)
        if not self._n_entries and self._tar.offset == 0:
            raise LaunchError("The code archive is empty.")

    def _count(self, size: int) -> None:
        if size < 0:
            raise _refused("a size is below zero")
        self._n_entries += 1
        self._left_bytes -= size + ENTRY_BYTES
        if self._n_entries > MAX_ENTRIES:
            raise LaunchError(f"The code archive holds more than {MAX_ENTRIES:,} files, directories and links.")
        if self._left_bytes < 0:
            raise _too_large()

    def _take(self, member: tarfile.TarInfo, name: str) -> None:
        """Make what a member is, or remember it if it is a link."""
        same = self._links.get(_inside(member.linkname)) if member.islnk() else None
        if member.issym() or same is not None:
            target = member.linkname if same is None else same
            _inside(os.path.join(os.path.dirname(name), target), is_target=True)
            self._links[name] = target
        elif member.isdir():
            os.close(self._open_directory(name))
        elif member.islnk():
            with (
                _Target(_inside(member.linkname), self._open_directory, is_new=False) as (source, first),
                _Target(name, self._open_directory) as (handle, last),
            ):
                os.link(first, last, src_dir_fd=source, dst_dir_fd=handle, follow_symlinks=False)
        elif member.isreg() and name:
            self._write(member, name)
        else:
            raise _refused(f"{name!r} is no file, directory or link")

    def _write(self, member: tarfile.TarInfo, name: str) -> None:
        content = self._tar.extractfile(member)
        assert content is not None
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with _Target(name, self._open_directory) as (handle, last):
            with os.fdopen(os.open(last, flags, 0o600, dir_fd=handle), "wb") as file:
                while data := content.read(_CHUNK):
                    file.write(data)
                os.fchmod(file.fileno(), 0o755 if member.mode & 0o100 else 0o644)

    def _open_directory(self, path: str) -> int:
        """Return a descriptor of a directory below the current one, made if need be, without following any link."""
        return open_directory(".", path.split("/") if path else (), make=lambda _: self._count(0))


def _inside(path: str, *, is_target: bool = False) -> str:
    """Return a path of the archive without what says nothing; a link's target is one from where the link is.

    A target that begins with ``/`` is taken as it is: a place of the machine that the command may see or not, as with any link
    that it makes itself.

    Raises:
        LaunchError: it leads out of the directory, or is longer than files may be called.
    """
    steps: list[str] = []
    is_out = False
    is_absolute = is_target and path.startswith("/")
    for step in () if is_absolute else path.split("/"):
        if step == "..":
            is_out = is_out or not is_target or not steps
            steps = steps[:-1]
        elif step not in ("", "."):
            steps.append(step)
    raw, *raw_steps = (each.encode("utf-8", "surrogateescape") for each in (path, *steps))
    fault = find_fault(raw, raw_steps)
    if fault:
        raise _refused(fault)
    if is_out:
        raise _refused(f"{path[:200]!r} leads outside of it")
    if is_absolute:
        return path
    return "/".join(steps)


class _Target:
    """Where a name goes: its directory, open, and its last part; what an archive names twice is replaced, as tar does."""

    def __init__(self, name: str, open_parent: Callable[[str], int], *, is_new: bool = True) -> None:
        parent, _, self._last = name.rpartition("/")
        self._handle = open_parent(parent)
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


def _refused(why: str) -> LaunchError:
    return LaunchError(f"The code archive is not a tar.gz that can be unpacked here: {why}.")


def _too_large() -> LaunchError:
    return LaunchError("The code archive is larger than allowed when it is unpacked.")


def _too_late(timeout_s: float) -> LaunchError:
    sentence = f"The code archive was not unpacked within {timeout_s:g} s, or that was ended; send less, or fewer files."
    return LaunchError(sentence, "start_timeout")
