"""What the machine does to runs: submit those whose time has come, observe those that live, rescue or end the others.

One loop, held by one process at a time (``lease.py``), rung awake by new runs and by runners, with a timer behind it for
what nobody rings for. Each step reads in one short look, does the slow thing outside any transaction, and writes in one
guarded transaction: where a run is no longer in the state that was seen, somebody else has moved it and the step is void.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from enum import Enum
from pathlib import Path
from typing import Any, Protocol

import structlog
from sqlalchemy.engine import Connection

from footfall.compute import nodes
from footfall.compute.outcome import Outcome, judge, refuse
from footfall.compute.schedule import schedule
from footfall.config import Settings
from footfall.db import holdings, runs
from footfall.db.engine import Database, now_us, to_us
from footfall.errors import DataError, ExecutorUnavailableError, FootfallError, StoreFullError, SubmitRejectedError
from footfall.executor import Capacity, Executor, Launch, Liveness
from footfall.records import Run, RunSpec, utc_now
from footfall.states import FailureReason, RunState

LOOK_AHEAD = 32
"""How many runs wait as pending; the others stay registered, where they cost nothing and a delete still cancels them."""
POLL_S = 0.25
CANCEL_S = 1.0

log = structlog.get_logger()


class Activity(Enum):
    """What a look at the runs found, and so how soon the next one should come."""

    MOVED = "moved"
    """A run ended or goes back: what it held may start another at once."""
    LIVELY = "lively"
    IDLE = "idle"


class RunHooks(Protocol):
    """What the owner of a run adds to it, in the transactions that move it."""

    def complete_spec(self, tx: Connection, run: Run) -> RunSpec:
        """Return the run's spec with what can only be known now that its turn has come.

        Raises:
            DataError: the run must not start any more, with the name and the sentence that its owner shows.
        """

    def run_ended(self, tx: Connection, run: Run) -> None:
        """Act on the end of a run, in the transaction that ends it."""


class Reconciler:
    """Moves every live run of one database."""

    def __init__(self, settings: Settings, database: Database, executor: Executor, hooks: RunHooks, epoch: int) -> None:
        self._settings = settings
        self._db = database
        self._executor = executor
        self._hooks = hooks
        self._epoch = epoch
        self._root: Path = settings.runs_root
        self._places = {"buckets": settings.buckets_place().to_json(), "internal": settings.internal_place().to_json()}
        self._polled_at = 0.0
        self._has_moved = False
        self._asked: dict[str, float] = {}

    def tick(self) -> Activity:
        """Look at every live run once; return whether something moved, or at least lives."""
        self._has_moved = False
        with self._db.read() as connection:
            active = runs.find_active(connection)
            held = {run_id: grant.total for run_id, grant in holdings.find_grants(connection).items()}
        self._observe([run for run in active if run.handle is not None])
        waiting: list[Run] = []
        for run in active:
            if run.handle is None and run.id in held:
                self._guard(self._submit, run)  # a server died between giving it its cores and noting its handle
            elif run.handle is None and run.cancel_requested_at is not None:
                self._guard(self._cancel_waiting, run)
            elif run.handle is None:
                waiting.append(run)
        self._start_waiting(waiting, held)
        if self._has_moved:
            return Activity.MOVED
        return Activity.LIVELY if active else Activity.IDLE

    def _observe(self, active: Sequence[Run]) -> None:
        for run in active:
            self._guard(self._observe_one, run)
        if not active or time.monotonic() - self._polled_at < POLL_S:
            return
        self._polled_at = time.monotonic()
        seen = self._executor.poll([run.handle for run in active if run.handle])
        for run in active:
            observation = seen.get(run.handle or "")
            if observation is None:
                continue
            if observation.liveness == Liveness.GONE:
                self._guard(self._rescue, run)
            elif observation.message:
                with self._db.write() as tx:
                    runs.set_message(tx, run.id, observation.message)

    def _observe_one(self, run: Run) -> None:
        statuses = self._statuses(run)
        finals = [status.final for status in statuses if status.final is not None]
        if len(finals) == len(statuses):
            self._end(run, judge(run, finals))
            return
        is_broken = any(final["exit_code"] != 0 for final in finals)
        if run.cancel_requested_at is not None or is_broken:
            self._ask_to_stop(run)
        times = [status.started_at for status in statuses if status.started_at is not None]
        if run.state == RunState.PENDING and len(times) == len(statuses):
            with self._db.write() as tx:
                self._note_start(tx, run, max(times))

    def _rescue(self, run: Run) -> None:
        """Start a run again, or end it, whose processes are proved to be gone."""
        finals = [status.final for status in self._statuses(run)]
        if all(final is not None for final in finals):
            return  # it ended between two looks; the next one reads how
        lost = {
            "exit_code": None,
            "reason": FailureReason.LOST.value,
            "name": None,
            "details": FailureReason.LOST.message(),
        }
        self._end(run, judge(run, [final or lost for final in finals]))

    def _end(self, run: Run, outcome: Outcome) -> None:
        nodes.remove_scratch(self._root, run.id, run.attempt, run.spec.n_nodes)
        with self._db.write() as tx:
            state = run.state
            if outcome.started_at is not None and state == RunState.PENDING and outcome.state != RunState.CANCELLED:
                self._note_start(tx, run, outcome.started_at)
                state = RunState.IN_PROGRESS
            if not runs.advance(tx, run.id, state, outcome.state, in_attempt=run.attempt, **_columns(run, outcome)):
                return
            if outcome.state.is_final:
                self._hooks.run_ended(tx, runs.get(tx, run.id))
        self._asked.pop(run.id, None)
        self._has_moved = True
        log.info("run_moved", run_id=run.id, state=outcome.state, attempt=run.attempt, reason=outcome.reason)

    def _note_start(self, tx: Connection, run: Run, started_at: float) -> None:
        at = int(started_at * 1_000_000)
        runs.advance(
            tx, run.id, RunState.PENDING, RunState.IN_PROGRESS, in_attempt=run.attempt, started_at=at, message=None
        )

    def _ask_to_stop(self, run: Run) -> None:
        now = time.monotonic()
        if run.handle and now - self._asked.get(run.id, -CANCEL_S) >= CANCEL_S:
            self._asked[run.id] = now
            self._executor.cancel(run.handle)

    def _cancel_waiting(self, run: Run) -> None:
        with self._db.write() as tx:
            if runs.advance(tx, run.id, RunState.PENDING, RunState.CANCELLED, in_attempt=run.attempt):
                self._hooks.run_ended(tx, runs.get(tx, run.id))
        self._has_moved = True

    def _start_waiting(self, waiting: Sequence[Run], held: Mapping[str, Capacity]) -> None:
        fresh: list[Run] = []
        room = LOOK_AHEAD - len(waiting)
        if room > 0:
            with self._db.read() as connection:
                fresh = runs.find_waiting(connection, room)[:room]
        if not waiting and not fresh:
            return
        decisions = schedule(sorted([*waiting, *fresh], key=lambda run: run.id), held.values(), self._executor.capacity)
        new = {run.id for run in fresh}
        if not new and all(
            decision.need is None and decision.run.message == decision.message for decision in decisions
        ):
            return
        granted: list[Run] = []
        with self._db.write() as tx:
            for decision in decisions:
                run = decision.run
                if run.id in new:
                    if not runs.advance(tx, run.id, RunState.REGISTERED, RunState.PENDING, in_attempt=run.attempt):
                        continue
                    run = replace(run, state=RunState.PENDING)
                if decision.need is None:
                    runs.set_message(tx, run.id, decision.message)
                else:
                    holdings.allocate(tx, run, holdings.Grant(decision.need), self._epoch)
                    cores, memory_mib = decision.need.n_cores, decision.need.memory_mib
                    share = replace(
                        run.spec, n_cores=cores // run.spec.n_nodes, memory_mib=memory_mib // run.spec.n_nodes
                    )
                    granted.append(replace(run, spec=share))
        for run in granted:
            self._guard(self._submit, run)

    def _submit(self, run: Run) -> None:
        try:
            spec = run.spec
            with self._db.write() as tx:
                spec = self._hooks.complete_spec(tx, run)
            private: dict[str, Any] | None = None
            if spec.job is not None:
                private = {"job": dict(spec.job), "attempt": run.attempt, **self._places}
            handle = self._executor.submit(Launch(run.id, run.attempt, spec, private))
        except ExecutorUnavailableError as error:
            with self._db.write() as tx:
                runs.set_message(tx, run.id, str(error))
            return
        except (DataError, SubmitRejectedError, StoreFullError) as error:
            self._end(run, refuse(error))
            return
        with self._db.write() as tx:
            if runs.set_handle(tx, run.id, run.attempt, handle):
                return
        self._executor.cancel(handle)

    def _statuses(self, run: Run) -> list[nodes.NodeStatus]:
        return [nodes.read_node(self._root, run.id, run.attempt, rank) for rank in range(run.spec.n_nodes)]

    def _guard(self, step: Any, run: Run) -> None:
        """The door of the reconciler: what goes wrong with one run is logged with its id and tried again at the next look."""
        try:
            step(run)
        except FootfallError as error:
            log.warning("run_step_failed", run_id=run.id, step=step.__name__, error=str(error))
        except Exception:
            log.exception("run_step_failed", run_id=run.id, step=step.__name__)


def _columns(run: Run, outcome: Outcome) -> dict[str, Any]:
    if outcome.state == RunState.REGISTERED:
        delay = timedelta(seconds=outcome.delay_s)
        return {
            "attempt": run.attempt + 1,
            "handle": None,
            "started_at": None,
            "not_before": to_us(utc_now() + delay),
            "message": f"attempt {run.attempt + 2} of {run.spec.max_attempts}: {outcome.details}",
        }
    return {
        "reason": outcome.reason.value if outcome.reason else None,
        "fail_name": outcome.name,
        "fail_details": outcome.details,
        "result": outcome.result_text,
        "message": None,
        "ended_at": now_us(),
    }
