"""Tables of accounts, users, keys, buckets and received requests."""

from sqlalchemy import BigInteger, Boolean, CheckConstraint, Column, ForeignKey, Index, Integer, LargeBinary, String, Table

from footfall.db.tables.schema import ID, metadata, unique_alive_name

accounts = Table(
    "accounts",
    metadata,
    Column("id", ID, primary_key=True),
    Column("name", String(100), nullable=False, unique=True),
    Column("is_operator", Boolean, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("last_serial", Integer, nullable=False, server_default="0"),  # of its users' runs
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
    Column("number", Integer),  # NSML shows users as ncp-user-{number}
    CheckConstraint("role_nclue IN ('MANAGER', 'VIEWER', 'NONE')", name="role_nclue"),
    CheckConstraint("role_nsml IN ('MANAGER', 'VIEWER', 'NONE')", name="role_nsml"),
    unique_alive_name("users"),
    Index("ux_users_number", "number", unique=True),
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
