"""The reconciler's lease (epoch and last heartbeat), and the data directory that owns a database."""

from collections.abc import Callable

import sqlalchemy as sa

from footfall.db.engine.engine import Connection
from footfall.db.engine.prepared import Prepared
from footfall.db.tables import leases


def begin_epoch(tx: Connection, name: str, holder: str) -> int:
    """Return a number higher than that of every holder before."""
    row = tx.execute(sa.select(leases.c.epoch).where(leases.c.name == name)).one_or_none()
    if row is None:
        tx.execute(leases.insert().values(name=name, holder=holder, epoch=1, beat=0))
        return 1
    tx.execute(leases.update().where(leases.c.name == name).values(holder=holder, epoch=row.epoch + 1))
    return int(row.epoch) + 1


def has_epoch(connection: Connection, name: str, epoch: int) -> bool:
    """Whether nobody has taken over since this epoch began."""
    return _EPOCH.one(connection, name=name) == (epoch,)


def claim_data(tx: Connection, directory: str, is_gone: Callable[[str], bool]) -> str:
    """Return the directory that holds the run files of this database: the one given, the first time or after a move."""
    row = tx.execute(sa.select(leases.c.holder).where(leases.c.name == "data")).one_or_none()
    if row is None:
        tx.execute(leases.insert().values(name="data", holder=directory, epoch=1, beat=0))
        return directory
    if row.holder != directory and is_gone(row.holder):
        tx.execute(leases.update().where(leases.c.name == "data").values(holder=directory))
        return directory
    return str(row.holder)


def beat(tx: Connection, name: str, epoch: int, at: int) -> None:
    """Say that the holder of a lease has just looked at all runs; ``at`` in microseconds since 1970."""
    _BEAT.change(tx, name=name, epoch=epoch, at=at)


def last_beat(connection: Connection, name: str) -> int | None:
    """Return when any holder of a lease last said so."""
    row = _LAST_BEAT.one(connection, name=name)
    return int(row[0]) if row is not None and row[0] else None


_EPOCH = Prepared("SELECT epoch FROM leases WHERE name = :name")
_BEAT = Prepared("UPDATE leases SET beat = :at WHERE name = :name AND epoch = :epoch")
_LAST_BEAT = Prepared("SELECT beat FROM leases WHERE name = :name")
