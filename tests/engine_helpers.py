"""The engine without HTTP: a database, an account, a reconcile loop, and commands that really run."""

import contextlib
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from sqlalchemy import select

from footfall.compute.reconciler.hooks import CommandHooks, HooksByKind
from footfall.compute.reconciler.loop import ReconcileLoop
from footfall.compute.reconciler.reconcile import Reconciler
from footfall.compute.runs import PlannedRun, create_run
from footfall.config import Settings, load_settings
from footfall.contract.runs import RunRequest
from footfall.db import runs
from footfall.db.engine.encryption import open_secrets
from footfall.db.engine.engine import Database, now_us, sqlite_url
from footfall.db.engine.migrate import migrate
from footfall.db.tables import accounts, projects, run_events, users
from footfall.executor import load_executor
from footfall.executors.local import MARKER_VARIABLE
from footfall.records import Image, Product, Run, RunSpec, Workload
from footfall.states import RunState
from footfall.stores.buckets import Buckets, open_store

PRODUCT = Product(1, "TRAIN", (1, 2), "1 vCPU", "t1", 1, 256)
USER = {"id": "usr", "account_id": "acc", "name": "usr", "role_nclue": "MANAGER", "role_nsml": "MANAGER", "number": 1}


class RecordingHooks:
    """Hooks that change nothing and remember the ends they were told of."""

    def __init__(self) -> None:
        self.ended: list[tuple[str, RunState]] = []

    def complete_spec(self, tx: object, run: Run) -> RunSpec:
        return run.spec

    def run_ended(self, tx: object, run: Run) -> None:
        self.ended.append((run.id, run.state))


def plan_command(spec: RunSpec, *, product: Product = PRODUCT, priority: int = 0, project_id: str = "own") -> PlannedRun:
    """Return the plan of a user's run of a product, as a request for its script would have it."""
    script = spec.workload.script if spec.workload else None
    request = RunRequest(script or "", {}, "", "BASE", "host", product.code, product.name, spec.n_nodes, [])
    spec = replace(spec, gpu_model=product.gpu_model)
    return PlannedRun("acc", "usr", project_id, spec, product.run_type, product.code, priority, request, {})


class Engine:
    """One home with its loop; ``restart`` stops the loop as a crash would not, ``fresh_loop`` adds one."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        self.db = Database(sqlite_url(settings.data_dir / "footfall.db"))
        migrate(self.db, settings.data_dir / "backup", "test")
        with self.db.write() as tx:
            if tx.execute(accounts.select()).first() is None:
                tx.execute(accounts.insert().values(id="acc", name="acc", is_operator=True, created_at=now_us()))
                tx.execute(projects.insert().values(id="prj", account_id="acc", name="prj", is_system=True, created_at=now_us()))
                tx.execute(projects.insert().values(id="own", account_id="acc", name="own", is_system=False, created_at=now_us()))
                tx.execute(users.insert().values(**USER, created_at=now_us()))
        self.hooks = RecordingHooks()
        self.all_hooks = HooksByKind(CommandHooks(settings, open_secrets(settings.key_file)), self.hooks)
        self.executor = load_executor("local", settings)
        self.loop: ReconcileLoop | None = None

    def make_loop(self) -> ReconcileLoop:
        return ReconcileLoop(
            self.settings,
            self.db,
            open_store(self.settings.internal_location()),
            Buckets(self.settings.buckets_location()),
            lambda epoch: Reconciler(self.settings, self.db, self.executor, self.all_hooks, epoch),
        )

    def start(self) -> None:
        self.loop = self.make_loop()
        self.loop.start()

    def stop(self) -> None:
        if self.loop is not None:
            self.loop.stop()
            self.loop = None

    def create(self, *command: str, turn_key: str | None = None, **spec: object) -> str:
        with self.db.write() as tx:
            made = create_run(
                tx,
                account_id="acc",
                project_id="prj",
                spec=RunSpec(tuple(command), **spec),  # type: ignore[arg-type]
                turn_key=turn_key,
            )
        if self.loop is not None:
            self.loop.wake()
        return made.id

    def create_command(
        self,
        script: str = "true",
        *,
        project_id: str = "own",
        product: Product = PRODUCT,
        priority: int = 0,
        code_digest: str = "",
        **spec: object,
    ) -> Run:
        """Register a user's run of a script."""
        workload = Workload(script, Image("host", "host"), project_id, project_id, "", code_digest=code_digest)
        needs = {"n_cores": product.n_cores, "memory_mib": product.memory_mib, "n_gpus": product.n_gpus}
        with self.db.write() as tx:
            made = plan_command(
                RunSpec((), workload=workload, **(needs | spec)),  # type: ignore[arg-type]
                product=product,
                priority=priority,
                project_id=project_id,
            ).apply(tx)
        if self.loop is not None:
            self.loop.wake()
        return made

    def move(self, run_id: str, *states: RunState, **columns: object) -> None:
        """Walk a run through states without running anything; ``columns`` go with the last."""
        for n, to in enumerate(states, 1):
            more = columns if n == len(states) else {}
            if to is RunState.FAILED:
                more = {"reason": "command_failed"} | more
            with self.db.write() as tx:
                assert runs.advance(tx, run_id, runs.get(tx, run_id).state, to, **more)

    def get(self, run_id: str) -> Run:
        with self.db.read() as connection:
            return runs.get(connection, run_id)

    def wait(self, run_id: str, *states: RunState, timeout_s: float = 30.0) -> Run:
        """Return the run once it is in one of these states, or any final one."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            run = self.get(run_id)
            if run.state in states or run.state.is_final:
                return run
            time.sleep(0.01)
        raise AssertionError(f"run {run_id} is still {run.state} after {timeout_s} s: {run.message}")

    def run(self, *command: str, **spec: object) -> Run:
        return self.wait(self.create(*command, **spec))

    def events(self, run_id: str) -> list[tuple[str | None, str]]:
        with self.db.read() as connection:
            query = select(run_events.c["from_state", "to_state"]).where(run_events.c.run_id == run_id).order_by(run_events.c.id)
            return [(from_state, to_state) for from_state, to_state in connection.execute(query)]

    def node_dir(self, run: Run, rank: int = 0) -> Path:
        return self.settings.runs_root / "runs" / run.id / str(run.attempt) / "nodes" / str(rank)


@contextlib.contextmanager
def open_engine(home: Path, **settings: object) -> Iterator[Engine]:
    engine = Engine(load_settings(home, {}, **settings))
    engine.start()
    try:
        yield engine
    finally:
        engine.stop()
        engine.db.close()


def processes_of(run_id: str) -> list[int]:
    """Return every living process that carries a run's marker, zombies left out."""
    wanted = f"{MARKER_VARIABLE}={run_id}.".encode()
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdecimal():
            with contextlib.suppress(OSError):
                if wanted in Path("/proc", entry, "environ").read_bytes():
                    found.append(int(entry))
    return found


def eventually(condition, timeout_s: float = 10.0) -> None:  # type: ignore[no-untyped-def]
    """Wait until ``condition()`` holds."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.01)
