"""Take an image from a container engine: have it unpacked into a directory, once, and hold it there while it is used.

The engine resolves a name and unpacks; the command runs in what was unpacked as in any other file system, kept apart by us.
So nothing of an engine is above a command, and nothing outlives a runner that was killed. All that may take long is done by a
child (``engine_unpack.py``), so that a stop is handled meanwhile. Knows no runs.
"""

from __future__ import annotations

import fcntl
import functools
import json
import os

from footfall import layout
from footfall.runner.errors import LaunchError
from footfall.runner.images.locks import is_lock_of
from footfall.runner.process.child import collect_output
from footfall.runner.process.spawn import fork_python

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from footfall.contract.nodes import EngineAccess, ImageSpec

CLEAN_UP_TIMEOUT_S = 15.0
"""A child that is stopped removes what it had begun within this time, or is killed; the next one removes it then."""
_POLL_INTERVAL_S = 0.02
_MAX_TRIES = 5


class EngineImage:
    """An image in a directory: ``root``. ``id`` names its content, ``variables`` are those that it sets.

    ``lock`` is a descriptor: as long as it is open, nobody removes the directory.
    """

    def __init__(self, content: Mapping[str, Any], lock: int) -> None:
        self.root: str = content["root"]
        self.id: str = content["id"]
        self.engine: str = content["engine"]
        self.variables: dict[str, str] = content["variables"]
        self.lock = lock


def take_image(
    image: ImageSpec,
    engines: EngineAccess,
    data_directory: str,
    marker: str,
    limits: tuple[int, float, int],
    wait: Callable[[float], None],
) -> EngineImage:
    """Return an image of an engine, unpacked and held.

    Args:
        image: its name, and as ``path`` what the engine calls it, or the path of a file.
        engines: ``programs``, the path of each engine that works, by name; ``environment``, the variables of these programs.
        data_directory: where unpacked images are kept, below a directory of their own.
        marker: what marks the processes of this run.
        limits: of the memory and the time on a core of the program that unpacks, and of the bytes that it makes.
        wait: waits so many seconds while signals are handled; raises what ends the wait.

    Raises:
        LaunchError: no engine has it, or it cannot be unpacked.
    """
    directory = os.path.join(data_directory, layout.ENGINE_IMAGES)
    try:
        os.makedirs(directory, mode=0o700, exist_ok=True)
    except OSError as error:
        raise LaunchError(f"The directory of unpacked images cannot be made: {error.strerror}.") from error
    for _ in range(_MAX_TRIES):
        content = _ask_child(functools.partial(_answer, image, engines, directory, marker, limits), image["name"], wait)
        lock = _hold(directory, content["id"], wait)
        if lock is not None:
            return EngineImage(content, lock)
    raise LaunchError(f"The image {image['name']!r} is removed each time that it has been unpacked; try again.")


def _answer(
    image: ImageSpec, engines: EngineAccess, directory: str, marker: str, limits: tuple[int, float, int], tell: int
) -> None:
    # Here, for only the child needs what this loads.
    from footfall.runner.images.engine_unpack import answer

    answer(image, engines, directory, marker, limits, tell)


def _ask_child(work: Callable[[int], None], name: str, wait: Callable[[float], None]) -> dict[str, Any]:
    pipe, tell = os.pipe2(os.O_CLOEXEC)
    os.set_blocking(pipe, False)
    try:
        pid = fork_python(functools.partial(work, tell), keep=(tell,))
    finally:
        os.close(tell)
    output, is_done = collect_output(pid, pipe, wait, poll_interval_s=_POLL_INTERVAL_S, stop_timeout_s=CLEAN_UP_TIMEOUT_S)
    if not is_done:
        details = output.decode("utf-8", "replace")
        raise LaunchError(details or f"The image {name!r} could not be unpacked: that was ended, or took too much memory.")
    content: dict[str, Any] = json.loads(output)
    return content


def _hold(directory: str, id: str, wait: Callable[[float], None]) -> int | None:
    """Return a descriptor that holds the lock of an unpacked image, shared; None when it was removed meanwhile."""
    path = os.path.join(directory, f"{id}.lock")
    try:
        lock = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    is_held = False
    try:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                wait(_POLL_INTERVAL_S)  # it is being checked for removal, or unpacked anew
        is_held = os.path.isdir(os.path.join(directory, id)) and is_lock_of(lock, path)
        return lock if is_held else None
    finally:
        if not is_held:
            os.close(lock)
