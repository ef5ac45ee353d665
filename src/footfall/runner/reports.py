"""What one of our own jobs reports through its pipe: JSON lines (``contract.nodes.JobReport``)."""

from __future__ import annotations

import json
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from footfall.contract.nodes import JobReport, Progress, Refusal

REPORT_LIMIT_BYTES = 128 << 10
RESULT_LIMIT_BYTES = 64 << 10
PROGRESS_S = 0.1


class Reports:
    """All that one job has reported so far. ``progress_due``: when, on the monotonic clock, to publish the newest progress."""

    def __init__(self) -> None:
        self.progress: Progress | None = None
        self.progress_due: float | None = None
        self.refusal: Refusal | None = None
        self.result: dict[str, Any] | None = None
        self._rest = b""

    def take(self, data: bytes) -> None:
        """Take over what was read from the pipe."""
        *lines, rest = (self._rest + data).split(b"\n")
        self._rest = rest[:REPORT_LIMIT_BYTES]
        for line in lines:
            try:
                self._take_line(json.loads(line))
            except ValueError:
                continue  # half a line of a job that was killed while it wrote

    def _take_line(self, report: JobReport) -> None:
        if "progress" in report:
            self.progress = report["progress"]
            if self.progress_due is None:
                self.progress_due = time.monotonic() + PROGRESS_S
        if "refusal" in report:
            self.refusal = report["refusal"]
        if "result" in report and len(json.dumps(report["result"])) <= RESULT_LIMIT_BYTES:
            self.result = report["result"]
