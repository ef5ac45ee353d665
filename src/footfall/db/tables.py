"""The schema: every table, key, index and CHECK. Knows no queries.

Times are integers, microseconds since 1970-01-01 UTC. Rows of behavior are hidden when deleted, not removed, so that names
and counts of what depends on them stay true. A resource of behavior has no state of its own: its run has.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    text,
)

from footfall.states import LIVE_STATES, RunState

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

ID = String(36)
_ALIVE = text("deleted_at IS NULL")
_LIVE_RUN = text("state IN ({})".format(", ".join(f"'{state}'" for state in sorted(LIVE_STATES))))
_ALL_STATES = ", ".join(f"'{state}'" for state in RunState)


def _unique_alive_name(table: str) -> Index:
    return Index(f"ux_{table}_name", "account_id", "name", unique=True, sqlite_where=_ALIVE, postgresql_where=_ALIVE)


def _page(table: str) -> Index:
    # deleted_at is in it so that a page's ids are found in the index alone.
    columns = ("account_id", "created_at", "id", "deleted_at")
    return Index(f"ix_{table}_page", *columns, sqlite_where=_ALIVE, postgresql_where=_ALIVE)


accounts = Table(
    "accounts",
    metadata,
    Column("id", ID, primary_key=True),
    Column("name", String(100), nullable=False, unique=True),
    Column("is_operator", Boolean, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)

users = Table(
    "users",
    metadata,
    Column("id", ID, primary_key=True),
    Column("account_id", ID, ForeignKey("accounts.id"), nullable=False),
    Column("name", String(100), nullable=False),
    Column("role_nclue", String(10), nullable=False),
    Column("role_nsml", String(10), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("deleted_at", BigInteger),
    CheckConstraint("role_nclue IN ('MANAGER', 'VIEWER', 'NONE')", name="role_nclue"),
    CheckConstraint("role_nsml IN ('MANAGER', 'VIEWER', 'NONE')", name="role_nsml"),
    _unique_alive_name("users"),
)

access_keys = Table(
    "access_keys",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("user_id", ID, ForeignKey("users.id"), nullable=False, index=True),
    Column("secret", LargeBinary, nullable=False),  # key id + nonce + AES-256-GCM ciphertext, bound to the id
    Column("is_active", Boolean, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", ID, primary_key=True),
    Column("account_id", ID, ForeignKey("accounts.id"), nullable=False, index=True),
    Column("name", String(20), nullable=False),
    Column("primary_hash", LargeBinary, nullable=False, unique=True),
    Column("secondary_hash", LargeBinary, nullable=False, unique=True),
    Column("is_enabled", Boolean, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)

buckets = Table(
    "buckets",
    metadata,
    Column("name", String(63), primary_key=True),
    Column("account_id", ID, ForeignKey("accounts.id"), nullable=False, index=True),
    Column("created_at", BigInteger, nullable=False),
)

bucket_grants = Table(
    "bucket_grants",
    metadata,
    Column("bucket", String(63), ForeignKey("buckets.name", ondelete="CASCADE"), primary_key=True),
    Column("account_id", ID, ForeignKey("accounts.id"), primary_key=True),
)

projects = Table(
    "projects",
    metadata,
    Column("id", String(20), primary_key=True),
    Column("account_id", ID, ForeignKey("accounts.id"), nullable=False),
    Column("name", String(100), nullable=False),
    Column("is_system", Boolean, nullable=False),  # holds behavior's runs; run routes refuse to change it
    Column("created_at", BigInteger, nullable=False),
    Column("deleted_at", BigInteger),
    _unique_alive_name("projects"),
)

runs = Table(
    "runs",
    metadata,
    Column("id", ID, primary_key=True),
    Column("account_id", ID, ForeignKey("accounts.id"), nullable=False),
    Column("project_id", String(20), ForeignKey("projects.id"), nullable=False),
    Column("kind", String(20), nullable=False),
    Column("turn_key", String(80)),  # live runs of one key are taken one at a time, in order
    Column("state", String(12), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("spec", Text, nullable=False),
    Column("n_cores", Integer, nullable=False),
    Column("memory_mib", Integer, nullable=False),
    Column("handle", String(200)),
    Column("message", Text),
    Column("created_at", BigInteger, nullable=False),
    Column("not_before", BigInteger),  # a rescued run waits until then
    Column("started_at", BigInteger),
    Column("ended_at", BigInteger),
    Column("cancel_requested_at", BigInteger),
    Column("cancelled_by", String(40)),
    Column("reason", String(20)),
    Column("fail_name", String(40)),
    Column("fail_details", Text),
    Column("result", Text),
    CheckConstraint(f"state IN ({_ALL_STATES})", name="state"),
    CheckConstraint("(state = 'failed') = (reason IS NOT NULL)", name="reason"),
    Index("ix_runs_waiting", "state", "turn_key", "id", sqlite_where=_LIVE_RUN, postgresql_where=_LIVE_RUN),
    Index("ix_runs_turn", "turn_key", "id", sqlite_where=_LIVE_RUN, postgresql_where=_LIVE_RUN),
    Index("ix_runs_page", "project_id", "created_at", "id"),
    Index("ix_runs_ended", "ended_at"),
)

run_events = Table(
    "run_events",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("run_id", ID, ForeignKey("runs.id"), nullable=False, index=True),
    Column("at", BigInteger, nullable=False),
    Column("from_state", String(12)),
    Column("to_state", String(12), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("reason", String(20)),
)

allocations = Table(
    "allocations",
    metadata,
    Column("run_id", ID, ForeignKey("runs.id"), primary_key=True),
    Column("attempt", Integer, nullable=False),
    Column("n_cores", Integer, nullable=False),
    Column("memory_mib", Integer, nullable=False),
    Column("epoch", BigInteger, nullable=False),
)

leases = Table(
    "leases",
    metadata,
    Column("name", String(40), primary_key=True),
    Column("holder", String(200), nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("beat", BigInteger, nullable=False),
)

encoders = Table(
    "encoders",
    metadata,
    Column("id", ID, primary_key=True),
    Column("account_id", ID, ForeignKey("accounts.id"), nullable=False),
    Column("name", String(100), nullable=False),
    Column("feature_id", ID, nullable=False),
    Column("artefact", String(200), nullable=False),
    Column("n_users", BigInteger, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("deleted_at", BigInteger),
    _page("encoders"),
)

resource_counts = Table(
    "resource_counts",  # how many rows of a kind an account has: counting 100,000 rows at each request would cost too much
    metadata,
    Column("account_id", ID, ForeignKey("accounts.id"), primary_key=True),
    Column("kind", String(20), primary_key=True),
    Column("n", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

features = Table(
    "features",
    metadata,
    Column("id", ID, primary_key=True),
    Column("account_id", ID, ForeignKey("accounts.id"), nullable=False),
    Column("name", String(100), nullable=False),
    Column("run_id", ID, ForeignKey("runs.id"), nullable=False),
    Column("source_bucket", String(63), nullable=False),
    Column("source_file_path", String(1024), nullable=False),
    Column("encoder_id", ID, ForeignKey("encoders.id")),
    Column("coverage", Float),
    Column("disk_usage", BigInteger),
    Column("created_at", BigInteger, nullable=False),
    Column("deleted_at", BigInteger),
    Index("ix_features_encoder", "encoder_id"),
    Index("ix_features_run", "run_id"),
    _unique_alive_name("features"),
    _page("features"),
)

tasks = Table(
    "tasks",
    metadata,
    Column("id", ID, primary_key=True),
    Column("account_id", ID, ForeignKey("accounts.id"), nullable=False),
    Column("name", String(100), nullable=False),
    Column("run_id", ID, ForeignKey("runs.id"), nullable=False),
    Column("encoder_id", ID, ForeignKey("encoders.id"), nullable=False, index=True),
    Column("train_feature_id", ID, ForeignKey("features.id"), nullable=False, index=True),
    Column("train_bucket", String(63), nullable=False),
    Column("train_file_path", String(1024), nullable=False),
    Column("test_feature_id", ID, ForeignKey("features.id"), index=True),
    Column("test_bucket", String(63)),
    Column("test_file_path", String(1024)),
    Column("line_count", BigInteger, nullable=False),  # users of the distinct features, known when the task is made
    Column("disk_usage", BigInteger),
    Column("created_at", BigInteger, nullable=False),
    Column("deleted_at", BigInteger),
    Index("ix_tasks_run", "run_id"),
    _unique_alive_name("tasks"),
    _page("tasks"),
)

task_runs = Table(
    "task_runs",
    metadata,
    Column("id", ID, primary_key=True),
    Column("account_id", ID, ForeignKey("accounts.id"), nullable=False),
    Column("name", String(100), nullable=False),
    Column("run_id", ID, ForeignKey("runs.id"), nullable=False),
    Column("task_id", ID, ForeignKey("tasks.id"), nullable=False, index=True),
    Column("feature_id", ID, ForeignKey("features.id"), nullable=False, index=True),
    Column("result_bucket", String(63), nullable=False),
    Column("result_file_path", String(1100), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("deleted_at", BigInteger),
    Index("ix_task_runs_run", "run_id"),
    _unique_alive_name("task_runs"),
    _page("task_runs"),
)

result_reservations = Table(
    "result_reservations",
    metadata,
    Column("bucket", String(63), primary_key=True),
    Column("key", String(1100), primary_key=True),
    Column("run_id", ID, ForeignKey("runs.id"), nullable=False, index=True),
)

tombstones = Table(
    "tombstones",
    metadata,
    Column("prefix", String(200), primary_key=True),  # of the internal store, swept by the reconciler
    Column("created_at", BigInteger, nullable=False),
)

seen_requests = Table(
    "seen_requests",
    metadata,
    Column("digest", LargeBinary(32), primary_key=True),
    Column("expires_at", BigInteger, nullable=False, index=True),
    sqlite_with_rowid=False,
)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("account_id", ID, ForeignKey("accounts.id"), primary_key=True),
    Column("key", String(200), primary_key=True),
    Column("digest", LargeBinary(32), nullable=False),
    Column("status", Integer, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("expires_at", BigInteger, nullable=False, index=True),
)
