"""What a server says of itself to those who watch it."""

import contextlib
import ipaddress
import os
import re
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from engine_helpers import Engine, eventually, open_engine
from footfall.api.request import Request
from footfall.api.system import get_health, get_metrics
from footfall.compute.reconciler import loop as loop_module
from footfall.config import load_settings
from footfall.db.engine.engine import now_us
from footfall.db.queue_stats import find_oldest_waiting
from footfall.errors import FootfallError
from footfall.machine.engines import Engines
from footfall.machine.isolation import Isolation
from footfall.prometheus import ServerMetrics
from footfall.records import id_time, new_id
from footfall.states import RunState
from service import MACHINE, Service, open_service


def values(text: str) -> Mapping[str, float]:
    return {name: float(value) for name, value in re.findall(r"^(\S+?) ([-+0-9.e]+)$", text, re.MULTILINE)}


def test_metrics_count_requests_and_runs_and_name_nobody(tmp_path: Path) -> None:
    with open_service(tmp_path / "home") as service:
        caller = service.operator
        assert caller.get("/api/v1/features").status == 200
        assert caller.get("/nowhere").status == 404
        response = caller.get("/metrics")
        assert response.status == 200
        text = response.body.decode()
        found = values(text)
        assert found['footfall_requests_total{operation="list_features",status="200"}'] == 1
        assert found['footfall_requests_total{operation="none",status="404"}'] == 1
        assert found['footfall_request_seconds_bucket{le="+Inf",operation="list_features"}'] == 1
        for state in ("registered", "pending", "in_progress", "completed", "failed", "cancelled"):
            assert found[f'footfall_runs{{state="{state}"}}'] == 0
        assert not re.search(r"[0-9a-f]{8}-[0-9a-f]{4}", text)
        assert "main" not in text


@pytest.mark.parametrize(
    ("access", "behind_proxy", "client", "is_shown"),
    [
        ("loopback", False, "127.0.0.1", True),
        ("loopback", False, "::1", True),
        ("loopback", False, "10.0.0.7", False),
        ("loopback", True, "127.0.0.1", False),
        ("all", True, "10.0.0.7", True),
        ("off", False, "127.0.0.1", False),
    ],
)
def test_metrics_are_for_whom_the_setting_says(
    tmp_path: Path, access: str, behind_proxy: bool, client: str, is_shown: bool
) -> None:
    with open_service(tmp_path / "home", metrics_access=access, behind_proxy=behind_proxy) as service:
        with connected(client) as (ours, theirs):
            request = ask(service, client, ours, theirs)
            if is_shown:
                assert get_metrics(request).status == 200
            else:
                with pytest.raises(FootfallError):
                    get_metrics(request)


@contextlib.contextmanager
def connected(address: str) -> Iterator[tuple[int, int]]:
    """The ports of a client and of a server at an address of loopback, with a connection between them; else made up ones."""
    if not ipaddress.ip_address(address).is_loopback:
        yield 1, 2
        return
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.create_server((address, 0), family=family) as server:
        port = server.getsockname()[1]
        with socket.create_connection((address, port)) as client:
            yield client.getsockname()[1], port


def ask(service: Service, client: str, client_port: int = 1, server_port: int = 2) -> Request:
    scope = {"client": (client, client_port), "server": (client, server_port)}
    return Request(service.context, None, {}, b"", [], scope, "t")  # type: ignore[arg-type]


PYTHON = "/usr/bin/python3"


@pytest.mark.skipif(os.geteuid() != 0, reason="only a server that is root has commands of another user")
@pytest.mark.skipif(not Path(PYTHON).exists(), reason="no Python here that another user can run (Debian: python3)")
def test_row_14_the_user_of_runs_reads_no_metrics_over_loopback_and_others_of_the_machine_do(tmp_path: Path) -> None:
    with open_service(tmp_path / "home") as service:
        answers = {}
        for user in (0, 4321, MACHINE.isolation.user if MACHINE.isolation else 0):
            code = f"import urllib.request as r; print(r.urlopen('http://127.0.0.1:{service.port}/metrics').status)"
            become = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"]
            done = subprocess.run([*become, PYTHON, "-I", "-S", "-c", code], capture_output=True, text=True, check=False)
            answers[user] = done.stdout.strip() or done.stderr.strip().splitlines()[-1]
    assert answers == {0: "200", 4321: "200", 65_534: "urllib.error.HTTPError: HTTP Error 404: Not Found"}


@pytest.mark.parametrize(("n_accounts", "is_shown"), [(1, True), (2, False)])
def test_row_14_where_runs_have_the_servers_user_several_accounts_close_the_metrics(
    tmp_path: Path, n_accounts: int, is_shown: bool
) -> None:
    isolation = Isolation("bubblewrap", "", os.geteuid(), Engines({}, []), True, False)
    with open_service(tmp_path / "home", replace(MACHINE, isolation=isolation)) as service:
        for number in range(1, n_accounts):
            service.account(f"other-{number}")
        assert (service.operator.get("/metrics").status == 200) == is_shown


def test_answers_are_counted_by_status_and_timed_by_operation() -> None:
    metrics = ServerMetrics()
    for status, seconds in ((200, 0.002), (404, 0.02), (200, 60.0)):
        metrics.observe_request("get_run", status, seconds)
    shown = values(metrics.render({}, {}, {}).decode())
    assert shown['footfall_requests_total{operation="get_run",status="200"}'] == 2
    assert shown['footfall_requests_total{operation="get_run",status="404"}'] == 1
    bounds = {
        bound: shown[f'footfall_request_seconds_bucket{{le="{bound}",operation="get_run"}}']
        for bound in ("0.003", "0.03", "+Inf")
    }
    assert bounds == {"0.003": 1, "0.03": 2, "+Inf": 3}
    assert shown['footfall_request_seconds_sum{operation="get_run"}'] == pytest.approx(60.022)
    assert not [name for name in shown if "_created" in name]


def test_health_tells_how_long_the_oldest_run_waits_and_who_looked_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop_module, "QUEUE_TTL_S", 0.0)
    with open_engine(tmp_path / "home", local_cores=1) as engine, open_engine(tmp_path / "home") as other:
        first = engine.create("sleep", "60")
        waiting = engine.create("true")
        eventually(lambda: engine.get(first).state == RunState.IN_PROGRESS)
        time.sleep(0.3)
        active, standby = (one.loop for one in (engine, other))
        assert active is not None
        assert standby is not None
        said = active.health()
        assert (said["reconciler"], said["queue"]) == ("active", "moving")
        assert isinstance(said["oldest_waiting_s"], float)
        assert 0.2 <= said["oldest_waiting_s"] < 30
        with engine.db.read() as connection:
            assert find_oldest_waiting(connection) == waiting
        assert standby.health()["queue"] == "moving"
        other.stop()
        stop_all(engine)


def test_a_queue_that_nobody_looks_at_is_stuck_and_health_says_so_with_503(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop_module, "QUEUE_TTL_S", 0.0)
    monkeypatch.setattr(loop_module, "STUCK_S", 0.2)
    still = Engine(load_settings(tmp_path / "home", {}))
    loop = still.make_loop()
    assert loop.health()["queue"] == "moving"
    time.sleep(0.3)
    said = loop.health()
    assert (said["reconciler"], said["queue"], said["last_look_s"]) == ("standby", "stuck", None)
    with still.db.write() as tx:
        tx.exec_driver_sql(f"INSERT INTO leases (name, holder, epoch, beat) VALUES ('reconciler', 'x', 1, {now_us()})")
    assert loop.health()["queue"] == "moving"
    with open_service(tmp_path / "service") as service:
        object.__setattr__(service.context, "health", lambda: said)
        assert get_health(ask(service, "127.0.0.1")).status == 503


def stop_all(engine: Engine) -> None:
    from footfall.compute.runs import cancel_run
    from footfall.db import runs

    with engine.db.write() as tx:
        live = [run.id for run in runs.find_live(tx)]
        for run_id in live:
            cancel_run(tx, run_id, "test")
    for run_id in live:
        engine.wait(run_id)


def test_an_id_tells_when_it_was_made() -> None:
    before = time.time()
    assert before - 0.002 <= id_time(new_id()) <= time.time() + 0.002
