"""Tokens, codes, consents, signing keys. Written out and never edited: later forms are later migrations."""

import sqlalchemy as sa
from alembic import op

from concord.kernel.database.columns import Bytes, Id, Instant, Json, Text

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Create it."""
    op.add_column("access_token", sa.Column("audience", Text))
    op.add_column("access_token", sa.Column("scopes", Json))
    op.add_column("oauth_client", sa.Column("token_format", Text))
    op.add_column("oauth_client", sa.Column("signing_algorithm", Text))
    op.add_column("oauth_client", sa.Column("access_token_seconds", sa.BigInteger))
    op.add_column("oauth_client", sa.Column("refresh_token_seconds", sa.BigInteger))
    op.create_index("oauth_client_name", "oauth_client", ["client_id"])
    op.create_index("session_parent", "session", ["organization_id", "parent_session_id"])
    op.create_index("session_client", "session", ["organization_id", "client_id"])
    _create_grants()
    _create_signing_keys()


def _create_grants() -> None:
    op.create_table(
        "refresh_token",
        sa.Column("token_hash", Bytes, primary_key=True),
        sa.Column("organization_id", Id, nullable=False),
        sa.Column("session_id", Id, nullable=False),
        sa.Column("client_id", Id, nullable=False),
        sa.Column("scopes", Json, nullable=False),
        sa.Column("audience", Text, nullable=False),
        sa.Column("issue_time", Instant, nullable=False),
        sa.Column("expire_time", Instant, nullable=False),
        sa.Column("use_time", Instant),
    )
    op.create_index("refresh_token_expire_time", "refresh_token", ["expire_time"])
    op.create_table(
        "authorization_code",
        sa.Column("code_hash", Bytes, primary_key=True),
        sa.Column("organization_id", Id, nullable=False),
        sa.Column("client_id", Id, nullable=False),
        sa.Column("user_id", Id, nullable=False),
        sa.Column("session_id", Id, nullable=False),
        sa.Column("redirect_uri", Text, nullable=False),
        sa.Column("redirect_uri_named", sa.Boolean, nullable=False),
        sa.Column("code_challenge", Text, nullable=False),
        sa.Column("scopes", Json, nullable=False),
        sa.Column("audience", Text, nullable=False),
        sa.Column("nonce", Text, nullable=False),
        sa.Column("issue_time", Instant, nullable=False),
        sa.Column("expire_time", Instant, nullable=False),
        sa.Column("use_time", Instant),
        sa.Column("opened_session_id", Id),
    )
    op.create_index("authorization_code_expire_time", "authorization_code", ["expire_time"])
    op.create_table(
        "oauth_consent",
        sa.Column("organization_id", Id, nullable=False),
        sa.Column("user_id", Id, nullable=False),
        sa.Column("client_id", Id, nullable=False),
        sa.Column("scopes", Json, nullable=False),
        sa.Column("create_time", Instant, nullable=False),
        sa.Column("update_time", Instant, nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "user_id", "client_id"),
    )
    op.create_index("oauth_consent_client", "oauth_consent", ["organization_id", "client_id"])


def _create_signing_keys() -> None:
    op.create_table(
        "signing_key",
        sa.Column("kid", Text, primary_key=True),
        sa.Column("algorithm", Text, nullable=False),
        sa.Column("public_jwk", Json, nullable=False),
        sa.Column("sealed_private", Bytes, nullable=False),
        sa.Column("state", Text, nullable=False),
        sa.Column("create_time", Instant, nullable=False),
        sa.Column("activate_time", Instant),
        sa.Column("retire_time", Instant),
    )
