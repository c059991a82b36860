"""The tables of the credentials service."""

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, MetaData, Table, text
from sqlalchemy.schema import PrimaryKeyConstraint

from concord.kernel.database.columns import Bytes, Id, Instant, Json, Text
from concord.kernel.database.tables import kernel_tables

METADATA = MetaData()

# A principal is one text, `kind:id`: ids are unique within a kind only.

api_key = Table(
    "api_key",
    METADATA,
    Column("organization_id", Id, nullable=False),
    Column("id", Id, nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("bearer", Text, nullable=False),
    Column("access_id", Text, nullable=False),
    Column("secret_hash", Bytes, nullable=False),
    # The same hash where the secret identifies the key, else NULL: the index over it is the way in.
    Column("lookup_hash", Bytes),
    Column("sealed_secret", Bytes),
    Column("secret_recoverable", Boolean, nullable=False),
    Column("secret_identifies", Boolean, nullable=False),
    Column("name", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("default_project_id", Text, nullable=False),
    Column("ceiling", Json, nullable=False),
    Column("expire_time", Instant),
    Column("last_used_time", Instant),
    Column("creation_ip", Text, nullable=False),
    Column("catalogue", Text, nullable=False),
    Column("attributes", Json, nullable=False),
    Column("create_time", Instant, nullable=False),
    Column("update_time", Instant, nullable=False),
    Column("rotate_time", Instant),
    Column("former_expire_time", Instant),
    PrimaryKeyConstraint("organization_id", "id"),
    Index("api_key_access_id", "access_id", unique=True),
    Index(
        "api_key_sealed",
        "organization_id",
        "id",
        sqlite_where=text("sealed_secret IS NOT NULL"),
        postgresql_where=text("sealed_secret IS NOT NULL"),
    ),
    Index("api_key_lookup_hash", "lookup_hash", unique=True),
    Index("api_key_number", "organization_id", "number", unique=True),
    Index("api_key_bearer", "organization_id", "bearer"),
    Index("api_key_default_project", "organization_id", "default_project_id"),
)

session = Table(
    "session",
    METADATA,
    Column("organization_id", Id, nullable=False),
    Column("id", Id, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("principal", Text, nullable=False),
    Column("assumed_by", Text),
    Column("issuer", Text),
    Column("audience", Text, nullable=False),
    Column("client_id", Text, nullable=False),
    Column("api_key_id", Id),
    Column("methods", Json, nullable=False),
    Column("mfa", Boolean, nullable=False),
    Column("scopes", Json, nullable=False),
    Column("ceiling", Json, nullable=False),
    Column("rights_snapshot_id", Text, nullable=False),
    Column("parent_session_id", Id),
    Column("ip", Text, nullable=False),
    Column("user_agent", Text, nullable=False),
    Column("attributes", Json, nullable=False),
    Column("create_time", Instant, nullable=False),
    Column("update_time", Instant, nullable=False),
    Column("expire_time", Instant, nullable=False),
    Column("end_time", Instant),
    PrimaryKeyConstraint("organization_id", "id"),
    Index("session_principal", "organization_id", "principal"),
    Index("session_api_key", "organization_id", "api_key_id"),
    Index("session_expire_time", "expire_time"),
    Index("session_parent", "organization_id", "parent_session_id"),
    Index("session_client", "organization_id", "client_id"),
)

access_token = Table(
    "access_token",
    METADATA,
    Column("token_hash", Bytes, primary_key=True),
    Column("organization_id", Id, nullable=False),
    Column("session_id", Id, nullable=False),
    Column("issue_time", Instant, nullable=False),
    Column("expire_time", Instant, nullable=False),
    # NULL where the token is for the suite itself, and where it carries all that its session does.
    Column("audience", Text),
    Column("scopes", Json),
    Index("access_token_expire_time", "expire_time"),
)

password = Table(
    "password",
    METADATA,
    Column("organization_id", Id, nullable=False),
    Column("user_id", Id, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("encoded", Text, nullable=False),
    Column("previous", Text),
    Column("temporary", Boolean, nullable=False),
    Column("expire_time", Instant),
    Column("create_time", Instant, nullable=False),
    Column("update_time", Instant, nullable=False),
    PrimaryKeyConstraint("organization_id", "user_id"),
)

oauth_client = Table(
    "oauth_client",
    METADATA,
    Column("organization_id", Id, nullable=False),
    Column("id", Id, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("client_id", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("bearer", Text),
    # Whose thing it is: the bearer, else the owner. Lists are filtered by it.
    Column("belongs_to", Text, nullable=False),
    Column("owner_user_id", Id),
    Column("grant_types", Json, nullable=False),
    Column("auth_method", Text, nullable=False),
    Column("redirect_uris", Json, nullable=False),
    Column("response_types", Json, nullable=False),
    Column("scopes", Json, nullable=False),
    Column("audiences", Json, nullable=False),
    Column("tls_subject", Text, nullable=False),
    Column("catalogue", Text, nullable=False),
    Column("attributes", Json, nullable=False),
    Column("create_time", Instant, nullable=False),
    Column("update_time", Instant, nullable=False),
    Column("end_time", Instant),
    Column("token_format", Text),
    Column("signing_algorithm", Text),
    Column("access_token_seconds", BigInteger),
    Column("refresh_token_seconds", BigInteger),
    PrimaryKeyConstraint("organization_id", "id"),
    # Deleted clients stay behind so that refusals can say why; their names are free.
    Index(
        "oauth_client_living",
        "organization_id",
        "client_id",
        unique=True,
        sqlite_where=text("end_time IS NULL"),
        postgresql_where=text("end_time IS NULL"),
    ),
    Index("oauth_client_name", "client_id"),
    Index("oauth_client_bearer", "organization_id", "bearer"),
    Index("oauth_client_owner", "organization_id", "owner_user_id"),
)

client_secret = Table(
    "client_secret",
    METADATA,
    Column("organization_id", Id, nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("client_id", Id, nullable=False),
    Column("name", Text, nullable=False),
    Column("secret_hash", Bytes, nullable=False),
    Column("create_time", Instant, nullable=False),
    Column("last_used_time", Instant),
    PrimaryKeyConstraint("organization_id", "number"),
    Index("client_secret_hash", "secret_hash"),
    Index("client_secret_client", "organization_id", "client_id"),
)

counter = Table(
    "counter",
    METADATA,
    Column("organization_id", Id, nullable=False),
    Column("name", Text, nullable=False),
    Column("value", BigInteger, nullable=False),
    PrimaryKeyConstraint("organization_id", "name"),
)

# Copies of identity's and policy's facts, kept by their feeds.

organization = Table(
    "organization",
    METADATA,
    Column("id", Id, primary_key=True),
    Column("state", Text, nullable=False),
    Column("max_session_seconds", BigInteger, nullable=False),
    Column("max_api_key_seconds", BigInteger, nullable=False),
    Column("temporary_password_seconds", BigInteger, nullable=False),
)

principal = Table(
    "principal",
    METADATA,
    Column("organization_id", Id, nullable=False),
    Column("principal", Text, nullable=False),
    Column("state", Text, nullable=False),
    PrimaryKeyConstraint("organization_id", "principal"),
)

project = Table(
    "project",
    METADATA,
    Column("organization_id", Id, nullable=False),
    Column("id", Id, nullable=False),
    PrimaryKeyConstraint("organization_id", "id"),
)

quota = Table(
    "quota",
    METADATA,
    Column("organization_id", Id, nullable=False),
    Column("name", Text, nullable=False),
    Column("value", BigInteger, nullable=False),
    PrimaryKeyConstraint("organization_id", "name"),
)

# Pairs that rotations replaced. They stay, so that an access id is never given out again.
former_key = Table(
    "former_key",
    METADATA,
    Column("access_id", Text, primary_key=True),
    Column("organization_id", Id, nullable=False),
    Column("key_id", Id, nullable=False),
    Column("secret_hash", Bytes, nullable=False),
    Column("lookup_hash", Bytes),
    Column("expire_time", Instant, nullable=False),
    Index("former_key_key", "organization_id", "key_id"),
    Index("former_key_lookup_hash", "lookup_hash", unique=True),
)

ssh_key = Table(
    "ssh_key",
    METADATA,
    Column("organization_id", Id, nullable=False),
    Column("id", Id, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("name", Text, nullable=False),
    Column("public_key", Text, nullable=False),
    Column("algorithm", Text, nullable=False),
    Column("bits", Integer, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("fingerprint_sha256", Text, nullable=False),
    Column("project_id", Id, nullable=False),
    Column("disabled", Boolean, nullable=False),
    Column("catalogue", Text, nullable=False),
    Column("attributes", Json, nullable=False),
    Column("create_time", Instant, nullable=False),
    Column("update_time", Instant, nullable=False),
    PrimaryKeyConstraint("organization_id", "id"),
    Index("ssh_key_fingerprint", "organization_id", "project_id", "fingerprint_sha256"),
)

trust_policy = Table(
    "trust_policy",
    METADATA,
    Column("organization_id", Id, nullable=False),
    Column("user_id", Id, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("language", Text, nullable=False),
    Column("document", Text, nullable=False),
    Column("trusted", Json, nullable=False),
    Column("create_time", Instant, nullable=False),
    Column("update_time", Instant, nullable=False),
    PrimaryKeyConstraint("organization_id", "user_id"),
)

# Who is behind a session that was opened as somebody else: one row for each, where one assumed one who assumed one.
assumption = Table(
    "assumption",
    METADATA,
    Column("organization_id", Id, nullable=False),
    Column("session_id", Id, nullable=False),
    Column("caller_organization_id", Id, nullable=False),
    Column("caller", Text, nullable=False),
    Column("caller_key_id", Id),
    Column("caller_session_id", Id),
    PrimaryKeyConstraint("organization_id", "session_id", "caller_organization_id", "caller"),
    Index("assumption_caller", "caller_organization_id", "caller"),
    Index("assumption_key", "caller_organization_id", "caller_key_id"),
    Index("assumption_session", "caller_organization_id", "caller_session_id"),
)

federation = Table(
    "federation",
    METADATA,
    Column("organization_id", Id, primary_key=True),
    Column("id", Id, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),
    Column("entity_id", Text, nullable=False),
    Column("single_sign_on_url", Text, nullable=False),
    Column("attributes", Json, nullable=False),
    Column("create_time", Instant, nullable=False),
    Column("update_time", Instant, nullable=False),
)

federation_certificate = Table(
    "federation_certificate",
    METADATA,
    Column("organization_id", Id, nullable=False),
    Column("id", Id, nullable=False),
    Column("federation_id", Id, nullable=False),
    Column("type", Text, nullable=False),
    Column("origin", Text, nullable=False),
    Column("content", Text, nullable=False),
    Column("expire_time", Instant, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("create_time", Instant, nullable=False),
    PrimaryKeyConstraint("organization_id", "id"),
    Index("federation_certificate_federation", "organization_id", "federation_id"),
)

kernel_tables(METADATA)
