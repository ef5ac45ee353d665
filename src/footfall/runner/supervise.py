"""Start the command of a node, listen to it, and end it with everything below it. Knows no database, store or executor.

One loop over the command's output, signals, the clock, and what the command itself wants heard. The order at the end is
what others rely on: the tree is gone, then the scratch directory, then the final status appears, whole.
"""

from __future__ import annotations

import fcntl
import os
import time

from footfall.runner.errors import RefusalError
from footfall.runner.exit_reason import Ending
from footfall.runner.files import SCRATCH_DIRECTORIES, NodeFiles
from footfall.runner.launch import Launch, read_launch
from footfall.runner.process import tree
from footfall.runner.process.poller import Ears

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from footfall.runner.command import Command

BEAT_S = 10.0
WATCH_S = 0.25
STOP_LOOK_S = 0.02
_PIPE_BYTES = 1 << 20
_F_SETPIPE_SZ = 1031


class _StoppedError(Exception):
    """Somebody wants the run to end before its command began."""


def run_node(directory: str) -> int:
    """Run the node whose files lie in ``directory``; return 0 once its end is published, 75 when another runner has it."""
    os.chdir("/")
    launch = read_launch()
    files = NodeFiles(directory, launch.spec["log_limit_bytes"])
    if not files.claim():
        return 75
    if launch.workload is not None and launch.isolation["level"] != "bubblewrap":
        from footfall.runner.process.reaper import keep

        keep(files.answer_for_node)
    Supervisor(launch, files).run()
    return 0


class Supervisor:
    """One command, from its start to its published end."""

    def __init__(self, launch: Launch, files: NodeFiles) -> None:
        self._launch = launch
        self._files = files
        self._spec = launch.spec
        self._ears = Ears()
        self._command: Command | None = None
        self._ending = Ending(launch.spec)
        self._pid = -1
        self._hears_signals = False
        self._output = -1
        self._kill_at: float | None = None

    def run(self) -> None:
        """Start the command and return when its end is published."""
        try:
            self._start()
        except RefusalError as refusal:
            self._ending.refusal = {"reason": refusal.reason, "details": str(refusal)}
        except _StoppedError:
            pass  # the reason is noted
        if self._command is not None and self._pid > 0:
            self._loop(self._command)
            self._end_tree(self._command)
            self._drain()
        self._publish_end()
        if self._command is not None:
            self._command.leave()

    def _start(self) -> None:
        self._command = command = self._make_command()
        self._ending.level = command.level
        work = self._launch.workload
        if self._spec["n_nodes"] > 1 or (work is not None and (work["code"] or work["image"]["kind"] == "oci")):
            self._listen_for_signals()  # this may take a while, and can be stopped
        command.prepare(self._wait)
        hosts, port = self._meet(command)
        self._output, output_end = os.pipe2(os.O_CLOEXEC)
        try:
            fcntl.fcntl(self._output, _F_SETPIPE_SZ, _PIPE_BYTES)
        except OSError:
            pass  # a bigger pipe only lets a talkative command wait less
        os.set_blocking(self._output, False)
        self._ears.open(self._output, self._hear_output)
        try:
            self._pid = command.start(output_end, hosts, port)
        except OSError as error:
            name = (self._spec["command"] or ("shell",))[0]
            raise RefusalError(f"The command {name!r} cannot be started: {error.strerror}.") from error
        finally:
            os.close(output_end)
        self._ending.started_at = self._files.say_started(command.notes)
        self._wake()
        self._listen_for_signals()
        command.attend(self._pid, self._ears, self._stop)

    def _make_command(self) -> Command:
        if self._launch.workload is None:
            from footfall.runner.job_command import JobCommand

            return JobCommand(self._launch, self._files)
        from footfall.runner.user_command import UserCommand

        return UserCommand(self._launch, self._files)

    def _meet(self, command: Command) -> tuple[list[str], int]:
        """Return the addresses of the nodes and the port to meet at, once every node could start."""
        port, work = self._spec["port"] or 0, self._launch.workload
        if work is None or (self._spec["n_nodes"] == 1 and work["network"] == "host"):
            return ["127.0.0.1"] * int(self._spec["n_nodes"]), port
        from footfall.runner.rendezvous import Meeting

        meeting = Meeting(self._files, self._spec, self._wait)
        if work["network"] == "run":
            meeting.share_network()
            command.move_endpoints()
        meeting.publish(port)
        return meeting.wait_for_all()

    def _wait(self, timeout_s: float) -> None:
        self._ears.listen(timeout_s)
        if self._ending.stop_reason is not None:
            raise _StoppedError

    def _listen_for_signals(self) -> None:
        """Hear of children that ended and of who wants us to stop; the executor left these signals blocked until now."""
        if self._hears_signals:
            return
        import signal

        self._hears_signals = True
        read, write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(write, warn_on_full_buffer=False)
        ours = (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT)
        for number in ours:
            signal.signal(number, lambda *_: None)
        self._ears.open(read, self._hear_signals)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ours)

    def _loop(self, command: Command) -> None:
        now = time.monotonic()
        limit_s = self._spec["timeout_s"]
        deadline = now + limit_s if limit_s else None
        beat_at, watch_at, due = now, now + WATCH_S, command.look(now)
        self._reap()  # it may have ended before its end could be heard
        while self._ending.wait_status is None:
            soon = watch_at if self._kill_at is None else now + STOP_LOOK_S
            self._ears.listen(min(beat_at, watch_at, soon, soon if due is None else due) - now)
            now = time.monotonic()
            if now >= beat_at:
                self._files.beat()
                beat_at = now + BEAT_S
            if now >= watch_at:
                self._watch(command)
                watch_at = now + WATCH_S
            due = command.look(now)
            if deadline is not None and now >= deadline:
                self._stop("timed_out")
            if self._kill_at is not None and now >= self._kill_at:
                command.kill(command.below(tree.Tree()))
            elif self._kill_at is not None:
                command.terminate_further(tree.Tree())

    def _hear_signals(self, fd: int) -> None:
        numbers = os.read(fd, 4096)
        if tree.SIGTERM in numbers or tree.SIGINT in numbers:
            self._stop("stopped")
        self._reap()

    def _reap(self) -> None:
        for pid, status in tree.reap():
            if pid == self._pid:
                self._ending.wait_status = status
            elif self._command is not None:
                self._command.child_ended(pid, status)

    def _hear_output(self, fd: int) -> None:
        data = os.read(fd, _PIPE_BYTES)
        if not data:
            self._ears.close(fd)
            return
        self._files.append_log(data)
        work = self._launch.workload
        if work is not None and work["log_limit_action"] == "end" and self._files.has_reached_log_limit:
            self._stop("log_limit")

    def _watch(self, command: Command) -> None:
        if tree.resident_mib(command.below(tree.Watched())) > self._spec["memory_mib"]:
            self._stop("out_of_memory")
            command.kill(command.below(tree.Tree()))

    def _stop(self, reason: str) -> None:
        if self._ending.stop_reason is None:
            self._ending.stop_reason = reason
            self._kill_at = time.monotonic() + self._spec["grace_s"]
            if self._command is not None and self._pid > 0:
                self._command.terminate(tree.Tree())

    def _end_tree(self, command: Command) -> None:
        """End what the command left: politely when it was stopped, at once when it ended by itself."""
        while left := command.left():
            if self._kill_at is None or time.monotonic() >= self._kill_at:
                command.kill(left)
            self._ears.listen(STOP_LOOK_S)
            self._reap()

    def _drain(self) -> None:
        """Take what the command said last; nothing can write any more, but for a descriptor that was given away."""
        deadline = time.monotonic() + 1.0
        while self._ears.has(self._output) and time.monotonic() < deadline and self._ears.listen(0):
            continue

    def _publish_end(self) -> None:
        if self._command is not None:
            self._command.finish(self._ending)
        _remove_tree(self._files.scratch, SCRATCH_DIRECTORIES)
        notes = self._command.notes if self._command is not None else []
        self._files.write_status(self._ending.status(time.time(), notes))
        self._wake()

    def _wake(self) -> None:
        try:
            handle = os.open(self._spec["wake"], os.O_WRONLY | os.O_NONBLOCK)
        except OSError:
            return  # nobody listens: the server is down and will look when it is back
        try:
            os.write(handle, b"r")
        except OSError:
            pass  # it rings already
        finally:
            os.close(handle)


def _remove_tree(directory: str, expected: Sequence[str]) -> None:
    """Remove a scratch directory: by hand where it holds no more than was made for it, else by a program.

    What a hostile command leaves may be nested deeper than Python can walk.
    """
    for path in (*(os.path.join(directory, name) for name in expected), directory):
        try:
            os.rmdir(path)
        except FileNotFoundError:
            continue
        except OSError:
            break
    else:
        return
    pid = os.posix_spawnp("rm", ["rm", "-rf", "--", directory], {"PATH": os.defpath}, setsigmask=())
    os.waitpid(pid, 0)
