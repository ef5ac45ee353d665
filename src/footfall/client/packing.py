"""Pack a working directory for a run: what ``.gitignore`` and ``.nsmlignore`` leave, as an archive with a stable digest.

The same files give the same bytes: entries are sorted, and owners and times left out, so that a directory that did not
change is not sent twice. Links that lead out of the directory are refused, since they would be broken where the run is.
"""

import gzip
import hashlib
import io
import os
import stat
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from pathspec import GitIgnoreSpec

from footfall.errors import InputError

IGNORE_FILES = (".gitignore", ".nsmlignore")
ALWAYS_LEFT_OUT = (".git",)
N_NAMED = 3
MEMORY_BYTES = 16 << 20
"""An archive up to this size is kept in memory."""


@dataclass(frozen=True)
class Archive:
    """A packed directory: ``file`` is open at its beginning; the caller closes it, by ``with``."""

    file: IO[bytes]
    digest: str
    size_bytes: int
    n_files: int
    unpacked_bytes: int

    def __enter__(self) -> "Archive":
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()


def pack(directory: Path, *, max_bytes: int | None = None) -> Archive:
    """Return the files of a directory as a gzipped tar archive.

    Raises:
        InputError: there is no such directory; a link leads out of it; or it is larger than ``max_bytes``.
    """
    if not directory.is_dir():
        raise InputError(f"{directory} is no directory; name the one that holds your code with --code.")
    with ExitStack() as on_failure:
        file = on_failure.enter_context(tempfile.SpooledTemporaryFile(MEMORY_BYTES))
        n_files, unpacked = _fill(file, directory, max_bytes)
        size = file.tell()
        file.seek(0)
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        file.seek(0)
        on_failure.pop_all()
    return Archive(file, digest, size, n_files, unpacked)


def _fill(file: IO[bytes], directory: Path, max_bytes: int | None) -> tuple[int, int]:
    n_files = unpacked = 0
    bounded = _Bounded(file, directory, max_bytes)
    with (
        gzip.GzipFile(fileobj=bounded, mode="wb", compresslevel=6, mtime=0, filename="") as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for path in find_files(directory):
            entry = _entry(directory, path)
            if entry.isreg():
                with open(path, "rb") as content:
                    tar.addfile(entry, _Exactly(content, entry.size, path))
                bounded.note(entry)
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
        """Remember a file that is in the archive now."""
        self._largest = sorted([*self._largest, (entry.size, entry.name)], reverse=True)[:N_NAMED]

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        if not self._is_over and self._max_bytes is not None and self._file.tell() > self._max_bytes:
            self._is_over = True  # closing the archive after the error may still write its end
            named = ", ".join(f"{name} ({size / 1e6:,.0f} MB)" for size, name in self._largest)
            raise InputError(
                f"{self._directory} is larger than {self._max_bytes / 1e6:,.0f} MB when packed; name what the run does not need "
                f"in .nsmlignore, and put data into the project's storage. The largest so far: {named or 'one file alone'}."
            )
        return self._file.write(data)


def find_files(directory: Path) -> Iterator[Path]:
    """Yield what is packed, sorted: files, links, and directories that are empty."""
    yield from _walk(directory, directory, [])


def _walk(root: Path, directory: Path, above: list[tuple[Path, GitIgnoreSpec]]) -> Iterator[Path]:
    rules = [*above]
    for name in IGNORE_FILES:
        try:
            lines = (directory / name).read_text("utf-8", "replace").splitlines()
        except (FileNotFoundError, IsADirectoryError):
            continue
        rules.append((directory, GitIgnoreSpec.from_lines(lines)))
    entries = sorted(os.scandir(directory), key=lambda entry: os.fsencode(entry.name))
    for entry in entries:
        path = Path(entry.path)
        is_dir = entry.is_dir(follow_symlinks=False)
        if entry.name in ALWAYS_LEFT_OUT or _is_ignored(path, rules, is_dir=is_dir):
            continue
        if is_dir:
            yield from _walk(root, path, rules)
        elif entry.is_file(follow_symlinks=False) or entry.is_symlink():
            yield path
    if not entries and directory != root:
        yield directory


def _is_ignored(path: Path, rules: list[tuple[Path, GitIgnoreSpec]], *, is_dir: bool) -> bool:
    """Whether a path is left out: the last rule that matches decides, a deeper directory's before one above."""
    for base, spec in reversed(rules):
        is_included = spec.check_file(path.relative_to(base).as_posix() + ("/" if is_dir else "")).include
        if is_included is not None:
            return is_included
    return False


def _entry(root: Path, path: Path) -> tarfile.TarInfo:
    status = path.lstat()
    entry = tarfile.TarInfo(path.relative_to(root).as_posix())
    entry.mode = 0o755 if status.st_mode & 0o100 else 0o644
    if stat.S_ISLNK(status.st_mode):
        target = os.readlink(path)
        inside = os.path.normpath(os.path.join(os.path.dirname(entry.name), target))
        if os.path.isabs(target) or inside == ".." or inside.startswith("../"):
            raise InputError(
                f"{path} is a link to {target}, outside of {root}: put the file itself there, or name the link in .nsmlignore."
            )
        entry.type, entry.linkname = tarfile.SYMTYPE, target
    elif stat.S_ISDIR(status.st_mode):
        entry.type, entry.mode = tarfile.DIRTYPE, 0o755
    else:
        entry.size = status.st_size
    return entry


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
