"""Profiles: shopping intents of tasks and custom attributes of features. Hidden when deleted, as what they are made from."""

from sqlalchemy import BigInteger, Column, ForeignKey, String, Text

from footfall.db.tables.schema import ID, resource_table

shopping_intents = resource_table(
    "shopping_intents",
    Column("task_id", ID, ForeignKey("tasks.id"), nullable=False, index=True),
    # Whose users it speaks of: the feature that the task learned from, kept while this is being made.
    Column("feature_id", ID, ForeignKey("features.id"), nullable=False, index=True),
    Column("disk_usage", BigInteger),
)

custom_attributes = resource_table(
    "custom_attributes",
    Column("feature_id", ID, ForeignKey("features.id"), nullable=False, index=True),
    Column("keyword_set", Text, nullable=False),  # a keyword a line
    Column("result_bucket", String(63), nullable=False),
    Column("result_file_path", String(1100), nullable=False),
)
