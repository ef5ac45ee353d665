"""A server over HTTP on loopback, callers that sign, and runs that end as a test wants them to."""

import asyncio
import contextlib
import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn

from footfall import signing
from footfall.api.app import Application
from footfall.api.context import AppContext
from footfall.api.http.protocol import make_protocol
from footfall.api.table import OPERATIONS
from footfall.behavior.hooks import BehaviorHooks
from footfall.compute.catalogue.products import Machine
from footfall.config import Settings, load_settings
from footfall.db import runs
from footfall.db.access import accounts, api_keys
from footfall.db.engine.encryption import open_secrets
from footfall.db.engine.engine import Database, sqlite_url
from footfall.db.tables import metadata
from footfall.machine.engines import Engine, Engines
from footfall.machine.isolation import Isolation
from footfall.prometheus import ServerMetrics
from footfall.records import Capacity, Gpu
from footfall.server import compose_context
from footfall.states import RunState
from footfall.stores.buckets import Buckets, open_store

MACHINE = Machine(
    Capacity(8, 65_536, 4),
    tuple(Gpu(f"GPU-{n}", "Test GPU", 1024, is_fake=True) for n in range(4)),
    Isolation("bubblewrap", "", 65_534, Engines({}, [Engine("docker", "", "there is no docker here")]), True, False),
)
_clock_lock = threading.Lock()
_clock_last = 0


def now_ms() -> int:
    """The time in milliseconds; never the same twice, as our client does it."""
    global _clock_last
    with _clock_lock:
        _clock_last = max(_clock_last + 1, time.time_ns() // 1_000_000)
        return _clock_last


@dataclass
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> tuple[int, str, str]:
        error = self.json["error"]
        assert set(error) == {"errorCode", "message", "details"}
        assert error["details"]
        return self.status, error["errorCode"], error["message"]

    @property
    def details(self) -> str:
        return str(self.json["error"]["details"])


@dataclass
class Caller:
    """Somebody with a key. One connection a call, so that calls may be made from many threads."""

    port: int
    access_key: str
    secret_key: str = field(repr=False)
    account_id: str = ""
    user_id: str = ""
    api_key: str = field(default="", repr=False)

    def signed(self, method: str, target: str, at_ms: int | None = None) -> dict[str, str]:
        stamp = str(now_ms() if at_ms is None else at_ms)
        signature = signing.sign(self.secret_key.encode(), method, target.encode(), stamp.encode(), self.access_key.encode())
        subscribed = {signing.API_KEY_HEADER: self.api_key} if self.api_key else {}
        return {
            signing.TIMESTAMP_HEADER: stamp,
            signing.ACCESS_KEY_HEADER: self.access_key,
            signing.SIGNATURE_HEADER: signature.decode(),
            **subscribed,
        }

    def __call__(
        self, method: str, target: str, body: Any = None, headers: Mapping[str, str] | None = None, **more: Any
    ) -> Reply:
        content = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        signed = self.signed(method, target) if headers is None else dict(headers)
        return send(self.port, method, target, content, signed | more.get("extra", {}))

    def get(self, target: str) -> Reply:
        return self("GET", target)

    def post(self, target: str, body: Any = None, **extra: str) -> Reply:
        return self("POST", target, body, extra={k.replace("_", "-"): v for k, v in extra.items()})

    def put(self, bucket: str, key: str, content: bytes) -> Reply:
        return self("PUT", f"/data/v1/{bucket}/{key}", content)


def send(port: int, method: str, target: str, body: bytes | None, headers: Mapping[str, str]) -> Reply:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.putrequest(method, target, skip_host=False, skip_accept_encoding=True)
        for name, value in headers.items():
            connection.putheader(name, value)
        if body is not None:
            connection.putheader("content-length", str(len(body)))
        connection.endheaders(body)
        response = connection.getresponse()
        return Reply(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
    finally:
        connection.close()


def raw(port: int, request: bytes, timeout_s: float = 5.0) -> bytes:
    """Send bytes as they are and return all that comes back until the server closes or falls silent."""
    with socket.create_connection(("127.0.0.1", port), timeout=timeout_s) as connection:
        connection.sendall(request)
        chunks = []
        with contextlib.suppress(TimeoutError, ConnectionError):
            while chunk := connection.recv(65536):
                chunks.append(chunk)
        return b"".join(chunks)


@dataclass
class Service:
    settings: Settings
    context: AppContext
    port: int = 0
    wakes: list[float] = field(default_factory=list)
    operator: Caller = field(init=False)

    @property
    def database(self) -> Database:
        return self.context.database

    def account(self, name: str, *, is_operator: bool = False) -> Caller:
        with self.database.write() as tx:
            new = accounts.create_account(tx, self.context.secrets, name=name, user_name="admin", is_operator=is_operator)
            api_key = api_keys.create_api_key(tx, new.account.id, "first").primary
        assert new.key.secret_key
        assert api_key
        return Caller(self.port, new.key.id, new.key.secret_key, new.account.id, new.user.id, api_key)

    def user(self, owner: Caller, name: str, **roles: str) -> Caller:
        with self.database.write() as tx:
            user = accounts.create_user(tx, owner.account_id, name=name, roles=roles)
            key = accounts.create_key(tx, self.context.secrets, owner.account_id, user.id)
        assert key.secret_key
        return Caller(self.port, key.id, key.secret_key, owner.account_id, user.id, owner.api_key)

    def run_id_of(self, resource_id: str) -> str:
        with self.database.read() as connection:
            for table in ("features", "tasks", "task_runs", "shopping_intents", "custom_attributes"):
                query = metadata.tables[table].select().where(metadata.tables[table].c.id == resource_id)
                row = connection.execute(query).one_or_none()
                if row is not None:
                    return str(row.run_id)
        raise AssertionError(resource_id)

    def move(self, resource_id: str, *states: RunState, **columns: Any) -> None:
        """Walk the run of a resource through states, as the reconciler does; columns go with the last."""
        run_id = self.run_id_of(resource_id)
        hooks = BehaviorHooks(self.settings)
        with self.database.write() as tx:
            for number, state in enumerate(states, 1):
                run = runs.get(tx, run_id)
                last = number == len(states)
                assert runs.advance(tx, run_id, run.state, state, **(columns if last else {}))
                if state.is_final:
                    hooks.run_ended(tx, runs.get(tx, run_id))

    def complete(self, resource_id: str, result: dict[str, Any]) -> None:
        self.move(resource_id, RunState.PENDING, RunState.IN_PROGRESS, RunState.COMPLETED, result=json.dumps(result))

    def fail(self, resource_id: str, reason: str, **columns: Any) -> None:
        self.move(resource_id, RunState.PENDING, RunState.IN_PROGRESS, RunState.FAILED, reason=reason, **columns)


def feature_result(feature_id: str, encoder_id: str | None = None, users: int = 3, name: str = "f") -> dict[str, Any]:
    """What make_feature reports; without ``encoder_id`` it fitted one of its own."""
    encoder = encoder_id or feature_id
    return {
        "user_count": users,
        "token_count": 10,
        "disk_usage": 1000,
        "artefact": f"features/{feature_id}/0",
        "encoder": {
            "id": encoder,
            "name": name,
            "artefact": f"encoders/{encoder}/0",
            "n_users": users,
            "size_bytes": 500,
            "fitted": encoder_id is None,
        },
        "coverage": 0.95,
    }


@contextlib.contextmanager
def open_service(home: Path, machine: Machine = MACHINE, **overrides: Any) -> Iterator[Service]:
    settings = load_settings(home, {}, **overrides)
    secrets = open_secrets(settings.key_file)
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    database = Database(settings.database_url or sqlite_url(settings.data_dir / "footfall.db"))
    metadata.create_all(database.engine)
    wakes: list[float] = []
    context = compose_context(
        settings,
        database,
        secrets,
        machine,
        buckets=Buckets(settings.buckets_location()),
        internal=open_store(settings.internal_location()),
        metrics=ServerMetrics(),
        wake=lambda: wakes.append(time.monotonic()),
        health=dict,
    )
    service = Service(settings, context, wakes=wakes)
    try:
        with serve(context) as port:
            service.port = port
            with database.read() as connection:
                known = accounts.count_accounts(connection)
            if not known:
                service.operator = service.account("main", is_operator=True)
            yield service
    finally:
        database.close()


@contextlib.contextmanager
def serve(context: AppContext) -> Iterator[int]:
    """Serve the app from a thread with an event loop of its own; yield the port."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        Application(context, OPERATIONS),
        loop="asyncio",
        http=make_protocol(context.settings.header_timeout_s),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve([listener])), daemon=True)
    thread.start()
    deadline = time.monotonic() + 10
    while not server.started:
        assert time.monotonic() < deadline, "the server did not start"
        time.sleep(0.005)
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(10)
        listener.close()


def make_feature(service: Service, caller: Caller, name: str, *, encoder_id: str | None = None, bucket: str = "shop") -> str:
    """Return the id of a completed feature of ``seq.csv``."""
    body = {"name": name, "source_bucket": bucket, "source_file_path": "seq.csv"}
    id = str(caller.post("/api/v1/features", body).json["feature_id"])
    service.complete(id, feature_result(id, encoder_id, name=name))
    return id


def make_task(service: Service, caller: Caller, name: str, feature_id: str, *, bucket: str = "shop") -> str:
    """Return the id of a completed task of ``labels.tsv``."""
    body = {"name": name, "train_feature_id": feature_id, "train_bucket": bucket, "train_file_path": "labels.tsv"}
    id = str(caller.post("/api/v1/tasks", body).json["task_id"])
    service.complete(id, {"AUROC": "0.8731", "disk_usage": 7, "artefact": f"tasks/{id}/0"})
    return id


def make_profiles(caller: Caller, task_id: str, feature_id: str, *, bucket: str = "shop") -> tuple[str, str]:
    """Return the ids of a shopping intent and of custom attributes, both registered."""
    intent = caller.post("/api/v1/profile/shopping-intents", {"name": "p", "task_id": task_id})
    body = {
        "name": "p",
        "feature_id": feature_id,
        "keyword_set": "run\nmarathon",
        "result_bucket": bucket,
        "result_file_path": "p.tsv",
    }
    attributes = caller.post("/api/v1/profile/custom-attributes", body)
    return str(intent.json["profile_id"]), str(attributes.json["profile_id"])
