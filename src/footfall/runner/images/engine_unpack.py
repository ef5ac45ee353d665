"""The child that requests an image from a container engine and unpacks it, unless it is unpacked already.

What is being unpacked lies under another name until it is whole and on the disk. One child at a time works on an image: the
lock is also held by the program that unpacks, so that nothing is still written once another has got it. Only files,
directories and links are kept, without rights of others: no device, no setuid.

Source: docker and podman's ``image inspect``, ``create``, ``export`` and ``rm``; ``apptainer build --sandbox``.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import hashlib
import json
import os
import signal
import stat
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from footfall.files.remove import remove_tree
from footfall.runner.errors import LaunchError
from footfall.runner.images.image_stream import ImageRefusedError, ImageStream
from footfall.runner.images.locks import is_lock_of
from footfall.runner.process import kernel
from footfall.runner.process.child import DONE
from footfall.runner.process.limits import limit_process

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from footfall.contract.nodes import EngineAccess, ImageSpec

ENGINE_TIMEOUT_S = 30.0
_POLL_INTERVAL_S = 0.02
_TAR = (
    "tar", "--extract", "--file=-", "--no-same-owner", "--no-same-permissions", "--delay-directory-restore", "--anchored",
    *(f"--exclude={prefix}{name}/*" for prefix in ("", "./") for name in ("dev", "proc", "sys")),
)  # fmt: skip
_MAX_OUTPUT_BYTES = 300
_FULL_BYTES = 64 << 10
"""With less free space a disk counts as full: tar only reports a short write."""


class _StopError(BaseException):
    """The runner wants this to end."""


class _Image(NamedTuple):
    """An image of an engine. ``id`` is its content's; ``source`` is what the engine is given to unpack it."""

    engine: str
    id: str
    source: str
    variables: dict[str, str]


def answer(
    image: ImageSpec, engines: EngineAccess, directory: str, marker: str, limits: tuple[int, float, int], output_fd: int
) -> None:
    """Unpack an image; write to ``output_fd`` where it is, as JSON and DONE, or the sentence of an error.

    Args:
        limits: of what is unpacked: the memory and the time on a core of the program that does it, and the bytes.
    """
    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)  # what ends early says why by its exit code
    os.umask(0o022)
    try:
        content = _Unpacking(engines, directory, marker, limits).provide(image)
        os.write(output_fd, json.dumps(content).encode() + DONE)
    except LaunchError as refusal:
        os.write(output_fd, str(refusal).encode("utf-8", "replace")[:4000])
    except (OSError, RecursionError) as error:
        sentence = f"The image {image['name']!r} could not be unpacked: {getattr(error, 'strerror', None) or error}."
        os.write(output_fd, sentence.encode("utf-8", "replace")[:4000])
    except _StopError:
        pass  # the runner reads no more


def _stop(*_: object) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # what follows only cleans up
    raise _StopError


class _Unpacking:
    def __init__(self, engines: EngineAccess, directory: str, marker: str, limits: tuple[int, float, int]) -> None:
        self._limits = limits
        self._programs: Mapping[str, str] = engines["programs"]
        # By the marker everything of a run is found, should this process and the runner be killed in one moment.
        self._environment = {**engines["environment"], "FOOTFALL_RUN_MARKER": marker}
        self._directory = directory

    def provide(self, image: ImageSpec) -> dict[str, Any]:
        """Return where the image is unpacked, and what is known of it."""
        resolved = self._find_file(image) if image["path"].startswith("/") else self._find_name(image)
        whole = os.path.join(self._directory, resolved.id)
        with self._locked(resolved.id, whole) as lock:
            if not os.path.isdir(whole):
                self._unpack(resolved, image["name"], whole, lock)
            os.utime(lock)  # its age is the time since the image was last used
        content: dict[str, Any] = json.loads(Path(whole, "config.json").read_bytes())
        return {**content, "root": os.path.join(whole, "root")}

    def _find_name(self, image: ImageSpec) -> _Image:
        tried: list[str] = []
        for engine in ("docker", "podman"):
            if engine not in self._programs:
                continue
            done = self._ask(engine, "image", "inspect", image["path"])
            if done.returncode == 0:
                return _described(engine, image["name"], done.stdout)
            tried.append(f"{engine} says: {_last_line(done.stderr)}")
        if not tried:
            raise LaunchError(
                f"The image {image['name']!r} is one of docker or podman, and neither works on this node. Install one and "
                "give it the image."
            )
        pulls = " or ".join(f"`{name} pull {image['path']}`" for name in ("docker", "podman") if name in self._programs)
        raise LaunchError(
            f"The image {image['name']!r} is not on this node; nothing is fetched for a run. Have it fetched there with "
            f"{pulls}. {'. '.join(tried)}."
        )

    def _find_file(self, image: ImageSpec) -> _Image:
        if "apptainer" not in self._programs:
            raise LaunchError(f"The image {image['name']!r} is a file, which needs apptainer; that does not work on this node.")
        path = os.path.realpath(image["path"])
        try:
            status = os.stat(path)
        except OSError as error:
            raise LaunchError(f"The image {image['name']!r} cannot be read: {path}: {error.strerror}.") from error
        text = f"{path}:{status.st_dev}:{status.st_ino}:{status.st_size}:{status.st_mtime_ns}"
        return _Image("apptainer", hashlib.sha256(text.encode()).hexdigest(), path, {})

    @contextlib.contextmanager
    def _locked(self, id: str, whole: str) -> Iterator[int]:
        """Hold an image that is whole as one of several, one that is not alone; wait for who has it.

        It is asked for again and again: what waited to have it alone would wait for the runs that use it meanwhile.
        """
        path = os.path.join(self._directory, f"{id}.lock")
        while True:
            lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                wants_shared = os.path.isdir(whole)
                fcntl.flock(lock, (fcntl.LOCK_SH if wants_shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
                if is_lock_of(lock, path) and (not wants_shared or os.path.isdir(whole)):
                    yield lock
                    return
            except BlockingIOError:
                time.sleep(_POLL_INTERVAL_S)
            finally:
                os.close(lock)

    def _unpack(self, resolved: _Image, name: str, whole: str, lock: int) -> None:
        draft = Path(f"{whole}.draft")
        remove_tree(draft)  # what a child that was killed has left
        root = draft / "root"
        root.mkdir(parents=True, mode=0o755)
        try:
            if resolved.engine == "apptainer":
                self._build_sandbox(resolved, name, root, lock)
            else:
                self._export(resolved, name, root, lock)
            _restrict_permissions(root)
            _make_etc(root / "etc")
            config = {"engine": resolved.engine, "id": resolved.id, "name": name, "variables": resolved.variables}
            (draft / "config.json").write_text(json.dumps(config), "utf-8")
            kernel.sync_file_system(str(draft))
            draft.rename(whole)
            kernel.sync_file_system(self._directory)
        finally:
            remove_tree(draft)

    def _export(self, resolved: _Image, name: str, root: Path, lock: int) -> None:
        """Have a container made of the image, which never runs, and unpack what it would see."""
        # Another server of this machine may ask the same engine for the same image.
        container = f"footfall-{hashlib.sha256(self._directory.encode()).hexdigest()[:12]}-{resolved.id[:24]}"
        self._ask(resolved.engine, "rm", "-f", container)
        try:
            # An image may name no program, and then one must be given; it is never started.
            created = self._ask(
                resolved.engine, "create", "--pull=never", "--network=none", "--name", container, resolved.source, "/bin/true"
            )
            if created.returncode:
                raise _failed(name, resolved.engine, created.stderr, root)
            self._pipe([self._programs[resolved.engine], "export", container], resolved.engine, name, root, lock)
        finally:
            self._ask(resolved.engine, "rm", "-f", container)

    def _pipe(self, argv: Sequence[str], engine: str, name: str, root: Path, lock: int) -> None:
        with _memory() as output, _memory() as tar_output, contextlib.ExitStack() as started:
            export = self._start(argv, stdout=subprocess.PIPE, stderr=output)
            started.callback(_end, export)
            tar = self._start(
                [*_TAR, f"--directory={root}"],
                limits=self._limits,
                stdin=subprocess.PIPE,
                stderr=tar_output,
                stdout=tar_output,
                pass_fds=(lock,),
            )
            started.callback(_end, tar)
            assert export.stdout is not None
            assert tar.stdin is not None
            with export.stdout, tar.stdin:  # closed, else neither would hear that the other has ended
                try:
                    ImageStream(export.stdout.fileno(), tar.stdin.fileno(), self._limits[2]).pass_on()
                except ImageRefusedError as refusal:
                    raise LaunchError(f"The image {name!r} is not unpacked: {refusal}.") from refusal
            codes = tar.wait(), export.wait()
            if codes[0]:  # first: what ends tar ends the engine too
                raise _failed(name, "tar", _content(tar_output), root)
            if codes[1]:
                raise _failed(name, engine, _content(output), root)

    def _build_sandbox(self, resolved: _Image, name: str, root: Path, lock: int) -> None:
        with _memory() as output, contextlib.ExitStack() as started:
            argv = [self._programs["apptainer"], "build", "--force", "--sandbox", str(root), resolved.source]
            build = self._start(argv, stdout=output, stderr=output, pass_fds=(lock,))
            started.callback(_end, build)
            if build.wait():
                raise _failed(name, "apptainer", _content(output), root)

    def _ask(self, engine: str, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        """Return how an engine answered; one that takes too long is refused."""
        argv = [self._programs[engine], *arguments]
        try:
            return subprocess.run(
                argv,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=ENGINE_TIMEOUT_S,
                check=False,
                preexec_fn=functools.partial(kernel.die_with_parent, os.getpid()),
            )
        except subprocess.TimeoutExpired as error:
            raise LaunchError(
                f"{engine} did not answer {arguments[0]} within {ENGINE_TIMEOUT_S:.0f} s; see whether it works on this node."
            ) from error

    def _start(
        self, argv: Sequence[str], limits: tuple[int, float, int] | None = None, **options: Any
    ) -> subprocess.Popen[bytes]:
        options = {"stdin": subprocess.DEVNULL, **options}
        parent = os.getpid()

        def prepare() -> None:
            kernel.die_with_parent(parent)
            if limits is not None:
                limit_process(*limits)

        return subprocess.Popen(argv, env=self._environment, preexec_fn=prepare, **options)


def _described(engine: str, name: str, output: bytes) -> _Image:
    try:
        [content] = json.loads(output)
        digest = str(content["Id"]).removeprefix("sha256:")
        int(digest, 16)
        pairs = (text.partition("=") for text in (content.get("Config") or {}).get("Env") or ())
        return _Image(engine, digest, digest, {key: value for key, _, value in pairs if key})
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise LaunchError(f"What {engine} says about the image {name!r} is not understood: {error!r}.") from error


def _restrict_permissions(root: Path) -> None:
    """Leave nothing but files, directories and links; no rights that programs would gain; directories that can be removed."""
    for _, directories, files, handle in os.fwalk(root):
        for name in (*directories, *files):
            mode = os.stat(name, dir_fd=handle, follow_symlinks=False).st_mode
            if stat.S_ISLNK(mode):
                continue
            if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
                os.unlink(name, dir_fd=handle)
                continue
            allowed = stat.S_IMODE(mode) & 0o777 | (0o700 if stat.S_ISDIR(mode) else 0)
            if allowed != stat.S_IMODE(mode):
                os.chmod(name, allowed, dir_fd=handle)


def _make_etc(etc: Path) -> None:
    """Make the files that a run has of its own, as engines do when they start a container; else there is no place for them."""
    if etc.is_symlink():
        return  # who looks at the image refuses it
    etc.mkdir(exist_ok=True)
    for name in ("hosts", "resolv.conf"):
        if not stat.S_ISREG((etc / name).lstat().st_mode if os.path.lexists(etc / name) else 0):
            remove_tree(etc / name)
            (etc / name).touch(mode=0o644)


def _failed(name: str, program: str, output: bytes, root: Path) -> LaunchError:
    details = f"{program} says: {_last_line(output)}."
    status = os.statvfs(root)
    if b"No space left" in output or b"quota exceeded" in output or status.f_bavail * status.f_frsize < _FULL_BYTES:
        details = f"No space left for it. Free some space on the node. {details}"
    return LaunchError(f"The image {name!r} could not be unpacked. {details}")


def _last_line(output: bytes) -> str:
    lines = [line for line in output.decode("utf-8", "replace").strip().splitlines() if "Exiting with failure" not in line]
    return (lines or ["nothing"])[-1][:_MAX_OUTPUT_BYTES].rstrip(". ")


@contextlib.contextmanager
def _memory() -> Iterator[int]:
    handle = os.memfd_create("footfall-output", os.MFD_CLOEXEC)
    try:
        yield handle
    finally:
        os.close(handle)


def _content(handle: int) -> bytes:
    size = os.fstat(handle).st_size
    return os.pread(handle, 1 << 16, max(0, size - (1 << 16)))


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
