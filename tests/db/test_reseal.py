"""A new master key: everything that was sealed opens with it, and no key goes that something is sealed with."""

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from footfall.db import tables
from footfall.db.engine.encryption import lock_keys
from footfall.db.images import bound_to
from footfall.db.reseal import PLACES
from footfall.db.tables import registries, runs
from footfall.errors import ConfigError, FootfallError
from footfall.offline import rotate_master_key
from nsml_service import EP, ROOT, ask_run, make_project
from service import open_service


def test_secrets_of_runs_and_repositories_open_after_two_new_keys(tmp_path: Path) -> None:
    with open_service(tmp_path / "home") as service:
        call = service.operator
        id = make_project(call)
        assert ask_run(call, id, envs={"TOKEN": "hidden"}).status == 201
        body = {"privateEp": EP, "accessKey": "a", "secretKey": "0123456789abcdef"}
        assert call.post(f"{ROOT}/images/secret", body, x_idempotency_key="k").status == 201
        for _ in range(3):
            assert rotate_master_key(service.settings).n_access_keys == 1
        secrets = service.context.secrets
        with service.database.read() as connection:
            run_id, sealed = connection.execute(sa.select(runs.c.id, runs.c.sealed)).one()
            assert secrets.open(sealed, run_id) == b'{"TOKEN": "hidden"}'
            login = connection.execute(sa.select(registries.c.secret)).scalar_one()
            assert secrets.open(login, bound_to(call.account_id, EP)) == b"0123456789abcdef"
        assert call.post(f"{ROOT}/projects/{id}/runs/1/restart").status == 201
        assert call.post(f"{ROOT}/images/secret", body, x_idempotency_key="k").status == 201


def test_every_column_of_bytes_is_one_of_hashes_or_is_sealed_anew() -> None:
    columns = {
        f"{table.name}.{column.name}"
        for table in tables.metadata.tables.values()
        for column in table.columns
        if isinstance(column.type, sa.LargeBinary)
    }
    hashes = {"api_keys.primary_hash", "api_keys.secondary_hash", "seen_requests.digest", "idempotency_keys.digest"}
    assert columns - hashes == {f"{place.table.name}.{place.sealed.name}" for place in PLACES}


KILLED = """
import os, signal, sys
from pathlib import Path
from footfall import offline
from footfall.config import load_settings
from footfall.db.engine import encryption

room, name, when = sys.argv[2:]
module = {"offline": offline, "encryption": encryption}[room]
before = getattr(module, name)

def killed(*args, **kwargs):
    if when == "after":
        before(*args, **kwargs)
    os.kill(os.getpid(), signal.SIGKILL)

setattr(module, name, killed)
offline.rotate_master_key(load_settings(Path(sys.argv[1])))
"""
STEPS = [
    (room, name, when)
    for room, name in (
        ("encryption", "publish"), ("offline", "add_key"), ("offline", "reseal_all"), ("offline", "find_keys_in_use"),
        ("offline", "drop_keys"),
    )
    for when in ("before", "after")
]  # fmt: skip


def is_settled(key_file: Path) -> None:
    """Have the newest key be an old one."""
    os.utime(key_file, (1, 1))


@pytest.mark.parametrize(("room", "name", "when"), STEPS)
def test_row_01_a_rotation_that_is_killed_twice_at_any_step_loses_nothing(
    room: str, name: str, when: str, tmp_path: Path
) -> None:
    with open_service(tmp_path / "home") as service:
        key_file = service.settings.key_file
        for _ in range(2):
            is_settled(key_file)
            argv = [sys.executable, "-c", KILLED, str(tmp_path / "home"), room, name, when]
            assert subprocess.run(argv, check=False, timeout=60).returncode == -signal.SIGKILL
            assert service.operator.get("/api/v1/features").status == 200
        for _ in range(2):
            is_settled(key_file)
            assert rotate_master_key(service.settings).n_access_keys == 1
        assert service.operator.get("/api/v1/features").status == 200
        assert len(key_file.read_text().splitlines()) == 2  # the key before is kept, older ones are gone


def test_row_01_a_rotation_while_the_database_is_held_loses_nothing(tmp_path: Path) -> None:
    with open_service(tmp_path / "home") as service:
        before = service.settings.key_file.read_text()
        with closing(sqlite3.connect(service.settings.data_dir / "footfall.db")) as other:
            other.execute("BEGIN IMMEDIATE")
            for _ in range(2):
                is_settled(service.settings.key_file)
                with pytest.raises(FootfallError):
                    rotate_master_key(service.settings)
        assert service.settings.key_file.read_text().endswith(before)
        assert rotate_master_key(service.settings).n_access_keys == 1
        assert service.operator.get("/api/v1/features").status == 200


def test_row_01_a_key_that_was_the_newest_a_moment_ago_stays(tmp_path: Path) -> None:
    """A request of a running server may have sealed with it, and commit in a moment."""
    with open_service(tmp_path / "home") as service:
        sealed = service.context.secrets.seal(b"late", "name")
        for _ in range(3):
            rotate_master_key(service.settings)
        assert service.context.secrets.open(sealed, "name") == b"late"


def test_one_secret_that_does_not_open_stops_no_other_and_is_told(tmp_path: Path) -> None:
    with open_service(tmp_path / "home") as service:
        made = service.operator.post("/accounts/v1/keys", {}).json["access_key"]
        with service.database.write() as tx:
            table = tables.access_keys
            tx.execute(sa.update(table).where(table.c.id == made).values(secret=b"lost" + bytes(60)))
        resealed = rotate_master_key(service.settings)
        assert (resealed.n_access_keys, resealed.unreadable) == (1, (f"access key {made}",))
        assert service.operator.get("/api/v1/features").status == 200


def test_two_rotations_at_once_are_one(tmp_path: Path) -> None:
    with open_service(tmp_path / "home") as service:
        with lock_keys(service.settings.key_file), pytest.raises(ConfigError, match="another process"):
            rotate_master_key(service.settings)
        assert rotate_master_key(service.settings).n_access_keys == 1
