"""Steps that revisions share. A change here changes what old revisions did, so there should be none."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from alembic import op

ALIVE = "deleted_at IS NULL"
PAGE = ["account_id", "created_at", "id", "deleted_at"]


def create_partial_index(name: str, table: str, columns: list[str], where: str, *, unique: bool = False) -> None:
    """Create an index of the rows for which a condition holds."""
    condition = sa.text(where)
    op.create_index(name, table, columns, unique=unique, sqlite_where=condition, postgresql_where=condition)


def create_resource_table(table: str, *own: sa.Column[Any], parents: Mapping[str, str]) -> None:
    """Create a table of what an account's runs make: its own columns stand among those that all of them have.

    Args:
        parents: the table that each column of a foreign key refers to.
    """
    op.create_table(
        table,
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("account_id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("run_id", sa.String(length=36), nullable=False),
        *own,
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("deleted_at", sa.BigInteger(), nullable=True),
        *(sa.ForeignKeyConstraint([key], [f"{of}.id"], name=op.f(f"fk_{table}_{key}")) for key, of in parents.items()),
        sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{table}")),
    )
