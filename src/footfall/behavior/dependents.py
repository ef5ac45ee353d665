"""May this be deleted: its own state, and who uses it. The same question for every kind of resource."""

from collections.abc import Sequence

from footfall.compute import runs
from footfall.db.connection import Connection
from footfall.errors import InUseError
from footfall.records import RunStatus
from footfall.states import RunState


def is_untouched(status: RunStatus) -> bool:
    """Whether a resource shows ``registered``: its run waits for its first attempt."""
    return status.state is RunState.REGISTERED and status.attempt == 0


def clear_for_delete(tx: Connection, kind: str, id: str, status: RunStatus, used_by: Sequence[str], *, by: str) -> None:
    """Let a resource be deleted: cancel it if it is registered, refuse if it runs or something unfinished uses it.

    Raises:
        InUseError: it runs, or started this very moment, or ``used_by`` names something.
    """
    if used_by:
        raise InUseError(kind, id, used_by)
    if status.state.is_final:
        return
    if is_untouched(status) and runs.cancel_registered(tx, status.run_id, by):
        return
    raise InUseError(kind, id, ["its own job, which has started"])
