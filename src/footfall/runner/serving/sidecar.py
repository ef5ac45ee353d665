"""Sidecar of a user's command: metric endpoint, disk limit, exec server. Started after the command, so that it delays none.

The endpoint's process parses what the command sends. Whatever that does to it, the supervisor lives and restarts it.
"""

from __future__ import annotations

import os
import threading
import time

from footfall import layout
from footfall.runner.process import tree
from footfall.runner.process.spawn import fork_python
from footfall.runner.serving import disk_watch
from footfall.runner.serving.exec_server import ExecServer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from footfall.runner.environment import Endpoints
    from footfall.runner.exit_reason import ExitReason
    from footfall.runner.files import NodeFiles
    from footfall.runner.process.poller import Poller
    from footfall.runner.serving.exec_server import ExecContext

DISK_POLL_INTERVAL_S = 1.0
REST_FACTOR = 20
"""Between two walks over the disk the watch rests this many times as long as a walk took."""
RESTART_DELAY_S = 1.0
FINISH_TIMEOUT_S = 5.0
_MAX_OUTPUT_BYTES = 1 << 16


class Sidecar:
    """The sidecar of one command.

    Args:
        disk_limits: by the reason to end the command for, a directory and how many bytes it may leave there; what has no name
            counts for the last one.
        memory_bytes: what the command may hold in memory, mapped or not.
        processes: returns those of the command.
        stop: ends the command, for a reason.
        context: what a program that is started inside has around it.
    """

    def __init__(
        self,
        endpoints: Endpoints,
        files: NodeFiles,
        poller: Poller,
        stop: Callable[[str], None],
        *,
        disk_limits: Mapping[str, tuple[str, int]],
        memory_bytes: int,
        processes: Callable[[], list[int]],
        context: ExecContext,
    ) -> None:
        self._endpoints = endpoints
        self._files = files
        self._poller = poller
        self._stop = stop
        self._disk_limits = disk_limits
        self._memory_bytes = memory_bytes
        self._processes = processes
        self._reason = ""
        self._server = -1
        self._restart_at: float | None = None
        self._server_output = b""
        self._is_over = threading.Event()
        self._warning_read, self._warning_write = os.pipe2(os.O_CLOEXEC)
        self._is_watching = False
        self._context = context
        self._exec_server: ExecServer | None = None
        poller.register(self._warning_read, lambda _: self._on_disk_warning())
        self._start()

    @property
    def pids(self) -> tuple[int, ...]:
        """The processes below the runner that are none of the run's."""
        return (self._server,)

    def tick(self, now: float) -> float | None:
        """Restart what ended or could not be started a moment ago; return when to call this next."""
        if self._restart_at is not None and now >= self._restart_at:
            self._restart_at = None
            self._start()
        return self._restart_at

    def child_ended(self, pid: int, status: int) -> None:
        """Handle the end of the endpoint's process, or of a program that was started inside."""
        if self._exec_server is not None:
            self._exec_server.child_ended(pid, status)
        if pid == self._server and not self._is_over.is_set():
            self._server = -1
            self._restart_at = time.monotonic() + RESTART_DELAY_S

    def finish(self, exit_reason: ExitReason) -> None:
        """End everything here; let the endpoint write its summary, and take over what it reported."""
        self._is_over.set()
        if self._server > 0:
            self._finish_server()
        for line in self._server_output.split(b"\n"):
            name, _, value = line.partition(b" ")
            if name == b"dropped":
                exit_reason.n_dropped_points = int(value)
            elif name == b"rescheduled":
                exit_reason.is_rescheduled = value == b"1"

    def _start(self) -> None:
        """Start what does not run yet; try again later where that fails, for the command may have used up the machine."""
        for start in (self._start_server, self._start_exec_server, self._start_watch):
            try:
                start()
            except (OSError, RuntimeError):
                self._restart_at = time.monotonic() + RESTART_DELAY_S

    def _start_exec_server(self) -> None:
        if self._exec_server is None:
            self._exec_server = ExecServer(self._files.directory, self._context, self._poller)

    def _start_watch(self) -> None:
        if not self._is_watching:
            threading.Thread(target=self._watch_disk, daemon=True).start()
            self._is_watching = True

    def _start_server(self) -> None:
        if self._server > 0:
            return
        read_end, write_end = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(write_end, False)
        files, endpoints = self._files, self._endpoints

        def serve() -> None:
            from footfall.runner.serving.metric_server import serve_endpoints

            serve_endpoints(files.directory, endpoints, layout.LISTENER_FD, write_end)

        try:
            self._server = fork_python(serve, keep=(layout.LISTENER_FD, write_end))
        except OSError:
            os.close(read_end)
            raise
        finally:
            os.close(write_end)
        self._poller.register(read_end, self._on_server_output)

    def _on_server_output(self, fd: int) -> None:
        data = os.read(fd, _MAX_OUTPUT_BYTES)
        if data:
            # Only the last line of each kind counts, and lines are short.
            self._server_output = (self._server_output + data)[-_MAX_OUTPUT_BYTES:]
        else:
            self._poller.unregister(fd)

    def _finish_server(self) -> None:
        tree.signal_all([self._server], tree.SIGTERM)
        deadline = time.monotonic() + FINISH_TIMEOUT_S
        while self._server > 0:
            self._poller.poll(0.01)
            try:
                done, _ = os.waitpid(self._server, os.WNOHANG)
            except ChildProcessError:
                break
            if done:
                break
            if time.monotonic() >= deadline:
                tree.signal_all([self._server], tree.SIGKILL)
        self._poller.poll(0)

    def _on_disk_warning(self) -> None:
        self._poller.unregister(self._warning_read)
        self._stop(self._reason)

    def _watch_disk(self) -> None:
        rest_s = DISK_POLL_INTERVAL_S
        while not self._is_over.wait(rest_s):
            started = time.monotonic()
            reason = self._find_excess()
            if reason is None:
                rest_s = max(DISK_POLL_INTERVAL_S, REST_FACTOR * (time.monotonic() - started))
                continue
            self._reason = reason
            os.write(self._warning_write, b"x")
            return

    def _find_excess(self) -> str | None:
        """Return the reason to end the command for, None when it keeps within its limits."""
        on_disk, in_memory = disk_watch.measure_unlinked(self._processes())
        if in_memory > self._memory_bytes:
            return "out_of_memory"
        last = list(self._disk_limits)[-1]
        for reason, (directory, limit_bytes) in self._disk_limits.items():
            unlinked = on_disk if reason == last else 0
            if unlinked + disk_watch.measure_directories([directory]) > limit_bytes:
                return reason
        return None


def listen_on_loopback() -> int:
    """Replace the listening socket that the executor gave by one in the network that this process is in; return its port."""
    import socket

    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        listener.setblocking(False)
        os.dup2(listener.fileno(), layout.LISTENER_FD, inheritable=False)
        port: int = listener.getsockname()[1]
    return port
