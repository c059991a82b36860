"""Identity's tables. `migrations` builds the same; a test compares the two."""

from typing import Any, Final

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, MetaData, Table
from sqlalchemy.schema import PrimaryKeyConstraint, UniqueConstraint

from concord.kernel.database.columns import Id, Instant, Json, Text
from concord.kernel.database.tables import kernel_tables

metadata: Final = MetaData()
kernel_tables(metadata)


def _entity() -> list[Column[Any]]:
    return [
        Column("attributes", Json, nullable=False),
        Column("catalogue", Text, nullable=False),
        Column("editable", Boolean, nullable=False),
        Column("deletable", Boolean, nullable=False),
        Column("version", BigInteger, nullable=False),
        Column("create_time", Instant, nullable=False),
        Column("update_time", Instant, nullable=False),
    ]


# Names that hold across organizations. Numbers, slugs and aliases stay when their organization goes.
directory = Table(
    "directory",
    metadata,
    Column("kind", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("organization_id", Id, nullable=False),
    PrimaryKeyConstraint("kind", "name"),
)

organization = Table(
    "organization",
    metadata,
    Column("id", Id, primary_key=True),
    Column("number", BigInteger, nullable=False),
    Column("slug", Text, nullable=False),
    Column("alias", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("owner_user_id", Id, nullable=False),
    Column("owner_email", Text, nullable=False),
    Column("default_language", Text, nullable=False),
    Column("languages", Json, nullable=False),
    Column("login_password_enabled", Boolean, nullable=False),
    Column("login_oauth_enabled", Boolean, nullable=False),
    Column("login_magic_code_enabled", Boolean, nullable=False),
    Column("login_federation_enabled", Boolean, nullable=False),
    Column("catalogues", Json, nullable=False),
    Column("state", Text, nullable=False),
    Column("attributes", Json, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("create_time", Instant, nullable=False),
    Column("update_time", Instant, nullable=False),
)

security_settings = Table(
    "security_settings",
    metadata,
    Column("organization_id", Id, primary_key=True),
    Column("enforce_password_renewal", Boolean, nullable=False),
    # Durations are seconds.
    Column("grace_period", BigInteger, nullable=False),
    Column("max_login_attempts", Integer, nullable=False),
    Column("max_session_ttl", BigInteger, nullable=False),
    Column("max_api_key_ttl", BigInteger, nullable=False),
    Column("password_rules", Json, nullable=False),
    Column("temporary_password_ttl", BigInteger, nullable=False),
    Column("enforce_mfa", Boolean, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("create_time", Instant, nullable=False),
    Column("update_time", Instant, nullable=False),
)

project = Table(
    "project",
    metadata,
    Column("organization_id", Id, nullable=False),
    Column("id", Id, nullable=False),
    Column("name", Text, nullable=False),
    Column("folded_name", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("group_id", Text, nullable=False),
    *_entity(),
    PrimaryKeyConstraint("organization_id", "id"),
    Index("project_create_time", "organization_id", "create_time", "id"),
)

user = Table(
    "user",
    metadata,
    Column("organization_id", Id, nullable=False),
    Column("id", Id, nullable=False),
    Column("kind", Text, nullable=False),
    Column("username", Text, nullable=False),
    Column("folded_username", Text, nullable=False),
    Column("nickname", Text, nullable=False),
    Column("given_name", Text, nullable=False),
    Column("family_name", Text, nullable=False),
    Column("phone_number", Text, nullable=False),
    Column("locale", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("tags", Json, nullable=False),
    Column("primary_email", Text, nullable=False),
    Column("folded_email", Text, nullable=False),
    Column("interactive_login", Boolean, nullable=False),
    Column("division_ids", Json, nullable=False),
    Column("state", Text, nullable=False),
    Column("suspension_reason", Text, nullable=False),
    Column("last_login_time", Instant),
    Column("mfa_enabled", Boolean, nullable=False),
    Column("password_locked", Boolean, nullable=False),
    # The folded texts that a search looks through, one a line.
    Column("search", Text, nullable=False),
    *_entity(),
    PrimaryKeyConstraint("organization_id", "id"),
    UniqueConstraint("organization_id", "username", name="user_username"),
    Index("user_create_time", "organization_id", "create_time", "id"),
)

# Every address a user holds; the primary one is also in the user's row.
email_address = Table(
    "email_address",
    metadata,
    Column("organization_id", Id, nullable=False),
    Column("id", Id, nullable=False),
    Column("user_id", Id, nullable=False),
    Column("population", Text, nullable=False),
    Column("address", Text, nullable=False),
    Column("folded_address", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("create_time", Instant, nullable=False),
    Column("update_time", Instant, nullable=False),
    PrimaryKeyConstraint("organization_id", "id"),
    UniqueConstraint("organization_id", "population", "folded_address", name="email_address_folded"),
    Index("email_address_user", "organization_id", "user_id"),
)

# Each connection from both sides. These two tables name things of other organizations: their users have agreed.
connection = Table(
    "connection",
    metadata,
    Column("organization_id", Id, nullable=False),
    Column("user_id", Id, nullable=False),
    Column("peer_organization_id", Id, nullable=False),
    Column("peer_user_id", Id, nullable=False),
    Column("create_time", Instant, nullable=False),
    PrimaryKeyConstraint("organization_id", "user_id", "peer_organization_id", "peer_user_id"),
)

connection_offer = Table(
    "connection_offer",
    metadata,
    Column("organization_id", Id, nullable=False),
    Column("user_id", Id, nullable=False),
    Column("token_hash", Text, nullable=False),
    Column("expire_time", Instant, nullable=False),
    PrimaryKeyConstraint("organization_id", "user_id"),
    UniqueConstraint("token_hash", name="connection_offer_token"),
)

application = Table(
    "application",
    metadata,
    Column("organization_id", Id, nullable=False),
    Column("id", Id, nullable=False),
    Column("name", Text, nullable=False),
    Column("folded_name", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("tags", Json, nullable=False),
    Column("state", Text, nullable=False),
    Column("api_key_count", BigInteger, nullable=False),
    *_entity(),
    PrimaryKeyConstraint("organization_id", "id"),
    Index("application_create_time", "organization_id", "create_time", "id"),
)

# Which users and applications carry a tag; their order is in the owner's row.
tagged = Table(
    "tagged",
    metadata,
    Column("organization_id", Id, nullable=False),
    Column("resource_type", Text, nullable=False),
    Column("resource_id", Id, nullable=False),
    Column("tag", Text, nullable=False),
    PrimaryKeyConstraint("organization_id", "resource_type", "resource_id", "tag"),
    Index("tagged_tag", "organization_id", "resource_type", "tag"),
)

# Limits that policy has set, copied through its feed; a maximum of NULL is no limit.
quota = Table(
    "quota",
    metadata,
    Column("organization_id", Id, nullable=False),
    Column("name", Text, nullable=False),
    Column("maximum", BigInteger),
    PrimaryKeyConstraint("organization_id", "name"),
)
