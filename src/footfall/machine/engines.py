"""The container engines of this machine, each probed when it is first needed, and the images of those that work.

A probe is real: it makes a tiny image, creates a container of it, exports that as for a run, and checks the result. That takes
a second, so no engine is probed before it is needed. An engine only holds images; commands never run in it, and no image is
ever pulled. Knows no run.
"""

import io
import os
import secrets
import shutil
import subprocess
import tarfile
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

NAMES = ("docker", "podman", "apptainer")
COMMAND_TIMEOUT_S = 10.0
TTL_S = 60.0
"""A snapshot older than this is refreshed in the background."""
_MISS_TTL_S = 1.0
_RETRY_PAUSE_S = 0.3
_MAX_IMAGES = 1000
_PROBE = "footfall-probe"
_MARKER = "marker"


@dataclass(frozen=True, slots=True)
class Engine:
    """One engine. ``why`` says why it cannot be used, empty where it can; ``program`` is empty where there is none."""

    name: str
    program: str
    why: str


@dataclass(frozen=True, slots=True)
class _Snapshot:
    engines: tuple[Engine, ...]
    images: Mapping[str, tuple[str, ...]]
    at: float


class Engines:
    """The engines and their images, cached for ``TTL_S`` and refreshed in the background. Thread-safe.

    Args:
        environment: the variables of their programs.
        fixed: the engines, where they are known without a probe.
    """

    def __init__(self, environment: Mapping[str, str], fixed: Sequence[Engine] | None = None) -> None:
        self.environment = environment
        self._is_fixed = fixed is not None
        self._snapshot = None if fixed is None else _Snapshot(tuple(fixed), {}, time.monotonic())
        self._scan_lock = threading.Lock()
        self._refresh_lock = threading.Lock()

    @property
    def known(self) -> list[str] | None:
        """The names of those that work, without waiting; None before the first probe."""
        snapshot = self._snapshot
        return None if snapshot is None else [engine.name for engine in snapshot.engines if not engine.why]

    def troubles(self) -> dict[str, str]:
        """Return why each cannot be used, by name, empty where it can; the first call waits for the probe."""
        return {engine.name: engine.why for engine in self._current().engines}

    def programs(self) -> dict[str, str]:
        """Return the programs of those that work, by name; the first call waits for the probe."""
        return {engine.name: engine.program for engine in self._current().engines if not engine.why}

    def images(self) -> list[str]:
        """Return the names, with tags, of all images of working engines; at most ``TTL_S`` old, or being refreshed."""
        return _names(self._current())

    def has_image(self, name: str) -> bool:
        """Whether one of those that work has an image of this very name; a new one is seen at once."""
        snapshot = self._current()
        if _is_missed(name, snapshot):
            with self._scan_lock:
                snapshot = self._snapshot or snapshot  # another thread may have scanned meanwhile
                if _is_missed(name, snapshot):
                    snapshot = self._snapshot = self._scan(snapshot, retries=False)
        return name in _names(snapshot)

    def _current(self) -> _Snapshot:
        snapshot = self._snapshot
        if snapshot is None:
            with self._scan_lock:
                snapshot = self._snapshot = self._snapshot or self._scan(None, retries=True)
        elif time.monotonic() - snapshot.at > TTL_S and not self._is_fixed and self._refresh_lock.acquire(blocking=False):
            threading.Thread(target=self._refresh, name="engines", daemon=True).start()
        return snapshot

    def _refresh(self) -> None:
        try:
            with self._scan_lock:
                self._snapshot = self._scan(self._snapshot, retries=True)
        finally:
            self._refresh_lock.release()

    def _scan(self, previous: _Snapshot | None, *, retries: bool) -> _Snapshot:
        """Probe the engines that did not work, with ``retries``, and list the images of the others."""
        if self._is_fixed and previous is not None:
            return previous
        known = previous.engines if previous is not None else [Engine(name, "", "it was not tried") for name in NAMES]
        with ThreadPoolExecutor(len(NAMES)) as pool:
            tried = [pool.submit(_try, engine.name, self.environment) if engine.why and retries else None for engine in known]
            engines = [old if new is None else new.result() for old, new in zip(known, tried, strict=True)]
            listed = [pool.submit(_list, engine, self.environment) for engine in engines]
            listed_engines = [each.result() for each in listed]
        images = {engine.name: names for engine, names in listed_engines}
        return _Snapshot(tuple(engine for engine, _ in listed_engines), images, time.monotonic())


def _is_missed(name: str, snapshot: _Snapshot) -> bool:
    return name not in _names(snapshot) and time.monotonic() - snapshot.at > _MISS_TTL_S


def _names(snapshot: _Snapshot) -> list[str]:
    return list(dict.fromkeys(name for names in snapshot.images.values() for name in names))[:_MAX_IMAGES]


class _EngineError(Exception):
    """A command of an engine failed; the text is a sentence without its full stop."""


def _try(name: str, environment: Mapping[str, str]) -> Engine:
    program = shutil.which(name, path=environment.get("PATH"))
    if program is None:
        return Engine(name, "", f"there is no program {name}")
    if shutil.which("tar", path=environment.get("PATH")) is None:
        return Engine(name, program, "there is no program tar, which unpacks its images")
    try:
        if name == "apptainer":
            _try_apptainer(program, environment)
        else:
            _try_daemon(program, environment)
    except (_EngineError, OSError, tarfile.TarError) as error:
        return Engine(name, program, f"{program} does not work: {error}")
    return Engine(name, program, "")


def _try_daemon(program: str, environment: Mapping[str, str]) -> None:
    """Make an image of one file, export a container of it, and look for that file."""
    name = f"{_PROBE}-{secrets.token_hex(8)}"
    _call([program, "import", "-", f"{name}:1"], environment, _tiny_tar(name))
    try:
        create = [program, "create", "--pull=never", "--network=none", "--name", name, f"{name}:1", f"/{_MARKER}"]
        _call(create, environment)
        try:
            exported = _call([program, "export", name], environment)
        finally:
            _call([program, "rm", "-f", name], environment)
    finally:
        _call([program, "rmi", "-f", f"{name}:1"], environment)
    with tarfile.open(fileobj=io.BytesIO(exported)) as tar:
        if _MARKER not in (member.name.removeprefix("./") for member in tar):
            raise _EngineError("what was put into an image did not come out of it")


def _try_apptainer(program: str, environment: Mapping[str, str]) -> None:
    """Make an image of a directory with one file, unpack it, and look for that file."""
    with tempfile.TemporaryDirectory(prefix=_PROBE) as directory:
        source, image, unpacked = (Path(directory, name) for name in ("source", "image.sif", "unpacked"))
        source.mkdir()
        (source / _MARKER).touch()
        _call([program, "build", str(image), str(source)], environment)
        _call([program, "build", "--sandbox", str(unpacked), str(image)], environment)
        if not (unpacked / _MARKER).is_file():
            raise _EngineError("what was put into an image did not come out of it")


def _list(engine: Engine, environment: Mapping[str, str]) -> tuple[Engine, tuple[str, ...]]:
    """Return the images of an engine, and the engine, which may have stopped working."""
    if engine.why or engine.name == "apptainer":  # its images are files, which the configuration names
        return engine, ()
    argv = [engine.program, "image", "ls", "--format", "{{.Repository}}:{{.Tag}}"]
    try:
        try:
            output = _call(argv, environment)
        except _EngineError:
            time.sleep(_RETRY_PAUSE_S)  # podman fails where somebody removes an image at that very moment
            output = _call(argv, environment)
    except (_EngineError, OSError) as error:
        return replace(engine, why=f"{engine.program} works no more: {error}"), ()
    names = output.decode("utf-8", "replace").split()
    return engine, tuple(sorted({name for name in names if "<none>" not in name and _PROBE not in name}))


def _call(argv: Sequence[str], environment: Mapping[str, str], stdin: bytes = b"") -> bytes:
    try:
        process = subprocess.run(
            argv, input=stdin, env=dict(environment), capture_output=True, timeout=COMMAND_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise _EngineError(f"{argv[1]} took longer than {COMMAND_TIMEOUT_S:.0f} s") from error
    if process.returncode:
        lines = (process.stderr or process.stdout).decode("utf-8", "replace").strip().splitlines() or ["it says nothing"]
        raise _EngineError(f"{argv[1]} says: {lines[-1][:200]}")
    return process.stdout


def _tiny_tar(content: str) -> bytes:
    """Return a tar of one file, unlike any other one: servers that try at once must not share a layer that one removes."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        member = tarfile.TarInfo(_MARKER)
        member.mtime = int(time.time())
        member.uid, member.gid, member.size = os.geteuid(), os.getegid(), len(content)
        tar.addfile(member, io.BytesIO(content.encode()))
    return buffer.getvalue()
