"""The first schema."""

import sqlalchemy as sa
from alembic import op

from footfall.db.migrations.steps import ALIVE, PAGE, create_partial_index, create_resource_table

revision = "0001"
down_revision = None
_LIVE = "state IN ('in_progress', 'pending', 'registered')"


def upgrade() -> None:
    """Make every table."""
    op.create_table(
        "accounts",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("is_operator", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_accounts")),
        sa.UniqueConstraint("name", name=op.f("uq_accounts_name")),
    )
    op.create_table(
        "leases",
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("holder", sa.String(length=200), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("beat", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_leases")),
    )
    op.create_table(
        "seen_requests",
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_seen_requests")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_seen_requests_expires_at"), "seen_requests", ["expires_at"], unique=False)
    op.create_table(
        "tombstones",
        sa.Column("prefix", sa.String(length=200), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("prefix", name=op.f("pk_tombstones")),
    )
    op.create_table(
        "api_keys",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("account_id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=20), nullable=False),
        sa.Column("primary_hash", sa.LargeBinary(), nullable=False),
        sa.Column("secondary_hash", sa.LargeBinary(), nullable=False),
        sa.Column("is_enabled", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_api_keys_account_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_keys")),
        sa.UniqueConstraint("primary_hash", name=op.f("uq_api_keys_primary_hash")),
        sa.UniqueConstraint("secondary_hash", name=op.f("uq_api_keys_secondary_hash")),
    )
    op.create_index(op.f("ix_api_keys_account_id"), "api_keys", ["account_id"], unique=False)
    op.create_table(
        "buckets",
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("account_id", sa.String(length=36), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_buckets_account_id")),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_buckets")),
    )
    op.create_index(op.f("ix_buckets_account_id"), "buckets", ["account_id"], unique=False)
    op.create_table(
        "encoders",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("account_id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("feature_id", sa.String(length=36), nullable=False),
        sa.Column("artefact", sa.String(length=200), nullable=False),
        sa.Column("n_users", sa.BigInteger(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("deleted_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_encoders_account_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_encoders")),
    )
    create_partial_index("ix_encoders_page", "encoders", PAGE, ALIVE)
    op.create_table(
        "idempotency_keys",
        sa.Column("account_id", sa.String(length=36), nullable=False),
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_idempotency_keys_account_id")),
        sa.PrimaryKeyConstraint("account_id", "key", name=op.f("pk_idempotency_keys")),
    )
    op.create_index(op.f("ix_idempotency_keys_expires_at"), "idempotency_keys", ["expires_at"], unique=False)
    op.create_table(
        "projects",
        sa.Column("id", sa.String(length=20), nullable=False),
        sa.Column("account_id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("is_system", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("deleted_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_projects_account_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_projects")),
    )
    create_partial_index("ux_projects_name", "projects", ["account_id", "name"], ALIVE, unique=True)
    op.create_table(
        "resource_counts",
        sa.Column("account_id", sa.String(length=36), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("n", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_resource_counts_account_id")),
        sa.PrimaryKeyConstraint("account_id", "kind", name=op.f("pk_resource_counts")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "users",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("account_id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("role_nclue", sa.String(length=10), nullable=False),
        sa.Column("role_nsml", sa.String(length=10), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("deleted_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("role_nclue IN ('MANAGER', 'VIEWER', 'NONE')", name=op.f("ck_users_role_nclue")),
        sa.CheckConstraint("role_nsml IN ('MANAGER', 'VIEWER', 'NONE')", name=op.f("ck_users_role_nsml")),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_users_account_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
    )
    create_partial_index("ux_users_name", "users", ["account_id", "name"], ALIVE, unique=True)
    op.create_table(
        "access_keys",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("user_id", sa.String(length=36), nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_access_keys_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_access_keys")),
    )
    op.create_index(op.f("ix_access_keys_user_id"), "access_keys", ["user_id"], unique=False)
    op.create_table(
        "bucket_grants",
        sa.Column("bucket", sa.String(length=63), nullable=False),
        sa.Column("account_id", sa.String(length=36), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_bucket_grants_account_id")),
        sa.ForeignKeyConstraint(["bucket"], ["buckets.name"], name=op.f("fk_bucket_grants_bucket"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("bucket", "account_id", name=op.f("pk_bucket_grants")),
    )
    op.create_table(
        "runs",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("account_id", sa.String(length=36), nullable=False),
        sa.Column("project_id", sa.String(length=20), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("turn_key", sa.String(length=80), nullable=True),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("spec", sa.Text(), nullable=False),
        sa.Column("n_cores", sa.Integer(), nullable=False),
        sa.Column("memory_mib", sa.Integer(), nullable=False),
        sa.Column("handle", sa.String(length=200), nullable=True),
        sa.Column("message", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("not_before", sa.BigInteger(), nullable=True),
        sa.Column("started_at", sa.BigInteger(), nullable=True),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("cancel_requested_at", sa.BigInteger(), nullable=True),
        sa.Column("cancelled_by", sa.String(length=40), nullable=True),
        sa.Column("reason", sa.String(length=20), nullable=True),
        sa.Column("fail_name", sa.String(length=40), nullable=True),
        sa.Column("fail_details", sa.Text(), nullable=True),
        sa.Column("result", sa.Text(), nullable=True),
        sa.CheckConstraint("(state = 'failed') = (reason IS NOT NULL)", name=op.f("ck_runs_reason")),
        sa.CheckConstraint(
            "state IN ('registered', 'pending', 'in_progress', 'completed', 'failed', 'cancelled')", name=op.f("ck_runs_state")
        ),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_runs_account_id")),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_runs_project_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_runs")),
    )
    op.create_index("ix_runs_ended", "runs", ["ended_at"], unique=False)
    op.create_index("ix_runs_page", "runs", ["project_id", "created_at", "id"], unique=False)
    create_partial_index("ix_runs_turn", "runs", ["turn_key", "id"], _LIVE)
    create_partial_index("ix_runs_waiting", "runs", ["state", "turn_key", "id"], _LIVE)
    op.create_table(
        "allocations",
        sa.Column("run_id", sa.String(length=36), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("n_cores", sa.Integer(), nullable=False),
        sa.Column("memory_mib", sa.Integer(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_allocations_run_id")),
        sa.PrimaryKeyConstraint("run_id", name=op.f("pk_allocations")),
    )
    create_resource_table(
        "features",
        sa.Column("source_bucket", sa.String(length=63), nullable=False),
        sa.Column("source_file_path", sa.String(length=1024), nullable=False),
        sa.Column("encoder_id", sa.String(length=36), nullable=True),
        sa.Column("coverage", sa.Float(), nullable=True),
        sa.Column("disk_usage", sa.BigInteger(), nullable=True),
        parents={"account_id": "accounts", "encoder_id": "encoders", "run_id": "runs"},
    )
    op.create_index("ix_features_encoder", "features", ["encoder_id"], unique=False)
    create_partial_index("ix_features_page", "features", PAGE, ALIVE)
    op.create_index("ix_features_run", "features", ["run_id"], unique=False)
    create_partial_index("ux_features_name", "features", ["account_id", "name"], ALIVE, unique=True)
    op.create_table(
        "result_reservations",
        sa.Column("bucket", sa.String(length=63), nullable=False),
        sa.Column("key", sa.String(length=1100), nullable=False),
        sa.Column("run_id", sa.String(length=36), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_result_reservations_run_id")),
        sa.PrimaryKeyConstraint("bucket", "key", name=op.f("pk_result_reservations")),
    )
    op.create_index(op.f("ix_result_reservations_run_id"), "result_reservations", ["run_id"], unique=False)
    op.create_table(
        "run_events",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("run_id", sa.String(length=36), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("from_state", sa.String(length=12), nullable=True),
        sa.Column("to_state", sa.String(length=12), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("reason", sa.String(length=20), nullable=True),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_run_events_run_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_run_events")),
    )
    op.create_index(op.f("ix_run_events_run_id"), "run_events", ["run_id"], unique=False)
    create_resource_table(
        "tasks",
        sa.Column("encoder_id", sa.String(length=36), nullable=False),
        sa.Column("train_feature_id", sa.String(length=36), nullable=False),
        sa.Column("train_bucket", sa.String(length=63), nullable=False),
        sa.Column("train_file_path", sa.String(length=1024), nullable=False),
        sa.Column("test_feature_id", sa.String(length=36), nullable=True),
        sa.Column("test_bucket", sa.String(length=63), nullable=True),
        sa.Column("test_file_path", sa.String(length=1024), nullable=True),
        sa.Column("line_count", sa.BigInteger(), nullable=False),
        sa.Column("disk_usage", sa.BigInteger(), nullable=True),
        parents={
            "account_id": "accounts",
            "encoder_id": "encoders",
            "run_id": "runs",
            "test_feature_id": "features",
            "train_feature_id": "features",
        },
    )
    op.create_index(op.f("ix_tasks_encoder_id"), "tasks", ["encoder_id"], unique=False)
    create_partial_index("ix_tasks_page", "tasks", PAGE, ALIVE)
    op.create_index("ix_tasks_run", "tasks", ["run_id"], unique=False)
    op.create_index(op.f("ix_tasks_test_feature_id"), "tasks", ["test_feature_id"], unique=False)
    op.create_index(op.f("ix_tasks_train_feature_id"), "tasks", ["train_feature_id"], unique=False)
    create_partial_index("ux_tasks_name", "tasks", ["account_id", "name"], ALIVE, unique=True)
    create_resource_table(
        "task_runs",
        sa.Column("task_id", sa.String(length=36), nullable=False),
        sa.Column("feature_id", sa.String(length=36), nullable=False),
        sa.Column("result_bucket", sa.String(length=63), nullable=False),
        sa.Column("result_file_path", sa.String(length=1100), nullable=False),
        parents={"account_id": "accounts", "feature_id": "features", "run_id": "runs", "task_id": "tasks"},
    )
    op.create_index(op.f("ix_task_runs_feature_id"), "task_runs", ["feature_id"], unique=False)
    create_partial_index("ix_task_runs_page", "task_runs", PAGE, ALIVE)
    op.create_index("ix_task_runs_run", "task_runs", ["run_id"], unique=False)
    op.create_index(op.f("ix_task_runs_task_id"), "task_runs", ["task_id"], unique=False)
    create_partial_index("ux_task_runs_name", "task_runs", ["account_id", "name"], ALIVE, unique=True)
