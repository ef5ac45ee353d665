"""Transactions that come at the same time: each whole or not at all, none answered before it is on disk, few commits."""

import signal
import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from footfall.db.engine.engine import Database, sqlite_url
from footfall.errors import DatabaseUnavailableError

THREADS = 16


class RefusedError(Exception):
    """Something that a transaction raises."""


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database(sqlite_url(tmp_path / "x.db"))
    with opened.write() as tx:
        tx.execute(sa.text("CREATE TABLE things (name TEXT PRIMARY KEY, filler BLOB)"))
    yield opened
    opened.close()


def add(database: Database, name: str, *, size: int = 0, refuse: bool = False) -> None:
    with database.write() as tx:
        tx.execute(sa.text("INSERT INTO things VALUES (:name, zeroblob(:size))"), {"name": name, "size": size})
        if refuse:
            raise RefusedError


def names(path: Path) -> set[str]:
    """What another process would see."""
    connection = sqlite3.connect(path)
    found = {row[0] for row in connection.execute("SELECT name FROM things")}
    connection.close()
    return found


def together(database: Database, works: list[Any]) -> list[BaseException | None]:
    """Do all works while nobody else writes: they queue behind one transaction that ends when all of them wait."""
    inside, may_end = threading.Event(), threading.Event()

    def hold() -> None:
        with database.write():
            inside.set()
            may_end.wait(10)

    def outcome(work: Any) -> BaseException | None:
        try:
            work()
        except (RefusedError, DatabaseUnavailableError) as error:
            return error
        return None

    with ThreadPoolExecutor(len(works) + 1) as pool:
        holder = pool.submit(outcome, hold)
        assert inside.wait(10)
        futures = [pool.submit(outcome, work) for work in works]
        while database._writer._n_waiting < len(works):
            pass
        may_end.set()
        holder.result()  # it shares what happens to those behind it
        return [future.result() for future in futures]


def test_one_commit_serves_all_that_wait(database: Database) -> None:
    commits: list[str] = []
    with database.write() as tx:
        driver: Any = tx.connection.dbapi_connection
        driver.set_trace_callback(lambda text: commits.append(text) if text == "COMMIT" else None)
    works = [lambda n=n: add(database, f"n{n}") for n in range(THREADS)]
    commits.clear()
    assert together(database, works) == [None] * THREADS
    assert names(Path(database.url.database or "")) == {f"n{n}" for n in range(THREADS)}
    assert len(commits) <= 3


def test_one_that_raises_takes_back_its_own_change_alone(database: Database) -> None:
    works = [lambda n=n: add(database, f"n{n}", refuse=n % 3 == 0) for n in range(THREADS)]
    outcomes = together(database, works)
    for n, outcome in enumerate(outcomes):
        assert isinstance(outcome, RefusedError) if n % 3 == 0 else outcome is None
    assert names(Path(database.url.database or "")) == {f"n{n}" for n in range(THREADS) if n % 3}


def test_who_was_answered_is_on_disk_and_who_was_refused_is_not(database: Database) -> None:
    path = Path(database.url.database or "")

    def work(thread: int) -> None:
        for number in range(30):
            name = f"{thread}-{number}"
            if number % 5 == 4:
                with pytest.raises(RefusedError):
                    add(database, name, refuse=True)
            else:
                add(database, name)
            assert (name in names(path)) == (number % 5 != 4)

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(work, range(THREADS)))
    assert len(names(path)) == THREADS * 24


def test_who_is_refused_for_what_another_of_the_group_did_finds_that_on_disk(database: Database) -> None:
    path = Path(database.url.database or "")
    found: list[bool] = []

    def take_the_name() -> None:
        try:
            add(database, "only one")
        except sa.exc.IntegrityError as error:
            found.append("only one" in names(path))
            raise RefusedError from error

    outcomes = together(database, [take_the_name] * THREADS)
    assert outcomes.count(None) == 1
    assert found == [True] * (THREADS - 1)


def test_a_full_database_fails_all_that_it_takes_back_and_leaves_the_rest_usable(database: Database) -> None:
    with database.write() as tx:
        n_pages = tx.execute(sa.text("PRAGMA page_count")).scalar_one()
        tx.execute(sa.text(f"PRAGMA max_page_count = {n_pages + 20}"))
    # Some fit; the ones that do not end the transaction of every one in their group.
    works = [lambda n=n: add(database, f"n{n}", size=30_000) for n in range(THREADS)]
    outcomes = together(database, works)
    failed = {f"n{n}" for n, outcome in enumerate(outcomes) if outcome is not None}
    assert failed
    assert all(outcome is None or isinstance(outcome, DatabaseUnavailableError) for outcome in outcomes)
    # One account's request must not be read in the answer to another's.
    assert not any("INSERT" in str(outcome) or "30000" in str(outcome) for outcome in outcomes)
    path = Path(database.url.database or "")
    assert names(path) == {f"n{n}" for n in range(THREADS)} - failed
    with database.write() as tx:
        tx.execute(sa.text("PRAGMA max_page_count = 1000000"))
    add(database, "later")
    assert "later" in names(path)


def test_a_commit_that_fails_is_said_to_all_and_the_next_one_works(database: Database) -> None:
    path = Path(database.url.database or "")
    with database.write() as tx:
        # Foreign keys that are looked at when the transaction ends make the commit itself fail.
        tx.execute(sa.text("CREATE TABLE parents (name TEXT PRIMARY KEY)"))
        tx.execute(sa.text("CREATE TABLE children (parent TEXT REFERENCES parents(name) DEFERRABLE INITIALLY DEFERRED)"))

    def orphan() -> None:
        with database.write() as tx:
            tx.execute(sa.text("INSERT INTO children VALUES ('nobody')"))

    outcomes = together(database, [orphan, *(lambda n=n: add(database, f"n{n}") for n in range(4))])
    failed = [outcome for outcome in outcomes if outcome is not None]
    assert failed
    assert all(isinstance(outcome, DatabaseUnavailableError) for outcome in failed)
    assert len(names(path)) == 5 - len(failed)
    add(database, "later")
    assert "later" in names(path)


def test_who_is_interrupted_while_it_waits_keeps_nobody_waiting(database: Database) -> None:
    inside, may_end = threading.Event(), threading.Event()

    def hold() -> None:
        with database.write():
            inside.set()
            may_end.wait(10)

    def interrupt(*_: object) -> None:
        raise RefusedError

    holder = threading.Thread(target=hold, daemon=True)
    holder.start()
    assert inside.wait(10)
    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        with pytest.raises(RefusedError):
            add(database, "never")
    finally:
        signal.signal(signal.SIGALRM, before)
    may_end.set()
    holder.join(10)
    assert not holder.is_alive()
    add(database, "later")
    assert names(Path(database.url.database or "")) == {"later"}


def test_what_a_change_holds_is_not_in_the_error_that_a_log_may_show(database: Database) -> None:
    add(database, "a secret")
    with pytest.raises(sa.exc.IntegrityError) as caught:
        add(database, "a secret")
    assert "a secret" not in str(caught.value)
