"""Profiles, and how the source of a feature is to be read."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the tables of profiles and the options of a feature's source."""
    op.add_column("features", sa.Column("source_options", sa.Text(), nullable=True))
    op.create_table(
        "shopping_intents",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("account_id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("run_id", sa.String(length=36), nullable=False),
        sa.Column("task_id", sa.String(length=36), nullable=False),
        sa.Column("feature_id", sa.String(length=36), nullable=False),
        sa.Column("disk_usage", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("deleted_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_shopping_intents_account_id")),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_shopping_intents_run_id")),
        sa.ForeignKeyConstraint(["task_id"], ["tasks.id"], name=op.f("fk_shopping_intents_task_id")),
        sa.ForeignKeyConstraint(["feature_id"], ["features.id"], name=op.f("fk_shopping_intents_feature_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_shopping_intents")),
    )
    op.create_table(
        "custom_attributes",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("account_id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("run_id", sa.String(length=36), nullable=False),
        sa.Column("feature_id", sa.String(length=36), nullable=False),
        sa.Column("keyword_set", sa.Text(), nullable=False),
        sa.Column("result_bucket", sa.String(length=63), nullable=False),
        sa.Column("result_file_path", sa.String(length=1100), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("deleted_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_custom_attributes_account_id")),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_custom_attributes_run_id")),
        sa.ForeignKeyConstraint(["feature_id"], ["features.id"], name=op.f("fk_custom_attributes_feature_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_custom_attributes")),
    )
    _index("shopping_intents", ("task_id", "feature_id"))
    _index("custom_attributes", ("feature_id",))


def _index(table: str, parents: tuple[str, ...]) -> None:
    alive = sa.text("deleted_at IS NULL")
    for parent in parents:
        op.create_index(op.f(f"ix_{table}_{parent}"), table, [parent])
    op.create_index(f"ix_{table}_run", table, ["run_id"])
    op.create_index(f"ux_{table}_name", table, ["account_id", "name"], unique=True, sqlite_where=alive, postgresql_where=alive)
    op.create_index(
        f"ix_{table}_page", table, ["account_id", "created_at", "id", "deleted_at"],
        sqlite_where=alive, postgresql_where=alive,
    )  # fmt: skip
