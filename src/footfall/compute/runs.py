"""What a caller may do to a run. Knows no HTTP, executor or clock but the database's."""

import json
from dataclasses import replace

from sqlalchemy.engine import Connection

from footfall.db import run_numbers, runs
from footfall.errors import NotFoundError, WrongStateError
from footfall.records import Json, Product, Run, RunSpec, new_id, utc_now
from footfall.states import FINAL_STATES, LIVE_STATES, RunState

COMMAND = "command"
"""The kind of users' runs; behavior's have others."""


def create_run(
    tx: Connection,
    *,
    account_id: str,
    project_id: str,
    spec: RunSpec,
    kind: str = COMMAND,
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


def create_command_run(
    tx: Connection,
    *,
    account_id: str,
    user_id: str,
    project_id: str,
    spec: RunSpec,
    product: Product,
    priority: int,
    request: Json,
    sealed: bytes | None,
    run_id: str | None = None,
) -> Run:
    """Register a run of a user's command under the next number of its project; wake the reconciler after commit.

    Args:
        spec: its workload gets the number as its name.
        request: what the caller asked for, as it is shown: secret values masked.
        sealed: JSON of the secret values of its environment, encrypted and bound to ``run_id``.

    Raises:
        NotFoundError: the account has no such project.
        WrongStateError: the project is not open.
    """
    assert spec.workload is not None
    workload = spec.workload
    number, serial = run_numbers.take_numbers(tx, account_id, project_id, spec.n_nodes)
    run = Run(
        id=run_id or new_id(),
        account_id=account_id,
        project_id=project_id,
        state=RunState.REGISTERED,
        spec=replace(spec, gpu_model=product.gpu_model, workload=replace(workload, run_name=str(number))),
        attempt=0,
        created_at=utc_now(),
        kind=COMMAND,
        number=number,
        run_type=product.run_type,
        product_code=product.code,
        user_id=user_id,
        priority=priority,
    )
    runs.insert(tx, run, serial=serial, request=json.dumps(request), sealed=sealed)
    return run


def delete_run(tx: Connection, run: Run) -> None:
    """Delete a user's run that has ended; its number stays spent, and housekeeping removes its files.

    Raises:
        WrongStateError: it has not ended.
        NotFoundError: it was deleted meanwhile.
    """
    if runs.hide(tx, run.id):
        return
    state = runs.get(tx, run.id).state
    if state.is_final:
        raise NotFoundError("run", str(run.number))
    details = f"The run is {state}; stop it first."
    raise WrongStateError("run", run.id, state, sorted(FINAL_STATES), details)


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
