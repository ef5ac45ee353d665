"""What a caller may do to a run. Knows no HTTP, executor or clock but the database's."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace

from footfall.contract.runs import RunRequest
from footfall.db import code_archives, run_numbers, runs, volumes
from footfall.db.engine.encryption import Secrets
from footfall.db.engine.engine import Connection
from footfall.errors import NotFoundError, WrongStateError
from footfall.records import Run, RunSpec, new_id, utc_now
from footfall.states import FINAL_STATES, LIVE_STATES, RunState

COMMAND = "command"
"""The kind of users' runs; behavior's have others."""


def create_run(
    tx: Connection, *, account_id: str, project_id: str, spec: RunSpec, kind: str = COMMAND, turn_key: str | None = None
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


@dataclass(frozen=True, slots=True)
class PlannedRun:
    """A run of a user's command that can be made.

    Args:
        spec: its workload gets the run's number as its name.
        request: what the caller asked for, as it is shown.
        secrets: the values of its environment that nobody may see.
    """

    account_id: str
    user_id: str
    project_id: str
    spec: RunSpec
    run_type: str
    product_code: int
    priority: int
    request: RunRequest
    secrets: Mapping[str, str]

    def apply(self, tx: Connection, sealer: Secrets | None = None) -> Run:
        """Register the run under the next number of its project, and take its block storages; wake the reconciler after commit.

        Args:
            sealer: encrypts the secrets; not needed where there are none.

        Raises:
            NotFoundError: the project, a block storage or the code is not there.
            WrongStateError: the project is not open.
            InUseError: another run has a block storage.
        """
        workload = self.spec.workload
        assert workload is not None
        run_id = new_id()
        number, serial = run_numbers.take_numbers(tx, self.account_id, self.project_id, self.spec.n_nodes)
        run = Run(
            id=run_id,
            account_id=self.account_id,
            project_id=self.project_id,
            state=RunState.REGISTERED,
            spec=replace(self.spec, workload=replace(workload, run_name=str(number))),
            attempt=0,
            created_at=utc_now(),
            kind=COMMAND,
            number=number,
            run_type=self.run_type,
            product_code=self.product_code,
            user_id=self.user_id,
            priority=self.priority,
        )
        sealed = sealer.seal(json.dumps(dict(self.secrets)).encode(), run_id) if sealer and self.secrets else None
        runs.insert(tx, run, serial=serial, request=self.request, sealed=sealed)
        for volume in workload.volumes:
            volumes.take(tx, self.account_id, self.project_id, volume.number, run_id)
        if workload.code_digest:
            code_archives.use(tx, self.project_id, workload.code_digest)
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
