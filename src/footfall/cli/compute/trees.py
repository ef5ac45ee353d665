"""Files and directories that commands fetch and send, each file whole or not at all."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from footfall.cli import output
from footfall.cli.context import choices
from footfall.cli.files import QUIET_S, free_path, save, size_text
from footfall.errors import InputError


@dataclass(frozen=True, slots=True)
class Remote:
    """A file to fetch: where it goes within the directory, its size in bytes, and what opens it."""

    path: str
    size_bytes: int
    open: Callable[[], Iterator[bytes]]


def fetch_all(files: Iterable[Remote], directory: Path, *, force: bool) -> None:
    """Fetch files into a directory, and report each.

    Raises:
        InputError: one of them is there already, before any is fetched; or a name leads out of the directory.
    """
    plan = [(each, _place(directory, each.path, force=force)) for each in files]
    done: list[dict[str, object]] = []
    with output.ProgressLine(str(directory), delay_s=QUIET_S) as progress:
        for each, path in plan:
            size = save(path, each.open(), progress, each.size_bytes)
            done.append({"path": each.path, "file": str(path), "size_bytes": size})
            if not choices().json:
                output.line(f"{path}  {size_text(size)}")
    if choices().json:
        output.json_value(done)


def _place(directory: Path, path: str, *, force: bool) -> Path:
    if path.startswith("/") or ".." in path.split("/"):
        raise InputError(f"{path!r} leads out of {directory}; it is not fetched.")
    return free_path(str(directory / path), path, force=force)


def files_below(directory: Path) -> list[tuple[Path, str]]:
    """Return the files below a directory by path, each with its path from there.

    Raises:
        InputError: there is none.
    """
    paths = sorted(path for path in directory.rglob("*") if path.is_file())
    if not paths:
        raise InputError(f"There is no file in {directory}; name a directory with files in it.")
    return [(path, path.relative_to(directory).as_posix()) for path in paths]
