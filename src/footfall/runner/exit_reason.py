"""Why a node ended, and its final status. Pure: knows no processes or files."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from footfall.contract.nodes import FinalStatus, NodeSpec, Refusal

_SHELL_SIGNAL = 128  # what a shell, and bubblewrap, add to the number of a signal
_MAX_SIGNALS = 64


class ExitReason:
    """Why a node ended; ``status`` makes its final status."""

    def __init__(self, spec: NodeSpec) -> None:
        self._spec = spec
        self.level = "plain"
        self.wait_status: int | None = None
        self.started_at: float | None = None
        self.stop_reason: str | None = None
        self.refusal: Refusal | None = None
        self.result: dict[str, Any] | None = None
        self.is_rescheduled = False
        self.n_dropped_points = 0

    def status(self, ended_at: float, notes: Sequence[str]) -> FinalStatus:
        """Return the content of the final status."""
        exit_code = self._exit_code()
        stop_reason = self.stop_reason
        if exit_code == 0 and self._spec["is_job"]:
            stop_reason = None  # a job of ours that ends with 0 has done its work, whatever was asked of it meanwhile
        refusal = None if exit_code == 0 and stop_reason is None else self.refusal
        reason = stop_reason or (refusal["reason"] if refusal else None)
        if reason is None and exit_code != 0:
            reason = "signalled" if exit_code is not None and exit_code < 0 else "command_failed"
        return {
            "exit_code": exit_code,
            "reason": reason,
            "name": None if stop_reason or refusal is None else refusal["name"],
            "details": self._details(reason, exit_code, refusal),
            "result": self.result if exit_code == 0 and reason is None else None,
            "started_at": self.started_at,
            "ended_at": ended_at,
            "rescheduled": self.is_rescheduled,
            "message": " ".join(notes) or None,
            "dropped_points": self.n_dropped_points,
        }

    def _exit_code(self) -> int | None:
        if self.wait_status is None:
            return None
        signal, code = self.wait_status & 0x7F, self.wait_status >> 8
        if signal:
            return -signal
        if self.level == "bubblewrap" and _SHELL_SIGNAL < code <= _SHELL_SIGNAL + _MAX_SIGNALS:
            return _SHELL_SIGNAL - code  # the sandbox can report a signal only as a shell does
        return code

    def _details(self, reason: str | None, exit_code: int | None, refusal: Refusal | None) -> str | None:
        work = self._spec["workload"]
        limits = {
            "timed_out": f"It ran longer than {self._spec['timeout_s'] or 0:g} s and was stopped.",
            "out_of_memory": f"It used more than the {self._spec['memory_mib']} MiB it was given and was stopped.",
            "output_limit": (
                f"It left more than {work['output_limit_bytes'] if work else 0:,} bytes in its output directory and was stopped."
            ),
            "scratch_limit": (
                f"It left more than {work['scratch_limit_bytes'] if work else 0:,} bytes in its home, /tmp and copy of the code, "
                "and was stopped; the setting is run_scratch_limit_bytes."
            ),
            "log_limit": f"Its log reached {self._spec['log_limit_bytes']:,} bytes and it was stopped.",
        }
        if reason in limits:
            return limits[reason]
        if refusal is not None and refusal["details"]:
            return refusal["details"]
        if reason == "signalled" and exit_code is not None:
            return f"Signal {-exit_code} ended the command. It came neither from a stop nor from a limit of the run."
        if reason == "command_failed":
            return f"The command ended with exit code {exit_code}; its log says why."
        return None
