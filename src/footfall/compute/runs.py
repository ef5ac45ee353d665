"""What a caller may do to a run. Knows no HTTP, executor or clock but the database's."""

from sqlalchemy.engine import Connection

from footfall.db import runs
from footfall.errors import WrongStateError
from footfall.records import Run, RunSpec, new_id, utc_now
from footfall.states import LIVE_STATES, RunState


def create_run(
    tx: Connection,
    *,
    account_id: str,
    project_id: str,
    spec: RunSpec,
    kind: str = "command",
    turn_key: str | None = None,
) -> Run:
    """Register a run. It starts when its turn has come and its cores and memory are free; wake the reconciler after commit.

    Args:
        turn_key: live runs with one key are taken one at a time, in the order they were made.
    """
    run = Run(
        id=new_id(),
        account_id=account_id,
        project_id=project_id,
        state=RunState.REGISTERED,
        spec=spec,
        attempt=0,
        created_at=utc_now(),
        kind=kind,
        turn_key=turn_key,
    )
    runs.insert(tx, run)
    return run


def cancel_run(tx: Connection, run_id: str, by: str) -> None:
    """Ask for a run to be stopped. One that nobody has looked at ends at once, others when nothing of them is left.

    Raises:
        WrongStateError: it has ended.
    """
    if cancel_registered(tx, run_id, by):
        return
    if not runs.request_cancel(tx, run_id, by):
        state = runs.get(tx, run_id).state
        raise WrongStateError("run", run_id, state, sorted(LIVE_STATES), f"The run has ended already: it is {state}.")


def cancel_registered(tx: Connection, run_id: str, by: str) -> bool:
    """End a run that nobody has looked at; False when somebody has, or it has ended."""
    return runs.advance(tx, run_id, RunState.REGISTERED, RunState.CANCELLED, cancelled_by=by)
