"""What the final statuses of a run's nodes mean for the run. Pure: knows no files, clock or database."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from footfall.contract.nodes import FinalStatus, shell_exit_code
from footfall.errors import DataError, StoreFullError, SubmitRejectedError
from footfall.records import Run
from footfall.states import FailureReason, RunState

STORE_DELAY_S = 5.0
MAX_ATTEMPTS = 10
"""Of a user's run that requests another one each time."""
_STORE_REASONS = frozenset({FailureReason.STORE_READ, FailureReason.STORE_WRITE})
_LIMITS = frozenset(
    {
        FailureReason.TIMED_OUT,
        FailureReason.OUT_OF_MEMORY,
        FailureReason.OUTPUT_LIMIT,
        FailureReason.SCRATCH_LIMIT,
        FailureReason.LOG_LIMIT,
        FailureReason.START_TIMEOUT,
        FailureReason.REJECTED,
    }
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The next state of a run and why. ``delay_s``: how long to wait before another attempt.

    ``exit_code``: the first that is not 0, in time, else 0; 128 + n for signal n; None when no node had one.
    """

    state: RunState
    reason: FailureReason | None = None
    name: str | None = None
    details: str | None = None
    result_text: str | None = None
    started_at: float | None = None
    delay_s: float = 0.0
    exit_code: int | None = None
    message: str | None = None


def judge(run: Run, finals: Sequence[FinalStatus]) -> Outcome:
    """Return what becomes of a run whose nodes have all ended.

    All with exit code 0: completed, also when a cancel came too late. Else cancelled, if that was requested; else another
    attempt, if the reason allows and some are left; else failed, for the reason of the node that failed first. A user's run
    that has not completed is attempted again if it requested that, and for no other reason.
    """
    started = [at for final in finals if (at := final["started_at"]) is not None]
    started_at = max(started) if len(started) == len(finals) else None
    exit_code = _exit_code(finals)
    message = " ".join(dict.fromkeys(message for final in finals if (message := final.get("message")))) or None
    failed = [final for final in finals if final["exit_code"] != 0 or final["reason"] is not None]
    first = min(failed, key=_first_failed) if failed else None
    reason = None if first is None else _reason(first)
    details = None if first is None or reason is None else _details(run, finals, first, reason)
    retry_reason = None if first is None else _another_attempt(run, finals, reason)
    if retry_reason is not None:
        return Outcome(
            RunState.REGISTERED,
            reason=reason,
            details=details or retry_reason,
            started_at=started_at,
            delay_s=_delay(run, reason),
        )
    if first is None:
        result = finals[0].get("result")
        text = None if result is None else json.dumps(result)
        return Outcome(RunState.COMPLETED, result_text=text, started_at=started_at, exit_code=exit_code, message=message)
    if run.cancel_requested_at is not None:
        return Outcome(RunState.CANCELLED, started_at=started_at, exit_code=exit_code, message=message)
    return Outcome(
        RunState.FAILED,
        reason=reason,
        name=first["name"],
        details=details,
        started_at=started_at,
        exit_code=exit_code,
        message=message,
    )


def max_attempts(run: Run) -> int:
    """Return how often a run is attempted at most."""
    return run.spec.max_attempts if run.spec.workload is None else MAX_ATTEMPTS


def refuse(error: DataError | SubmitRejectedError | StoreFullError) -> Outcome:
    """Return the end of a run that could not be submitted and never will be."""
    if isinstance(error, DataError):
        return Outcome(RunState.FAILED, reason=FailureReason.BAD_INPUT, name=error.name, details=str(error))
    reason = FailureReason.NO_SPACE if isinstance(error, StoreFullError) else FailureReason.REJECTED
    return Outcome(RunState.FAILED, reason=reason, details=str(error))


def _another_attempt(run: Run, finals: Iterable[FinalStatus], reason: FailureReason | None) -> str | None:
    """Return why there is to be another attempt, or None."""
    if run.cancel_requested_at is not None or run.attempt + 1 >= max_attempts(run):
        return None
    if run.spec.workload is None:
        return reason.message() if reason is not None and reason.retryable else None
    is_requested = reason not in _LIMITS and any(final.get("rescheduled") for final in finals)
    return "The command asked for it." if is_requested else None


def _delay(run: Run, reason: FailureReason | None) -> float:
    return STORE_DELAY_S * 3**run.attempt if reason in _STORE_REASONS else 0.0


def _first_failed(final: FinalStatus) -> tuple[bool, float]:
    # A node that was stopped because another failed is not the cause.
    return final["reason"] == "stopped", final.get("ended_at") or 0.0


def _reason(final: FinalStatus) -> FailureReason:
    if final["reason"] is None:
        return FailureReason.COMMAND_FAILED
    return FailureReason.SIGNALLED if final["reason"] == "stopped" else FailureReason(final["reason"])


def _details(run: Run, finals: Sequence[FinalStatus], first: FinalStatus, reason: FailureReason) -> str:
    details = first["details"] or reason.message()
    return details if run.spec.n_nodes == 1 else f"Node {finals.index(first)}: {details}"


def _exit_code(finals: Iterable[FinalStatus]) -> int | None:
    codes = [final["exit_code"] for final in sorted(finals, key=_first_failed) if final["exit_code"] is not None]
    code = next((code for code in codes if code != 0), 0 if codes else None)
    return None if code is None else shell_exit_code(code)
