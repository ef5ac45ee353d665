"""Pages, names and counts of resources, straight on the database."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from footfall.db.access import accounts, requests
from footfall.db.access.requests import FirstAnswer
from footfall.db.behavior import FEATURES
from footfall.db.engine.encryption import open_secrets
from footfall.db.engine.engine import Database, now_us, sqlite_url
from footfall.db.runs import insert
from footfall.db.tables import metadata
from footfall.errors import AlreadyExistsError, NotFoundError, QuotaExceededError
from footfall.records import Run, RunSpec, new_id, utc_now
from footfall.states import RunState


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(sqlite_url(tmp_path / "test.db"))
    metadata.create_all(database.engine)
    yield database
    database.close()


@pytest.fixture
def account_id(database: Database, tmp_path: Path) -> str:
    with database.write() as tx:
        secrets = open_secrets(tmp_path / "secret" / "key")
        return accounts.create_account(tx, secrets, name="main", user_name="admin").account.id


def _add(database: Database, account_id: str, name: str, limit: int = 1000) -> str:
    id = new_id()
    with database.write() as tx:
        project = accounts.system_project(tx, account_id)
        run = Run(new_id(), account_id, project, RunState.REGISTERED, RunSpec(("x",)), 0, utc_now())
        insert(tx, run)
        place = {"source_bucket": "shop", "source_file_path": "x"}
        FEATURES.insert(tx, account_id, id=id, name=name, run_id=run.id, limit=limit, **place)
    return id


def test_a_page_walks_from_the_nearer_end_and_reads_the_same(database: Database, account_id: str) -> None:
    ids = [_add(database, account_id, f"{n}") for n in range(25)][::-1]
    with database.read() as connection:
        for index in range(27):
            for limit in (1, 7, 25):
                page = FEATURES.page(connection, account_id, index, limit)
                assert [item.id for item in page.items] == ids[index : index + limit]
                assert page.total == 25


def test_a_page_is_found_in_an_index_alone(database: Database, account_id: str) -> None:
    with database.read() as connection:
        for page in FEATURES._pages.values():
            text, names, _ = page._compile(connection)
            assert names is not None
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", ("1",) * len(names)).fetchall()
            assert any("COVERING INDEX ix_features_page" in row[3] for row in plan)


def test_a_name_and_a_count_are_freed_by_hiding(database: Database, account_id: str) -> None:
    id = _add(database, account_id, "a", limit=1)
    with pytest.raises(AlreadyExistsError):
        _add(database, account_id, "a")
    with pytest.raises(QuotaExceededError):
        _add(database, account_id, "b", limit=1)
    with database.write() as tx:
        FEATURES.hide(tx, account_id, id)
        with pytest.raises(NotFoundError):
            FEATURES.hide(tx, account_id, id)
    _add(database, account_id, "a", limit=1)
    with database.read() as connection:
        assert FEATURES.count(connection, account_id) == 1
        with pytest.raises(NotFoundError):
            FEATURES.get(connection, account_id, id)


def test_what_expired_is_forgotten_a_piece_at_a_time(database: Database, account_id: str) -> None:
    now = now_us()
    with database.write() as tx:
        for n in range(5):
            assert requests.mark(tx, bytes([n]) * 32, now - 1)
            assert not requests.mark(tx, bytes([n]) * 32, now + 10)
        requests.mark(tx, b"n" * 32, now + 1_000_000)
        requests.remember_answer(tx, account_id, "old", FirstAnswer(b"d" * 32, 200, b"x"), now - 1)
        requests.remember_answer(tx, account_id, "new", FirstAnswer(b"d" * 32, 200, b"x"), now + 1_000_000)
        assert requests.forget_expired(tx, now, 3) == 4
        assert requests.forget_expired(tx, now, 3) == 2
        assert requests.forget_expired(tx, now, 3) == 0
        assert requests.is_marked(tx, b"n" * 32)
        assert requests.find_answer(tx, account_id, "new", now) is not None
