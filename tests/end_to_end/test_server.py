"""What ``footfall up`` does around its requests: homes, signals, migrations, slow clients, secrets."""

import contextlib
import json
import os
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine_helpers import eventually, processes_of
from footfall import Client
from footfall.config import load_settings
from footfall.credentials import read_credentials
from footfall.db.engine import migrate as migration
from footfall.db.engine.engine import Database, sqlite_url
from footfall.errors import ConfigError
from footfall.offline import recover_key
from footfall.signing import ACCESS_KEY_HEADER, SIGNATURE_HEADER, TIMESTAMP_HEADER, sign
from live_server import LiveServer, clean_environment, live_server, run_footfall

SLOW_JOB = b"".join(b"u%d\t" % n + b"->".join(b"do %d" % (n * k % 997) for k in range(40)) + b"\n" for n in range(30_000))


def begin_slow_feature(client: Client) -> str:
    """Start a feature that takes a few seconds and return the id of its run."""
    client.buckets.create("data")
    client.put_object("data", "slow.csv", SLOW_JOB)
    feature = client.features.create("slow", "data", "slow.csv")
    eventually(lambda: client.features.get(feature.id).status == "in_progress", 20)
    return feature.id


def run_of(home: Path, feature_id: str) -> str:
    with contextlib.closing(sqlite3.connect(home / "data/footfall.db")) as database:
        return str(database.execute("SELECT run_id FROM features WHERE id = ?", (feature_id,)).fetchone()[0])


def stop(server: LiveServer, number: int) -> None:
    server.process.send_signal(number)
    server.process.wait(30)


def test_the_first_start_makes_what_a_client_needs_and_prints_one_line(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with live_server(home) as server:
        written = read_credentials(home / "credentials.toml")
        assert written["endpoint"] == server.endpoint
        assert set(written) == {"endpoint", "access_key", "secret_key", "api_key"}
        assert written["secret_key"] not in server.ready_line
        for file in ("credentials.toml", "secret/key"):
            assert stat.S_IMODE((home / file).stat().st_mode) == 0o600
    with live_server(home) as server:
        again = read_credentials(home / "credentials.toml")
        assert again == written | {"endpoint": server.endpoint}


def test_a_second_server_on_one_home_is_refused(tmp_path: Path) -> None:
    with live_server(tmp_path / "home") as server:
        second = run_footfall("up", "--home", str(tmp_path / "home"), "--port", "0")
        assert second.code == 2
        assert server.endpoint in second.err


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run_footfall("up", "--home", str(tmp_path / "home"), "--port", str(port))
    assert done.code == 2
    assert str(port) in done.err


def test_row_05_other_machines_are_not_served_without_tls(tmp_path: Path) -> None:
    done = run_footfall("up", "--home", str(tmp_path / "home"), "--host", "0.0.0.0", "--port", "0")
    assert done.code == 2
    assert "--tls-cert" in done.err
    assert "--behind-proxy" in done.err


def test_sigterm_leaves_runs_going_and_the_next_server_takes_them_up(tmp_path: Path) -> None:
    home = tmp_path / "home"
    environment = {"FOOTFALL_LOG_LEVEL": "info"}
    with contextlib.ExitStack() as stack:
        command = stack.enter_context(live_server(home, environment=environment))
        # live_server stops runs too; the signal that matters here goes to a server without that option
        stop(command, signal.SIGKILL)
    with plain_server(home) as process:
        with Client(home=home) as client:
            feature_id = begin_slow_feature(client)
        run_id = run_of(home, feature_id)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    assert processes_of(run_id), "the run ended with its server"
    with live_server(home), Client(home=home) as client:
        feature = client.wait(client.features.get(feature_id), timeout_s=90)
        assert feature.status == "completed", feature.fail_details


@contextlib.contextmanager
def plain_server(home: Path) -> "Iterator[subprocess.Popen[bytes]]":
    """Run a server that leaves its runs going, and kill it if the test did not end it."""
    command = [sys.executable, "-m", "footfall", "up", "--home", str(home), "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=clean_environment())
    assert process.stdout is not None
    try:
        assert b"ready" in process.stdout.readline()
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_cancel_runs_stops_them_before_the_server_ends(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with live_server(home, environment={"FOOTFALL_STOP_GRACE_S": "1"}) as server, Client(home=home) as client:
        feature_id = begin_slow_feature(client)
        run_id = run_of(home, feature_id)
        assert processes_of(run_id)
        stop(server, signal.SIGTERM)
        assert server.process.returncode == 0
    assert processes_of(run_id) == []
    with live_server(home), Client(home=home) as client:
        feature = client.features.get(feature_id)
        assert (feature.status, feature.fail_message) == ("failed", "CANCELLED")


def test_two_servers_on_one_data_directory_share_its_work(tmp_path: Path) -> None:
    home, other = tmp_path / "home", tmp_path / "other"
    with live_server(home) as first:
        (other / "secret").mkdir(parents=True, mode=0o700)
        (other / "secret/key").write_bytes((home / "secret/key").read_bytes())
        (other / "secret/key").chmod(0o600)
        with live_server(other, environment={"FOOTFALL_DATA_DIRECTORY": str(home / "data")}) as second:
            keys = read_credentials(home / "credentials.toml")
            with (
                Client(first.endpoint, keys["access_key"], keys["secret_key"]) as one,
                Client(second.endpoint, keys["access_key"], keys["secret_key"]) as two,
            ):
                one.buckets.create("data")
                one.put_object("data", "s.csv", SLOW_JOB[:100_000].rpartition(b"\n")[0] + b"\n")
                made = [client.features.create(f"f{n}", "data", "s.csv") for n, client in enumerate((one, two))]
                for feature in made:
                    assert one.wait(feature, timeout_s=60).status == "completed"
                health = sorted(client.health()["details"]["reconciler"] for client in (one, two))
                assert health == ["active", "standby"]
                stop(first, signal.SIGKILL)
                feature = two.wait(two.features.create("after", "data", "s.csv"), timeout_s=60)
                assert feature.status == "completed"


def test_a_database_of_another_data_directory_is_refused(tmp_path: Path) -> None:
    with live_server(tmp_path / "home"):
        pass
    url = f"sqlite:///{tmp_path}/home/data/footfall.db"
    done = run_footfall("up", "--home", str(tmp_path / "other"), "--port", "0", FOOTFALL_DATABASE_URL=url)
    assert done.code == 2
    assert str(tmp_path / "home/data") in done.err


def test_a_database_is_copied_before_it_is_migrated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    database = Database(sqlite_url(tmp_path / "footfall.db"))
    assert migration.migrate(database, tmp_path / "backup", "now") is None
    folder = tmp_path / "migrations"
    (folder / "versions").mkdir(parents=True)
    for name in ("env.py", *(f"versions/{path.name}" for path in (migration._FOLDER / "versions").glob("v*.py"))):
        (folder / name).write_text((migration._FOLDER / name).read_text())
    (folder / "versions/v0004_next.py").write_text(
        'from alembic import op\nimport sqlalchemy as sa\nrevision = "0004"\ndown_revision = "0003"\n'
        'def upgrade():\n    op.add_column("accounts", sa.Column("note", sa.Text))\n'
    )
    monkeypatch.setattr(migration, "_FOLDER", folder)
    monkeypatch.setattr(migration, "HEAD", "0004")
    copy = migration.migrate(database, tmp_path / "backup", "now")
    assert copy is not None
    with (
        contextlib.closing(sqlite3.connect(copy)) as before,
        contextlib.closing(sqlite3.connect(tmp_path / "footfall.db")) as now,
    ):
        columns = [[row[1] for row in each.execute("PRAGMA table_info(accounts)")] for each in (before, now)]
    assert "note" not in columns[0]
    assert "note" in columns[1]
    monkeypatch.undo()
    with pytest.raises(ConfigError, match="0004"):
        migration.migrate(database, tmp_path / "backup", "now")


def test_the_first_migration_makes_the_schema_of_the_tables_and_head_is_the_newest(tmp_path: Path) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    from footfall.db.tables import metadata

    database = Database(sqlite_url(tmp_path / "footfall.db"))
    migration.migrate(database, tmp_path, "now")
    with database.read() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    newest = max(path.name for path in (migration._FOLDER / "versions").glob("v*.py"))
    assert newest.startswith(f"v{migration.HEAD}")


def test_row_25_slow_heads_are_dropped_and_hold_nobody_up(tmp_path: Path) -> None:
    environment = {"FOOTFALL_HEADER_TIMEOUT_S": "1.5"}
    with live_server(tmp_path / "home", environment=environment) as server, Client(home=tmp_path / "home") as client:
        port = int(server.endpoint.rpartition(":")[2])
        slow = [socket.create_connection(("127.0.0.1", port)) for _ in range(200)]
        started_at = time.monotonic()
        dropped: set[int] = set()
        while len(dropped) < len(slow) and time.monotonic() - started_at < 10:
            for number, connection in enumerate(slow):
                if number not in dropped:
                    try:
                        connection.sendall(b"GET /healthz HTTP/1.1\r\n"[:1] if number % 2 else b"X")
                        connection.setblocking(False)
                        if connection.recv(100) == b"":
                            dropped.add(number)
                    except BlockingIOError:
                        pass
                    except OSError:
                        dropped.add(number)
                    finally:
                        with contextlib.suppress(OSError):
                            connection.setblocking(True)
            assert list(client.features.list()) == []
        for connection in slow:
            connection.close()
        assert len(dropped) == len(slow)


def test_row_02_no_secret_is_in_any_log_or_output(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with live_server(home, environment={"FOOTFALL_LOG_LEVEL": "debug"}) as server:
        keys = read_credentials(home / "credentials.toml")
        received = []
        for command in (
            ["bucket", "create", "data"], ["key", "list"], ["doctor"], ["feature", "create", "x", "data/none.csv"],
            ["--json", "feature", "list"],
        ):  # fmt: skip
            done = run_footfall(*command, FOOTFALL_HOME=str(home))
            received.append(done.out + done.err)
        wrong = run_footfall(
            "feature", "list", FOOTFALL_ENDPOINT=server.endpoint, FOOTFALL_ACCESS_KEY=keys["access_key"],
            FOOTFALL_SECRET_KEY="wrong-secret-of-mine",
        )  # fmt: skip
        assert wrong.code == 2
        received.append(wrong.out + wrong.err)
    received.append((home / "server.log").read_text())
    for secret in (keys["secret_key"], keys["api_key"], "wrong-secret-of-mine"):
        assert not any(secret in text for text in received)
    for file in (home / "data").rglob("*"):
        if file.is_file():
            content = file.read_bytes()
            assert keys["secret_key"].encode() not in content
            assert keys["api_key"].encode() not in content


def test_healthz_says_who_moves_the_runs_and_needs_no_signature(tmp_path: Path) -> None:
    import urllib.request

    with live_server(tmp_path / "home") as server:
        time.sleep(0.5)
        with urllib.request.urlopen(f"{server.endpoint}/healthz") as answer:
            health = json.load(answer)
    assert health["status"] == "ok"
    assert health["details"]["reconciler"] == "active"
    assert os.environ.get("FOOTFALL_HOME") is None


def test_a_home_that_was_moved_goes_on_where_it_is(tmp_path: Path) -> None:
    with live_server(tmp_path / "home"), Client(home=tmp_path / "home") as client:
        client.buckets.create("data")
    (tmp_path / "home").rename(tmp_path / "moved")
    with live_server(tmp_path / "moved"), Client(home=tmp_path / "moved") as client:
        assert [bucket.name for bucket in client.buckets.list()] == ["data"]


def test_a_lost_master_key_stops_the_start_instead_of_being_made_anew(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with live_server(home):
        pass
    (home / "secret/key").rename(tmp_path / "backup")
    done = run_footfall("up", "--home", str(home), "--port", "0")
    assert done.code == 2
    assert "secret/key" in done.err
    (tmp_path / "backup").rename(home / "secret/key")
    with live_server(home), Client(home=home) as client:
        assert list(client.features.list()) == []


def test_who_has_the_files_but_no_key_makes_a_new_one(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with live_server(home) as server:
        before = read_credentials(home / "credentials.toml")
        (home / "credentials.toml").unlink()
        after = recover_key(load_settings(home, {}))
        with Client(server.endpoint, after["access_key"], after["secret_key"]) as client:
            assert list(client.features.list()) == []
        assert after["access_key"] != before["access_key"]
        assert stat.S_IMODE((home / "credentials.toml").stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("options", "environment", "word"),
    [
        (["--tls-cert", __file__, "--tls-key", __file__], {}, "tls_cert"),
        (["--host", "nope.invalid", "--behind-proxy"], {}, "host"),
        ([], {"FOOTFALL_PROT": "1"}, "FOOTFALL_PROT"),
        ([], {"FOOTFALL_PORT": "many"}, "port"),
        ([], {"FOOTFALL_EXECUTOR": "nothing"}, "executor"),
        (["--home", "/proc/nothing"], {}, "home"),
        ([], {"FOOTFALL_DATABASE_URL": "bogus"}, "database_url"),
        ([], {"FOOTFALL_DATABASE_URL": f"sqlite:///{__file__}"}, "database_url"),
        ([], {"FOOTFALL_STORE_URL": "ftp://x"}, "store_url"),
        ([], {"FOOTFALL_S3_ENDPOINT": "zz"}, "s3_endpoint"),
        ([], {"FOOTFALL_MAX_CONNECTIONS": "0"}, "max_connections"),
        ([], {"FOOTFALL_LOCAL_CORES": "-1"}, "local_cores"),
    ],
)
def test_a_wrong_setting_ends_the_start_with_its_name_and_2(
    tmp_path: Path, options: list[str], environment: dict[str, str], word: str
) -> None:
    done = run_footfall("up", "--home", str(tmp_path / "home"), "--port", "0", *options, **environment)
    assert done.code == 2, done.err
    assert word in done.err
    assert "Traceback" not in done.err


def ask_raw(port: int, head: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), 10) as connection:
        connection.sendall(head)
        received = b""
        while piece := connection.recv(4096):
            received += piece
        return received


def test_what_the_protocol_refuses_has_our_body_and_a_trace_id(tmp_path: Path) -> None:
    with live_server(tmp_path / "home", environment={"FOOTFALL_MAX_CONNECTIONS": "5"}) as server:
        port = int(server.endpoint.rpartition(":")[2])
        large = b"GET /healthz HTTP/1.1\r\nhost: x\r\nx: " + b"a" * 70_000 + b"\r\n\r\n"
        for head, status, code in ((large, b"431", "430"), (b"NONSENSE\r\n\r\n", b"400", "100")):
            received = ask_raw(port, head)
            assert received.startswith(b"HTTP/1.1 " + status), received
            assert b"x-ncp-trace-id: " in received
            assert json.loads(received.partition(b"\r\n\r\n")[2])["error"]["errorCode"] == code
        held = [socket.create_connection(("127.0.0.1", port)) for _ in range(5)]
        time.sleep(0.2)
        received = ask_raw(port, b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
        for connection in held:
            connection.close()
        assert received.startswith(b"HTTP/1.1 503"), received
        assert json.loads(received.partition(b"\r\n\r\n")[2])["error"]["errorCode"] == "500"
        log = (tmp_path / "home/server.log").read_text()
        for line in log.splitlines():
            json.loads(line)


def test_sigterm_lets_a_request_under_way_finish_and_takes_no_new_ones(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with live_server(home) as server:
        with Client(home=home) as client:
            client.buckets.create("data")
        port = int(server.endpoint.rpartition(":")[2])
        keys = read_credentials(home / "credentials.toml")
        stamp, access_key = str(int(time.time() * 1000)).encode(), keys["access_key"].encode()
        signature = sign(keys["secret_key"].encode(), "PUT", b"/data/v1/data/late.csv", stamp, access_key)
        head = b"PUT /data/v1/data/late.csv HTTP/1.1\r\nhost: x\r\ncontent-length: 200000\r\nconnection: close\r\n"
        for name, value in ((TIMESTAMP_HEADER, stamp), (ACCESS_KEY_HEADER, access_key), (SIGNATURE_HEADER, signature)):
            head += name.encode() + b": " + value + b"\r\n"
        with socket.create_connection(("127.0.0.1", port), 10) as connection:
            connection.sendall(head + b"\r\n" + b"x" * 100_000)
            time.sleep(0.3)
            server.process.send_signal(signal.SIGTERM)
            time.sleep(0.5)
            with pytest.raises(OSError):
                socket.create_connection(("127.0.0.1", port), 1)
            connection.sendall(b"x" * 100_000)
            received = b""
            while piece := connection.recv(4096):
                received += piece
        assert received.startswith(b"HTTP/1.1 200"), received
        assert server.process.wait(20) == 0
    assert (home / "data/buckets/data/late.csv").stat().st_size == 200_000
