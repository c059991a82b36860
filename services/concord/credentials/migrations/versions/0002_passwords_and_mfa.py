"""Password policy, attempts, second factors, one-time tokens. Written out and never edited."""

import sqlalchemy as sa
from alembic import op

from concord.kernel.database.columns import Bytes, Id, Instant, Json, Text

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Create them; attempts leave the password's row, since all that examines proofs shares them."""
    for column in ("failed_attempts", "last_attempt_time", "lock_time"):
        op.drop_column("password", column)
    _create_doors()
    _create_attempts()
    _create_factors()


def _create_doors() -> None:
    op.create_table(
        "login_rules",
        sa.Column("organization_id", Id, primary_key=True),
        sa.Column("slug", Text, nullable=False),
        sa.Column("alias", Text, nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("password_enabled", sa.Boolean, nullable=False),
        sa.Column("code_enabled", sa.Boolean, nullable=False),
        sa.Column("enforce_renewal", sa.Boolean, nullable=False),
        sa.Column("enforce_mfa", sa.Boolean, nullable=False),
        sa.Column("grace_seconds", sa.BigInteger, nullable=False),
        sa.Column("max_attempts", sa.Integer, nullable=False),
        sa.Column("form", Json, nullable=False),
    )
    op.create_index("login_rules_slug", "login_rules", ["slug"])
    op.create_index("login_rules_alias", "login_rules", ["alias"])
    op.create_index("login_rules_number", "login_rules", ["number"])
    op.create_table(
        "person",
        sa.Column("organization_id", Id, nullable=False),
        sa.Column("user_id", Id, nullable=False),
        sa.Column("username", Text, nullable=False),
        sa.Column("email", Text, nullable=False),
        sa.Column("address", Text, nullable=False),
        sa.Column("is_owner", sa.Boolean, nullable=False),
        sa.Column("is_customer", sa.Boolean, nullable=False),
        sa.Column("interactive", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "user_id"),
    )
    op.create_index("person_username", "person", ["organization_id", "username"])
    op.create_index("person_address", "person", ["address"])


def _create_attempts() -> None:
    op.create_table(
        "attempt_budget",
        sa.Column("organization_id", Id, nullable=False),
        sa.Column("holder", Text, nullable=False),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("last_attempt_time", Instant, nullable=False),
        sa.Column("lock_time", Instant),
        sa.PrimaryKeyConstraint("organization_id", "holder"),
    )
    op.create_index("attempt_budget_last_attempt_time", "attempt_budget", ["last_attempt_time"])
    op.create_table(
        "grace_period",
        sa.Column("organization_id", Id, nullable=False),
        sa.Column("user_id", Id, nullable=False),
        sa.Column("type", Text, nullable=False),
        sa.Column("expire_time", Instant),
        sa.PrimaryKeyConstraint("organization_id", "user_id", "type"),
    )
    op.create_index("grace_period_expire_time", "grace_period", ["expire_time"])


def _create_factors() -> None:
    op.create_table(
        "mfa_device",
        sa.Column("organization_id", Id, nullable=False),
        sa.Column("user_id", Id, nullable=False),
        sa.Column("id", Id, nullable=False),
        sa.Column("state", Text, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("sealed_seed", Bytes, nullable=False),
        sa.Column("last_step", sa.BigInteger, nullable=False),
        sa.Column("create_time", Instant, nullable=False),
        sa.Column("update_time", Instant, nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "user_id"),
    )
    op.create_table(
        "recovery_code",
        sa.Column("organization_id", Id, nullable=False),
        sa.Column("user_id", Id, nullable=False),
        sa.Column("code_hash", Bytes, nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "user_id", "code_hash"),
    )
    op.create_table(
        "one_time_token",
        sa.Column("organization_id", Id, nullable=False),
        sa.Column("user_id", Id, nullable=False),
        sa.Column("purpose", Text, nullable=False),
        sa.Column("id", Id, nullable=False),
        sa.Column("secret_hash", Bytes),
        sa.Column("expire_time", Instant, nullable=False),
        sa.Column("sent", sa.Integer, nullable=False),
        sa.Column("window_time", Instant, nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "user_id", "purpose"),
    )
    op.create_index("one_time_token_id", "one_time_token", ["id"], unique=True)
    op.create_index("one_time_token_expire_time", "one_time_token", ["expire_time"])
