"""Building blocks of tables: naming convention, and the conditions of partial indexes."""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, MetaData, String, Table, TextClause, text
from sqlalchemy.schema import SchemaItem

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
ALL_STATES = ", ".join(f"'{state}'" for state in RunState)


def partial_index(name: str, *columns: str, where: TextClause = ALIVE, unique: bool = False) -> Index:
    """Return an index of the rows for which a condition holds; without one, of those that were not deleted."""
    return Index(name, *columns, unique=unique, sqlite_where=where, postgresql_where=where)


def unique_alive_name(table: str) -> Index:
    """Keep a name from being given twice in an account while its owner lives."""
    return partial_index(f"ux_{table}_name", "account_id", "name", unique=True)


def page_index(table: str) -> Index:
    """Serve the pages of an account's rows, newest first."""
    # deleted_at is in it so that a page's ids are found in the index alone.
    return partial_index(f"ix_{table}_page", "account_id", "created_at", "id", "deleted_at")


def resource_table(name: str, *own: SchemaItem) -> Table:
    """Return a table of what an account's runs make: its own columns stand among those that all of them have."""
    return Table(
        name,
        metadata,
        Column("id", ID, primary_key=True),
        Column("account_id", ID, ForeignKey("accounts.id"), nullable=False),
        Column("name", String(100), nullable=False),
        Column("run_id", ID, ForeignKey("runs.id"), nullable=False),
        *own,
        Column("created_at", BigInteger, nullable=False),
        Column("deleted_at", BigInteger),
        Index(f"ix_{name}_run", "run_id"),
        unique_alive_name(name),
        page_index(name),
    )
