"""The tables of refresh tokens, codes, consents and signing keys."""

from sqlalchemy import Boolean, Column, Index, Table
from sqlalchemy.schema import PrimaryKeyConstraint

from concord.credentials.sql.tables import METADATA
from concord.kernel.database.columns import Bytes, Id, Instant, Json, Text

refresh_token = Table(
    "refresh_token",
    METADATA,
    Column("token_hash", Bytes, primary_key=True),
    Column("organization_id", Id, nullable=False),
    Column("session_id", Id, nullable=False),
    Column("client_id", Id, nullable=False),
    Column("scopes", Json, nullable=False),
    Column("audience", Text, nullable=False),
    Column("issue_time", Instant, nullable=False),
    Column("expire_time", Instant, nullable=False),
    Column("use_time", Instant),
    Index("refresh_token_expire_time", "expire_time"),
)

authorization_code = Table(
    "authorization_code",
    METADATA,
    Column("code_hash", Bytes, primary_key=True),
    Column("organization_id", Id, nullable=False),
    Column("client_id", Id, nullable=False),
    Column("user_id", Id, nullable=False),
    Column("session_id", Id, nullable=False),
    Column("redirect_uri", Text, nullable=False),
    Column("redirect_uri_named", Boolean, nullable=False),
    Column("code_challenge", Text, nullable=False),
    Column("scopes", Json, nullable=False),
    Column("audience", Text, nullable=False),
    Column("nonce", Text, nullable=False),
    Column("issue_time", Instant, nullable=False),
    Column("expire_time", Instant, nullable=False),
    Column("use_time", Instant),
    Column("opened_session_id", Id),
    Index("authorization_code_expire_time", "expire_time"),
)

oauth_consent = Table(
    "oauth_consent",
    METADATA,
    Column("organization_id", Id, nullable=False),
    Column("user_id", Id, nullable=False),
    Column("client_id", Id, nullable=False),
    Column("scopes", Json, nullable=False),
    Column("create_time", Instant, nullable=False),
    Column("update_time", Instant, nullable=False),
    PrimaryKeyConstraint("organization_id", "user_id", "client_id"),
    Index("oauth_consent_client", "organization_id", "client_id"),
)

signing_key = Table(
    "signing_key",
    METADATA,
    Column("kid", Text, primary_key=True),
    Column("algorithm", Text, nullable=False),
    Column("public_jwk", Json, nullable=False),
    # Sealed under the deployment's key ring, for this key's name only.
    Column("sealed_private", Bytes, nullable=False),
    Column("state", Text, nullable=False),
    Column("create_time", Instant, nullable=False),
    Column("activate_time", Instant),
    Column("retire_time", Instant),
)

# What an organization's end takes along.
FORGOTTEN = (refresh_token, authorization_code, oauth_consent)
