"""Building blocks of tables: naming convention, and the conditions of partial indexes."""

from sqlalchemy import Index, MetaData, String, text

from footfall.states import FINAL_STATES, LIVE_STATES, RunState

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
ALIVE = text("deleted_at IS NULL")
IS_LIVE = "state IN ({})".format(", ".join(f"'{state}'" for state in sorted(LIVE_STATES)))
"""That a run has not ended; spelled out as in the partial indexes, for only then does the planner use them."""
IS_ENDED = "state IN ({})".format(", ".join(f"'{state}'" for state in sorted(FINAL_STATES)))
LIVE_RUN = text(IS_LIVE)
SHOWN = text("number IS NOT NULL AND deleted_at IS NULL")
KEPT = text("ended_at IS NOT NULL AND data_removed_at IS NULL")
UNSWEPT = text("deleted_at IS NOT NULL AND data_removed_at IS NULL")
GONE = text("deleted_at IS NOT NULL")
ALL_STATES = ", ".join(f"'{state}'" for state in RunState)


def unique_alive_name(table: str) -> Index:
    """Keep a name from being given twice in an account while its owner lives."""
    return Index(f"ux_{table}_name", "account_id", "name", unique=True, sqlite_where=ALIVE, postgresql_where=ALIVE)


def page_index(table: str) -> Index:
    """Serve the pages of an account's rows, newest first."""
    # deleted_at is in it so that a page's ids are found in the index alone.
    columns = ("account_id", "created_at", "id", "deleted_at")
    return Index(f"ix_{table}_page", *columns, sqlite_where=ALIVE, postgresql_where=ALIVE)
