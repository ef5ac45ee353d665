"""A user's command on one node: its directories, its isolation, and its start.

Levels: ``bubblewrap`` (a file system, processes and rights of its own), ``landlock`` (only some directories of the host's) and
``plain`` (nothing). What could not be enforced becomes a note in the run's message. Knows no states.
"""

from __future__ import annotations

import os
import time

from footfall import layout
from footfall.runner.command import Command
from footfall.runner.directories import NodeDirectories
from footfall.runner.environment import Endpoints, workload_environment
from footfall.runner.errors import LaunchError
from footfall.runner.image import ImageView, generated_files, inspect_image
from footfall.runner.process import tree
from footfall.runner.process.spawn import spawn
from footfall.runner.sandbox import bubblewrap, shell
from footfall.runner.sandbox.members import SandboxMembers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from footfall.runner.exit_reason import ExitReason
    from footfall.runner.files import NodeFiles
    from footfall.runner.launch import Launch
    from footfall.runner.process.poller import Poller
    from footfall.runner.process.stopping import StopRequest
    from footfall.runner.sandbox.cgroup import Group
    from footfall.runner.serving.exec_server import ExecContext
    from footfall.runner.serving.sidecar import Sidecar

SIDECAR_DELAY_S = 0.2
_SECCOMP_FD, _INFO_FD = 4, 5
_FIRST_FILE_FD = 6


class UserCommand(Command):
    """One command; first ``prepare``, then ``start``."""

    def __init__(self, launch: Launch, files: NodeFiles) -> None:
        super().__init__()
        self._launch = launch
        self._spec = launch.spec
        assert launch.workload is not None
        assert launch.isolation is not None
        self._work = launch.workload
        self._isolation = launch.isolation
        self._files = files
        self._image: ImageView = inspect_image(self._work["image"], self._isolation)
        self._source: dict[str, str] = {}  # where an engine's image comes from
        self.level = self._isolation["level"]
        self.endpoints = Endpoints(launch.metric_port or 0)
        self._sandbox: SandboxMembers | None = None
        self._sidecar: Sidecar | None = None
        self._group: Group | None = None
        self._pid = 0
        self._started_at = 0.0
        self._stop_request: StopRequest | None = None
        self._is_asked = False
        self._packages: dict[str, str] = {}
        self.environment: dict[str, str] = {}
        self.directory = ""
        self._directories = NodeDirectories(self._spec, files.directory, self.uid, is_sandboxed=self.level == "bubblewrap")

    @property
    def uid(self) -> int | None:
        """The user that the command runs as; None for the server's own."""
        return None if self.level == "plain" else self._isolation["uid"]

    def prepare(self, wait: Callable[[float], None]) -> None:
        """Make its directories, unpack its code, pin it to its cores."""
        self._check_level()
        if self._image.kind == "oci":
            self._unpack_engine_image(wait)
        self._limit_processes()
        self._directories.make()
        if self._image.kind in ("host", "venv"):
            self._packages = self._directories.make_packages(self._image)
        self.directory = self._work["project_dir"] or self._directories.home
        if self._work["code"]:
            self.directory = self._directories.code
            self._unpack(wait)
        self._pin()

    def start(self, output: int, hosts: Sequence[str], port: int) -> int:
        """Start it at its level of isolation."""
        self._make_environment(hosts, port)
        self._note_unexportable_names()
        is_sandboxed = self.level == "bubblewrap"
        self._started_at = time.time()
        self._pid = self._start_in_bubblewrap(output, hosts) if is_sandboxed else self._start_on_host(output)
        self._files.write_json(layout.ISOLATION, self._description())
        return self._pid

    def move_endpoints(self) -> None:
        """Listen in the network that this process has entered."""
        from footfall.runner.serving.sidecar import listen_on_loopback

        self.endpoints.port = listen_on_loopback()

    def serve(self, poller: Poller, stop: Callable[[str], None]) -> None:
        """Start the sidecar after ``SIDECAR_DELAY_S``, or at the first connection: a command that ends sooner costs nothing."""
        self._sidecar_at = time.monotonic() + SIDECAR_DELAY_S
        self._serving = (poller, stop)
        poller.register(layout.LISTENER_FD, lambda _: self._serve())
        if self._sandbox is not None:
            self._sandbox.learn_first()

    def tick(self, now: float) -> float | None:
        """Start the sidecar when that is due, and restart what it has lost."""
        self._directories.keep(now)
        if self._sidecar is not None:
            return self._sidecar.tick(now)
        if now >= self._sidecar_at:
            self._serve()
        return self._sidecar_at

    def child_ended(self, pid: int, status: int) -> None:
        """Tell the sidecar that a process has ended."""
        if self._sidecar is not None:
            self._sidecar.child_ended(pid, status)

    def descendants(self, processes: tree.Tree) -> list[int]:
        """Return the processes of the run, without the sidecar's and the sandbox's own."""
        if self._sandbox is not None:
            return self._sandbox.inside(processes)
        own_pids = () if self._sidecar is None else self._sidecar.pids
        return [pid for pid in processes.descendants() if pid not in own_pids]

    def terminate(self, processes: tree.Tree) -> None:
        """Ask its own first process to end, or the program that this waits for."""
        if self._stop_request is None:
            from footfall.runner.process.stopping import StopRequest

            self._stop_request = StopRequest()
        own = self._pid if self._sandbox is None else self._sandbox.command(processes)
        self._is_asked = bool(own)
        if own:
            self._stop_request.ask(processes, own)

    def follow_up_termination(self, processes: tree.Tree) -> None:
        """Ask it again where it had not started yet; let a shell that was halted go on."""
        if not self._is_asked:
            self.terminate(processes)
        if self._stop_request is not None:
            self._stop_request.follow_up(processes)

    def terminate_others(self, pids: list[int]) -> None:
        """Ask those that have not been asked; the first process of a sandbox never is."""
        if self._stop_request is not None and (self._sandbox is None or pids != [self._sandbox.first]):
            self._stop_request.ask_others(pids)

    def remaining(self) -> list[int]:
        """Return what lives once the command has ended; when a sandbox's first process is gone, so is every other one."""
        if self._sandbox is None:
            return super().remaining()
        return [] if self._sandbox.is_gone() else [self._sandbox.first]

    def kill(self, pids: list[int]) -> None:
        """End the run's processes at once."""
        if self._sandbox is not None:
            self._sandbox.kill()
        else:
            super().kill(pids)

    def finish(self, exit_reason: ExitReason) -> None:
        """End the sidecar and take over what it knew; tell what is not kept."""
        self.notes += self._directories.describe_left(self._started_at)
        if self._sidecar is not None:
            self._sidecar.finish(exit_reason)

    def release(self) -> None:
        """Remove its control group and its short path."""
        self._directories.release()
        if self._group is not None:
            self._group.release()

    def _serve(self) -> None:
        if self._sidecar is None:
            from footfall.runner.serving.sidecar import Sidecar

            poller, stop = self._serving
            poller.unregister(layout.LISTENER_FD, keep=True)
            self._sidecar = Sidecar(
                self.endpoints,
                self._files,
                poller,
                stop,
                disk_limits={
                    "output_limit": (self._spec["output_dir"], self._work["output_limit_bytes"]),
                    "scratch_limit": (self._files.scratch, self._work["scratch_limit_bytes"]),
                },
                memory_bytes=self._spec["memory_mib"] << 20,
                processes=lambda: self.descendants(tree.Tree()),
                context=self._exec_context(),
            )

    def _exec_context(self) -> ExecContext:
        from footfall.runner.serving.exec_server import ExecContext

        return ExecContext(
            isolation=self._isolation,
            image=self._image,
            environment=self.environment,
            directory=self.directory,
            uid=self.uid,
            paths=self._paths,
            max_processes=self._process_limit,
            first=0 if self._sandbox is None else self._sandbox.first,
        )

    @property
    def _paths(self) -> tuple[list[str], list[str]] | None:
        return None if self.level == "plain" else ([*self._image.reads], list(self._directories.writable().values()))

    def _check_level(self) -> None:
        refusal = self._isolation["refusal"]
        if refusal:
            raise LaunchError(refusal)
        if (self._image.root or self._image.kind == "oci") and self.level != "bubblewrap":
            raise LaunchError(
                f"The image {self._work['image']['name']!r} is a file system, which only bubblewrap can run; "
                f"here commands run at level {self.level}: {self._isolation['why']}"
            )

    def _unpack_engine_image(self, wait: Callable[[float], None]) -> None:
        """Have an engine's image unpacked into a directory, which stays as long as this process lives, and inspect it."""
        from footfall.runner.images.engine_image import take_image

        image = self._work["image"]
        runs_root = os.path.dirname(self._spec["wake"])
        limits = (self._spec["memory_mib"] << 20, self._work["start_timeout_s"], self._work["scratch_limit_bytes"])
        taken = take_image(image, self._isolation["engines"], runs_root, self._spec["marker"], limits, wait)
        self._image = inspect_image({**image, "kind": "rootfs", "path": taken.root}, self._isolation, taken.variables)
        self._source = {"engine": taken.engine, "id": taken.id}

    def _limit_processes(self) -> None:
        """Enter a control group where the kernel enforces them; else the shell sets a limit that counts a user's processes."""
        base = self._isolation["pids_cgroup"]
        if base:
            from footfall.runner.sandbox.cgroup import Group

            group = Group(base, self._spec["marker"], self._spec["rank"])
            if group.enter(self._work["max_processes"]):
                self._group = group
        if self._group is None and self.uid is None and os.geteuid() == 0:
            self.notes.append("Nothing here counts the processes of root, so how many the node starts is not limited.")

    def _unpack(self, wait: Callable[[float], None]) -> None:
        from footfall.runner.code_archive import unpack_aside

        work, limit_s = self._work, self._work["start_timeout_s"]
        unpack_aside(
            work["code"],
            self._directories.code,
            self.uid,
            limit_bytes=work["code_limit_bytes"],
            memory_bytes=self._spec["memory_mib"] << 20,
            timeout_s=min(limit_s, self._spec["timeout_s"] or limit_s),
            wait=wait,
        )

    def _pin(self) -> None:
        """Pin this process, and so all that it starts, to the cores of the node's share."""
        cores = set(self._spec["share"]["cpus"])
        if not cores:
            return
        try:
            os.sched_setaffinity(0, cores)
        except OSError:
            self.notes.append("The cores of the node's share are not all here, so it is not kept to them.")

    @property
    def _process_limit(self) -> int | None:
        return None if self._group is not None else self._work["max_processes"]

    @property
    def _nameserver(self) -> str:
        if self._work["network"] != "nat":
            return ""
        from footfall.runner.sandbox.way_out import NAMESERVER

        return NAMESERVER

    def _make_environment(self, hosts: Sequence[str], port: int) -> None:
        self.environment = workload_environment(
            self._launch,
            self.endpoints,
            path=":".join(filter(None, (self._image.path, self._packages.get("PATH")))),
            packages=self._packages.get("PYTHONPATH", ""),
            shell=self._image.shell,
            image_variables=self._image.variables,
            home=self._directories.shown_home,
            temporary=self._directories.shown_temporary,
            hosts=hosts,
            port=port,
        )

    def _note_unexportable_names(self) -> None:
        odd = shell.unexportable_names(self.environment)
        if odd and not self._image.has_bash:
            names = ", ".join(sorted(odd))
            self.notes.append(f"The image has no bash, and no other shell holds variables of these names: {names}.")

    @property
    def _argv(self) -> list[str]:
        script = self._work["script"]
        return [self._image.shell, "-c", shell.HOLD if script is None else script]

    def _start_in_bubblewrap(self, output: int, hosts: Sequence[str]) -> int:
        from footfall.runner.sandbox.seccomp import build_filter

        text = shell.write_script(
            self.environment, self._argv, self.directory, has_bash=self._image.has_bash, max_processes=self._process_limit
        )
        contents = {shell.SCRIPT_FD: text}
        calls = build_filter()
        if calls is not None:
            contents[_SECCOMP_FD] = calls
        files: dict[str, int] = {}
        for path, content in generated_files(
            self._image, hosts, self.uid, self._directories.shown_home, self._nameserver
        ).items():
            files[path] = _FIRST_FILE_FD + len(files)
            contents[files[path]] = content.encode("utf-8", "surrogateescape")
        inherit = {theirs: shell.memory_file("footfall", content) for theirs, content in contents.items()}
        info_read, inherit[_INFO_FD] = os.pipe2(os.O_CLOEXEC)
        try:
            argv = self._bubblewrap_argv(files, has_filter=calls is not None)
            pid = spawn(argv, self._minimal_environment(), output, inherit)
            self._sandbox = SandboxMembers(info_read)
            return pid
        finally:
            for fd in inherit.values():
                os.close(fd)

    def _bubblewrap_argv(self, files: dict[str, int], *, has_filter: bool) -> list[str]:
        sandbox = bubblewrap.Sandbox(
            self._image,
            hidden=self._isolation["hidden"],
            writable=self._directories.writable(),
            devices=_devices(self._spec["share"]["gpus"]),
            files=files,
            temporary=self._directories.temporary,
            size_mib=self._spec["memory_mib"],
        )
        argv = [self._isolation["bwrap"], "--info-fd", str(_INFO_FD)]
        argv += bubblewrap.namespaces(self._isolation, f"node{self._spec['rank']}")
        argv += sandbox.arguments(self._isolation)
        argv += ["--seccomp", str(_SECCOMP_FD)] if has_filter else []
        argv += ["--chdir", "/", "--", *bubblewrap.drop_rights(self._isolation, self._image)]
        return [*argv, self._image.shell, "-c", shell.READ_SCRIPT]

    def _minimal_environment(self) -> dict[str, str]:
        """Return the environment of programs that still have rights: nothing of the user's."""
        names = ("FOOTFALL_RUN_ID", "FOOTFALL_RUN_MARKER")
        return {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", **{name: self.environment[name] for name in names}}

    def _start_on_host(self, output: int) -> int:
        """Start it among the host's own processes, confined by Landlock or not at all."""
        from footfall.runner.sandbox import host

        null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return host.start(
                self._argv,
                self.environment,
                (null, output, output),
                directory=self.directory,
                uid=self.uid,
                max_processes=self._process_limit,
                paths=self._paths,
            )
        finally:
            os.close(null)

    def _description(self) -> dict[str, Any]:
        image = self._work["image"]
        return {
            "level": self.level,
            "user": os.geteuid() if self.uid is None else self.uid,
            "network": self._work["network"],
            "image": {"name": image["name"], "kind": image["kind"], **self._source},
            "not_enforced": self.notes,
        }


def _devices(gpus: Sequence[str]) -> list[str]:
    if not gpus:
        return []
    from footfall.runner.sandbox.devices import find_devices

    return find_devices(gpus)
