"""Runs on this machine: one detached runner a node, which outlives the server.

The truth about a runner is its start marker: a file that the runner links into place, already locked and holding its pid,
before it does anything else. The lock goes when the process goes, whatever killed it, so whoever can lock the marker has
proof of death. Where no marker appears, the executor puts one there itself: then no runner can start any more.
Knows no states, SQL or HTTP.
"""

import contextlib
import errno
import fcntl
import functools
import json
import marshal
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

from footfall import layout
from footfall.config import Settings
from footfall.contract.nodes import LaunchContent, NodeSpec, ShareSpec, WorkloadSpec
from footfall.errors import ExecutorUnavailableError, StoreFullError
from footfall.executor import Capacity, Executor, Launch, Liveness, Observation
from footfall.machine.gpus import fake_gpus, find_gpus
from footfall.machine.isolation import RUNNER, Isolation, find_isolation
from footfall.records import Gpu, NodeShare

START_TIMEOUT_S = 30.0
MARKER_VARIABLE = "FOOTFALL_RUN_MARKER"
_ABOVE = 20
WAKE_FIFO = "wake"  # compute/reconciler/lease.py makes and reads it


class LocalExecutor(Executor):
    """Starts runners as children that are detached; holds nothing in memory that a restart would miss."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._root = settings.runs_root
        self._machine_cpus = sorted(os.sched_getaffinity(0))
        self._host = f"{_host_id()}:{_boot_id()}"
        cores = len(self._machine_cpus)
        memory_mib = (os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") >> 20) * 4 // 5
        self._gpus = fake_gpus(settings.fake_gpus) if settings.fake_gpus else find_gpus()
        self._capacity = Capacity(settings.local_cores or cores, settings.local_memory_mib or memory_mib, len(self._gpus))
        self._awaited: dict[Path, float] = {}  # when a runner was first missed, by the monotonic clock
        self._children: dict[Path, int] = {}  # only to reap them, and to learn early of one that failed

    @property
    def capacity(self) -> Capacity:
        """Cores, memory and GPUs that the settings, or else the machine, give."""
        return self._capacity

    @property
    def gpus(self) -> Sequence[Gpu]:
        """Those that the driver lists, or the fake ones of the settings."""
        return self._gpus

    @functools.cached_property
    def isolation(self) -> Isolation:
        """How users' commands are kept apart here; found when first asked for, by starting one."""
        return find_isolation(self._settings)

    def submit(self, launch: Launch) -> str:
        """See ``Executor.submit``; raises StoreFullError when the run's files cannot be written."""
        for rank in range(launch.spec.n_nodes):
            node = self._root / layout.node_dir(launch.run_id, launch.attempt, rank)
            if not (node / layout.START_MARKER).exists():
                self._start_runner(node, launch, self._write_spec(node, launch, rank))
        return self._handle(launch.run_id, launch.attempt, launch.spec.n_nodes)

    def find(self, run_id: str, attempt: int, n_nodes: int) -> str | None:
        """See ``Executor.find``; no runner starts before its spec is written."""
        is_launched = any((node / layout.SPEC).exists() for node in self._nodes(run_id, attempt, n_nodes))
        return self._handle(run_id, attempt, n_nodes) if is_launched else None

    def poll(self, handles: Sequence[str]) -> Mapping[str, Observation]:
        """See ``Executor.poll``; what a dead runner left behind is killed, and only then it is gone."""
        ended = self._reap()
        return {handle: self._observe(handle, ended) for handle in handles}

    def cancel(self, handle: str) -> None:
        """Tell each runner to end its command and everything below it; without a runner, kill what is left."""
        self._signal_runners(handle, signal.SIGTERM, signal.SIGCONT)  # one that was halted must hear it, too

    def kill(self, handle: str) -> None:
        """End the runners themselves, with whom their commands go; wake what should end the rest, if that was halted."""
        self._signal_runners(handle, signal.SIGKILL)
        host, run_id, attempt, _ = _parse(handle)
        for pid in _marked_processes(_marker(run_id, attempt)) if host == self._host else ():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    def _signal_runners(self, handle: str, *numbers: signal.Signals) -> None:
        host, run_id, attempt, n_nodes = _parse(handle)
        for node in self._nodes(run_id, attempt, n_nodes) if host == self._host else ():
            # One that has not taken its marker yet gets the signal later: it starts with it blocked.
            pid = _living_runner(node) or self._children.get(node)
            if pid is None:
                continue
            with contextlib.suppress(ProcessLookupError):
                for number in numbers:
                    os.kill(pid, number)

    def _handle(self, run_id: str, attempt: int, n_nodes: int) -> str:
        return f"local:{self._host}:{run_id}:{attempt}:{n_nodes}"

    def _observe(self, handle: str, ended: set[Path]) -> Observation:
        host, run_id, attempt, n_nodes = _parse(handle)
        if host.rpartition(":")[0] != self._host.rpartition(":")[0]:
            return Observation(Liveness.UNKNOWN, f"it was started on host {host.partition(':')[0]}, which is not this one")
        if host != self._host:
            return Observation(Liveness.GONE, "the machine was restarted")
        nodes = list(self._nodes(run_id, attempt, n_nodes))
        alive = [self._may_live(node, has_ended=node in ended) for node in nodes]
        if any(alive):
            gone = tuple(rank for rank, is_alive in enumerate(alive) if not is_alive)
            return Observation(Liveness.RUNNING, gone_nodes=gone)
        left = list(self._left_processes(run_id, attempt, n_nodes))
        if left:
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            return Observation(Liveness.RUNNING, f"ending {len(left)} processes that a killed runner left")
        return Observation(Liveness.GONE, "its runner is gone")

    def _may_live(self, node: Path, *, has_ended: bool) -> bool:
        """Whether a runner of this node lives or may still start; ``has_ended``: the one we started is known to be over."""
        marker = node / layout.START_MARKER
        if marker.exists():
            self._awaited.pop(node, None)
            return _living_runner(node) is not None
        if not (node / layout.SPEC).exists():
            return False  # nothing was ever launched here
        since = self._awaited.setdefault(node, time.monotonic())
        if not has_ended and time.monotonic() - since < START_TIMEOUT_S:
            return True
        try:
            os.close(os.open(marker, os.O_CREAT | os.O_EXCL, 0o600))
        except FileExistsError:
            return True  # one started after all
        del self._awaited[node]
        return False

    def _left_processes(self, run_id: str, attempt: int, n_nodes: int) -> Iterator[int]:
        marker = _marker(run_id, attempt)
        yield from _marked_processes(marker)
        base = self.isolation.details["pids_cgroup"] if "isolation" in self.__dict__ else ""
        for rank in range(n_nodes) if base else ():
            group = Path(base, f"footfall-{marker}-{rank}")
            with contextlib.suppress(OSError):
                yield from map(int, (group / "cgroup.procs").read_text().split())
                group.rmdir()

    def _nodes(self, run_id: str, attempt: int, n_nodes: int) -> Iterator[Path]:
        return (self._root / layout.node_dir(run_id, attempt, rank) for rank in range(n_nodes))

    def _write_spec(self, node: Path, launch: Launch, rank: int) -> NodeSpec:
        share = launch.shares[rank] if launch.shares else NodeShare()
        spec, work = launch.spec, launch.spec.workload
        content = NodeSpec(
            run_id=launch.run_id,
            attempt=launch.attempt,
            rank=rank,
            marker=_marker(launch.run_id, launch.attempt),
            wake=str(self._root / WAKE_FIFO),
            is_job=launch.private is not None,
            share=ShareSpec(cores=share.cores, cpus=self._cpus(share), gpus=share.gpus),
            port=launch.port,
            output_dir=str(self._root / layout.output_dir(launch.run_id, rank)),
            command=spec.command,
            n_nodes=spec.n_nodes,
            n_cores=spec.n_cores,
            memory_mib=spec.memory_mib,
            n_gpus=spec.n_gpus,
            gpu_model=spec.gpu_model,
            environment=dict(spec.environment),
            job=None if spec.job is None else dict(spec.job),
            timeout_s=spec.timeout_s,
            grace_s=spec.grace_s,
            max_attempts=spec.max_attempts,
            log_limit_bytes=spec.log_limit_bytes,
            workload=None if work is None else cast(WorkloadSpec, asdict(work)),
        )
        try:
            node.mkdir(parents=True, exist_ok=True, mode=self._node_mode(launch))
            if launch.private is not None:
                _write_json(node / layout.PRIVATE, launch.private)
            _write_json(node / layout.SPEC, content)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise StoreFullError("No space is left to start the run; free some.", operation="write") from error
            raise ExecutorUnavailableError(f"The run's directory cannot be written: {error}") from error
        return content

    def _node_mode(self, launch: Launch) -> int:
        """Return the mode of a node's directory: under Landlock another user must be able to pass through it, not to look."""
        is_passed = launch.spec.workload is not None and self.isolation.level == "landlock" and os.geteuid() == 0
        return 0o711 if is_passed else 0o700

    def _cpus(self, share: NodeShare) -> list[int]:
        """Return the machine's numbers of the cores that a share counts; none where the settings hand out more than it has."""
        if self._capacity.n_cores > len(self._machine_cpus):
            return []
        return [self._machine_cpus[core] for core in share.cores if core < len(self._machine_cpus)]

    def _start_runner(self, node: Path, launch: Launch, spec: NodeSpec) -> None:
        """Start a runner; its launch is left on a descriptor, for it holds secrets, and so is what it listens on."""
        work = launch.spec.workload
        with contextlib.ExitStack() as kept:
            listener = kept.enter_context(_listen()) if work is not None else None
            isolation = None if work is None else self.isolation.for_runner(needs_engine=work.image.kind == "oci")
            content = LaunchContent(
                spec=spec,
                secrets=dict(launch.secrets),
                isolation=isolation,
                metric_port=listener.getsockname()[1] if listener is not None else None,
            )
            memory = os.memfd_create("footfall-launch", os.MFD_CLOEXEC)
            kept.callback(os.close, memory)
            os.write(memory, marshal.dumps(dict(content)))
            self._spawn(node, _marker(launch.run_id, launch.attempt), memory, listener)

    def _spawn(self, node: Path, marker: str, memory: int, listener: socket.socket | None) -> None:
        environment = {"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8", MARKER_VARIABLE: marker}
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        log = str(node / layout.RUNNER_LOG)
        actions: list[tuple[Any, ...]] = [
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, log, flags, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ]
        inherited = {layout.LAUNCH_FD: memory}
        if listener is not None:
            inherited[layout.LISTENER_FD] = listener.fileno()
        # Above what they become, so that none is overwritten before its turn.
        raised = {target: fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _ABOVE) for target, fd in inherited.items()}
        actions += [(os.POSIX_SPAWN_DUP2, fd, target) for target, fd in raised.items()]
        try:
            self._children[node] = os.posix_spawn(
                sys.executable,
                [sys.executable, "-I", "-S", str(RUNNER), str(node)],
                environment,
                file_actions=actions,
                setsid=True,
                # It unblocks them once it can act on them, and loses none that comes before.
                setsigmask=(signal.SIGTERM, signal.SIGINT, signal.SIGCHLD),
            )
        except OSError as error:
            raise ExecutorUnavailableError(f"The runner cannot be started: {error}") from error
        finally:
            for fd in raised.values():
                os.close(fd)

    def _reap(self) -> set[Path]:
        ended = {node for node, pid in self._children.items() if os.waitpid(pid, os.WNOHANG)[0]}
        for node in ended:
            del self._children[node]
        return ended


def build(settings: Settings) -> LocalExecutor:
    """Make the executor of these settings."""
    return LocalExecutor(settings)


def _living_runner(node: Path) -> int | None:
    """Return the pid of the node's runner, or None with proof that it is dead (or never was)."""
    try:
        file = os.open(node / layout.START_MARKER, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return int(os.read(file, 20) or b"0") or None
    finally:
        os.close(file)
    return None


def _marked_processes(marker: str) -> Iterator[int]:
    """Yield the processes whose environment carries the marker of a run's attempt."""
    variable = f"{MARKER_VARIABLE}={marker}".encode()
    for entry in os.listdir("/proc"):
        if not entry.isdecimal() or int(entry) == os.getpid():
            continue
        try:
            environment = Path("/proc", entry, "environ").read_bytes()
            if variable in environment.split(b"\0"):
                yield int(entry)
        except OSError:  # it ended meanwhile, or is another user's and so none of ours
            continue


def _marker(run_id: str, attempt: int) -> str:
    return f"{run_id}.{attempt}"


def _listen() -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.bind(("127.0.0.1", 0))
    listener.listen(64)
    listener.setblocking(False)
    return listener


def _write_json(path: Path, content: object) -> None:
    draft = path.with_suffix(".draft")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump(content, file)
    draft.rename(path)


def _parse(handle: str) -> tuple[str, str, int, int]:
    _, host_id, boot, run_id, attempt, n_nodes = handle.split(":")
    return f"{host_id}:{boot}", run_id, int(attempt), int(n_nodes)


def _host_id() -> str:
    with contextlib.suppress(OSError):
        text = Path("/etc/machine-id").read_text().strip()
        if text:
            return text
    return socket.gethostname().replace(":", "-")


def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
