"""Projects and runs of users: NAS, numbers, products, block storages, registries, SSH keys, images and code.

The system project of each account gets a name that no user can give, so that somebody may call a project ``behavior``.
"""

import sqlalchemy as sa
from alembic import op

from footfall.db.migrations.steps import ALIVE, create_partial_index

revision = "0002"
down_revision = "0001"
_LIVE = "state IN ('in_progress', 'pending', 'registered')"
_SHOWN = "number IS NOT NULL AND deleted_at IS NULL"


def upgrade() -> None:
    """Add what compute needs, and number the users that are there."""
    op.create_table(
        "imported_images",
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("path", sa.String(length=1024), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_imported_images")),
    )
    op.create_table(
        "run_counts",
        sa.Column("scope", sa.String(length=36), nullable=False),
        sa.Column("run_type", sa.String(length=10), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("n", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("scope", "run_type", "state", name=op.f("pk_run_counts")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "registries",
        sa.Column("account_id", sa.String(length=36), nullable=False),
        sa.Column("private_ep", sa.String(length=253), nullable=False),
        sa.Column("access_key", sa.String(length=200), nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=False),
        sa.Column("secret_end", sa.String(length=4), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_registries_account_id")),
        sa.PrimaryKeyConstraint("account_id", "private_ep", name=op.f("pk_registries")),
    )
    op.create_table(
        "ssh_keys",
        sa.Column("account_id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=33), nullable=False),
        sa.Column("title", sa.String(length=100), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.String(length=47), nullable=False),
        sa.Column("fingerprint_sha256", sa.String(length=50), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_ssh_keys_account_id")),
        sa.PrimaryKeyConstraint("account_id", "name", name=op.f("pk_ssh_keys")),
    )
    op.create_table(
        "code_archives",
        sa.Column("project_id", sa.String(length=20), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("used_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_code_archives_project_id")),
        sa.PrimaryKeyConstraint("project_id", "digest", name=op.f("pk_code_archives")),
    )
    op.create_table(
        "held_units",
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("unit", sa.String(length=80), nullable=False),
        sa.Column("run_id", sa.String(length=36), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_held_units_run_id")),
        sa.PrimaryKeyConstraint("kind", "unit", name=op.f("pk_held_units")),
    )
    op.create_index(op.f("ix_held_units_run_id"), "held_units", ["run_id"], unique=False)
    op.create_table(
        "volumes",
        sa.Column("number", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("account_id", sa.String(length=36), nullable=False),
        sa.Column("project_id", sa.String(length=20), nullable=False),
        sa.Column("name", sa.String(length=50), nullable=False),
        sa.Column("size_gb", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.String(length=36), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("deleted_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_volumes_account_id")),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_volumes_project_id")),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_volumes_run_id")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_volumes")),
        sqlite_autoincrement=True,
    )
    create_partial_index("ix_volumes_page", "volumes", ["account_id", "number"], ALIVE)
    op.create_index(op.f("ix_volumes_project_id"), "volumes", ["project_id"], unique=False)
    op.create_index(op.f("ix_volumes_run_id"), "volumes", ["run_id"], unique=False)
    op.add_column("accounts", sa.Column("last_serial", sa.Integer(), server_default="0", nullable=False))
    op.create_table(
        "run_gaps",
        sa.Column("scope", sa.String(length=36), nullable=False),
        sa.Column("thousand", sa.Integer(), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("scope", "thousand", name=op.f("pk_run_gaps")),
        sqlite_with_rowid=False,
    )
    op.add_column("allocations", sa.Column("n_gpus", sa.Integer(), server_default="0", nullable=False))
    op.add_column("projects", sa.Column("user_id", sa.String(length=36), nullable=True))
    op.add_column("projects", sa.Column("status", sa.String(length=10), server_default="CREATED", nullable=False))
    op.add_column("projects", sa.Column("note", sa.Text(), server_default="", nullable=False))
    op.add_column("projects", sa.Column("nas_gb", sa.Integer(), server_default="500", nullable=False))
    op.add_column("projects", sa.Column("updated_at", sa.BigInteger(), nullable=True))
    op.add_column("projects", sa.Column("last_run", sa.Integer(), server_default="0", nullable=False))
    op.add_column("projects", sa.Column("n_runs", sa.Integer(), server_default="0", nullable=False))
    op.add_column("projects", sa.Column("n_nodes", sa.Integer(), server_default="0", nullable=False))
    create_partial_index("ix_projects_page", "projects", ["account_id", "created_at", "id", "is_system"], ALIVE)
    op.add_column("runs", sa.Column("user_id", sa.String(length=36), nullable=True))
    op.add_column("runs", sa.Column("number", sa.Integer(), nullable=True))
    op.add_column("runs", sa.Column("serial", sa.Integer(), nullable=True))
    op.add_column("runs", sa.Column("run_type", sa.String(length=10), nullable=True))
    op.add_column("runs", sa.Column("product_code", sa.Integer(), nullable=True))
    op.add_column("runs", sa.Column("priority", sa.Integer(), server_default="0", nullable=False))
    op.add_column("runs", sa.Column("n_nodes", sa.Integer(), server_default="1", nullable=False))
    op.add_column("runs", sa.Column("n_gpus", sa.Integer(), server_default="0", nullable=False))
    op.add_column("runs", sa.Column("request", sa.Text(), nullable=True))
    op.add_column("runs", sa.Column("sealed", sa.LargeBinary(), nullable=True))
    op.add_column("runs", sa.Column("overtaken_at", sa.BigInteger(), nullable=True))
    op.add_column("runs", sa.Column("updated_at", sa.BigInteger(), nullable=True))
    op.add_column("runs", sa.Column("exit_code", sa.Integer(), nullable=True))
    op.add_column("runs", sa.Column("metrics", sa.Text(), nullable=True))
    op.add_column("runs", sa.Column("deleted_at", sa.BigInteger(), nullable=True))
    op.add_column("runs", sa.Column("data_removed_at", sa.BigInteger(), nullable=True))
    op.drop_index("ix_runs_page", "runs")
    op.drop_index("ix_runs_ended", "runs")
    op.drop_index("ix_runs_waiting", "runs")
    create_partial_index("ix_runs_waiting", "runs", ["state", "turn_key", "project_id", "priority", "id"], _LIVE)
    create_partial_index("ix_runs_kept", "runs", ["ended_at"], "ended_at IS NOT NULL AND data_removed_at IS NULL")
    create_partial_index("ix_runs_deleted", "runs", ["deleted_at"], "deleted_at IS NOT NULL AND data_removed_at IS NULL")
    create_partial_index("ix_runs_gone", "runs", ["project_id"], "deleted_at IS NOT NULL")
    create_partial_index("ux_runs_number", "runs", ["project_id", "number"], _SHOWN, unique=True)
    create_partial_index("ux_runs_serial", "runs", ["account_id", "serial"], _SHOWN, unique=True)
    create_partial_index("ix_runs_account_state", "runs", ["account_id", "state", "run_type", "serial"], _SHOWN)
    create_partial_index("ix_runs_project_state", "runs", ["project_id", "state", "run_type", "number"], _SHOWN)
    op.add_column("users", sa.Column("number", sa.Integer(), nullable=True))
    op.create_index("ux_users_number", "users", ["number"], unique=True)

    op.execute("UPDATE users SET number = 1000000 + (SELECT COUNT(*) FROM users AS other WHERE other.id <= users.id)")
    op.execute("UPDATE projects SET name = '_behavior' WHERE is_system")
