"""Tables of features, tasks, task runs and encoders.

Rows are hidden when deleted, not removed, so that names and counts of what depends on them stay true. A resource has no
state of its own: its run has.
"""

from sqlalchemy import BigInteger, Column, Float, ForeignKey, Index, String, Table, Text

from footfall.db.tables.schema import ID, metadata, page_index, resource_table

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
    page_index("encoders"),
)

resource_counts = Table(
    "resource_counts",  # how many rows of a kind an account has: counting 100,000 rows at each request would cost too much
    metadata,
    Column("account_id", ID, ForeignKey("accounts.id"), primary_key=True),
    Column("kind", String(20), primary_key=True),
    Column("n", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

features = resource_table(
    "features",
    Column("source_bucket", String(63), nullable=False),
    Column("source_file_path", String(1024), nullable=False),
    Column("source_options", Text),  # how to read it, as JSON; None: find out
    Column("encoder_id", ID, ForeignKey("encoders.id")),
    Column("coverage", Float),
    Column("disk_usage", BigInteger),
    Index("ix_features_encoder", "encoder_id"),
)

tasks = resource_table(
    "tasks",
    Column("encoder_id", ID, ForeignKey("encoders.id"), nullable=False, index=True),
    Column("train_feature_id", ID, ForeignKey("features.id"), nullable=False, index=True),
    Column("train_bucket", String(63), nullable=False),
    Column("train_file_path", String(1024), nullable=False),
    Column("test_feature_id", ID, ForeignKey("features.id"), index=True),
    Column("test_bucket", String(63)),
    Column("test_file_path", String(1024)),
    Column("line_count", BigInteger, nullable=False),  # users of the distinct features, known when the task is made
    Column("disk_usage", BigInteger),
)

task_runs = resource_table(
    "task_runs",
    Column("task_id", ID, ForeignKey("tasks.id"), nullable=False, index=True),
    Column("feature_id", ID, ForeignKey("features.id"), nullable=False, index=True),
    Column("result_bucket", String(63), nullable=False),
    Column("result_file_path", String(1100), nullable=False),
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
