"""Bring a database to the newest schema: forward only, after a copy when it is SQLite and not new."""

from pathlib import Path

import sqlalchemy as sa

from footfall.db.engine.engine import Database, back_up_sqlite
from footfall.errors import ConfigError

HEAD = "0003"
"""The newest revision in ``migrations/``; a test compares it with the folder, so that start-up need not import Alembic."""

_FOLDER = Path(__file__).parent.parent / "migrations"


def migrate(database: Database, backup_dir: Path, stamp: str) -> Path | None:
    """Migrate if needed; return the copy that was made first, if any.

    Raises:
        ConfigError: the database was written by a newer version of ours.
    """
    current = _revision(database)
    if current == HEAD:
        return None
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if current is not None and current not in known:
        raise ConfigError("database", f"it has revision {current}, newer than this version knows; upgrade Footfall")
    copy: Path | None = None
    if current is not None and database.is_sqlite and database.url.database:
        backup_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        copy = backup_dir / f"{Path(database.url.database).stem}-{current}-{stamp}.db"
        back_up_sqlite(Path(database.url.database), copy)
    with database.write() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    return copy


def _revision(database: Database) -> str | None:
    with database.read() as connection:
        if not sa.inspect(connection).has_table("alembic_version"):
            return None
        return connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar_one_or_none()
