"""Alembic's environment; revisions are forward only and never edited once released."""
