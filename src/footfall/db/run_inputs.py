"""Inputs of a user's run from other tables (secrets, SSH keys, code), and code archives that no run needs."""

from footfall.db.engine.engine import Connection, now_us
from footfall.db.engine.prepared import Prepared
from footfall.db.tables.schema import IS_LIVE


def find_sealed(connection: Connection, run_id: str) -> bytes | None:
    """Return the encrypted secret values of a run's environment, if it has any."""
    row = _SEALED.one(connection, id=run_id)
    return None if row is None or row[0] is None else bytes(row[0])


def find_authorized_keys(connection: Connection, account_id: str) -> list[str]:
    """Return the account's SSH keys, as lines of ``authorized_keys``, oldest first."""
    return [str(row[0]) for row in _KEYS.all(connection, account_id=account_id)]


def touch_code(tx: Connection, project_id: str, digest: str) -> bool:
    """Note that a run uses a code archive now; False when it is gone."""
    return _TOUCH.change(tx, project_id=project_id, digest=digest, now=now_us()) == 1


def find_unused_code(connection: Connection, before: int, limit: int) -> list[tuple[str, str]]:
    """Return (project, digest) of code archives that nothing has used since a time, oldest first."""
    return [(str(row[0]), str(row[1])) for row in _UNUSED.all(connection, before=before, limit=limit)]


def forget_code(tx: Connection, project_id: str, digest: str, before: int) -> bool:
    """Forget a code archive, so that its file may go; False when a run or an upload has come to need it."""
    # Live runs are few, and there is an index of them alone; their digest stands in their spec.
    names = f'%"code_digest":"{digest}"%'
    if _USER.one(tx, project_id=project_id, names=names) is not None:
        _TOUCH.change(tx, project_id=project_id, digest=digest, now=now_us())
        return False
    return _FORGET.change(tx, project_id=project_id, digest=digest, before=before) == 1


_SEALED = Prepared("SELECT sealed FROM runs WHERE id = :id")
_KEYS = Prepared("SELECT key FROM ssh_keys WHERE account_id = :account_id ORDER BY created_at, name")
_TOUCH = Prepared("UPDATE code_archives SET used_at = :now WHERE project_id = :project_id AND digest = :digest")
_UNUSED = Prepared("SELECT project_id, digest FROM code_archives WHERE used_at < :before ORDER BY used_at LIMIT :limit")
_USER = Prepared(f"SELECT id FROM runs WHERE {IS_LIVE} AND project_id = :project_id AND spec LIKE :names LIMIT 1")
_FORGET = Prepared("DELETE FROM code_archives WHERE project_id = :project_id AND digest = :digest AND used_at < :before")
