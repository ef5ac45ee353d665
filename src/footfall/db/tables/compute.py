"""Tables of projects, runs, allocations, volumes, images, registries and SSH keys."""

from sqlalchemy import BigInteger, Boolean, CheckConstraint, Column, ForeignKey, Integer, LargeBinary, String, Table, Text, text

from footfall.db.tables.schema import ALL_STATES, ID, LIVE_RUN, SHOWN, metadata, partial_index, unique_alive_name

projects = Table(
    "projects",
    metadata,
    Column("id", String(20), primary_key=True),
    Column("account_id", ID, ForeignKey("accounts.id"), nullable=False),
    Column("name", String(100), nullable=False),
    Column("is_system", Boolean, nullable=False),  # holds behavior's runs; run routes refuse to change it
    Column("created_at", BigInteger, nullable=False),
    Column("deleted_at", BigInteger),
    Column("user_id", ID),
    Column("status", String(10), nullable=False, server_default="CREATED"),
    Column("note", Text, nullable=False, server_default=""),
    Column("nas_gb", Integer, nullable=False, server_default="500"),
    Column("updated_at", BigInteger),
    Column("last_run", Integer, nullable=False, server_default="0"),  # the highest run number given, also to deleted runs
    Column("n_runs", Integer, nullable=False, server_default="0"),
    Column("n_nodes", Integer, nullable=False, server_default="0"),  # of the runs that are there
    unique_alive_name("projects"),
    partial_index("ix_projects_page", "account_id", "created_at", "id", "is_system"),
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
    Column("user_id", ID),
    Column("number", Integer),  # the run's name in its project; None for runs of behavior
    Column("serial", Integer),  # counts the numbered runs of its account: the order of its lists
    Column("run_type", String(10)),
    Column("product_code", Integer),
    Column("priority", Integer, nullable=False, server_default="0"),
    Column("n_nodes", Integer, nullable=False, server_default="1"),
    Column("n_gpus", Integer, nullable=False, server_default="0"),  # a node
    Column("request", Text),  # what the caller asked for, as JSON, secret values masked
    Column("sealed", LargeBinary),  # the secret values of its environment, encrypted, bound to the run's id
    Column("overtaken_at", BigInteger),  # when a later run first started before this one
    Column("updated_at", BigInteger),
    Column("exit_code", Integer),
    Column("metrics", Text),  # the summary of its metrics, written when it ended
    Column("deleted_at", BigInteger),
    Column("data_removed_at", BigInteger),
    CheckConstraint(f"state IN ({ALL_STATES})", name="state"),
    CheckConstraint("(state = 'failed') = (reason IS NOT NULL)", name="reason"),
    partial_index("ix_runs_waiting", "state", "turn_key", "project_id", "priority", "id", where=LIVE_RUN),
    partial_index("ix_runs_turn", "turn_key", "id", where=LIVE_RUN),
    partial_index("ix_runs_kept", "ended_at", where=text("ended_at IS NOT NULL AND data_removed_at IS NULL")),
    partial_index("ix_runs_deleted", "deleted_at", where=text("deleted_at IS NOT NULL AND data_removed_at IS NULL")),
    partial_index("ix_runs_gone", "project_id", where=text("deleted_at IS NOT NULL")),
    partial_index("ux_runs_number", "project_id", "number", where=SHOWN, unique=True),
    partial_index("ux_runs_serial", "account_id", "serial", where=SHOWN, unique=True),
    partial_index("ix_runs_account_state", "account_id", "state", "run_type", "serial", where=SHOWN),
    partial_index("ix_runs_project_state", "project_id", "state", "run_type", "number", where=SHOWN),
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
    Column("n_gpus", Integer, nullable=False, server_default="0"),
)

held_units = Table(
    "held_units",  # what only one run may have at a time: a core, a GPU, a port; unique while held
    metadata,
    Column("kind", String(8), primary_key=True),
    Column("unit", String(80), primary_key=True),
    Column("run_id", ID, ForeignKey("runs.id"), nullable=False, index=True),
    Column("attempt", Integer, nullable=False),
    Column("rank", Integer, nullable=False),
)

run_counts = Table(
    "run_counts",  # how many runs an account, or a project, has of a type in a state: counted when they move, not when asked
    metadata,
    Column("scope", ID, primary_key=True),
    Column("run_type", String(10), primary_key=True),
    Column("state", String(12), primary_key=True),
    Column("n", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

run_gaps = Table(
    "run_gaps",  # how many of each thousand numbers of a project, or serials of an account, are of deleted runs
    metadata,
    Column("scope", ID, primary_key=True),
    Column("thousand", Integer, primary_key=True),
    Column("n", Integer, nullable=False),
    sqlite_with_rowid=False,
)

volumes = Table(
    "volumes",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("account_id", ID, ForeignKey("accounts.id"), nullable=False),
    Column("project_id", String(20), ForeignKey("projects.id"), nullable=False, index=True),
    Column("name", String(50), nullable=False),
    Column("size_gb", Integer, nullable=False),
    Column("run_id", ID, ForeignKey("runs.id"), index=True),  # the live run that holds it
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("deleted_at", BigInteger),
    partial_index("ix_volumes_page", "account_id", "number"),
    sqlite_autoincrement=True,  # a number is never given twice
)

registries = Table(
    "registries",
    metadata,
    Column("account_id", ID, ForeignKey("accounts.id"), primary_key=True),
    Column("private_ep", String(253), primary_key=True),
    Column("access_key", String(200), nullable=False),
    Column("secret", LargeBinary, nullable=False),
    Column("secret_end", String(4), nullable=False),  # what is shown of it
    Column("created_at", BigInteger, nullable=False),
)

ssh_keys = Table(
    "ssh_keys",
    metadata,
    Column("account_id", ID, ForeignKey("accounts.id"), primary_key=True),
    Column("name", String(33), primary_key=True),
    Column("title", String(100), nullable=False),
    Column("key", Text, nullable=False),
    Column("fingerprint", String(47), nullable=False),
    Column("fingerprint_sha256", String(50), nullable=False),
    Column("created_at", BigInteger, nullable=False),
)

imported_images = Table(
    "imported_images",
    metadata,
    Column("name", String(200), primary_key=True),
    Column("kind", String(10), nullable=False),
    Column("path", String(1024), nullable=False),
    Column("created_at", BigInteger, nullable=False),
)

code_archives = Table(
    "code_archives",
    metadata,
    Column("project_id", String(20), ForeignKey("projects.id"), primary_key=True),
    Column("digest", String(64), primary_key=True),
    Column("size_bytes", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("used_at", BigInteger, nullable=False),  # when it was last uploaded, or last named by a run that started
)

leases = Table(
    "leases",
    metadata,
    Column("name", String(40), primary_key=True),
    Column("holder", String(200), nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("beat", BigInteger, nullable=False),
)
