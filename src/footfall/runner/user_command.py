"""A user's command on one node: what is laid out for it, how it is kept apart, and its start.

Levels: ``bubblewrap`` (a file system, processes and rights of its own), ``landlock`` (only some directories of the host's) and
``plain`` (nothing). What could not be enforced is noted, and said in the run's message. Knows no states.
"""

from __future__ import annotations

import os
import time

from footfall import layout
from footfall.runner.command import Command
from footfall.runner.environment import Endpoints, workload_environment
from footfall.runner.errors import RefusalError
from footfall.runner.images.image import ImageView, look_at, small_files
from footfall.runner.process import tree
from footfall.runner.process.spawn import spawn
from footfall.runner.sandbox import bubblewrap
from footfall.runner.sandbox.members import SandboxProcesses
from footfall.runner.serving import shell

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from footfall.runner.exit_reason import Ending
    from footfall.runner.files import NodeFiles
    from footfall.runner.launch import Launch
    from footfall.runner.process.poller import Ears
    from footfall.runner.sandbox.cgroup import Group
    from footfall.runner.serving.exec_server import Surroundings
    from footfall.runner.serving.sidecar import Beside

BESIDE_S = 0.2
_SECCOMP_FD, _INFO_FD = 4, 5
_FIRST_FILE_FD = 6
_PROJECT, _VOLUME = "/mnt/prj", "/mnt/block-storage"


class UserCommand(Command):
    """One command; first ``prepare``, then ``start``."""

    def __init__(self, launch: Launch, files: NodeFiles) -> None:
        super().__init__()
        self._launch = launch
        self._spec = launch.spec
        self._work: dict[str, Any] = launch.workload or {}
        self._isolation = launch.isolation
        self._files = files
        self._image: ImageView = look_at(self._work["image"], self._isolation)
        self._source: dict[str, str] = {}  # where an engine's image comes from
        self.level = str(self._isolation["level"])
        self.endpoints = Endpoints(launch.metric_port or 0)
        self._sandbox: SandboxProcesses | None = None
        self._beside: Beside | None = None
        self._group: Group | None = None
        self.environment: dict[str, str] = {}
        self.directory = ""
        self._home = os.path.join(files.scratch, "home")
        self._temporary = os.path.join(files.scratch, "tmp")
        self._code = os.path.join(files.scratch, "code")

    @property
    def uid(self) -> int | None:
        """The user that the command runs as; None for the server's own."""
        return None if self.level == "plain" else self._isolation["uid"]

    def prepare(self, listen: Callable[[float], None]) -> None:
        """Lay out its directories, unpack its code, keep to its cores."""
        self._check_level()
        if self._image.kind == "oci":
            self._take_from_engine(listen)
        self._bound_processes()
        try:
            for path in (self._home, self._temporary, self._code, self._spec["output_dir"]):
                os.makedirs(path, mode=0o700, exist_ok=True)
            self._give_away()
        except OSError as error:
            raise RefusalError(f"{error.filename} cannot be laid out for the command: {error.strerror}.") from error
        self.directory = self._work["project_dir"] or self._home
        if self._work["code"]:
            self.directory = self._code
            self._unpack(listen)
        self._pin()

    def start(self, output: int, hosts: Sequence[str], port: int) -> int:
        """Start it as its level says."""
        self._meet(hosts, port)
        self._note_odd_names()
        pid = self._start_in_bubblewrap(output, hosts) if self.level == "bubblewrap" else self._start_here(output)
        self._files.write_json(layout.ISOLATION, self._description())
        return pid

    def move_endpoints(self) -> None:
        """Listen in the network that this process has entered."""
        from footfall.runner.serving.sidecar import listen_on_loopback

        self.endpoints.port = listen_on_loopback()

    def attend(self, pid: int, ears: Ears, stop: Callable[[str], None]) -> None:
        """Serve it after a moment, or when it first asks: what ends sooner costs nothing."""
        self._beside_at = time.monotonic() + BESIDE_S
        self._serving = (ears, stop)
        ears.open(layout.LISTENER_FD, lambda _: self._serve())
        if self._sandbox is not None:
            self._sandbox.learn_first()

    def look(self, now: float) -> float | None:
        """Start what serves it when that is due, and look after it."""
        if self._beside is not None:
            return self._beside.look(now)
        if now >= self._beside_at:
            self._serve()
        return self._beside_at

    def child_ended(self, pid: int, status: int) -> None:
        """Take note of the end of a process that serves it."""
        if self._beside is not None:
            self._beside.child_ended(pid, status)

    def below(self, processes: tree.Tree) -> list[int]:
        """Return the processes of the run, without those that serve it or keep it apart."""
        if self._sandbox is not None:
            return self._sandbox.inside(processes)
        ours = () if self._beside is None else self._beside.pids
        return [pid for pid in processes.below() if pid not in ours]

    def terminate(self, processes: tree.Tree) -> None:
        """Send SIGTERM to every process of the run."""
        if self._sandbox is not None:
            self._sandbox.terminate(processes)
        else:
            super().terminate(processes)

    def terminate_further(self, processes: tree.Tree) -> None:
        """Let a halted shell end when its time has come."""
        if self._sandbox is not None:
            self._sandbox.go_on(processes)

    def left(self) -> list[int]:
        """Return what lives once the command has ended; with a sandbox's first process every other one is gone."""
        if self._sandbox is None:
            return super().left()
        return [] if self._sandbox.is_gone() else [self._sandbox.first]

    def kill(self, pids: list[int]) -> None:
        """End the run's processes at once."""
        if self._sandbox is not None:
            self._sandbox.kill()
        else:
            super().kill(pids)

    def finish(self, ending: Ending) -> None:
        """End what served it, and tell what that knew."""
        if self._beside is not None:
            self._beside.finish(ending)

    def leave(self) -> None:
        """Give back its control group."""
        if self._group is not None:
            self._group.leave()

    def _serve(self) -> None:
        if self._beside is None:
            from footfall.runner.serving.sidecar import Beside

            ears, stop = self._serving
            ears.close(layout.LISTENER_FD, keep=True)
            self._beside = Beside(
                self.endpoints,
                self._files,
                ears,
                stop,
                directories=(self._files.scratch, self._spec["output_dir"]),
                limit_bytes=self._work["output_limit_bytes"],
                memory_bytes=self._spec["memory_mib"] << 20,
                processes=lambda: self.below(tree.Tree()),
                around=self._surroundings(),
            )

    def _surroundings(self) -> Surroundings:
        from footfall.runner.serving.exec_server import Surroundings

        return Surroundings(
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
        return None if self.level == "plain" else ([*self._image.reads], list(self._writable().values()))

    def _check_level(self) -> None:
        refusal = self._isolation["refusal"]
        if refusal:
            raise RefusalError(refusal)
        if (self._image.root or self._image.kind == "oci") and self.level != "bubblewrap":
            raise RefusalError(
                f"The image {self._work['image']['name']!r} is a file system, which only bubblewrap can run; "
                f"here commands run at level {self.level}: {self._isolation['why']}"
            )

    def _take_from_engine(self, listen: Callable[[float], None]) -> None:
        """Look at what an engine's image holds, once it lies in a directory; that stays as long as this process lives."""
        from footfall.runner.images.engine_image import take_image

        image = self._work["image"]
        runs_root = os.path.dirname(self._spec["wake"])
        taken = take_image(image, self._isolation["engines"], runs_root, self._spec["marker"], listen)
        self._image = look_at({**image, "kind": "rootfs", "path": taken.root}, self._isolation, taken.variables)
        self._source = {"engine": taken.engine, "id": taken.id}

    def _bound_processes(self) -> None:
        """Enter a control group where there are real ones; else the shell sets a limit that counts a user's processes."""
        base = self._isolation["pids_cgroup"]
        if base:
            from footfall.runner.sandbox.cgroup import Group

            group = Group(base, self._spec["marker"], self._spec["rank"])
            if group.enter(self._work["max_processes"]):
                self._group = group
        if self._group is None and self.uid is None and os.geteuid() == 0:
            self.notes.append("Nothing here counts the processes of root, so how many the node starts is not limited.")

    def _give_away(self) -> None:
        """Make the unprivileged user of the command the owner of what it may write."""
        if self.uid is None:
            return
        own = [self._files.scratch, self._home, self._temporary, self._code, self._spec["output_dir"]]
        shared = [self._work["project_dir"], *(volume["path"] for volume in self._work["volumes"])]
        for path in [*own, *(path for path in shared if path)]:
            if os.lstat(path).st_uid != self.uid:
                os.chown(path, self.uid, self.uid, follow_symlinks=False)

    def _unpack(self, listen: Callable[[float], None]) -> None:
        from footfall.runner.code_archive import unpack_aside
        from footfall.runner.process.child import hear_out

        child = unpack_aside(self._work["code"], self._code, self.uid, self._work["code_limit_bytes"])
        said, is_done = hear_out(*child, listen)
        if not is_done:
            raise RefusalError(
                said.decode("utf-8", "replace")
                or "The code archive could not be unpacked: that was ended, or took too much memory."
            )

    def _pin(self) -> None:
        """Keep this process, and so all that it starts, to the cores of the node's share."""
        wanted = set(self._spec["share"]["cpus"])
        if not wanted:
            return
        try:
            os.sched_setaffinity(0, wanted)
        except OSError:
            self.notes.append("The cores of the node's share are not all here, so it is not kept to them.")

    @property
    def _process_limit(self) -> int | None:
        return None if self._group is not None else int(self._work["max_processes"])

    def _meet(self, hosts: Sequence[str], port: int) -> None:
        is_apart = self.level == "bubblewrap"
        self.environment = workload_environment(
            self._launch,
            self.endpoints,
            path=self._image.path,
            given=self._image.variables,
            home=self._home,
            # Paths of sockets are short; programs make them here.
            temporary="/tmp" if is_apart else self._temporary,
            hosts=hosts,
            port=port,
        )

    def _note_odd_names(self) -> None:
        odd = shell.odd_names(self.environment)
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
            self.environment,
            self._argv,
            self.directory,
            has_bash=self._image.has_bash,
            max_processes=self._process_limit,
        )
        contents = {shell.SCRIPT_FD: text}
        calls = build_filter()
        if calls is not None:
            contents[_SECCOMP_FD] = calls
        files: dict[str, int] = {}
        for path, content in small_files(self._image, hosts, self.uid, self._home).items():
            files[path] = _FIRST_FILE_FD + len(files)
            contents[files[path]] = content.encode("utf-8", "surrogateescape")
        inherit = {theirs: shell.memory_file("footfall", content) for theirs, content in contents.items()}
        told, inherit[_INFO_FD] = os.pipe2(os.O_CLOEXEC)
        try:
            argv = self._bubblewrap_argv(files, has_filter=calls is not None)
            pid = spawn(argv, self._bare_environment(), output, inherit)
            self._sandbox = SandboxProcesses(told)
            return pid
        finally:
            for ours in inherit.values():
                os.close(ours)

    def _bubblewrap_argv(self, files: dict[str, int], *, has_filter: bool) -> list[str]:
        sandbox = bubblewrap.Sandbox(
            self._image,
            hidden=self._isolation["hidden"],
            writable=self._writable(),
            devices=_devices(self._spec["share"]["gpus"]),
            files=files,
            temporary=self._temporary,
            size_mib=self._spec["memory_mib"],
        )
        argv = [self._isolation["bwrap"], "--info-fd", str(_INFO_FD)]
        argv += bubblewrap.namespaces(self._isolation, f"node{self._spec['rank']}")
        argv += sandbox.arguments(self._isolation)
        argv += ["--seccomp", str(_SECCOMP_FD)] if has_filter else []
        argv += ["--chdir", "/", "--", *bubblewrap.drop_rights(self._isolation, self._image)]
        return [*argv, self._image.shell, "-c", shell.READ_SCRIPT]

    def _bare_environment(self) -> dict[str, str]:
        """Return all that programs with rights see: nothing of the user's."""
        names = ("FOOTFALL_RUN_ID", "FOOTFALL_RUN_MARKER")
        return {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", **{name: self.environment[name] for name in names}}

    def _writable(self) -> dict[str, str]:
        """Return what the command may write: each directory at its path on the host, storages also below /mnt."""
        places = {self._files.scratch: self._files.scratch, self._spec["output_dir"]: self._spec["output_dir"]}
        if self._work["project_dir"]:
            places |= {self._work["project_dir"]: self._work["project_dir"], _PROJECT: self._work["project_dir"]}
        volumes = {int(volume["number"]): str(volume["path"]) for volume in self._work["volumes"]}
        for number, path in volumes.items():
            places[path] = path
            places[_VOLUME if len(volumes) == 1 else f"{_VOLUME}/{number}"] = path
        return places

    def _start_here(self, output: int) -> int:
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
