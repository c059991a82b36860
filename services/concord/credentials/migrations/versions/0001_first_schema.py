"""The first schema. Written out and never edited: later forms are later migrations."""

import sqlalchemy as sa
from alembic import op

from concord.kernel.database.columns import Bytes, Id, Instant, Json, Text
from concord.kernel.database.migrate import create_kernel_tables_1

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create everything."""
    create_kernel_tables_1()
    _create_keys_and_sessions()
    _create_clients()
    _create_copies()


def _create_keys_and_sessions() -> None:
    op.create_table(
        "api_key",
        sa.Column("organization_id", Id, nullable=False),
        sa.Column("id", Id, nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("bearer", Text, nullable=False),
        sa.Column("access_id", Text, nullable=False),
        sa.Column("secret_hash", Bytes, nullable=False),
        sa.Column("lookup_hash", Bytes),
        sa.Column("sealed_secret", Bytes),
        sa.Column("secret_recoverable", sa.Boolean, nullable=False),
        sa.Column("secret_identifies", sa.Boolean, nullable=False),
        sa.Column("name", Text, nullable=False),
        sa.Column("description", Text, nullable=False),
        sa.Column("state", Text, nullable=False),
        sa.Column("default_project_id", Text, nullable=False),
        sa.Column("ceiling", Json, nullable=False),
        sa.Column("expire_time", Instant),
        sa.Column("last_used_time", Instant),
        sa.Column("creation_ip", Text, nullable=False),
        sa.Column("catalogue", Text, nullable=False),
        sa.Column("attributes", Json, nullable=False),
        sa.Column("create_time", Instant, nullable=False),
        sa.Column("update_time", Instant, nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "id"),
    )
    op.create_index("api_key_access_id", "api_key", ["access_id"], unique=True)
    op.create_index("api_key_bearer", "api_key", ["organization_id", "bearer"])
    op.create_index("api_key_default_project", "api_key", ["organization_id", "default_project_id"])
    op.create_index("api_key_lookup_hash", "api_key", ["lookup_hash"], unique=True)
    op.create_index("api_key_number", "api_key", ["organization_id", "number"], unique=True)
    op.create_table(
        "session",
        sa.Column("organization_id", Id, nullable=False),
        sa.Column("id", Id, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("principal", Text, nullable=False),
        sa.Column("assumed_by", Text),
        sa.Column("issuer", Text),
        sa.Column("audience", Text, nullable=False),
        sa.Column("client_id", Text, nullable=False),
        sa.Column("api_key_id", Id),
        sa.Column("methods", Json, nullable=False),
        sa.Column("mfa", sa.Boolean, nullable=False),
        sa.Column("scopes", Json, nullable=False),
        sa.Column("ceiling", Json, nullable=False),
        sa.Column("rights_snapshot_id", Text, nullable=False),
        sa.Column("parent_session_id", Id),
        sa.Column("ip", Text, nullable=False),
        sa.Column("user_agent", Text, nullable=False),
        sa.Column("attributes", Json, nullable=False),
        sa.Column("create_time", Instant, nullable=False),
        sa.Column("update_time", Instant, nullable=False),
        sa.Column("expire_time", Instant, nullable=False),
        sa.Column("end_time", Instant),
        sa.PrimaryKeyConstraint("organization_id", "id"),
    )
    op.create_index("session_api_key", "session", ["organization_id", "api_key_id"])
    op.create_index("session_expire_time", "session", ["expire_time"])
    op.create_index("session_principal", "session", ["organization_id", "principal"])
    op.create_table(
        "access_token",
        sa.Column("token_hash", Bytes, primary_key=True),
        sa.Column("organization_id", Id, nullable=False),
        sa.Column("session_id", Id, nullable=False),
        sa.Column("issue_time", Instant, nullable=False),
        sa.Column("expire_time", Instant, nullable=False),
    )
    op.create_index("access_token_expire_time", "access_token", ["expire_time"])
    op.create_table(
        "password",
        sa.Column("organization_id", Id, nullable=False),
        sa.Column("user_id", Id, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("encoded", Text, nullable=False),
        sa.Column("previous", Text),
        sa.Column("temporary", sa.Boolean, nullable=False),
        sa.Column("expire_time", Instant),
        sa.Column("failed_attempts", sa.Integer, nullable=False),
        sa.Column("last_attempt_time", Instant),
        sa.Column("lock_time", Instant),
        sa.Column("create_time", Instant, nullable=False),
        sa.Column("update_time", Instant, nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "user_id"),
    )


def _create_clients() -> None:
    op.create_table(
        "oauth_client",
        sa.Column("organization_id", Id, nullable=False),
        sa.Column("id", Id, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("client_id", Text, nullable=False),
        sa.Column("name", Text, nullable=False),
        sa.Column("bearer", Text),
        sa.Column("belongs_to", Text, nullable=False),
        sa.Column("owner_user_id", Id),
        sa.Column("grant_types", Json, nullable=False),
        sa.Column("auth_method", Text, nullable=False),
        sa.Column("redirect_uris", Json, nullable=False),
        sa.Column("response_types", Json, nullable=False),
        sa.Column("scopes", Json, nullable=False),
        sa.Column("audiences", Json, nullable=False),
        sa.Column("tls_subject", Text, nullable=False),
        sa.Column("catalogue", Text, nullable=False),
        sa.Column("attributes", Json, nullable=False),
        sa.Column("create_time", Instant, nullable=False),
        sa.Column("update_time", Instant, nullable=False),
        sa.Column("end_time", Instant),
        sa.PrimaryKeyConstraint("organization_id", "id"),
    )
    op.create_index("oauth_client_bearer", "oauth_client", ["organization_id", "bearer"])
    op.create_index(
        "oauth_client_living",
        "oauth_client",
        ["organization_id", "client_id"],
        unique=True,
        sqlite_where=sa.text("end_time IS NULL"),
        postgresql_where=sa.text("end_time IS NULL"),
    )
    op.create_index("oauth_client_owner", "oauth_client", ["organization_id", "owner_user_id"])
    op.create_table(
        "client_secret",
        sa.Column("organization_id", Id, nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("client_id", Id, nullable=False),
        sa.Column("name", Text, nullable=False),
        sa.Column("secret_hash", Bytes, nullable=False),
        sa.Column("create_time", Instant, nullable=False),
        sa.Column("last_used_time", Instant),
        sa.PrimaryKeyConstraint("organization_id", "number"),
    )
    op.create_index("client_secret_client", "client_secret", ["organization_id", "client_id"])
    op.create_index("client_secret_hash", "client_secret", ["secret_hash"])
    op.create_table(
        "counter",
        sa.Column("organization_id", Id, nullable=False),
        sa.Column("name", Text, nullable=False),
        sa.Column("value", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "name"),
    )


def _create_copies() -> None:
    op.create_table(
        "organization",
        sa.Column("id", Id, primary_key=True),
        sa.Column("state", Text, nullable=False),
        sa.Column("max_session_seconds", sa.BigInteger, nullable=False),
        sa.Column("max_api_key_seconds", sa.BigInteger, nullable=False),
        sa.Column("temporary_password_seconds", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "principal",
        sa.Column("organization_id", Id, nullable=False),
        sa.Column("principal", Text, nullable=False),
        sa.Column("state", Text, nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "principal"),
    )
    op.create_table(
        "project",
        sa.Column("organization_id", Id, nullable=False),
        sa.Column("id", Id, nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "id"),
    )
    op.create_table(
        "quota",
        sa.Column("organization_id", Id, nullable=False),
        sa.Column("name", Text, nullable=False),
        sa.Column("value", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "name"),
    )
