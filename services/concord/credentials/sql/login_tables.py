"""The tables of logins: who answers to a name, attempts, second factors, mailed secrets, grace periods."""

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, Table
from sqlalchemy.schema import PrimaryKeyConstraint

from concord.credentials.sql.tables import METADATA
from concord.kernel.database.columns import Bytes, Id, Instant, Json, Text

# Copies of identity's facts, kept by its feed.

login_rules = Table(
    "login_rules",
    METADATA,
    Column("organization_id", Id, primary_key=True),
    Column("slug", Text, nullable=False),
    Column("alias", Text, nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("password_enabled", Boolean, nullable=False),
    Column("code_enabled", Boolean, nullable=False),
    Column("enforce_renewal", Boolean, nullable=False),
    Column("enforce_mfa", Boolean, nullable=False),
    Column("grace_seconds", BigInteger, nullable=False),
    Column("max_attempts", Integer, nullable=False),
    Column("form", Json, nullable=False),
    Index("login_rules_slug", "slug"),
    Index("login_rules_alias", "alias"),
    Index("login_rules_number", "number"),
)

person = Table(
    "person",
    METADATA,
    Column("organization_id", Id, nullable=False),
    Column("user_id", Id, nullable=False),
    Column("username", Text, nullable=False),
    Column("email", Text, nullable=False),
    # The address folded: what two spellings of one address have in common.
    Column("address", Text, nullable=False),
    Column("is_owner", Boolean, nullable=False),
    Column("is_customer", Boolean, nullable=False),
    Column("interactive", Boolean, nullable=False),
    PrimaryKeyConstraint("organization_id", "user_id"),
    Index("person_username", "organization_id", "username"),
    Index("person_address", "address"),
)

attempt_budget = Table(
    "attempt_budget",
    METADATA,
    Column("organization_id", Id, nullable=False),
    # A user's id, or the hash of a name that nobody answers to.
    Column("holder", Text, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("last_attempt_time", Instant, nullable=False),
    Column("lock_time", Instant),
    PrimaryKeyConstraint("organization_id", "holder"),
    Index("attempt_budget_last_attempt_time", "last_attempt_time"),
)

mfa_device = Table(
    "mfa_device",
    METADATA,
    Column("organization_id", Id, nullable=False),
    Column("user_id", Id, nullable=False),
    Column("id", Id, nullable=False),
    Column("state", Text, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("sealed_seed", Bytes, nullable=False),
    # Codes of this time step and of earlier ones are used up.
    Column("last_step", BigInteger, nullable=False),
    Column("create_time", Instant, nullable=False),
    Column("update_time", Instant, nullable=False),
    Column("owed_time", Instant),
    PrimaryKeyConstraint("organization_id", "user_id"),
)

recovery_code = Table(
    "recovery_code",
    METADATA,
    Column("organization_id", Id, nullable=False),
    Column("user_id", Id, nullable=False),
    Column("code_hash", Bytes, nullable=False),
    PrimaryKeyConstraint("organization_id", "user_id", "code_hash"),
)

one_time_token = Table(
    "one_time_token",
    METADATA,
    Column("organization_id", Id, nullable=False),
    Column("user_id", Id, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("id", Id, nullable=False),
    # NULL once it is used up or void; the row stays to count mails.
    Column("secret_hash", Bytes),
    Column("expire_time", Instant, nullable=False),
    Column("sent", Integer, nullable=False),
    Column("window_time", Instant, nullable=False),
    PrimaryKeyConstraint("organization_id", "user_id", "purpose"),
    Index("one_time_token_id", "id", unique=True),
    Index("one_time_token_expire_time", "expire_time"),
)

grace_period = Table(
    "grace_period",
    METADATA,
    Column("organization_id", Id, nullable=False),
    Column("user_id", Id, nullable=False),
    Column("type", Text, nullable=False),
    # NULL until the login that begins it.
    Column("expire_time", Instant),
    PrimaryKeyConstraint("organization_id", "user_id", "type"),
    Index("grace_period_expire_time", "expire_time"),
)
