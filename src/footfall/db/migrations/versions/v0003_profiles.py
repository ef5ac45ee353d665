"""Profiles, and how the source of a feature is to be read."""

import sqlalchemy as sa
from alembic import op

from footfall.db.migrations.steps import ALIVE, PAGE, create_partial_index, create_resource_table

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the tables of profiles and the options of a feature's source."""
    op.add_column("features", sa.Column("source_options", sa.Text(), nullable=True))
    create_resource_table(
        "shopping_intents",
        sa.Column("task_id", sa.String(length=36), nullable=False),
        sa.Column("feature_id", sa.String(length=36), nullable=False),
        sa.Column("disk_usage", sa.BigInteger(), nullable=True),
        parents={"account_id": "accounts", "run_id": "runs", "task_id": "tasks", "feature_id": "features"},
    )
    create_resource_table(
        "custom_attributes",
        sa.Column("feature_id", sa.String(length=36), nullable=False),
        sa.Column("keyword_set", sa.Text(), nullable=False),
        sa.Column("result_bucket", sa.String(length=63), nullable=False),
        sa.Column("result_file_path", sa.String(length=1100), nullable=False),
        parents={"account_id": "accounts", "run_id": "runs", "feature_id": "features"},
    )
    _index("shopping_intents", ("task_id", "feature_id"))
    _index("custom_attributes", ("feature_id",))


def _index(table: str, parents: tuple[str, ...]) -> None:
    for parent in parents:
        op.create_index(op.f(f"ix_{table}_{parent}"), table, [parent])
    op.create_index(f"ix_{table}_run", table, ["run_id"])
    create_partial_index(f"ux_{table}_name", table, ["account_id", "name"], ALIVE, unique=True)
    create_partial_index(f"ix_{table}_page", table, PAGE, ALIVE)
