"""One of our own commands on a node: a job, with its private file and its pipe for reports. Not isolated: it is ours."""

from __future__ import annotations

import os

from footfall import layout
from footfall.runner.command import Command
from footfall.runner.environment import command_environment
from footfall.runner.reports import Reports
from footfall.runner.sandbox import host

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from footfall.runner.exit_reason import ExitReason
    from footfall.runner.files import NodeFiles
    from footfall.runner.launch import Launch
    from footfall.runner.process.poller import Poller

_MAX_BYTES = 1 << 20


class JobCommand(Command):
    """A command of ours."""

    def __init__(self, launch: Launch, files: NodeFiles) -> None:
        super().__init__()
        self._spec = launch.spec
        self._files = files
        self._private = files.path(layout.PRIVATE) if launch.is_job else None
        self._report = -1
        self._reports = Reports()
        self._poller: Poller | None = None

    def start(self, output: int, hosts: Sequence[str], port: int) -> int:
        """Start it with a pipe for its reports, if it is a job."""
        environment = command_environment(self._spec, self._files.scratch)
        inherit: dict[int, int] = {}
        ends: list[int] = []
        null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        if self._private is not None:
            self._report, report_end = os.pipe2(os.O_CLOEXEC)
            environment |= {"FOOTFALL_JOB": self._private, "FOOTFALL_REPORT_FD": str(report_end)}
            inherit, ends = {report_end: report_end}, [report_end]
        try:
            return host.start(
                self._spec["command"], environment, (null, output, output), directory=self._files.scratch, inherit=inherit
            )
        finally:
            for fd in (null, *ends):
                os.close(fd)

    def serve(self, poller: Poller, stop: Callable[[str], None]) -> None:
        """Read its reports."""
        self._poller = poller
        if self._report >= 0:
            os.set_blocking(self._report, False)
            poller.register(self._report, self._on_report)

    def tick(self, now: float) -> float | None:
        """Publish its progress when that is due."""
        reports = self._reports
        if reports.progress and reports.progress_due is not None and now >= reports.progress_due:
            self._files.write_json(layout.PROGRESS, reports.progress)
            reports.progress_due = None
        return reports.progress_due

    def finish(self, exit_reason: ExitReason) -> None:
        """Take over what it reported; remove the file that holds the store's keys."""
        exit_reason.refusal = self._reports.refusal or exit_reason.refusal
        exit_reason.result = self._reports.result
        if self._private is not None:
            os.unlink(self._private)

    def _on_report(self, fd: int) -> None:
        data = os.read(fd, _MAX_BYTES)
        if data:
            self._reports.take(data)
        elif self._poller is not None:
            self._poller.unregister(fd)
