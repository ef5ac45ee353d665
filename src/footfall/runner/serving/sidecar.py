"""What serves a user's command while it runs: its endpoints, in a process of their own; the watch over what it leaves on the
disk; the entrance for a shell. Started after the command, so that none of it delays one.

The endpoints' process parses what the command sends. Whatever that does to it, the supervisor lives and starts it again.
"""

from __future__ import annotations

import os
import threading
import time

from footfall import layout
from footfall.runner.process import tree
from footfall.runner.process.spawn import fork_python
from footfall.runner.serving import disk_watch
from footfall.runner.serving.exec_server import Entrance

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from footfall.runner.environment import Endpoints
    from footfall.runner.exit_reason import Ending
    from footfall.runner.files import NodeFiles
    from footfall.runner.process.poller import Ears
    from footfall.runner.serving.exec_server import Surroundings

LOOK_S = 1.0
LOOK_SHARE = 20
"""Between two looks at the disk it rests this many times as long as a look took."""
RESTART_S = 1.0
FINISH_S = 5.0
_MOST_SAID = 1 << 16


class Beside:
    """All that serves one command.

    Args:
        around: what a program that is started inside has around it.
        directories: what the command leaves there is counted against ``limit_bytes``.
        memory_bytes: what the command may hold in memory, mapped or not.
        processes: returns those of the command.
        stop: ends the command, for a reason.
    """

    def __init__(
        self,
        endpoints: Endpoints,
        files: NodeFiles,
        ears: Ears,
        stop: Callable[[str], None],
        *,
        directories: tuple[str, ...],
        limit_bytes: int,
        memory_bytes: int,
        processes: Callable[[], list[int]],
        around: Surroundings,
    ) -> None:
        self._endpoints = endpoints
        self._files = files
        self._ears = ears
        self._stop = stop
        self._directories = directories
        self._limit_bytes = limit_bytes
        self._memory_bytes = memory_bytes
        self._processes = processes
        self._reason = "output_limit"
        self._server = -1
        self._restart_at: float | None = None
        self._said = b""
        self._is_over = threading.Event()
        self._warned, self._warn = os.pipe2(os.O_CLOEXEC)
        self._is_watching = False
        self._around = around
        self._entrance: Entrance | None = None
        ears.open(self._warned, lambda _: self._hear_warning())
        self._start()

    @property
    def pids(self) -> tuple[int, ...]:
        """The processes below the runner that are none of the run's."""
        return (self._server,)

    def look(self, now: float) -> float | None:
        """Start again what ended or could not be started a moment ago; return when to look next."""
        if self._restart_at is not None and now >= self._restart_at:
            self._restart_at = None
            self._start()
        return self._restart_at

    def child_ended(self, pid: int, status: int) -> None:
        """Take note that a process of ours ended, or one that was started inside."""
        if self._entrance is not None:
            self._entrance.child_ended(pid, status)
        if pid == self._server and not self._is_over.is_set():
            self._server = -1
            self._restart_at = time.monotonic() + RESTART_S

    def finish(self, ending: Ending) -> None:
        """End everything here, let the endpoints write down what they know, and tell it."""
        self._is_over.set()
        if self._server > 0:
            self._finish_server()
        for line in self._said.split(b"\n"):
            name, _, value = line.partition(b" ")
            if name == b"dropped":
                ending.n_dropped_points = int(value)
            elif name == b"rescheduled":
                ending.is_rescheduled = value == b"1"

    def _start(self) -> None:
        """Start what does not run yet; where something cannot be started now, for the command took it all, try again later."""
        for start in (self._start_server, self._open_entrance, self._start_watch):
            try:
                start()
            except (OSError, RuntimeError):
                self._restart_at = time.monotonic() + RESTART_S

    def _open_entrance(self) -> None:
        if self._entrance is None:
            self._entrance = Entrance(self._files.directory, self._around, self._ears)

    def _start_watch(self) -> None:
        if not self._is_watching:
            threading.Thread(target=self._watch_disk, daemon=True).start()
            self._is_watching = True

    def _start_server(self) -> None:
        if self._server > 0:
            return
        heard, tell = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(tell, False)
        files, endpoints = self._files, self._endpoints

        def serve() -> None:
            from footfall.runner.serving.metric_server import serve_endpoints

            serve_endpoints(files.directory, endpoints, layout.LISTENER_FD, tell)

        try:
            self._server = fork_python(serve, keep=(layout.LISTENER_FD, tell))
        except OSError:
            os.close(heard)
            raise
        finally:
            os.close(tell)
        self._ears.open(heard, self._hear_server)

    def _hear_server(self, fd: int) -> None:
        data = os.read(fd, _MOST_SAID)
        if data:
            # Only the last word on each matter counts, and the words are short.
            self._said = (self._said + data)[-_MOST_SAID:]
        else:
            self._ears.close(fd)

    def _finish_server(self) -> None:
        tree.signal_all([self._server], tree.SIGTERM)
        deadline = time.monotonic() + FINISH_S
        while self._server > 0:
            self._ears.listen(0.01)
            try:
                done, _ = os.waitpid(self._server, os.WNOHANG)
            except ChildProcessError:
                break
            if done:
                break
            if time.monotonic() >= deadline:
                tree.signal_all([self._server], tree.SIGKILL)
        self._ears.listen(0)

    def _hear_warning(self) -> None:
        self._ears.close(self._warned)
        self._stop(self._reason)

    def _watch_disk(self) -> None:
        rest_s = LOOK_S
        while not self._is_over.wait(rest_s):
            begun = time.monotonic()
            on_disk, in_memory = disk_watch.nameless(self._processes())
            if in_memory > self._memory_bytes:
                self._reason = "out_of_memory"
            elif on_disk + disk_watch.size_of(self._directories) <= self._limit_bytes:
                rest_s = max(LOOK_S, LOOK_SHARE * (time.monotonic() - begun))
                continue
            os.write(self._warn, b"x")
            return


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
