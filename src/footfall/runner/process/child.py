"""Collect a helper child's output without delaying signals. Knows no runs."""

from __future__ import annotations

import os
import time

from footfall.runner.process import tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

DONE = b"\0done"
"""What a child writes last when all went well."""
_POLL_INTERVAL_S = 0.02


def collect_output(
    pid: int, pipe: int, wait: Callable[[float], None], *, poll_interval_s: float = 0.005, stop_timeout_s: float = 0.0
) -> tuple[bytes, bool]:
    """Return the output of a child, and whether all went well; close ``pipe``, and leave nothing of the child.

    Args:
        pipe: yields the output; does not block.
        wait: waits so many seconds while signals are handled; what it raises ends the child.
        poll_interval_s: how often to read.
        stop_timeout_s: how long a child that is ended early may take to clean up, after SIGTERM.
    """
    output, has_ended = b"", False
    try:
        while not has_ended:
            wait(poll_interval_s)
            data = _read_some(pipe)
            output += data or b""
            has_ended = data == b"" or output.endswith(DONE)
        return output.removesuffix(DONE), output.endswith(DONE)
    finally:
        if stop_timeout_s and not has_ended:
            tree.signal_all([pid], tree.SIGTERM)
            _wait_for_end(pid, stop_timeout_s)
        # Its output is complete, or nobody waits for it any more.
        tree.signal_all([*tree.Tree().descendants(pid), pid] if stop_timeout_s else [pid], tree.SIGKILL)
        os.close(pipe)


def _wait_for_end(pid: int, stop_timeout_s: float) -> None:
    deadline = time.monotonic() + stop_timeout_s
    try:
        while time.monotonic() < deadline and os.waitpid(pid, os.WNOHANG)[0] == 0:
            time.sleep(_POLL_INTERVAL_S)
    except ChildProcessError:
        pass  # it had ended before


def _read_some(fd: int) -> bytes | None:
    """Return what there is to read, nothing at the end, None when there is nothing yet."""
    try:
        return os.read(fd, 1 << 16)
    except BlockingIOError:
        return None
