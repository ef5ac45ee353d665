"""Each migration, applied to a database that holds rows of the release before."""

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from footfall.db.engine import migrate as migration
from footfall.db.engine.engine import Database, sqlite_url
from footfall.db.tables import metadata


def migrate_to(database: Database, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(migration._FOLDER))
    with database.write() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


def insert(database: Database, table: str, **values: object) -> None:
    names = ", ".join(values)
    with database.write() as tx:
        tx.execute(sa.text(f"INSERT INTO {table} ({names}) VALUES (:{', :'.join(values)})"), values)


def test_0003_keeps_the_features_that_are_there_and_adds_profiles(tmp_path: Path) -> None:
    database = Database(sqlite_url(tmp_path / "footfall.db"))
    migrate_to(database, "0002")
    insert(database, "accounts", id="a", name="main", is_operator=True, created_at=1)
    insert(database, "projects", id="p", account_id="a", name="_behavior", is_system=True, created_at=1)
    run = {"account_id": "a", "project_id": "p", "kind": "feature", "attempt": 0, "spec": "{}"}
    insert(database, "runs", id="r", **run, state="completed", n_cores=1, memory_mib=1, created_at=1)
    place = {"source_bucket": "shop", "source_file_path": "s.csv"}
    insert(database, "features", id="f", account_id="a", name="March", run_id="r", created_at=1, **place)
    migration.migrate(database, tmp_path / "backup", "now")
    with database.read() as connection:
        assert connection.execute(sa.text("SELECT name, source_options FROM features")).all() == [("March", None)]
        tables = sa.inspect(connection)
        for name in ("shopping_intents", "custom_attributes"):
            found = {index["name"] for index in tables.get_indexes(name)}
            assert found == {index.name for index in metadata.tables[name].indexes}
    insert(database, "features", id="g", account_id="a", name="April", run_id="r", created_at=2, source_options="{}", **place)
    insert(
        database, "custom_attributes",
        id="c", account_id="a", name="runners", run_id="r", feature_id="f", keyword_set="run", created_at=3,
        result_bucket="shop", result_file_path="r.tsv",
    )  # fmt: skip
    database.close()
