"""Start the command of a node, collect its output, and end it with everything below it. Knows no database, store or executor.

One loop over the command's output, signals, the clock, and descriptors of the command itself. Others rely on the order at
the end: the process tree is gone, then the scratch directory, then the final status appears, whole.
"""

from __future__ import annotations

import fcntl
import os
import time

from footfall.runner.errors import LaunchError
from footfall.runner.exit_reason import ExitReason
from footfall.runner.files import SCRATCH_DIRECTORIES, NodeFiles
from footfall.runner.launch import Launch, read_launch
from footfall.runner.process import tree
from footfall.runner.process.poller import Poller

TYPE_CHECKING = False
if TYPE_CHECKING:
    from footfall.contract.nodes import WayOutSpec
    from footfall.runner.command import Command
    from footfall.runner.process.memory import MemoryWatch

HEARTBEAT_INTERVAL_S = 10.0
MEMORY_CHECK_INTERVAL_S = 0.25
STOP_POLL_INTERVAL_S = 0.02
LAST_CALL_S, LAST_CALL_SHARE = 2.0, 0.1
"""How long before its grace is over every process of a command is asked to end: so many seconds, or this share of it."""
_PIPE_BYTES = 1 << 20
_USUAL_UMASK = 0o022
_F_SETPIPE_SZ = 1031


class _StoppedError(Exception):
    """The run is to end before its command started."""


def run_node(directory: str) -> int:
    """Run the node whose files lie in ``directory``; return 0 once its end is published, 75 when another runner has it."""
    os.chdir("/")
    os.umask(_USUAL_UMASK)  # the server's own keeps everybody out; what runs leave is for other runs of the project, too
    launch = read_launch()
    files = NodeFiles(directory, launch.spec["log_limit_bytes"])
    if not files.claim():
        return 75
    if launch.isolation is not None and launch.isolation["level"] != "bubblewrap":
        from footfall.runner.process.reaper import run_under_reaper

        run_under_reaper(files.write_pid)
    Supervisor(launch, files).run()
    return 0


class Supervisor:
    """One command, from its start to its published end."""

    def __init__(self, launch: Launch, files: NodeFiles) -> None:
        self._launch = launch
        self._files = files
        self._spec = launch.spec
        self._poller = Poller()
        self._command: Command | None = None
        self._exit_reason = ExitReason(launch.spec)
        self._pid = -1
        self._receives_signals = False
        self._output = -1
        self._kill_at: float | None = None
        self._memory: MemoryWatch | None = None

    def run(self) -> None:
        """Start the command and return when its end is published."""
        try:
            self._start()
        except LaunchError as refusal:
            self._exit_reason.refusal = {"reason": refusal.reason, "details": str(refusal), "name": None}
        except _StoppedError:
            pass  # the exit reason holds why
        if self._command is not None and self._pid > 0:
            self._loop(self._command)
            self._end_remaining(self._command)
            self._drain()
        self._publish_end()
        if self._command is not None:
            self._command.release()

    def _start(self) -> None:
        self._command = command = self._make_command()
        self._exit_reason.level = command.level
        work = self._launch.workload
        if self._spec["n_nodes"] > 1 or (work is not None and (work["code"] or work["image"]["kind"] == "oci")):
            self._receive_signals()  # this may take a while, and can be stopped
        command.prepare(self._wait)
        hosts, port = self._rendezvous(command)
        self._output, output_end = os.pipe2(os.O_CLOEXEC)
        try:
            fcntl.fcntl(self._output, _F_SETPIPE_SZ, _PIPE_BYTES)
        except OSError:
            pass  # a bigger pipe only lets a command with much output wait less
        os.set_blocking(self._output, False)
        self._poller.register(self._output, self._on_output)
        try:
            self._pid = command.start(output_end, hosts, port)
        except OSError as error:
            name = (self._spec["command"] or ("shell",))[0]
            raise LaunchError(f"The command {name!r} cannot be started: {error.strerror}.") from error
        finally:
            os.close(output_end)
        self._exit_reason.started_at = self._files.write_started(command.notes)
        self._wake()
        self._receive_signals()
        command.serve(self._poller, self._stop)

    def _make_command(self) -> Command:
        if self._launch.workload is None:
            from footfall.runner.job_command import JobCommand

            return JobCommand(self._launch, self._files)
        from footfall.runner.user_command import UserCommand

        return UserCommand(self._launch, self._files)

    def _rendezvous(self, command: Command) -> tuple[list[str], int]:
        """Return the addresses of the nodes and the port of their rendezvous, once every node could start."""
        port, work = self._spec["port"] or 0, self._launch.workload
        if work is None or (self._spec["n_nodes"] == 1 and work["network"] == "host"):
            return ["127.0.0.1"] * int(self._spec["n_nodes"]), port
        from footfall.runner.rendezvous import Rendezvous

        rendezvous = Rendezvous(self._files, self._spec, self._wait)
        if work["network"] != "host":
            rendezvous.share_network(self._way_out() if work["network"] == "nat" else None)
            command.move_endpoints()
        rendezvous.publish(port)
        return rendezvous.wait_for_all()

    def _way_out(self) -> WayOutSpec:
        found = None if self._launch.isolation is None else self._launch.isolation.get("way_out")
        if found is None:
            raise LaunchError(
                "The run is to have a network of its own with a way out (network = nat), which cannot be made here."
            )
        return found

    def _wait(self, timeout_s: float) -> None:
        self._poller.poll(timeout_s)
        if self._exit_reason.stop_reason is not None:
            raise _StoppedError

    def _receive_signals(self) -> None:
        """Handle SIGCHLD, SIGTERM and SIGINT from now on; the executor left them blocked until now."""
        if self._receives_signals:
            return
        import signal

        self._receives_signals = True
        read_end, write_end = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
        numbers = (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT)
        for number in numbers:
            signal.signal(number, lambda *_: None)
        self._poller.register(read_end, self._on_signals)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, numbers)

    def _loop(self, command: Command) -> None:
        now = time.monotonic()
        limit_s = self._spec["timeout_s"]
        deadline = now + limit_s if limit_s else None
        heartbeat_at, memory_check_at, due_at = now, now + MEMORY_CHECK_INTERVAL_S, command.tick(now)
        self._reap()  # it may have ended before SIGCHLD was handled
        while self._exit_reason.wait_status is None:
            next_at = memory_check_at if self._kill_at is None else now + STOP_POLL_INTERVAL_S
            self._poller.poll(min(heartbeat_at, memory_check_at, next_at, next_at if due_at is None else due_at) - now)
            now = time.monotonic()
            if now >= heartbeat_at:
                self._files.heartbeat()
                heartbeat_at = now + HEARTBEAT_INTERVAL_S
            if now >= memory_check_at:
                self._watch(command)
                memory_check_at = now + MEMORY_CHECK_INTERVAL_S
            due_at = command.tick(now)
            if deadline is not None and now >= deadline:
                self._stop("timed_out")
            if self._kill_at is not None:
                self._go_on_stopping(command, self._kill_at - now)

    def _on_signals(self, fd: int) -> None:
        numbers = os.read(fd, 4096)
        if tree.SIGTERM in numbers or tree.SIGINT in numbers:
            self._stop("stopped")
        self._reap()

    def _reap(self) -> None:
        for pid, status in tree.reap():
            if pid == self._pid:
                self._exit_reason.wait_status = status
            elif self._command is not None:
                self._command.child_ended(pid, status)

    def _on_output(self, fd: int) -> None:
        data = os.read(fd, _PIPE_BYTES)
        if not data:
            self._poller.unregister(fd)
            return
        self._files.append_log(data)
        work = self._launch.workload
        if work is not None and work["log_limit_action"] == "end" and self._files.has_reached_log_limit:
            self._stop("log_limit")

    def _watch(self, command: Command) -> None:
        if self._memory is None:  # loaded now: a command that ends sooner needs none of it
            from footfall.runner.process.memory import MemoryWatch

            self._memory = MemoryWatch(self._spec["memory_mib"])
        if self._memory.is_over(command.descendants(tree.Watched())):
            self._stop("out_of_memory")
            command.kill(command.descendants(tree.Tree()))

    def _stop(self, reason: str) -> None:
        if self._exit_reason.stop_reason is None:
            self._exit_reason.stop_reason = reason
            self._kill_at = time.monotonic() + self._spec["grace_s"]
            if self._command is not None and self._pid > 0:
                self._command.terminate(tree.Tree())

    def _go_on_stopping(self, command: Command, left_s: float) -> None:
        processes = tree.Tree()
        if left_s <= 0:
            command.kill(command.descendants(processes))
            return
        command.follow_up_termination(processes)
        if left_s <= min(LAST_CALL_S, self._spec["grace_s"] * LAST_CALL_SHARE):
            command.terminate_others(command.descendants(processes))

    def _end_remaining(self, command: Command) -> None:
        """End what the command left: with SIGTERM first when it was stopped, at once when it ended by itself."""
        while remaining := command.remaining():
            if self._kill_at is None or time.monotonic() >= self._kill_at:
                command.kill(remaining)
            else:
                command.terminate_others(remaining)
            self._poller.poll(STOP_POLL_INTERVAL_S)
            self._reap()

    def _drain(self) -> None:
        """Read the rest of the output; nothing can write any more, but for a descriptor that was given away."""
        deadline = time.monotonic() + 1.0
        while self._poller.has(self._output) and time.monotonic() < deadline and self._poller.poll(0):
            continue

    def _publish_end(self) -> None:
        if self._command is not None:
            self._command.finish(self._exit_reason)
        _remove_scratch(self._files.scratch)
        self._files.finish_log()  # now there may be room
        notes = self._command.notes if self._command is not None else []
        if self._files.n_lost_log_bytes:
            notes = [*notes, f"{self._files.n_lost_log_bytes:,} bytes of its log were lost: the disk was full."]
        self._files.write_status(self._exit_reason.status(time.time(), notes))
        self._wake()

    def _wake(self) -> None:
        try:
            handle = os.open(self._spec["wake"], os.O_WRONLY | os.O_NONBLOCK)
        except OSError:
            return  # no reader: the server is down and looks at all runs when it is back
        try:
            os.write(handle, b"r")
        except OSError:
            pass  # the pipe is full, so the server wakes anyway
        finally:
            os.close(handle)


def _remove_scratch(directory: str) -> None:
    """Remove a scratch directory; what does not go is left to the server, which tries again."""
    for path in (*(os.path.join(directory, name) for name in SCRATCH_DIRECTORIES), directory):
        try:
            os.rmdir(path)
        except FileNotFoundError:
            continue
        except OSError:
            break
    else:
        return
    from footfall.files.remove import remove_tree

    try:
        remove_tree(directory)
    except OSError:
        pass
