"""What the final statuses of a run's nodes mean for the run. Pure: knows no files, clock or database."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from footfall.errors import DataError, StoreFullError, SubmitRejectedError
from footfall.records import Run
from footfall.states import FailureReason, RunState

STORE_DELAY_S = 5.0
_STORE_REASONS = frozenset({FailureReason.STORE_READ, FailureReason.STORE_WRITE})


@dataclass(frozen=True, slots=True)
class Outcome:
    """The next state of a run and why. ``delay_s``: how long to wait before another attempt."""

    state: RunState
    reason: FailureReason | None = None
    name: str | None = None
    details: str | None = None
    result_text: str | None = None
    started_at: float | None = None
    delay_s: float = 0.0


def judge(run: Run, finals: Sequence[dict[str, Any]]) -> Outcome:
    """Return what becomes of a run whose nodes have all ended.

    All with exit code 0: completed, also when a cancel came too late. Else cancelled, if somebody asked for it; else another
    attempt, if the reason allows and some are left; else failed, for the reason of the node that failed first.
    """
    started = [final["started_at"] for final in finals if final.get("started_at") is not None]
    started_at = max(started) if len(started) == len(finals) else None
    failed = [final for final in finals if final["exit_code"] != 0 or final["reason"] is not None]
    if not failed:
        result = finals[0].get("result")
        return Outcome(
            RunState.COMPLETED, result_text=None if result is None else json.dumps(result), started_at=started_at
        )
    if run.cancel_requested_at is not None:
        return Outcome(RunState.CANCELLED, started_at=started_at)
    # A node that was stopped because another failed is not the cause.
    first = min(failed, key=lambda final: (final["reason"] == "stopped", final.get("ended_at") or 0.0))
    reason = FailureReason.SIGNALLED if first["reason"] == "stopped" else FailureReason(first["reason"])
    details = first["details"] or reason.message()
    if reason.retryable and run.attempt + 1 < run.spec.max_attempts:
        delay_s = STORE_DELAY_S * 3**run.attempt if reason in _STORE_REASONS else 0.0
        return Outcome(RunState.REGISTERED, reason=reason, details=details, started_at=started_at, delay_s=delay_s)
    return Outcome(RunState.FAILED, reason=reason, name=first["name"], details=details, started_at=started_at)


def refuse(error: DataError | SubmitRejectedError | StoreFullError) -> Outcome:
    """Return the end of a run that could not be submitted and never will be."""
    if isinstance(error, DataError):
        return Outcome(RunState.FAILED, reason=FailureReason.BAD_INPUT, name=error.name, details=str(error))
    reason = FailureReason.NO_SPACE if isinstance(error, StoreFullError) else FailureReason.REJECTED
    return Outcome(RunState.FAILED, reason=reason, details=str(error))
