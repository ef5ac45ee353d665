"""States, transitions and failure reasons of runs. Pure: knows no database, clock or executor.

``TRANSITIONS`` is the whole life of a run as data; ``db/runs.py`` is the only place that writes a state and asks here first.
See ``docs/explanation/run-lifecycle.md``.
"""

from enum import StrEnum

from footfall.errors import WrongStateError


class RunState(StrEnum):
    """The six states of a run."""

    REGISTERED = "registered"
    """The row is committed. Nobody has looked at it yet, or it waits for its turn."""
    PENDING = "pending"
    """Looked at and not yet running: it waits for cores or memory, or its runner is starting."""
    IN_PROGRESS = "in_progress"
    """Every node's runner has said that the command runs."""
    COMPLETED = "completed"
    """Every node ended with exit code 0."""
    FAILED = "failed"
    """It ended otherwise; the reason says why."""
    CANCELLED = "cancelled"
    """Somebody stopped it, and the executor has shown that nothing of it is left."""

    @property
    def is_final(self) -> bool:
        """Whether nothing can change any more."""
        return self in FINAL_STATES


class ProjectStatus(StrEnum):
    """Where a project is, in the contract's words."""

    CREATED = "CREATED"
    """Open: runs can be made in it."""
    DELETING = "DELETING"
    """Closed: housekeeping removes its files."""
    DELETED = "DELETED"
    """Its files are gone; the row is kept for a while."""


FINAL_STATES = frozenset({RunState.COMPLETED, RunState.FAILED, RunState.CANCELLED})
LIVE_STATES = frozenset(RunState) - FINAL_STATES
ACTIVE_STATES = frozenset({RunState.PENDING, RunState.IN_PROGRESS})

_R, _P, _I = RunState.REGISTERED, RunState.PENDING, RunState.IN_PROGRESS
_C, _F, _X = RunState.COMPLETED, RunState.FAILED, RunState.CANCELLED

TRANSITIONS: frozenset[tuple[RunState, RunState]] = frozenset(
    {
        (_R, _P),  # submit
        (_R, _F),  # the executor refuses for good
        (_R, _X),  # cancelled before anybody looked
        (_P, _I),  # every node started
        (_P, _R),  # rescue
        (_P, _F),  # could not start, or lost for good
        (_P, _X),
        (_I, _C),
        (_I, _F),
        (_I, _R),  # rescue
        (_I, _X),
    }
)


class FailureReason(StrEnum):
    """Why a run failed. A new cause is a new member here, never a new state."""

    COMMAND_FAILED = "command_failed"
    BAD_INPUT = "bad_input"
    REJECTED = "rejected"
    TIMED_OUT = "timed_out"
    START_TIMEOUT = "start_timeout"
    OUT_OF_MEMORY = "out_of_memory"
    NO_SPACE = "no_space"
    STORE_READ = "store_read"
    STORE_WRITE = "store_write"
    STORE_DENIED = "store_denied"
    INPUT_CHANGED = "input_changed"
    RESULT_EXISTS = "result_exists"
    OUTPUT_LIMIT = "output_limit"
    SCRATCH_LIMIT = "scratch_limit"
    LOG_LIMIT = "log_limit"
    SIGNALLED = "signalled"
    LOST = "lost"

    @property
    def retryable(self) -> bool:
        """Whether another attempt may end better: signals we did not send, lost runners, stores that failed."""
        return self in _RETRYABLE

    def message(self) -> str:
        """One sentence for people."""
        return _MESSAGES[self]


_RETRYABLE = frozenset(
    {
        FailureReason.SIGNALLED,
        FailureReason.LOST,
        FailureReason.STORE_READ,
        FailureReason.STORE_WRITE,
        FailureReason.INPUT_CHANGED,
        FailureReason.START_TIMEOUT,
    }
)

_MESSAGES = {
    FailureReason.COMMAND_FAILED: "The command ended with an exit code other than 0; its log says why.",
    FailureReason.BAD_INPUT: "The input is not as it should be; the details name the place.",
    FailureReason.REJECTED: "The command could not be started; the details say what is missing.",
    FailureReason.TIMED_OUT: "It ran longer than its time limit and was stopped; raise the limit or give it less to do.",
    FailureReason.START_TIMEOUT: "Not all nodes came up in time.",
    FailureReason.OUT_OF_MEMORY: "It needed more memory than it was given; raise its memory setting.",
    FailureReason.NO_SPACE: "No space was left on the disk; free some and try again.",
    FailureReason.STORE_READ: "An object could not be read from the store.",
    FailureReason.STORE_WRITE: "An object could not be written to the store.",
    FailureReason.STORE_DENIED: "The store refused access; check its keys and permissions.",
    FailureReason.INPUT_CHANGED: "An input object changed while it was read; try again when nobody writes it.",
    FailureReason.RESULT_EXISTS: "There is another object where the result should go; nothing was overwritten.",
    FailureReason.OUTPUT_LIMIT: "It left more in its output directory than allowed and was stopped.",
    FailureReason.SCRATCH_LIMIT: "It left more in its home, /tmp and copy of the code than allowed and was stopped.",
    FailureReason.LOG_LIMIT: "Its log reached its limit and it was stopped.",
    FailureReason.SIGNALLED: "A signal that we did not send ended it.",
    FailureReason.LOST: "Its process ended without reporting an exit code, as when the machine restarts or somebody kills it.",
}


def check_transition(run_id: str, from_: RunState, to: RunState) -> None:
    """Refuse a change of state that ``TRANSITIONS`` does not have.

    Raises:
        WrongStateError: the pair is not in the table.
    """
    if (from_, to) not in TRANSITIONS:
        allowed = sorted(f for f, t in TRANSITIONS if t == to)
        raise WrongStateError("run", run_id, from_, allowed or ["nothing: no run becomes " + to])
