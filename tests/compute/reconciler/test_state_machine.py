"""The life of runs against a small model: any order of requests, nodes that start, end or vanish, and servers that die.

The database and the nodes' files are real; the test plays the runners, so that it decides what happens when.
"""

import itertools
import json
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from unittest.mock import patch

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from engine_helpers import Engine
from footfall import layout
from footfall.compute.reconciler import reconcile
from footfall.compute.reconciler.lease import DeposedError
from footfall.compute.reconciler.reconcile import Reconciler
from footfall.compute.reconciler.submit import EPOCH_NAME
from footfall.compute.runs import cancel_run, delete_run
from footfall.config import load_settings
from footfall.db import allocations, leases, runs
from footfall.errors import ExecutorUnavailableError, NotFoundError, SubmitRejectedError, WrongStateError
from footfall.executor import Executor, Launch, Liveness, Observation
from footfall.machine.gpus import fake_gpus
from footfall.records import Capacity, Product, Run
from footfall.states import RunState

N_EXAMPLES = int(os.environ.get("FOOTFALL_FAULTS", "20"))


class ServerDied(BaseException):
    """As if the process had been killed at this very point."""


@dataclass
class Node:
    """What the test plays as the runner of one node of one attempt."""

    directory: Path
    is_alive: bool = True
    is_started: bool = False
    is_rescheduled: bool = False
    was_asked_to_stop: bool = False


@dataclass
class Played(Executor):
    """Nodes in memory that outlive servers; says of them what a real executor would."""

    root: Path
    nodes: dict[tuple[str, int], list[Node]] = field(default_factory=dict)
    launches: list[Launch] = field(default_factory=list)
    mishap: str = ""

    @property
    def capacity(self) -> Capacity:
        return Capacity(3, 3000, 2)

    @property
    def gpus(self):  # type: ignore[no-untyped-def]
        return fake_gpus(2)

    def submit(self, launch: Launch) -> str:
        mishap, self.mishap = self.mishap, ""
        if mishap == "dies before":
            raise ServerDied
        if mishap == "away":
            raise ExecutorUnavailableError("not now")
        if mishap == "refuses":
            raise SubmitRejectedError("never")
        key = (launch.run_id, launch.attempt)
        if key not in self.nodes:
            assert not any(node.is_alive for (id, _), nodes in self.nodes.items() if id == launch.run_id for node in nodes)
            self.launches.append(launch)
            self.nodes[key] = []
            for rank in range(launch.spec.n_nodes):
                directory = self.root / layout.node_dir(*key, rank)
                directory.mkdir(parents=True)
                self.nodes[key].append(Node(directory))
        if mishap == "dies after":
            raise ServerDied
        return f"{launch.run_id}:{launch.attempt}"

    def find(self, run_id: str, attempt: int, n_nodes: int) -> str | None:
        return f"{run_id}:{attempt}" if (run_id, attempt) in self.nodes else None

    def poll(self, handles: Sequence[str]) -> Mapping[str, Observation]:
        def look(handle: str) -> Observation:
            is_alive = any(node.is_alive for node in self.of(handle))
            return Observation(Liveness.RUNNING if is_alive else Liveness.GONE)

        return {handle: look(handle) for handle in handles}

    def cancel(self, handle: str) -> None:
        for node in self.of(handle):
            node.was_asked_to_stop = True

    def of(self, handle: str) -> list[Node]:
        run_id, attempt = handle.split(":")
        return self.nodes[run_id, int(attempt)]


class Life(RuleBasedStateMachine):
    """Rules are what people, machines and fate do."""

    made = Bundle("made")
    template: Path | None = None

    @initialize()
    def open(self) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="footfall-life-"))
        if Life.template is None:
            Life.template = Path(tempfile.mkdtemp(prefix="footfall-life-")) / "footfall.db"
            first = Engine(load_settings(Life.template.parent / "home", {}))
            first.db.close()
            shutil.copy(first.settings.data_dir / "footfall.db", Life.template)
        (self.home / "data").mkdir()
        shutil.copy(Life.template, self.home / "data" / "footfall.db")
        self.engine = Engine(load_settings(self.home, {}, project_max_runs=3))
        self.executor = Played(self.engine.settings.runs_root)
        self.finals: dict[str, RunState] = {}
        self.cancelled: set[str] = set()
        self.deleted: set[str] = set()
        self.n_refused = 0
        self.new_server()

    @rule()
    def new_server(self) -> None:
        with self.engine.db.write() as tx:
            epoch = leases.begin_epoch(tx, EPOCH_NAME, "test")
        self.stale = getattr(self, "reconciler", None)
        self.reconciler = Reconciler(self.engine.settings, self.engine.db, self.executor, self.engine.all_hooks, epoch)

    @rule(target=made, size=st.sampled_from([(1, 1), (1, 2), (2, 1)]), gpus=st.integers(0, 1), priority=st.integers(-1, 1))
    def create(self, size: tuple[int, int], gpus: int, priority: int) -> Run:
        nodes, cores = size
        product = Product(1, "TRAIN", (1, 2), "p", "p", cores, 500, gpus)
        return self.engine.create_command(product=product, n_nodes=nodes, priority=priority)

    @rule(target=made, attempts=st.integers(1, 3))
    def create_ours(self, attempts: int) -> Run:
        return self.engine.get(self.engine.create("true", max_attempts=attempts, turn_key="task:a"))

    @rule(mishap=st.sampled_from(["", "", "", "dies before", "dies after", "away", "refuses"]))
    def look(self, mishap: str) -> None:
        self.executor.mishap = mishap
        try:
            self.reconciler.tick()
        except ServerDied:
            self.new_server()
        self.executor.mishap = ""

    @rule()
    def the_server_before_wakes_up(self) -> None:
        """It was paused, not dead, and looks once more."""
        if self.stale is not None:
            with suppress(DeposedError):
                self.stale.tick()

    @rule(run=made, rank=st.integers(0, 1), code=st.sampled_from([0, 0, 1, -9]), asks=st.booleans())
    def node_goes_on(self, run: Run, rank: int, code: int, asks: bool) -> None:
        """A node's runner starts its command; when it had, the command ends."""
        node = self.node(run, rank)
        if node is None:
            return
        if not node.is_started:
            node.is_started = True
            self.write(node, layout.STARTED, {"started_at": 1.0})
        elif node.was_asked_to_stop:
            self.end(node, -15, "stopped")
        else:
            node.is_rescheduled = asks
            self.end(node, code, {0: None, 1: "command_failed", -9: "signalled"}[code])

    @rule(run=made, rank=st.integers(0, 1), asks=st.booleans())
    def runner_is_killed(self, run: Run, rank: int, asks: bool) -> None:
        node = self.node(run, rank)
        if node is not None:
            if asks and node.is_started:
                self.write(node, layout.RESCHEDULED, {"rescheduled": True})
            node.is_alive = False

    @rule(run=made)
    def cancel(self, run: Run) -> None:
        with suppress(WrongStateError), self.engine.db.write() as tx:
            cancel_run(tx, run.id, "alice")
            self.cancelled.add(run.id)

    @rule(run=made)
    def delete(self, run: Run) -> None:
        if run.number is None:
            return
        is_final = self.engine.get(run.id).state.is_final
        try:
            with self.engine.db.write() as tx:
                delete_run(tx, run)
            assert is_final
            self.deleted.add(run.id)
        except WrongStateError:
            assert not is_final
        except NotFoundError:
            assert run.id in self.deleted

    @invariant()
    def an_end_is_for_ever_and_true(self) -> None:
        for run in self.all_runs():
            if run.id in self.finals:
                assert run.state == self.finals[run.id]
            elif run.state.is_final:
                self.finals[run.id] = run.state
                self.check_end(run)

    @invariant()
    def what_is_held_is_held_once_and_by_the_living(self) -> None:
        with self.engine.db.read() as connection:
            grants = allocations.find_grants(connection)
            units = connection.exec_driver_sql("SELECT kind, unit, run_id FROM held_units").all()
        states = {run.id: run.state for run in self.all_runs()}
        assert {states[id] for id in [*grants, *(row.run_id for row in units)]} <= {RunState.PENDING, RunState.IN_PROGRESS}
        assert sum(grant.total.n_cores for grant in grants.values()) <= 3
        assert sum(grant.total.n_gpus for grant in grants.values()) <= 2
        alive = {id for (id, _), nodes in self.executor.nodes.items() if any(node.is_alive for node in nodes)}
        assert alive <= set(grants), "something runs on what it no longer holds"
        for launch in self.executor.launches:
            assert launch.spec.workload is None or launch.port is not None
            assert [len(share.gpus) for share in launch.shares] == [launch.spec.n_gpus] * launch.spec.n_nodes
            assert [len(share.cores) for share in launch.shares] == [launch.spec.n_cores] * launch.spec.n_nodes

    @invariant()
    def no_attempt_was_started_twice(self) -> None:
        started = Counter((launch.run_id, launch.attempt) for launch in self.executor.launches)
        assert set(started.values()) <= {1}

    @invariant()
    def numbers_are_dense_and_counts_are_those_of_the_rows(self) -> None:
        with self.engine.db.read() as connection:
            numbers = (
                connection.exec_driver_sql("SELECT number FROM runs WHERE number IS NOT NULL ORDER BY number").scalars().all()
            )
            counted = connection.exec_driver_sql("SELECT state, n FROM run_counts WHERE scope = 'own' AND n > 0").all()
            shown = connection.exec_driver_sql(
                "SELECT state, COUNT(*) AS n FROM runs WHERE number IS NOT NULL AND deleted_at IS NULL GROUP BY state"
            ).all()
            project = connection.exec_driver_sql("SELECT last_run, n_runs FROM projects WHERE id = 'own'").one()
        assert numbers == list(range(1, len(numbers) + 1))
        assert sorted(tuple(row) for row in counted) == sorted(tuple(row) for row in shown)
        assert tuple(project) == (len(numbers), len(numbers) - len(self.deleted))

    def check_end(self, run: Run) -> None:
        """The state of an ended run follows from how its nodes ended."""
        events = self.engine.events(run.id)
        assert events[0] == (None, "registered")
        assert all(before[1] == after[0] for before, after in itertools.pairwise(events))
        assert run.id in self.cancelled or run.state is not RunState.CANCELLED
        nodes = self.executor.nodes.get((run.id, run.attempt), [])
        assert not any(node.is_alive for node in nodes), "it ended while something of it ran"
        finals = [json.loads((node.directory / layout.STATUS).read_text()) for node in nodes if self.has_ended(node)]
        is_clean = len(finals) == run.spec.n_nodes and all(final["exit_code"] == 0 for final in finals)
        assert (run.state is RunState.COMPLETED) == is_clean
        assert run.attempt < (10 if run.spec.workload else run.spec.max_attempts)

    def teardown(self) -> None:
        if not hasattr(self, "engine"):
            return
        for _ in range(200):
            live = [run for run in self.all_runs() if not run.state.is_final]
            if not live:
                break
            self.look("")
            for run in live:
                for rank in range(2):
                    self.node_goes_on(run, rank, 0, False)
        self.an_end_is_for_ever_and_true()
        assert all(run.state.is_final for run in self.all_runs())
        with self.engine.db.read() as connection:
            assert allocations.find_grants(connection) == {}
            assert connection.exec_driver_sql("SELECT COUNT(*) FROM held_units").scalar() == 0
        self.engine.db.close()
        shutil.rmtree(self.home)

    def node(self, run: Run, rank: int) -> Node | None:
        nodes = self.executor.nodes.get((run.id, self.engine.get(run.id).attempt), [])
        return nodes[rank] if rank < len(nodes) and nodes[rank].is_alive else None

    def end(self, node: Node, code: int, reason: str | None) -> None:
        final = {"exit_code": code, "reason": reason, "name": None, "details": None, "started_at": 1.0, "ended_at": 2.0}
        self.write(node, layout.STATUS, final | {"rescheduled": node.is_rescheduled})
        node.is_alive = False

    def all_runs(self) -> list[Run]:
        with self.engine.db.read() as connection:
            ids = connection.exec_driver_sql("SELECT id FROM runs ORDER BY id").scalars().all()
            return [runs.get(connection, id) for id in ids]

    @staticmethod
    def has_ended(node: Node) -> bool:
        return (node.directory / layout.STATUS).exists()

    @staticmethod
    def write(node: Node, name: str, content: object) -> None:
        (node.directory / name).write_text(json.dumps(content))


def test_any_life_of_runs_follows_the_model() -> None:
    from hypothesis.stateful import run_state_machine_as_test

    with patch.object(reconcile, "POLL_INTERVAL_S", 0.0), patch.object(reconcile, "CANCEL_INTERVAL_S", 0.0):
        run_state_machine_as_test(Life, settings=settings(max_examples=N_EXAMPLES, stateful_step_count=30, deadline=None))
