"""Operations of an operator on the server's own machine that need no server: keys, images, entering a node.

A server may run meanwhile; it sees the changes with its next request.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from footfall import layout
from footfall.compute.catalogue import images
from footfall.config import Settings
from footfall.credentials import read_credentials, write_credentials
from footfall.db import run_pages
from footfall.db.access import accounts
from footfall.db.engine.encryption import Secrets, add_key, drop_keys, lock_keys, open_secrets
from footfall.db.engine.engine import Database, database_url
from footfall.db.reseal import Resealed, find_keys_in_use, reseal_all
from footfall.errors import ConfigError, NotFoundError
from footfall.records import Image


def recover_key(settings: Settings) -> dict[str, str]:
    """Make a new key for the operator's first manager, write it to credentials.toml and return the fields of that file.

    For an operator who has the server's files but no valid key. A running server is not disturbed.

    Raises:
        ConfigError: no server was ever started on this home.
    """
    with _open_database(settings) as database, database.write() as tx:
        key = accounts.make_manager_key(tx, open_secrets(settings.key_file, may_create=False))
    values = read_credentials(settings.credentials_file) | {"access_key": key.id, "secret_key": key.secret_key or ""}
    write_credentials(settings.credentials_file, values)
    return values


def find_node(settings: Settings, project_id: str, number: int, rank: int) -> Path:
    """Return the directory of a node of the current attempt of a run, for who may read the server's files.

    Raises:
        ConfigError: this is not the server's machine.
        NotFoundError: there is no such run here.
    """
    with _open_database(settings) as database, database.read() as connection:
        attempt = run_pages.find_attempt(connection, project_id, number)
    if attempt is None:
        raise NotFoundError("run", f"{project_id}/{number}")
    return settings.runs_root / layout.node_dir(*attempt, rank)


def import_image(settings: Settings, name: str, path: Path) -> Image:
    """Make a directory of this machine a custom image that every account's runs may ask for; a server may run meanwhile.

    Raises:
        ConfigError: no server was ever started on this home.
        InvalidFieldError: it is neither a virtual environment of Python nor a root file system.
        AlreadyExistsError: the name is taken.
    """
    with _open_database(settings) as database, database.write() as tx:
        return images.import_image(tx, name, path)


def rotate_master_key(settings: Settings) -> Resealed:
    """Put a new key in front of the key file and seal every secret with it.

    A server that runs meanwhile goes on: it notices the new file. A key of before is removed only once no stored secret is
    sealed with it; so a rotation that fails or is killed at any point, and is tried again, loses nothing.

    Raises:
        ConfigError: no server was ever started on this home, or another rotation is going on.
    """
    with _open_database(settings) as database, lock_keys(settings.key_file):
        unused = add_key(settings.key_file)
        with database.write() as tx:
            resealed = reseal_all(tx, Secrets(settings.key_file))
        with database.read() as connection:
            drop_keys(settings.key_file, unused - find_keys_in_use(connection))
    return resealed


@contextmanager
def _open_database(settings: Settings) -> Iterator[Database]:
    if not settings.key_file.exists():
        details = (
            f"there is no {settings.key_file}: name the home of a server of this machine with --home; "
            "`footfall up` makes the file at its first start"
        )
        raise ConfigError("home", details)
    database = Database(database_url(settings))
    try:
        yield database
    finally:
        database.close()
