"""Composition root: settings → database, stores, executor, reconciler, app, and the HTTP server around them."""

import contextlib
import fcntl
import ipaddress
import os
import signal
import socket
import ssl
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import structlog
import uvicorn
from sqlalchemy.exc import SQLAlchemyError

from footfall import logging_setup
from footfall.api.app import Application
from footfall.api.context import AppContext
from footfall.api.docs.documents import ApiDocuments
from footfall.api.http.keyed_lock import KeyedLock
from footfall.api.http.protocol import fit_connections, make_protocol
from footfall.api.table import OPERATIONS
from footfall.behavior.context import BehaviorContext
from footfall.behavior.hooks import BehaviorHooks
from footfall.compute.catalogue.images import Images
from footfall.compute.catalogue.products import Machine, Products
from footfall.compute.catalogue.registries import RegistryCatalogs
from footfall.compute.create import Launcher
from footfall.compute.outputs.isolation_levels import IsolationLevels
from footfall.compute.reconciler.hooks import CommandHooks, HooksByKind
from footfall.compute.reconciler.loop import ReconcileLoop
from footfall.compute.reconciler.reconcile import Reconciler
from footfall.compute.storage.usage import UsedSizes
from footfall.config import PRIVATE_DIRECTORIES, Settings, find_open_paths
from footfall.credentials import read_credentials, write_credentials
from footfall.db import leases, runs
from footfall.db.access import accounts, api_keys
from footfall.db.engine.encryption import Secrets, open_secrets
from footfall.db.engine.engine import Database, database_url
from footfall.db.engine.migrate import migrate
from footfall.errors import ConfigError, DatabaseUnavailableError, StoreError
from footfall.executor import load_executor
from footfall.prometheus import ServerMetrics
from footfall.stores.buckets import Buckets, open_store
from footfall.stores.store import Store

GRACE_S = 10
_OURS_ALONE, _OTHERS_PASS = 0o077, 0o066
"""Masks of modes; with the second one others may pass through a directory whose parts they can name, and see nothing."""

log = structlog.get_logger()


def serve(settings: Settings, *, cancel_runs: bool = False, on_ready: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT: then take no new requests, give those under way 10 s, and release the lease.

    Args:
        cancel_runs: also stop every run at the end; otherwise they go on without us.
        on_ready: called once with the endpoint when requests are answered.

    Raises:
        ConfigError: a setting is wrong, another server has this home, or the address is taken.
    """
    check_exposure(settings)
    os.umask(_OURS_ALONE)
    logging_setup.configure_logging(settings.log_level)
    with _own_home(settings), _listen(settings) as listener:
        scheme = "https" if settings.tls_cert else "http"
        endpoint = f"{scheme}://{_authority(settings.host, listener.getsockname()[1])}"
        with open_service(settings, endpoint) as service:
            _serve_http(settings, service, listener, lambda: on_ready(endpoint))
            if cancel_runs:
                service.cancel_all()


class Service:
    """Everything of a server but HTTP."""

    def __init__(self, settings: Settings, database: Database, secrets: Secrets) -> None:
        self.database = database
        executor = load_executor(settings.executor, settings)
        internal = open_internal(settings)
        buckets = Buckets(settings.buckets_location())
        hooks = HooksByKind(CommandHooks(settings, secrets), BehaviorHooks(settings))
        metrics = ServerMetrics()
        self.loop = ReconcileLoop(
            settings,
            database,
            internal,
            buckets,
            lambda epoch: Reconciler(settings, database, executor, hooks, epoch, metrics),
            metrics,
        )
        isolation = executor.isolation
        if isolation is not None and isolation.level == "landlock" and isolation.user != os.geteuid():
            os.umask(_OTHERS_PASS)  # commands are another user's, and have no way to what is theirs but through ours
        with database.read() as connection:
            n_accounts = accounts.count_accounts(connection)
        if isolation is not None and isolation.shares_host_network(settings.run_network, n_accounts):
            log.warning("accounts_share_network", n_accounts=n_accounts, reason=isolation.no_way_out)
        facts = {
            "isolation": None if isolation is None else isolation.level,
            "n_gpus": len(executor.gpus),
            "has_fake_gpus": any(gpu.is_fake for gpu in executor.gpus),
        }
        context = compose_context(
            settings,
            database,
            secrets,
            Machine(executor.capacity, tuple(executor.gpus), isolation),
            buckets=buckets,
            internal=internal,
            metrics=metrics,
            wake=self.loop.wake,
            health=lambda: self.loop.health() | facts | {"engines": None if isolation is None else isolation.engines.known},
        )
        self.app = Application(context, OPERATIONS)

    def cancel_all(self, timeout_s: float = 60.0) -> None:
        """Ask every live run to stop and wait until nothing of them is left."""
        with self.database.write() as tx:
            for run in runs.find_live(tx):
                runs.request_cancel(tx, run.id, "operator")
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            self.loop.wake()
            with self.database.read() as connection:
                if not runs.find_live(connection):
                    return
            time.sleep(0.05)
        log.warning("runs_left", timeout_s=timeout_s)


def compose_context(
    settings: Settings,
    database: Database,
    secrets: Secrets,
    machine: Machine,
    *,
    buckets: Buckets,
    internal: Store,
    metrics: ServerMetrics,
    wake: Callable[[], None],
    health: Callable[[], Mapping[str, Any]],
) -> AppContext:
    """Return what the handlers of a server use."""
    products, images = Products(settings, machine), Images(settings, machine)
    return AppContext(
        settings=settings,
        database=database,
        buckets=buckets,
        internal=internal,
        secrets=secrets,
        wake=wake,
        health=health,
        metrics=metrics,
        documents=ApiDocuments(OPERATIONS),
        launcher=Launcher(settings, secrets, machine, products, images),
        behavior=BehaviorContext(settings, database, buckets),
        catalogs=RegistryCatalogs(secrets, settings.registry_hosts),
        isolation_levels=IsolationLevels(settings.runs_root),
        used_sizes=UsedSizes(),
        idempotency_lock=KeyedLock(),
        metrics_lock=KeyedLock(),
    )


def open_internal(settings: Settings) -> Store:
    """Open the store of artefacts; its bucket is made when it is not there.

    Raises:
        ConfigError: the S3 service does not answer, or refuses.
    """
    location = settings.internal_location()
    bucket = urlsplit(location.url).netloc
    if bucket:
        try:
            Buckets(location).create(bucket)
        except StoreError as error:
            raise ConfigError("internal_url", f"{location.url} cannot be used: {error}") from error
    return open_store(location)


@contextlib.contextmanager
def open_service(settings: Settings, endpoint: str) -> Iterator[Service]:
    """Open the database, migrated and with its first account, and move runs until the block ends."""
    settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    _close_to_others(settings)
    database = _open_database(settings)
    try:
        _claim_data(settings, database)
        secrets = _open_secrets(settings, database)
        _write_credentials(settings, database, secrets, endpoint)
        service = Service(settings, database, secrets)
        service.loop.start()
        try:
            yield service
        finally:
            service.loop.stop()
    finally:
        database.close()


def _close_to_others(settings: Settings) -> None:
    """Make what no run need pass through our user's alone, also where an earlier version, or somebody else, made it."""
    for name in PRIVATE_DIRECTORIES:
        (settings.data_dir / name).mkdir(exist_ok=True, mode=0o700)
    for path in find_open_paths(settings):
        facts = path.stat()
        if facts.st_uid == os.geteuid():
            path.chmod(stat.S_IMODE(facts.st_mode) & ~0o077)


def check_exposure(settings: Settings) -> None:
    """Refuse to listen beyond this machine without TLS: a signature does not cover a request's body.

    Raises:
        ConfigError: host is not loopback and there is neither a certificate nor a proxy; or half a certificate.
    """
    if bool(settings.tls_cert) != bool(settings.tls_key):
        raise ConfigError("tls_cert", "give both tls_cert and tls_key, or neither")
    if settings.tls_cert:
        try:
            ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(settings.tls_cert, settings.tls_key)
        except (OSError, ssl.SSLError) as error:
            details = f"{settings.tls_cert} and {settings.tls_key} are no certificate and its key in PEM form: {error}"
            raise ConfigError("tls_cert", details) from error
    try:
        is_loopback = settings.host == "localhost" or ipaddress.ip_address(settings.host).is_loopback
    except ValueError:
        is_loopback = False
    if not is_loopback and not settings.tls_cert and not settings.behind_proxy:
        details = f"{settings.host} is reached from other machines: give --tls-cert and --tls-key, or say --behind-proxy"
        raise ConfigError("host", details)


@contextlib.contextmanager
def _own_home(settings: Settings) -> Iterator[None]:
    try:
        settings.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(settings.home / "up.lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        details = f"{settings.home} cannot be used ({error.strerror}); give a directory that can be written with --home"
        raise ConfigError("home", details) from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(handle)
        running = read_credentials(settings.credentials_file).get("endpoint", "an address in credentials.toml")
        details = f"a server already runs on {settings.home}, at {running}; use that one, or another --home"
        raise ConfigError("home", details) from error
    try:
        yield
    finally:
        os.close(handle)


@contextlib.contextmanager
def _listen(settings: Settings) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((settings.host, settings.port))
        except socket.gaierror as error:
            details = f"{settings.host} is no address of this machine ({error.strerror}); give one, such as 127.0.0.1"
            raise ConfigError("host", details) from error
        except OSError as error:
            address = _authority(settings.host, settings.port)
            details = f"{address} cannot be used ({error.strerror}); take --port 0 for any free one"
            raise ConfigError("port", details) from error
        listener.listen(2048)
        yield listener
    finally:
        listener.close()


def _open_database(settings: Settings) -> Database:
    try:
        database = Database(database_url(settings))
        copy = migrate(database, settings.data_dir / "backup", time.strftime("%Y%m%dT%H%M%S", time.gmtime()))
    except (DatabaseUnavailableError, SQLAlchemyError, ImportError) as error:
        raise ConfigError("database_url", f"the database cannot be opened: {error}") from error
    if copy is not None:
        log.info("database_copied_before_migration", path=str(copy))
    return database


def _open_secrets(settings: Settings, database: Database) -> Secrets:
    with database.read() as connection:
        is_new = accounts.count_accounts(connection) == 0
    return open_secrets(settings.key_file, may_create=is_new)


def _authority(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _claim_data(settings: Settings, database: Database) -> None:
    with database.write() as tx:
        owner = leases.claim_data(tx, str(settings.data_dir), lambda path: not Path(path).exists())
    if owner != str(settings.data_dir):
        details = (
            f"this database belongs to the data directory {owner}, which is still there. If this is a copy, move the original "
            "away first; to serve the same data from another home, set data_directory to it"
        )
        raise ConfigError("database_url", details)


def _write_credentials(settings: Settings, database: Database, secrets: Secrets, endpoint: str) -> None:
    path = settings.credentials_file
    first = path.with_suffix(".first")
    with database.write() as tx:
        if accounts.count_accounts(tx) == 0:
            new = accounts.create_account(tx, secrets, name="main", user_name="admin", is_operator=True)
            key = api_keys.create_api_key(tx, new.account.id, "first")
            # Written before the commit: a secret that is in the database but in no file would be lost to everyone.
            values = {"access_key": new.key.id, "secret_key": new.key.secret_key or "", "api_key": key.primary or ""}
            write_credentials(first, values)
    if first.exists() and not path.exists():
        with database.read() as connection:
            if accounts.find_signer(connection, read_credentials(first)["access_key"]) is not None:
                first.rename(path)
    first.unlink(missing_ok=True)
    write_credentials(path, read_credentials(path) | {"endpoint": endpoint})


def _serve_http(settings: Settings, service: Service, listener: socket.socket, on_ready: Callable[[], None]) -> None:
    n_connections = fit_connections(settings.max_connections)
    if n_connections < settings.max_connections:
        log.warning("connections_limited", connections=n_connections, wanted=settings.max_connections, by="ulimit -n")
    config = uvicorn.Config(
        service.app,
        loop="uvloop",
        http=make_protocol(settings.header_timeout_s, n_connections),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=settings.keep_alive_s,
        timeout_graceful_shutdown=GRACE_S,
        ssl_certfile=settings.tls_cert or None,
        ssl_keyfile=settings.tls_key or None,
    )
    server = _Server(config, on_ready, service.app.end_streams)
    # uvicorn raises the signals it caught again when it is done; ours must still release the lease then.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    server.run(sockets=[listener])


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None], on_stop: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_ready, self._on_stop = on_ready, on_stop

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._on_stop()
        await super().shutdown(sockets)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_ready()
