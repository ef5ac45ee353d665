"""Directories of projects and block storages: created on first use, and their used sizes.

A run's processes write in them as another user and may put anything there, links too; nothing here follows one.
"""

import os
import threading
from contextlib import suppress
from pathlib import Path

import structlog

from footfall import layout
from footfall.compute.stale_cache import StaleCache
from footfall.config import Settings
from footfall.files.remove import remove_tree

TTL_S = 60.0
COUNT_TIMEOUT_S = 2.0
_GONE = ".gone-"

log = structlog.get_logger()


def make_nas(settings: Settings, project_id: str) -> Path:
    """Return the directory of a project's storage; it is there, and runs may write in it."""
    return _make(settings, layout.nas_dir(project_id))


def make_volume(settings: Settings, number: int) -> Path:
    """Return the directory of a block storage; it is there, and runs may write in it."""
    return _make(settings, layout.volume_dir(number))


def give_to_runs(settings: Settings, descriptor: int) -> None:
    """Make the user of runs the owner of an open file or directory, where the server may."""
    if os.geteuid() == 0:
        os.fchown(descriptor, settings.run_uid, settings.run_uid)


def _make(settings: Settings, directory: str) -> Path:
    path = settings.data_dir / directory
    if not path.is_dir():
        path.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            give_to_runs(settings, handle)
        finally:
            os.close(handle)
    return path


def discard_volume(settings: Settings, number: int) -> None:
    """Remove the directory of a block storage that was deleted; nobody waits for it, and what a killed server left goes too.

    It is moved away first, so that nothing finds it half removed.
    """
    path = settings.data_dir / layout.volume_dir(number)
    with suppress(FileNotFoundError):
        path.rename(path.with_name(f"{_GONE}{number}"))
    threading.Thread(target=_sweep, args=(path.parent,), name="discard", daemon=True).start()


def _sweep(directory: Path) -> None:
    for path in directory.glob(f"{_GONE}*"):
        try:
            remove_tree(path)
        except OSError as error:
            log.warning("files_left", directory=str(path), error=str(error))


class UsedSizes:
    """How many bytes directories hold, counted anew after ``TTL_S`` in the background."""

    def __init__(self) -> None:
        self._sizes: StaleCache[Path, int] = StaleCache("used size", TTL_S)

    def of(self, directory: Path) -> int | None:
        """Return the bytes of the files below a directory as last counted; None while the first count goes on."""
        thread = self._sizes.refresh(directory, lambda: _size_bytes(directory))
        if thread is not None:
            thread.join(COUNT_TIMEOUT_S)
        return self.last(directory)

    def last(self, directory: Path) -> int | None:
        """Return what was last counted, however long ago; None when nothing was."""
        return self._sizes.peek(directory)


def _size_bytes(directory: Path) -> int:
    """Return the space of regular files; what vanishes meanwhile counts nothing."""
    total, left = 0, [str(directory)]
    while left:
        with suppress(OSError), os.scandir(left.pop()) as entries:
            for entry in entries:
                with suppress(OSError):
                    if entry.is_dir(follow_symlinks=False):
                        left.append(entry.path)
                    elif entry.is_file(follow_symlinks=False):
                        total += entry.stat(follow_symlinks=False).st_size
    return total
