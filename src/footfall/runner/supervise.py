"""Start the command of a node, listen to it, and end it with everything below it. Knows no database, store or executor.

One loop over four ears: the command's output, the reports of a job of ours, signals, and the clock. The order at the end is
what others rely on: the tree is gone, then the scratch directory, then the final status appears, whole.
"""

import contextlib
import fcntl
import json
import os
import selectors
import signal
import subprocess
import time
from typing import Any

from footfall.runner import tree
from footfall.runner.environment import node_environment
from footfall.runner.files import NodeFiles

BEAT_S = 10.0
WATCH_S = 0.5
REPORT_LIMIT_BYTES = 128 << 10
RESULT_LIMIT_BYTES = 64 << 10
PROGRESS_S = 0.1
_PIPE_BYTES = 1 << 20
_F_SETPIPE_SZ = 1031


def run_node(directory: str) -> int:
    """Run the node whose files lie in ``directory``; return 0 once its end is published, 75 when another runner has it."""
    os.chdir("/")
    files = NodeFiles(directory)
    if not files.claim():
        return 75
    Supervisor(files).run()
    return 0


class Supervisor:
    """One command, from its start to its published end."""

    def __init__(self, files: NodeFiles) -> None:
        self._files = files
        self._spec = files.spec
        self._ears = selectors.DefaultSelector()
        self._command: subprocess.Popen[bytes] | None = None  # kept: a forgotten Popen would reap the command itself
        self._wait_status: int | None = None
        self._started_at: float | None = None
        self._stop_reason: str | None = None
        self._kill_at: float | None = None
        self._refusal: dict[str, Any] | None = None
        self._result: dict[str, Any] | None = None
        self._report_rest = b""
        self._progress: object = None
        self._progress_due: float | None = None

    def run(self) -> None:
        """Start the command and return when its end is published."""
        tree.become_subreaper()
        self._listen_for_signals()
        if self._start():
            self._loop()
            self._end_tree()
        self._drain()
        _remove_tree(self._files.scratch)
        if self._files.private:
            os.unlink(self._files.private)  # it holds the store's keys
        self._files.write_status(self._final_status())
        self._wake()

    def _listen_for_signals(self) -> None:
        read, write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(write, warn_on_full_buffer=False)
        for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: None)
        self._ears.register(read, selectors.EVENT_READ, self._hear_signals)

    def _start(self) -> bool:
        output, output_end = os.pipe2(os.O_CLOEXEC)
        report, report_end = os.pipe2(os.O_CLOEXEC)
        with contextlib.suppress(OSError):  # a bigger pipe only lets a talkative command wait less
            fcntl.fcntl(output, _F_SETPIPE_SZ, _PIPE_BYTES)
        environment = node_environment(self._spec, self._files.scratch)
        keep: tuple[int, ...] = ()
        if self._files.private:
            environment["FOOTFALL_JOB"] = self._files.private
            environment["FOOTFALL_REPORT_FD"] = str(report_end)
            keep = (report_end,)
        try:
            self._command = subprocess.Popen(
                self._spec["command"],
                env=environment,
                cwd=self._files.scratch,
                stdin=subprocess.DEVNULL,
                stdout=output_end,
                stderr=output_end,
                pass_fds=keep,
                start_new_session=True,
                preexec_fn=tree.die_with_parent,  # safe: this process has one thread
            )
        except OSError as error:
            details = f"The command {self._spec['command'][0]!r} cannot be started: {error.strerror}."
            self._refusal = {"reason": "rejected", "details": details}
            return False
        finally:
            os.close(output_end)
            os.close(report_end)
        os.set_blocking(output, False)
        os.set_blocking(report, False)
        self._ears.register(output, selectors.EVENT_READ, self._hear_output)
        self._ears.register(report, selectors.EVENT_READ, self._hear_report)
        self._started_at = self._files.say_started()
        self._wake()
        return True

    def _loop(self) -> None:
        now = time.monotonic()
        limit_s = self._spec["timeout_s"]
        deadline = now + limit_s if limit_s else None
        beat_at, watch_at = now, now + WATCH_S
        while self._wait_status is None:
            self._listen(min(beat_at, watch_at, self._progress_due or watch_at) - now)
            now = time.monotonic()
            if now >= beat_at:
                self._files.beat()
                beat_at = now + BEAT_S
            if now >= watch_at:
                self._watch_memory()
                watch_at = now + WATCH_S
            if self._progress_due is not None and now >= self._progress_due:
                self._files.write_progress(self._progress)
                self._progress_due = None
            if deadline is not None and now >= deadline:
                self._stop("timed_out")
            if self._kill_at is not None and now >= self._kill_at:
                tree.signal_all(tree.descendants(os.getpid()), signal.SIGKILL)

    def _listen(self, timeout_s: float) -> None:
        for key, _ in self._ears.select(max(0.0, timeout_s)):
            key.data(key.fd)

    def _hear_signals(self, fd: int) -> None:
        numbers = os.read(fd, 4096)
        if signal.SIGTERM in numbers or signal.SIGINT in numbers:
            self._stop("stopped")
        for pid, status in tree.reap():
            if self._command is not None and pid == self._command.pid:
                self._wait_status = status
                self._command.returncode = os.waitstatus_to_exitcode(status)

    def _hear_output(self, fd: int) -> None:
        data = os.read(fd, _PIPE_BYTES)
        if data:
            self._files.append_log(data)
        else:
            self._close(fd)

    def _hear_report(self, fd: int) -> None:
        data = os.read(fd, _PIPE_BYTES)
        if not data:
            self._close(fd)
            return
        *lines, rest = (self._report_rest + data).split(b"\n")
        self._report_rest = rest[:REPORT_LIMIT_BYTES]
        for line in lines:
            with contextlib.suppress(ValueError):  # half a line of a job that was killed while it wrote
                self._take_report(json.loads(line))

    def _take_report(self, report: dict[str, Any]) -> None:
        if "progress" in report:
            self._progress = report["progress"]
            if self._progress_due is None:
                self._progress_due = time.monotonic() + PROGRESS_S
        if "refusal" in report:
            self._refusal = report["refusal"]
        if "result" in report and len(json.dumps(report["result"])) <= RESULT_LIMIT_BYTES:
            self._result = report["result"]

    def _close(self, fd: int) -> None:
        self._ears.unregister(fd)
        os.close(fd)

    def _watch_memory(self) -> None:
        below = tree.descendants(os.getpid())
        if tree.resident_mib(below) > self._spec["memory_mib"]:
            self._stop("out_of_memory")
            tree.signal_all(below, signal.SIGKILL)

    def _stop(self, reason: str) -> None:
        if self._stop_reason is None:
            self._stop_reason = reason
            self._kill_at = time.monotonic() + self._spec["grace_s"]
            tree.signal_all(tree.descendants(os.getpid()), signal.SIGTERM)

    def _end_tree(self) -> None:
        """End what the command left: politely when it was stopped, at once when it ended by itself."""
        while left := tree.descendants(os.getpid()):
            if self._kill_at is None or time.monotonic() >= self._kill_at:
                tree.signal_all(left, signal.SIGKILL)
            self._listen(0.02)
        tree.reap()

    def _drain(self) -> None:
        while any(event for event in self._ears.select(0) if event[0].data != self._hear_signals):
            self._listen(0)

    def _final_status(self) -> dict[str, Any]:
        status = self._wait_status
        exit_code = None if status is None else os.waitstatus_to_exitcode(status)
        stop_reason = self._stop_reason
        if exit_code == 0 and self._files.private:
            stop_reason = None  # a job of ours that ends with 0 has done its work, whatever was asked of it meanwhile
        refusal = {} if exit_code == 0 and stop_reason is None else self._refusal or {}
        reason = stop_reason or refusal.get("reason")
        if reason is None and exit_code != 0:
            reason = "signalled" if exit_code is not None and exit_code < 0 else "command_failed"
        return {
            "exit_code": exit_code,
            "reason": reason,
            "name": None if stop_reason else refusal.get("name"),
            "details": self._details(reason, exit_code, refusal),
            "result": self._result if exit_code == 0 and reason is None else None,
            "started_at": self._started_at,
            "ended_at": time.time(),
        }

    def _details(self, reason: str | None, exit_code: int | None, refusal: dict[str, Any]) -> str | None:
        if reason == "timed_out":
            return f"It ran longer than {self._spec['timeout_s']:g} s and was stopped."
        if reason == "out_of_memory":
            return f"It used more than the {self._spec['memory_mib']} MiB it was given and was stopped."
        if refusal.get("details"):
            return str(refusal["details"])
        if reason == "signalled" and exit_code is not None:
            return f"Signal {-exit_code} ended the command; nobody here sent it."
        if reason == "command_failed":
            return f"The command ended with exit code {exit_code}; its log says why."
        return None

    def _wake(self) -> None:
        with contextlib.suppress(OSError):  # nobody listens: the server is down and will look when it is back
            handle = os.open(self._spec["wake"], os.O_WRONLY | os.O_NONBLOCK)
            os.write(handle, b"r")
            os.close(handle)


def _remove_tree(directory: str) -> None:
    for path, names, files in os.walk(directory, topdown=False):
        for name in files:
            with contextlib.suppress(OSError):
                os.unlink(os.path.join(path, name))
        for name in names:
            with contextlib.suppress(OSError):
                inside = os.path.join(path, name)
                if os.path.islink(inside):
                    os.unlink(inside)
                else:
                    os.rmdir(inside)
    with contextlib.suppress(OSError):
        os.rmdir(directory)
