"""Profiles: shopping intents of tasks and custom attributes of features. Hidden when deleted, as what they are made from."""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, String, Table, Text

from footfall.db.tables.schema import ID, metadata, page_index, unique_alive_name

shopping_intents = Table(
    "shopping_intents",
    metadata,
    Column("id", ID, primary_key=True),
    Column("account_id", ID, ForeignKey("accounts.id"), nullable=False),
    Column("name", String(100), nullable=False),
    Column("run_id", ID, ForeignKey("runs.id"), nullable=False),
    Column("task_id", ID, ForeignKey("tasks.id"), nullable=False, index=True),
    # Whose users it speaks of: the feature that the task learned from, kept while this is being made.
    Column("feature_id", ID, ForeignKey("features.id"), nullable=False, index=True),
    Column("disk_usage", BigInteger),
    Column("created_at", BigInteger, nullable=False),
    Column("deleted_at", BigInteger),
    Index("ix_shopping_intents_run", "run_id"),
    unique_alive_name("shopping_intents"),
    page_index("shopping_intents"),
)

custom_attributes = Table(
    "custom_attributes",
    metadata,
    Column("id", ID, primary_key=True),
    Column("account_id", ID, ForeignKey("accounts.id"), nullable=False),
    Column("name", String(100), nullable=False),
    Column("run_id", ID, ForeignKey("runs.id"), nullable=False),
    Column("feature_id", ID, ForeignKey("features.id"), nullable=False, index=True),
    Column("keyword_set", Text, nullable=False),  # a keyword a line
    Column("result_bucket", String(63), nullable=False),
    Column("result_file_path", String(1100), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("deleted_at", BigInteger),
    Index("ix_custom_attributes_run", "run_id"),
    unique_alive_name("custom_attributes"),
    page_index("custom_attributes"),
)
