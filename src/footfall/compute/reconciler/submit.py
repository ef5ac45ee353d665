"""Give waiting runs their turn, and submit them to the executor.

The grant of a run is written in one transaction with its turn, before the executor is called; a server that dies in
between leaves a grant without a handle, which the next one submits again.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import structlog

from footfall.compute.reconciler.hooks import HooksByKind
from footfall.compute.reconciler.lease import DeposedError
from footfall.compute.reconciler.outcome import Outcome, refuse
from footfall.compute.reconciler.ports import Ports
from footfall.compute.reconciler.schedule import Decision, Holder, Limits, schedule
from footfall.config import Settings
from footfall.contract.nodes import JobFile
from footfall.db import allocations, leases, runs
from footfall.db.engine.engine import Connection, Database, now_us
from footfall.errors import DataError, ExecutorUnavailableError, StoreFullError, SubmitRejectedError
from footfall.executor import Executor, Launch
from footfall.records import Grant, Run, utc_now
from footfall.states import RunState

PENDING_PER_PROJECT = 8
"""How many runs of a project wait as pending, and how many more are read; the others stay registered, where they cost
nothing and a delete still cancels them."""
PROJECTS_PER_TICK = 200
EPOCH_NAME = "reconciler"

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Submitter:
    """The first half of the reconciler.

    ``end`` ends a run that can never start. ``refused``: how runs are to end that cannot go on and of which something started.
    """

    settings: Settings
    database: Database
    executor: Executor
    hooks: HooksByKind
    epoch: int
    ports: Ports
    end: Callable[[Run, Outcome], None]
    refused: dict[str, Outcome] = field(default_factory=dict)

    def give_turns(self, waiting: Sequence[Run], fresh: Sequence[Run], held: Mapping[str, Holder]) -> list[tuple[Run, Grant]]:
        """Decide who starts; return those runs, now pending, with what they were given.

        Args:
            waiting: runs that are pending already.
            fresh: registered runs whose turn may be next.
        """
        decisions = schedule(
            [*waiting, *fresh],
            held.values(),
            self.executor.capacity,
            self.executor.gpus,
            Limits(self.settings.project_max_runs, self.settings.project_max_gpus, self.settings.overtake_limit_s),
            utc_now(),
        )
        pending = Counter(run.project_id for run in waiting)
        ports = {holder.grant.port for holder in held.values() if holder.grant.port is not None}
        steps = [step for decision in decisions if (step := self._step(decision, pending, ports)) is not None]
        if not steps:
            return []
        with self.database.write() as tx:
            if not leases.has_epoch(tx, EPOCH_NAME, self.epoch):
                raise DeposedError()
            started = [taken for decision in steps if (taken := self._take(tx, decision)) is not None]
            overtaken = [each.run.id for each in steps if each.is_overtaken and each.run.overtaken_at is None]
            if overtaken:
                runs.note_overtaken(tx, overtaken, now_us())
        return started

    def submit(self, run: Run, grant: Grant) -> None:
        """Hand a run with what it was given to the executor, and note the handle."""
        try:
            with self.database.write() as tx:
                spec = self.hooks.complete_spec(tx, run)
            with self.database.read() as connection:
                secrets = self.hooks.open_secrets(connection, run)
            total, n_nodes = grant.total, spec.n_nodes
            spec = replace(spec, n_cores=total.n_cores // n_nodes, memory_mib=total.memory_mib // n_nodes)
            private = None if spec.job is None else self._job_file(spec.job, run.attempt)
            handle = self.executor.submit(
                Launch(run.id, run.attempt, spec, private, secrets=secrets, shares=grant.shares, port=grant.port)
            )
        except ExecutorUnavailableError as error:
            with self.database.write() as tx:
                runs.set_message(tx, run.id, str(error))
            return
        except (DataError, SubmitRejectedError, StoreFullError) as error:
            self._refuse(run, refuse(error))
            return
        with self.database.write() as tx:
            if runs.set_handle(tx, run.id, run.attempt, handle):
                log.info("run_submitted", run_id=run.id, attempt=run.attempt)
                return
        self.executor.cancel(handle)

    def _refuse(self, run: Run, outcome: Outcome) -> None:
        handle = self.executor.find(run.id, run.attempt, run.spec.n_nodes)
        if handle is None:
            self.end(run, outcome)
            return
        # A node of it, or an earlier submit of a server that died: it ends when nothing of that is left.
        self.refused[run.id] = outcome
        with self.database.write() as tx:
            runs.set_handle(tx, run.id, run.attempt, handle)
        self.executor.cancel(handle)

    def _step(self, decision: Decision, pending: Counter[str], taken: set[int]) -> Decision | None:
        """Return what there is to write for a decision, if anything; a grant gets its port."""
        run = decision.run
        if decision.grant is not None:
            if run.spec.workload is None or self.executor.capacity is None:
                return decision
            port = self.ports.find_free(taken)
            if port is not None:
                taken.add(port)
                return replace(decision, grant=replace(decision.grant, port=port))
            decision = Decision(run, None, "Waits for a port on which its nodes can meet.")
        if run.state == RunState.REGISTERED:
            pending[run.project_id] += 1
            return decision if pending[run.project_id] <= PENDING_PER_PROJECT else None
        is_new = run.message != decision.message or (decision.is_overtaken and run.overtaken_at is None)
        return decision if is_new else None

    def _take(self, tx: Connection, decision: Decision) -> tuple[Run, Grant] | None:
        """Write a decision; return the run and its grant if it starts and no other process moved it meanwhile."""
        run, grant = decision.run, decision.grant
        message = None if grant is not None else decision.message
        if run.state == RunState.REGISTERED:
            if not runs.advance(tx, run.id, RunState.REGISTERED, RunState.PENDING, in_attempt=run.attempt, message=message):
                return None
            run = replace(run, state=RunState.PENDING)
        elif grant is None:
            runs.set_message(tx, run.id, message)
        if grant is None or not runs.is_waiting(tx, run.id, run.attempt):
            return None
        allocations.allocate(tx, run, grant, self.epoch)
        return replace(run, message=None), grant

    def _job_file(self, job: Mapping[str, Any], attempt: int) -> JobFile:
        return JobFile(
            job=dict(job),
            attempt=attempt,
            buckets=self.settings.buckets_location().to_json(),
            internal=self.settings.internal_location().to_json(),
        )
