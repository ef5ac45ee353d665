"""Projects: the rows that hold users' runs, their storage's size and their counters. Knows no rules but those of names.

A project that is being deleted stays in the lists until its files are gone; then its row is kept for a while, out of them.
"""

import secrets as random

from sqlalchemy import bindparam, func, select, update

from footfall.db import counters
from footfall.db.engine.engine import Connection, from_us, now_us
from footfall.db.engine.prepared import Prepared
from footfall.db.engine.rows import RowReader, existing
from footfall.db.resources import Page
from footfall.db.tables import projects, runs, users
from footfall.db.tables.schema import LIVE_RUN, SHOWN
from footfall.errors import AlreadyExistsError
from footfall.records import Project
from footfall.states import ProjectStatus

_BASE_36 = "0123456789abcdefghijklmnopqrstuvwxyz"
_ID_LENGTH = 20
KIND = "projects"
"""The word by which ``resource_counts`` knows them."""
KEPT_DAYS = 30
"""How long a project that is gone is still shown as DELETED."""


def new_project_id() -> str:
    """Return a random id in the form of the documented examples: base 36, the first character a digit."""
    return random.choice(_BASE_36[:10]) + "".join(random.choice(_BASE_36) for _ in range(_ID_LENGTH - 1))


def insert(tx: Connection, *, account_id: str, user_id: str, id: str, name: str, note: str, nas_gb: int, limit: int) -> None:
    """Add a project.

    Raises:
        AlreadyExistsError: the account has one of this name.
        QuotaExceededError: it has ``limit`` already.
    """
    now = now_us()
    values = {"id": id, "account_id": account_id, "user_id": user_id, "name": name, "note": note, "nas_gb": nas_gb}
    if not _INSERT.change(tx, **values, now=now):
        raise AlreadyExistsError("project", name)
    counters.add(tx, account_id, KIND, limit, "project")


def status_by_name(connection: Connection, account_id: str, name: str) -> str | None:
    """Return the status of the project of this name; None when the account has none."""
    row = _NAME.one(connection, account_id=account_id, name=name)
    return None if row is None else str(row[0])


def get(connection: Connection, account_id: str, id: str) -> Project:
    """Return a project of an account, also one that was deleted in the last ``KEPT_DAYS`` and the account's system project.

    Raises:
        NotFoundError: there is none, or it is another account's.
    """
    row = _GET.one(connection, account_id=account_id, id=id, horizon=now_us() - KEPT_DAYS * 86_400_000_000)
    return _PROJECT.read(existing(row, "project", id))


def page(connection: Connection, account_id: str, *, is_internal: bool, page: int, page_size: int) -> Page[Project]:
    """Return a page of the projects of an account, newest first, counted from 1, and how many there are.

    Args:
        is_internal: also the system project.
    """
    total = counters.count(connection, account_id, KIND) + is_internal
    index = (page - 1) * page_size
    take = min(page_size, total - index)
    if take <= 0:
        return Page([], total)
    values = {"account_id": account_id, "limit": take, "skip": index, "first": False, "second": is_internal}
    return Page([_PROJECT.read(row) for row in _PAGE.all(connection, **values)], total)


def set_nas(tx: Connection, id: str, nas_gb: int) -> None:
    """Record another size of a project's storage."""
    tx.execute(update(projects).where(projects.c.id == id).values(nas_gb=nas_gb, updated_at=now_us()))


def begin_delete(tx: Connection, account_id: str, id: str) -> bool:
    """Close a project to new runs; False when it was closed before."""
    this = (projects.c.id == id, projects.c.account_id == account_id, projects.c.status == ProjectStatus.CREATED.value)
    query = update(projects).where(*this, projects.c.is_system.is_(False))
    return bool(tx.execute(query.values(status=ProjectStatus.DELETING.value, updated_at=now_us())).rowcount)


def find_closing(connection: Connection, limit: int) -> list[str]:
    """Return the ids of projects whose files are to be removed, longest waiting first."""
    return [str(row[0]) for row in _CLOSING.all(connection, limit=limit)]


def finish_delete(tx: Connection, id: str) -> bool:
    """Take a project whose files are gone out of the lists, and free its name; False when that was done before."""
    row = _FINISH.one(tx, id=id, now=now_us())
    if row is None:
        return False
    counters.remove(tx, row[0], KIND)
    return True


def live_runs(connection: Connection, id: str, limit: int = 10) -> list[int]:
    """Return the numbers of runs of a project that have not ended, oldest first."""
    return [int(row[0]) for row in _LIVE.all(connection, id=id, limit=limit)]


_PROJECT = RowReader(
    Project,
    projects.c.__getitem__,
    user_number=users.c.number,
    is_system=(projects.c.is_system, bool),
    created_at=(projects.c.created_at, from_us),
    updated_at=(func.coalesce(projects.c.updated_at, projects.c.created_at), from_us),
)
_FROM = projects.outerjoin(users, users.c.id == projects.c.user_id)
_GET = Prepared(
    select(*_PROJECT.columns)
    .select_from(_FROM)
    .where(
        projects.c.id == bindparam("id"),
        projects.c.account_id == bindparam("account_id"),
        projects.c.deleted_at.is_(None) | (projects.c.deleted_at > bindparam("horizon")),
    )
)
_PAGE = Prepared(
    select(*_PROJECT.columns)
    .select_from(_FROM)
    .where(
        projects.c.account_id == bindparam("account_id"),
        projects.c.deleted_at.is_(None),
        (projects.c.is_system == bindparam("first")) | (projects.c.is_system == bindparam("second")),
    )
    .order_by(projects.c.created_at.desc(), projects.c.id.desc())
    .limit(bindparam("limit"))
    .offset(bindparam("skip"))
)
_NAME = Prepared(
    select(projects.c.status).where(
        projects.c.account_id == bindparam("account_id"), projects.c.name == bindparam("name"), projects.c.deleted_at.is_(None)
    )
)
_INSERT = Prepared(
    "INSERT INTO projects (id, account_id, user_id, name, note, nas_gb, is_system, status, created_at, updated_at) "
    f"VALUES (:id, :account_id, :user_id, :name, :note, :nas_gb, FALSE, '{ProjectStatus.CREATED}', :now, :now) "
    "ON CONFLICT DO NOTHING"
)
_CLOSING = Prepared(
    f"SELECT id FROM projects WHERE status = '{ProjectStatus.DELETING}' AND deleted_at IS NULL "
    "ORDER BY updated_at, id LIMIT :limit"
)
_FINISH = Prepared(
    f"UPDATE projects SET status = '{ProjectStatus.DELETED}', deleted_at = :now, updated_at = :now "
    f"WHERE id = :id AND status = '{ProjectStatus.DELETING}' AND deleted_at IS NULL RETURNING account_id"
)
_LIVE = Prepared(
    select(runs.c.number)
    .where(runs.c.project_id == bindparam("id"), LIVE_RUN, SHOWN)
    .order_by(runs.c.number)
    .limit(bindparam("limit"))
)
