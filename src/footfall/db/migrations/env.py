"""Alembic's entry point: run the revisions on the connection that ``migrate`` gives, in its transaction."""

from alembic import context

from footfall.db.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, transactional_ddl=False)
context.run_migrations()
