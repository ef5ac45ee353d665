"""Stop what makes a resource, whatever its kind; the resource stays and shows ``CANCELLED``."""

from typing import Protocol, TypeVar

from footfall.behavior.context import Apply, Workbench
from footfall.behavior.hooks import BehaviorHooks
from footfall.compute import runs
from footfall.db import runs as run_rows
from footfall.db.connection import Connection
from footfall.db.resources import Resources
from footfall.records import Caller, RunStatus


class _MadeByRun(Protocol):
    @property
    def run(self) -> RunStatus: ...


R = TypeVar("R", bound=_MadeByRun)


def cancel(bench: Workbench, caller: Caller, kind: Resources[R], id: str) -> Apply[R]:
    """Ask for the run of a resource to be stopped; the answer raises WrongStateError when it has ended."""

    def apply(tx: Connection) -> R:
        resource = kind.get(tx, caller.account_id, id)
        runs.cancel_run(tx, resource.run.run_id, caller.access_key)
        run = run_rows.get(tx, resource.run.run_id)
        if run.state.is_final:  # nobody had looked at it, so the reconciler will not see it end
            BehaviorHooks(bench.settings).run_ended(tx, run)
        return kind.get(tx, caller.account_id, id)

    return apply
