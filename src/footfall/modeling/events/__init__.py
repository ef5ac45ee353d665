"""Event logs: rows of any order and size to whole users."""
