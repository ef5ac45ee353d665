"""Real S3 servers on loopback, started and stopped by pid: moto's, and the JuiceFS gateway, which checks signatures."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from footfall.stores.names import StoreLocation

ACCESS_KEY, SECRET_KEY = "testtest", "secretsecret"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def s3_location(endpoint: str, **changes: object) -> StoreLocation:
    values = {"endpoint": endpoint, "region": "us-east-1", "access_key": ACCESS_KEY, "secret_key": SECRET_KEY, "timeout_s": 5.0}
    return StoreLocation("s3://", **(values | changes))  # type: ignore[arg-type]


def s3_client(location: StoreLocation) -> Any:
    """Another client of a service: it puts what ours would not."""
    import botocore.session
    from botocore.config import Config

    return botocore.session.get_session().create_client(
        "s3", region_name=location.region, endpoint_url=location.endpoint, aws_access_key_id=location.access_key,
        aws_secret_access_key=location.secret_key, config=Config(s3={"addressing_style": "path"}),
    )  # fmt: skip


@contextlib.contextmanager
def moto_server(directory: Path) -> Iterator[str]:
    port = free_port()
    with _server(["moto_server", "-H", "127.0.0.1", "-p", str(port)], port, directory / "moto.log"):
        yield f"http://127.0.0.1:{port}"


@contextlib.contextmanager
def counted_moto_server(bucket: str, keys: Iterable[str]) -> Iterator[tuple[str, list[str]]]:
    """A server in this process whose bucket holds ``keys``; yields its endpoint and the list of what it is asked."""
    from moto.core import DEFAULT_ACCOUNT_ID
    from moto.s3.models import s3_backends
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    assert server._server is not None
    app, requests = server._server.app, []

    def counting(environ: dict[str, str], start_response: object) -> object:
        requests.append(f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}?{environ['QUERY_STRING']}")
        return app(environ, start_response)

    server._server.app = counting
    try:
        backend = s3_backends[DEFAULT_ACCOUNT_ID]["aws"]
        backend.create_bucket(bucket, "us-east-1")
        for key in keys:
            backend.put_object(bucket, key, b"x", disable_notification=True)
        host, port = server.get_host_and_port()
        yield f"http://{host}:{port}", requests
    finally:
        server.stop()


@contextlib.contextmanager
def juicefs_gateway(directory: Path, *, keep_etag: bool = True) -> Iterator[str]:
    port = free_port()
    meta = f"sqlite3://{directory}/meta.db"
    juicefs = _program("juicefs")
    (directory / "data").mkdir()
    subprocess.run(
        [juicefs, "format", "--storage", "file", "--bucket", f"{directory}/data/", "--trash-days", "0", meta, "tests"],
        check=True,
        capture_output=True,
    )
    command = [juicefs, "gateway", "--multi-buckets", *(["--keep-etag"] if keep_etag else []), "--no-banner", "--no-usage-report"]
    command += ["--cache-dir", f"{directory}/cache", "--log", f"{directory}/gateway.log", meta, f"127.0.0.1:{port}"]
    environment = os.environ | {"MINIO_ROOT_USER": ACCESS_KEY, "MINIO_ROOT_PASSWORD": SECRET_KEY}
    with _server(command, port, directory / "juicefs.log", environment):
        yield f"http://127.0.0.1:{port}"


def _program(name: str) -> str:
    path = shutil.which(name, path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    assert path, f"{name} is missing; `make test` installs it"
    return path


@contextlib.contextmanager
def _server(command: list[str], port: int, log: Path, environment: dict[str, str] | None = None) -> Iterator[None]:
    command = [_program(command[0]), *command[1:]]
    with open(log, "wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env=environment, start_new_session=True)
        try:
            deadline = time.monotonic() + 60
            while time.monotonic() < deadline:
                assert process.poll() is None, f"{command[0]} ended: {log.read_text()[-2000:]}"
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                    break
                time.sleep(0.05)
            yield
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
