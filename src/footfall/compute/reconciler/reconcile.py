"""Reconcile runs with the machine: submit those whose turn has come, observe those that live, restart or end the others.

One loop, held by one process at a time (``lease.py``), woken by new runs and by runners, with a timer for what wakes nobody.
Each step reads in one short transaction, does the slow thing outside of any, and writes in one guarded transaction: where a
run is no longer in the state that was read, another process has moved it and the step does nothing.
"""

import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from enum import Enum
from pathlib import Path
from typing import Any

import structlog

from footfall.compute.reconciler import nodes
from footfall.compute.reconciler.hooks import HooksByKind
from footfall.compute.reconciler.lease import DeposedError
from footfall.compute.reconciler.outcome import Outcome, judge, max_attempts
from footfall.compute.reconciler.ports import Ports
from footfall.compute.reconciler.schedule import Holder
from footfall.compute.reconciler.submit import PENDING_PER_PROJECT, PROJECTS_PER_TICK, Submitter
from footfall.config import Settings
from footfall.contract.nodes import FinalStatus
from footfall.db import allocations, runs
from footfall.db.engine.engine import Connection, Database, now_us, to_us
from footfall.errors import FootfallError
from footfall.executor import Executor, Liveness
from footfall.prometheus import ServerMetrics
from footfall.records import Grant, Run, utc_now
from footfall.states import FailureReason, RunState

POLL_INTERVAL_S = 0.25
CANCEL_INTERVAL_S = 1.0
STUCK_TIMEOUT_S = 30.0
"""How long after its grace time a run that was told to stop may take; then its runners are killed."""

log = structlog.get_logger()


class Activity(Enum):
    """What a tick found, and so how soon the next one should come."""

    MOVED = "moved"
    """A run ended or goes back to the queue: what it held may start another at once."""
    LIVE = "live"
    IDLE = "idle"


class Reconciler:
    """Moves every live run of one database."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        executor: Executor,
        hooks: HooksByKind,
        epoch: int,
        metrics: ServerMetrics | None = None,
    ) -> None:
        self._metrics = metrics or ServerMetrics()
        self._db = database
        self._executor = executor
        self._hooks = hooks
        self._root: Path = settings.runs_root
        self._submitter = Submitter(settings, database, executor, hooks, epoch, Ports(), self._end)
        self._polled_at = 0.0
        self._has_moved = False
        self._stop_requested_at: dict[str, tuple[float, float]] = {}  # first and last, by the monotonic clock
        self._next_project = ""

    def tick(self) -> Activity:
        """Reconcile every live run once; return whether something moved, or at least lives.

        Raises:
            DeposedError: another process moves the runs now.
        """
        self._has_moved = False
        with self._db.read() as connection:
            active = runs.find_active(connection)
            grants = allocations.find_grants(connection)
        self._observe([run for run in active if run.handle is not None])
        waiting: list[Run] = []
        for run in active:
            if run.handle is None and run.id in grants:
                self._submit(run, grants[run.id])  # a server died between giving it its cores and noting its handle
            elif run.handle is None and run.cancel_requested_at is not None:
                self._guard(run, self._cancel_waiting, run)
            elif run.handle is None:
                waiting.append(run)
        has_started = self._start_waiting(
            waiting, {run.id: Holder(run.project_id, grants[run.id]) for run in active if run.id in grants}
        )
        if self._has_moved:
            return Activity.MOVED
        return Activity.LIVE if active or has_started else Activity.IDLE

    def _observe(self, active: Sequence[Run]) -> None:
        for run in active:
            self._guard(run, self._observe_one, run)
        if not active or time.monotonic() - self._polled_at < POLL_INTERVAL_S:
            return
        self._polled_at = time.monotonic()
        observations = self._executor.poll([run.handle for run in active if run.handle])
        for run in active:
            observation = observations.get(run.handle or "")
            if observation is None:
                continue
            if observation.liveness == Liveness.GONE:
                self._guard(run, self._rescue, run)
                continue
            if observation.gone_nodes:
                self._guard(run, self._stop_if_lost, run, observation.gone_nodes)
            if observation.message:
                with self._db.write() as tx:
                    runs.set_message(tx, run.id, observation.message)

    def _observe_one(self, run: Run) -> None:
        statuses = self._statuses(run)
        finals = [status.final for status in statuses if status.final is not None]
        if len(finals) == len(statuses):
            self._end(run, judge(run, finals))
            return
        is_broken = any(final["exit_code"] != 0 or final["reason"] is not None for final in finals)
        if run.cancel_requested_at is not None or is_broken:
            self._request_stop(run)
        times = [status.started_at for status in statuses if status.started_at is not None]
        if run.state == RunState.PENDING and len(times) == len(statuses):
            message = " ".join(dict.fromkeys(status.message for status in statuses if status.message)) or None
            with self._db.write() as tx:
                self._record_start(tx, run, max(times), message)
            self._observe_start(run, max(times))
            log.info("run_started", run_id=run.id, attempt=run.attempt)

    def _stop_if_lost(self, run: Run, gone_nodes: Sequence[int]) -> None:
        """Stop the nodes of a run that would wait for ever for a node that is gone."""
        statuses = self._statuses(run)
        if any(statuses[rank].final is None for rank in gone_nodes):
            self._request_stop(run)

    def _rescue(self, run: Run) -> None:
        """Start a run again, or end it, whose processes are proved to be gone."""
        statuses = self._statuses(run)
        if all(status.final is not None for status in statuses):
            return  # it ended between two ticks; the next one reads how
        self._end(run, judge(run, [status.final or _lost(status) for status in statuses]))

    def _end(self, run: Run, outcome: Outcome) -> None:
        refusal = self._submitter.refused.get(run.id)
        if refusal is not None and outcome.state in (RunState.FAILED, RunState.REGISTERED):
            outcome = refusal
        columns = _columns(run, outcome)
        if outcome.state.is_final:
            columns |= self._hooks.sum_up(run)
        with self._db.write() as tx:
            state = run.state
            if outcome.started_at is not None and state == RunState.PENDING:
                self._record_start(tx, run, outcome.started_at, None)
                state = RunState.IN_PROGRESS
            if not runs.advance(tx, run.id, state, outcome.state, in_attempt=run.attempt, **columns):
                return
            if outcome.state.is_final:
                self._hooks.run_ended(tx, runs.get(tx, run.id))
        self._metrics.count_move(outcome.state.value, outcome.reason.value if outcome.reason else "")
        if state != run.state and outcome.started_at is not None:
            self._observe_start(run, outcome.started_at)
        self._stop_requested_at.pop(run.id, None)
        self._submitter.refused.pop(run.id, None)
        self._has_moved = True
        log.info("run_moved", run_id=run.id, state=outcome.state, attempt=run.attempt, reason=outcome.reason)
        try:  # last: what a run left behind must not keep it from ending
            nodes.remove_scratch(self._root, run.id, run.attempt, run.spec.n_nodes)
        except OSError as error:
            log.warning("files_left", run_id=run.id, attempt=run.attempt, error=str(error))

    def _record_start(self, tx: Connection, run: Run, started_at: float, message: str | None) -> None:
        at = int(started_at * 1_000_000)
        runs.advance(tx, run.id, RunState.PENDING, RunState.IN_PROGRESS, in_attempt=run.attempt, started_at=at, message=message)

    def _observe_start(self, run: Run, started_at: float) -> None:
        if run.attempt == 0:
            self._metrics.observe_queue_wait(max(0.0, started_at - run.created_at.timestamp()))

    def _request_stop(self, run: Run) -> None:
        now = time.monotonic()
        first, last = self._stop_requested_at.get(run.id, (now, now - CANCEL_INTERVAL_S))
        if not run.handle or now - last < CANCEL_INTERVAL_S:
            return
        self._stop_requested_at[run.id] = first, now
        if now - first < run.spec.grace_s + STUCK_TIMEOUT_S:
            self._executor.cancel(run.handle)
        else:
            log.warning("runner_stuck", run_id=run.id, attempt=run.attempt)
            self._executor.kill(run.handle)

    def _cancel_waiting(self, run: Run) -> None:
        with self._db.write() as tx:
            if not runs.advance(tx, run.id, RunState.PENDING, RunState.CANCELLED, in_attempt=run.attempt, message=None):
                return
            self._hooks.run_ended(tx, runs.get(tx, run.id))
        self._metrics.count_move(RunState.CANCELLED.value, "")
        self._has_moved = True
        log.info("run_moved", run_id=run.id, state=RunState.CANCELLED, attempt=run.attempt, reason=None)

    def _start_waiting(self, waiting: Sequence[Run], held: dict[str, Holder]) -> bool:
        with self._db.read() as connection:
            fresh, self._next_project = runs.find_waiting(connection, PENDING_PER_PROJECT, PROJECTS_PER_TICK, self._next_project)
        if not waiting and not fresh:
            return False
        started = self._submitter.give_turns(waiting, fresh, held)
        for run, grant in started:
            self._submit(run, grant)
        return bool(started)

    def _submit(self, run: Run, grant: Grant) -> None:
        self._guard(run, self._submitter.submit, run, grant)

    def _statuses(self, run: Run) -> list[nodes.NodeStatus]:
        return [nodes.read_node(self._root, run.id, run.attempt, rank) for rank in range(run.spec.n_nodes)]

    def _guard(self, run: Run, step: Callable[..., None], *arguments: Any) -> None:
        """Run a step for one run; what goes wrong is logged with the run's id and tried again at the next tick."""
        try:
            step(*arguments)
        except DeposedError:
            raise
        except FootfallError as error:
            log.warning("run_step_failed", run_id=run.id, step=step.__name__, error=str(error))
        except Exception:
            log.exception("run_step_failed", run_id=run.id, step=step.__name__)


def _lost(status: nodes.NodeStatus) -> FinalStatus:
    """Return the final status of a node whose runner was killed."""
    return FinalStatus(
        exit_code=None,
        reason=FailureReason.LOST.value,
        name=None,
        details=FailureReason.LOST.message(),
        started_at=status.started_at,
        rescheduled=status.is_rescheduled,
        message=status.message,
    )


def _columns(run: Run, outcome: Outcome) -> dict[str, Any]:
    if outcome.state == RunState.REGISTERED:
        delay = timedelta(seconds=outcome.delay_s)
        return {
            "attempt": run.attempt + 1,
            "handle": None,
            "started_at": None,
            "not_before": to_us(utc_now() + delay),
            "message": f"Attempt {run.attempt + 2} of {max_attempts(run)}: {outcome.details}",
            "overtaken_at": None,
        }
    return {
        "reason": outcome.reason.value if outcome.reason else None,
        "fail_name": outcome.name,
        "fail_details": outcome.details,
        "result": outcome.result_text,
        "message": outcome.message,
        "exit_code": outcome.exit_code,
        "ended_at": now_us(),
    }
