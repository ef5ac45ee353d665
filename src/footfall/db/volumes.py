"""Block storages (volumes), and the run that holds each: one at a time."""

from dataclasses import dataclass
from datetime import datetime

from footfall.db import counters
from footfall.db.engine.engine import Connection, from_us, now_us
from footfall.db.engine.prepared import Prepared
from footfall.db.engine.rows import RowReader, existing
from footfall.db.resources import Page
from footfall.errors import InUseError, NotFoundError

KIND = "volumes"
"""The word by which ``resource_counts`` knows them."""
_MAX_NUMBER = (1 << 31) - 1


@dataclass(frozen=True, slots=True)
class Volume:
    """A block storage. ``run_number`` is of the run that has it, in the same project."""

    number: int
    project_id: str
    name: str
    size_gb: int
    run_number: int | None
    created_at: datetime
    updated_at: datetime


def insert(tx: Connection, *, account_id: str, project_id: str, name: str, size_gb: int, limit: int) -> Volume:
    """Add a block storage under a number that none had before.

    Raises:
        QuotaExceededError: the account has ``limit`` already.
    """
    values = {"account_id": account_id, "project_id": project_id, "name": name, "size_gb": size_gb, "now": now_us()}
    row = _INSERT.one(tx, **values)
    assert row is not None
    counters.add(tx, account_id, KIND, limit, "block storage")
    return get(tx, account_id, int(row[0]))


def get(connection: Connection, account_id: str, number: int) -> Volume:
    """Return a block storage of an account.

    Raises:
        NotFoundError: there is none, or it is another account's.
    """
    row = _GET.one(connection, account_id=account_id, number=number) if 0 < number <= _MAX_NUMBER else None
    return _VOLUME.read(existing(row, "block storage", str(number)))


def page(connection: Connection, account_id: str, page: int, page_size: int) -> Page[Volume]:
    """Return a page of the block storages of an account, newest first, counted from 1, and how many there are."""
    total = counters.count(connection, account_id, KIND)
    index = (page - 1) * page_size
    take = min(page_size, total - index)
    if take <= 0:
        return Page([], total)
    return Page([_VOLUME.read(row) for row in _PAGE.all(connection, account_id=account_id, limit=take, skip=index)], total)


def take(tx: Connection, account_id: str, project_id: str, number: int, run_id: str) -> None:
    """Give a block storage to a run of its project.

    Raises:
        NotFoundError: the project has none of this number.
        InUseError: another run has it.
    """
    volume = get(tx, account_id, number)
    if volume.project_id != project_id:
        details = f"There is no block storage {number} in this project. List them to see which project has which."
        raise NotFoundError("block storage", str(number), details)
    if not _TAKE.change(tx, account_id=account_id, number=number, run_id=run_id, now=now_us()):
        raise _in_use(volume)


def delete(tx: Connection, account_id: str, number: int) -> Volume:
    """Delete a block storage that no run has; its files are left to housekeeping.

    Raises:
        NotFoundError: there is none.
        InUseError: a run has it.
    """
    volume = get(tx, account_id, number)
    if not _DELETE.change(tx, account_id=account_id, number=number, now=now_us()):
        raise _in_use(volume)
    counters.remove(tx, account_id, KIND)
    return volume


def delete_of_project(tx: Connection, project_id: str) -> None:
    """Delete every block storage of a project that is being deleted."""
    row = _ACCOUNT.one(tx, project_id=project_id)
    assert row is not None
    gone = _DELETE_ALL.change(tx, project_id=project_id, now=now_us())
    counters.remove(tx, row[0], KIND, gone)


def _in_use(volume: Volume) -> InUseError:
    holder = f"run {volume.project_id}/{volume.run_number}"
    return InUseError("block storage", str(volume.number), [holder], "Stop that run, or wait until it ends.")


_VOLUME = RowReader(
    Volume,
    "volumes.{}".format,
    run_number="runs.number",
    created_at=("volumes.created_at", from_us),
    updated_at=("volumes.updated_at", from_us),
)
_SELECT = (
    f"SELECT {', '.join(_VOLUME.columns)} FROM volumes LEFT JOIN runs ON runs.id = volumes.run_id "
    "WHERE volumes.account_id = :account_id AND volumes.deleted_at IS NULL"
)
_GET = Prepared(f"{_SELECT} AND volumes.number = :number")
_PAGE = Prepared(f"{_SELECT} ORDER BY volumes.number DESC LIMIT :limit OFFSET :skip")
_INSERT = Prepared(
    "INSERT INTO volumes (account_id, project_id, name, size_gb, created_at, updated_at) "
    "VALUES (:account_id, :project_id, :name, :size_gb, :now, :now) RETURNING number"
)
_TAKE = Prepared(
    "UPDATE volumes SET run_id = :run_id, updated_at = :now WHERE number = :number AND account_id = :account_id "
    "AND run_id IS NULL AND deleted_at IS NULL"
)
_DELETE = Prepared(
    "UPDATE volumes SET deleted_at = :now, updated_at = :now WHERE number = :number AND account_id = :account_id "
    "AND run_id IS NULL AND deleted_at IS NULL"
)
_DELETE_ALL = Prepared(
    "UPDATE volumes SET deleted_at = :now, updated_at = :now WHERE project_id = :project_id AND deleted_at IS NULL"
)
_ACCOUNT = Prepared("SELECT account_id FROM projects WHERE id = :project_id")
