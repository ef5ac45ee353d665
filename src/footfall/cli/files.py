"""Files that commands write: complete or not at all, with progress; and human-readable sizes."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from footfall.cli import output
from footfall.cli.context import choices
from footfall.errors import InputError

QUIET_S = 1.0
"""Shorter transfers show no progress."""


def fetch(
    chunks: Iterable[bytes],
    file: str | None,
    name: str,
    total: int | None = None,
    *,
    force: bool = False,
    facts: Mapping[str, object] | None = None,
) -> None:
    """Write chunks to a file, or to stdout, and report it.

    Args:
        file: a path, a directory, ``-`` for stdout, or None for ``name`` here.
        name: its name at the source.
        facts: fields of the ``--json`` output besides the file and its size.

    Raises:
        InputError: the file is there already, or cannot be written.
    """
    if file == "-":
        for chunk in chunks:
            output.raw(chunk)
        return
    path = free_path(file, name, force=force)
    with output.ProgressLine(name, delay_s=QUIET_S) as progress:
        size = save(path, chunks, progress, total)
    if choices().json:
        output.json_value({**(facts or {"name": name}), "file": str(path), "size_bytes": size})
    else:
        output.line(f"{path}  {size_text(size)}")


def free_path(file: str | None, name: str, *, force: bool = False) -> Path:
    """Return the path to write ``name`` to.

    Raises:
        InputError: there is a file already, and ``force`` does not allow to overwrite it.
    """
    last = name.rpartition("/")[2]
    path = Path(file or last)
    if path.is_dir():
        path = path / last
    if path.exists() and not force:
        raise InputError(f"{path} exists; take another name, or --force to overwrite it.")
    return path


def save(path: Path, chunks: Iterable[bytes], progress: output.ProgressLine, total: int | None) -> int:
    """Write to a temporary file next to ``path`` that is renamed when it is complete; return its size.

    Raises:
        InputError: it cannot be written.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    size = 0
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as stream:
            for chunk in chunks:
                stream.write(chunk)
                size += len(chunk)
                progress.show("got", size, total, size_text(size))
        part.replace(path)
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror or error}.") from error
    finally:
        part.unlink(missing_ok=True)
    return size


def size_text(size_bytes: float) -> str:
    """Return a human-readable size."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size_bytes < 1024:
            return f"{size_bytes:.0f} {unit}" if unit == "B" else f"{size_bytes:.1f} {unit}"
        size_bytes /= 1024
    return f"{size_bytes:.1f} TiB"
