"""Code archives of projects: digests, and when each was last used."""

from footfall.db.engine.engine import Connection, now_us
from footfall.db.engine.prepared import Prepared
from footfall.errors import NotFoundError


def keep(tx: Connection, project_id: str, digest: str, size_bytes: int) -> None:
    """Note that an archive is there, and of use now."""
    _KEEP.change(tx, project_id=project_id, digest=digest, size_bytes=size_bytes, now=now_us())


def use(tx: Connection, project_id: str, digest: str) -> None:
    """Note that an archive is of use now.

    Raises:
        NotFoundError: the project has none of this digest.
    """
    if not _USE.change(tx, project_id=project_id, digest=digest, now=now_us()):
        details = f"There is no code archive {digest} in this project (any more); send the code again with `footfall run`."
        raise NotFoundError("code archive", digest, details)


_KEEP = Prepared(
    "INSERT INTO code_archives (project_id, digest, size_bytes, created_at, used_at) "
    "VALUES (:project_id, :digest, :size_bytes, :now, :now) "
    "ON CONFLICT (project_id, digest) DO UPDATE SET used_at = excluded.used_at"
)
_USE = Prepared("UPDATE code_archives SET used_at = :now WHERE project_id = :project_id AND digest = :digest")
