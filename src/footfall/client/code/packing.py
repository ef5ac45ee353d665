"""Pack the files of a working directory that a run gets as an archive with a stable digest.

The same files give the same bytes: entries are sorted, and owners and times left out, so that a directory that did not
change is not sent twice. A link within the directory is sent as one from where it is, however it was written. One that leads
out of it to a directory is sent as it is, and works where the run finds the same path; one to a file is refused.
"""

import gzip
import hashlib
import io
import os
import stat
import tarfile
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from footfall.client.code.files import CodeFiles, choose_files
from footfall.client.code.git import Commit
from footfall.errors import InputError

N_NAMED = 3
MEMORY_BYTES = 16 << 20
"""An archive up to this size is kept in memory."""


@dataclass(frozen=True)
class Archive:
    """A packed directory: ``file`` is open at its beginning; the caller closes it, by ``with``.

    Args:
        notes: sentences on what was left out, or may not work.
        commit: of git, where the directory is in a work tree.
    """

    file: IO[bytes]
    digest: str
    size_bytes: int
    n_files: int
    unpacked_bytes: int
    notes: tuple[str, ...] = ()
    commit: Commit | None = None

    def __enter__(self) -> "Archive":
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()


def pack(directory: Path, *, max_bytes: int | None = None) -> Archive:
    """Return the files of a directory as a gzipped tar archive.

    Raises:
        InputError: there is no such directory; a link leads to a file outside; or it is larger than ``max_bytes``.
    """
    directory = directory.absolute()
    if not directory.is_dir():
        raise InputError(f"{directory} is no directory; name the one that holds your code with --code.")
    with ExitStack() as on_failure:
        file = on_failure.enter_context(tempfile.SpooledTemporaryFile(MEMORY_BYTES))
        chosen = choose_files(directory)
        n_files, unpacked = _fill(file, directory, chosen, max_bytes)
        size = file.tell()
        file.seek(0)
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        file.seek(0)
        on_failure.pop_all()
    return Archive(file, digest, size, n_files, unpacked, tuple(chosen.notes), chosen.commit)


def _fill(file: IO[bytes], directory: Path, chosen: CodeFiles, max_bytes: int | None) -> tuple[int, int]:
    n_files = unpacked = 0
    bounded = _Bounded(file, directory, max_bytes)
    with (
        gzip.GzipFile(fileobj=bounded, mode="wb", compresslevel=6, mtime=0, filename="") as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for path in chosen.paths:
            entry = _entry(directory, path, chosen.notes)
            if entry.isreg():
                bounded.note(entry)
                with open(path, "rb") as content:
                    tar.addfile(entry, _Exactly(content, entry.size, path))
                n_files += 1
                unpacked += entry.size
            else:
                tar.addfile(entry)
    return n_files, unpacked


class _Bounded(io.RawIOBase):
    """A file with a size limit; the error names the largest files so far."""

    def __init__(self, file: IO[bytes], directory: Path, max_bytes: int | None) -> None:
        self._file, self._directory, self._max_bytes = file, directory, max_bytes
        self._largest: list[tuple[int, str]] = []
        self._is_over = False

    def note(self, entry: tarfile.TarInfo) -> None:
        """Remember a file that comes next."""
        self._largest = sorted([*self._largest, (entry.size, entry.name)], reverse=True)[:N_NAMED]

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        if not self._is_over and self._max_bytes is not None and self._file.tell() > self._max_bytes:
            self._is_over = True  # closing the archive after the error may still write its end
            named = ", ".join(f"{name} ({size / 1e6:,.1f} MB)" for size, name in self._largest)
            raise InputError(
                f"{self._directory} is larger than {self._max_bytes / 1e6:,.0f} MB when packed; name what the run does not need "
                f"in .nsmlignore, and put data into the project's storage. The largest so far: {named}."
            )
        return self._file.write(data)


def _entry(root: Path, path: Path, notes: list[str]) -> tarfile.TarInfo:
    status = path.lstat()
    entry = tarfile.TarInfo(path.relative_to(root).as_posix())
    entry.mode = 0o755 if status.st_mode & 0o100 else 0o644
    if stat.S_ISLNK(status.st_mode):
        entry.type, entry.linkname = tarfile.SYMTYPE, _target(root, path, notes)
    elif stat.S_ISDIR(status.st_mode):
        entry.type, entry.mode = tarfile.DIRTYPE, 0o755
    else:
        entry.size = status.st_size
    return entry


def _target(root: Path, path: Path, notes: list[str]) -> str:
    """Return what a link says in the archive.

    Raises:
        InputError: it leads to a file outside.
    """
    written, here, top = os.readlink(path), os.path.realpath(path.parent), os.path.realpath(root)
    places = [os.path.normpath(os.path.join(here, written)), os.path.realpath(path)]
    plain = os.path.normpath(written)
    if plain == str(root) or plain.startswith(f"{root}/"):
        places.insert(0, os.path.normpath(os.path.join(top, os.path.relpath(plain, root))))
    for place in places:
        if place == top or place.startswith(f"{top}/"):
            return written if _stays_inside(os.path.relpath(here, top), written) else os.path.relpath(place, here)
    name, place = path.relative_to(root).as_posix(), places[-1]
    if os.path.isfile(place):
        raise InputError(
            f"{path} is a link to {written}, outside of {root}: put the file itself there, or name {name} in .nsmlignore."
        )
    notes.append(
        f"{name} is a link to {place}, outside of {root}: what is there is not sent, and the run finds it only at that path."
    )
    return place


def _stays_inside(here: str, written: str) -> bool:
    """Whether a link, as it is written, never leaves the directory on its way."""
    steps = [step for step in here.split("/") if step != "."]
    for step in written.split("/"):
        if step == "..":
            if not steps:
                return False
            steps.pop()
        elif step not in ("", "."):
            steps.append(step)
    return not written.startswith("/")


class _Exactly(io.RawIOBase):
    """Reads a file that must be as long as it was when its size was taken; otherwise the archive would be broken."""

    def __init__(self, file: IO[bytes], size: int, path: Path) -> None:
        self._file, self._left, self._path = file, size, path

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(self._left if size < 0 else min(size, self._left))
        self._left -= len(data)
        if not data and self._left and size:
            raise InputError(f"{self._path} became shorter while it was packed; try again when nobody writes it.")
        return data
