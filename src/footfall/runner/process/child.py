"""Hear what a child of the runner says that works aside, while the runner goes on to hear signals. Knows no runs."""

from __future__ import annotations

import os
import time

from footfall.runner.process import tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

DONE = b"\0done"
"""What a child says last when all went well."""
_LOOK_S = 0.02


def hear_out(
    pid: int, heard: int, listen: Callable[[float], None], *, look_s: float = 0.005, patience_s: float = 0.0
) -> tuple[bytes, bool]:
    """Return what a child says, and whether all went well; close ``heard``, and leave nothing of the child.

    Args:
        heard: a descriptor that yields what it says, and does not block.
        listen: waits so many seconds while signals are heard; what it raises ends the child.
        look_s: how often there may be something.
        patience_s: how long a child that is ended early may take to clean up, after SIGTERM.
    """
    said, has_ended = b"", False
    try:
        while not has_ended:
            listen(look_s)
            data = _read_some(heard)
            said += data or b""
            has_ended = data == b"" or said.endswith(DONE)
        return said.removesuffix(DONE), said.endswith(DONE)
    finally:
        if patience_s and not has_ended:
            tree.signal_all([pid], tree.SIGTERM)
            _wait(pid, patience_s)
        # It has said all that it will, or nobody waits for it any more.
        tree.signal_all([*tree.Tree().below(pid), pid] if patience_s else [pid], tree.SIGKILL)
        os.close(heard)


def _wait(pid: int, patience_s: float) -> None:
    deadline = time.monotonic() + patience_s
    try:
        while time.monotonic() < deadline and os.waitpid(pid, os.WNOHANG)[0] == 0:
            time.sleep(_LOOK_S)
    except ChildProcessError:
        pass  # it had ended before


def _read_some(fd: int) -> bytes | None:
    """Return what there is to read, nothing at the end, None when there is nothing yet."""
    try:
        return os.read(fd, 1 << 16)
    except BlockingIOError:
        return None
