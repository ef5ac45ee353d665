"""The container engines of this machine, each tried once it is needed, and the images that those which work have.

Trying one is real: a tiny image is made, a container of it is created and exported as it is for a run, and what comes out is
looked at. That takes a second, so nothing is tried before somebody asks. An engine only holds images; commands never run in
it, and no image is ever fetched from anywhere. Knows no run.
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
COMMAND_S = 10.0
FRESH_S = 60.0
"""What was seen so long ago is looked at again, behind the back of who asks."""
_MISS_S = 1.0
_AGAIN_S = 0.3
_MOST_IMAGES = 1000
_PROBE = "footfall-probe"
_MARKER = "marker"


@dataclass(frozen=True, slots=True)
class Engine:
    """One engine. ``why`` says why it cannot be used, empty where it can; ``program`` is empty where there is none."""

    name: str
    program: str
    why: str


@dataclass(frozen=True, slots=True)
class _Sight:
    engines: tuple[Engine, ...]
    images: Mapping[str, tuple[str, ...]]
    at: float


class Engines:
    """What is known of the engines; any thread may ask.

    Args:
        environment: the variables of their programs.
        fixed: what is known without trying; then nothing is tried.
    """

    def __init__(self, environment: Mapping[str, str], fixed: Sequence[Engine] | None = None) -> None:
        self.environment = environment
        self._is_fixed = fixed is not None
        self._sight = None if fixed is None else _Sight(tuple(fixed), {}, time.monotonic())
        self._looking = threading.Lock()
        self._is_renewed = threading.Lock()

    @property
    def known(self) -> list[str] | None:
        """The names of those that work, without waiting: None while none was tried."""
        sight = self._sight
        return None if sight is None else [engine.name for engine in sight.engines if not engine.why]

    def troubles(self) -> dict[str, str]:
        """Return why each cannot be used, by name, empty where it can; the first time this waits for the trial."""
        return {engine.name: engine.why for engine in self._see().engines}

    def programs(self) -> dict[str, str]:
        """Return the programs of those that work, by name; the first time this waits for the trial."""
        return {engine.name: engine.program for engine in self._see().engines if not engine.why}

    def images(self) -> list[str]:
        """Return the names of all images that those have which work, with their tags; at most a minute old or on the way."""
        return _names(self._see())

    def has_image(self, name: str) -> bool:
        """Whether one of those that work has an image of this very name; a new one is seen at once."""
        sight = self._see()
        if _is_missed(name, sight):
            with self._looking:
                sight = self._sight or sight  # others may have waited for the same look
                if _is_missed(name, sight):
                    sight = self._sight = self._look(sight, tries_again=False)
        return name in _names(sight)

    def _see(self) -> _Sight:
        sight = self._sight
        if sight is None:
            with self._looking:
                sight = self._sight = self._sight or self._look(None, tries_again=True)
        elif time.monotonic() - sight.at > FRESH_S and not self._is_fixed and self._is_renewed.acquire(blocking=False):
            threading.Thread(target=self._renew, name="engines", daemon=True).start()
        return sight

    def _renew(self) -> None:
        try:
            with self._looking:
                self._sight = self._look(self._sight, tries_again=True)
        finally:
            self._is_renewed.release()

    def _look(self, before: _Sight | None, *, tries_again: bool) -> _Sight:
        """Try the engines that did not work, if that is wanted, and ask the others what they have."""
        if self._is_fixed and before is not None:
            return before
        known = before.engines if before is not None else [Engine(name, "", "it was not tried") for name in NAMES]
        with ThreadPoolExecutor(len(NAMES)) as pool:
            tried = [
                pool.submit(_try, engine.name, self.environment) if engine.why and tries_again else None
                for engine in known
            ]
            engines = [old if new is None else new.result() for old, new in zip(known, tried, strict=True)]
            listed = [pool.submit(_list, engine, self.environment) for engine in engines]
            found = [each.result() for each in listed]
        images = {engine.name: names for engine, names in found}
        return _Sight(tuple(engine for engine, _ in found), images, time.monotonic())


def _is_missed(name: str, sight: _Sight) -> bool:
    return name not in _names(sight) and time.monotonic() - sight.at > _MISS_S


def _names(sight: _Sight) -> list[str]:
    return list(dict.fromkeys(name for names in sight.images.values() for name in names))[:_MOST_IMAGES]


class _FailedError(Exception):
    """An engine did not do what it was asked; the text is a sentence without its end."""


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
    except (_FailedError, OSError, tarfile.TarError) as error:
        return Engine(name, program, f"{program} does not work: {error}")
    return Engine(name, program, "")


def _try_daemon(program: str, environment: Mapping[str, str]) -> None:
    """Make an image of one file, export a container of it, and look for that file."""
    name = f"{_PROBE}-{secrets.token_hex(8)}"
    _ask([program, "import", "-", f"{name}:1"], environment, _tiny_tar(name))
    try:
        create = [program, "create", "--pull=never", "--network=none", "--name", name, f"{name}:1", f"/{_MARKER}"]
        _ask(create, environment)
        try:
            exported = _ask([program, "export", name], environment)
        finally:
            _ask([program, "rm", "-f", name], environment)
    finally:
        _ask([program, "rmi", "-f", f"{name}:1"], environment)
    with tarfile.open(fileobj=io.BytesIO(exported)) as tar:
        if _MARKER not in (member.name.removeprefix("./") for member in tar):
            raise _FailedError("what was put into an image did not come out of it")


def _try_apptainer(program: str, environment: Mapping[str, str]) -> None:
    """Make an image of a directory with one file, unpack it, and look for that file."""
    with tempfile.TemporaryDirectory(prefix=_PROBE) as directory:
        source, image, unpacked = (Path(directory, name) for name in ("source", "image.sif", "unpacked"))
        source.mkdir()
        (source / _MARKER).touch()
        _ask([program, "build", str(image), str(source)], environment)
        _ask([program, "build", "--sandbox", str(unpacked), str(image)], environment)
        if not (unpacked / _MARKER).is_file():
            raise _FailedError("what was put into an image did not come out of it")


def _list(engine: Engine, environment: Mapping[str, str]) -> tuple[Engine, tuple[str, ...]]:
    """Return the images of an engine, and the engine, which may work no more."""
    if engine.why or engine.name == "apptainer":  # its images are files, which the configuration names
        return engine, ()
    argv = [engine.program, "image", "ls", "--format", "{{.Repository}}:{{.Tag}}"]
    try:
        try:
            said = _ask(argv, environment)
        except _FailedError:
            time.sleep(_AGAIN_S)  # podman fails where somebody removes an image at that very moment
            said = _ask(argv, environment)
    except (_FailedError, OSError) as error:
        return replace(engine, why=f"{engine.program} works no more: {error}"), ()
    names = said.decode("utf-8", "replace").split()
    return engine, tuple(sorted({name for name in names if "<none>" not in name and _PROBE not in name}))


def _ask(argv: Sequence[str], environment: Mapping[str, str], given: bytes = b"") -> bytes:
    try:
        done = subprocess.run(
            argv, input=given, env=dict(environment), capture_output=True, timeout=COMMAND_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise _FailedError(f"{argv[1]} took longer than {COMMAND_S:.0f} s") from error
    if done.returncode:
        lines = (done.stderr or done.stdout).decode("utf-8", "replace").strip().splitlines() or ["it says nothing"]
        raise _FailedError(f"{argv[1]} says: {lines[-1][:200]}")
    return done.stdout


def _tiny_tar(content: str) -> bytes:
    """Return a tar of one file, unlike any other one: servers that try at once must not share a layer that one removes."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        member = tarfile.TarInfo(_MARKER)
        member.mtime = int(time.time())
        member.uid, member.gid, member.size = os.geteuid(), os.getegid(), len(content)
        tar.addfile(member, io.BytesIO(content.encode()))
    return buffer.getvalue()
