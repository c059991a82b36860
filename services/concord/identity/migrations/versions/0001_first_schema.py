"""The first schema. Written out and never edited: later forms are later migrations."""

import sqlalchemy as sa
from alembic import op

from concord.kernel.database.columns import Id, Instant, Json, Text
from concord.kernel.database.migrate import create_kernel_tables_1

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create everything."""
    create_kernel_tables_1()
    _create_organizations()
    _create_principals()
    _create_the_rest()


def _create_organizations() -> None:
    op.create_table(
        "directory",
        sa.Column("kind", Text, nullable=False),
        sa.Column("name", Text, nullable=False),
        sa.Column("organization_id", Id, nullable=False),
        sa.PrimaryKeyConstraint("kind", "name"),
    )
    op.create_table(
        "organization",
        sa.Column("id", Id, primary_key=True),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("slug", Text, nullable=False),
        sa.Column("alias", Text, nullable=False),
        sa.Column("name", Text, nullable=False),
        sa.Column("description", Text, nullable=False),
        sa.Column("owner_user_id", Id, nullable=False),
        sa.Column("owner_email", Text, nullable=False),
        sa.Column("default_language", Text, nullable=False),
        sa.Column("languages", Json, nullable=False),
        sa.Column("login_password_enabled", sa.Boolean, nullable=False),
        sa.Column("login_oauth_enabled", sa.Boolean, nullable=False),
        sa.Column("login_magic_code_enabled", sa.Boolean, nullable=False),
        sa.Column("login_federation_enabled", sa.Boolean, nullable=False),
        sa.Column("catalogues", Json, nullable=False),
        sa.Column("state", Text, nullable=False),
        sa.Column("attributes", Json, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("create_time", Instant, nullable=False),
        sa.Column("update_time", Instant, nullable=False),
    )
    op.create_table(
        "security_settings",
        sa.Column("organization_id", Id, primary_key=True),
        sa.Column("enforce_password_renewal", sa.Boolean, nullable=False),
        sa.Column("grace_period", sa.BigInteger, nullable=False),
        sa.Column("max_login_attempts", sa.Integer, nullable=False),
        sa.Column("max_session_ttl", sa.BigInteger, nullable=False),
        sa.Column("max_api_key_ttl", sa.BigInteger, nullable=False),
        sa.Column("password_rules", Json, nullable=False),
        sa.Column("temporary_password_ttl", sa.BigInteger, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("create_time", Instant, nullable=False),
        sa.Column("update_time", Instant, nullable=False),
    )


def _create_principals() -> None:
    op.create_table(
        "project",
        sa.Column("organization_id", Id, nullable=False),
        sa.Column("id", Id, nullable=False),
        sa.Column("name", Text, nullable=False),
        sa.Column("folded_name", Text, nullable=False),
        sa.Column("description", Text, nullable=False),
        sa.Column("group_id", Text, nullable=False),
        sa.Column("attributes", Json, nullable=False),
        sa.Column("catalogue", Text, nullable=False),
        sa.Column("editable", sa.Boolean, nullable=False),
        sa.Column("deletable", sa.Boolean, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("create_time", Instant, nullable=False),
        sa.Column("update_time", Instant, nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "id"),
    )
    op.create_index("project_create_time", "project", ["organization_id", "create_time", "id"])
    op.create_table(
        "user",
        sa.Column("organization_id", Id, nullable=False),
        sa.Column("id", Id, nullable=False),
        sa.Column("kind", Text, nullable=False),
        sa.Column("username", Text, nullable=False),
        sa.Column("folded_username", Text, nullable=False),
        sa.Column("nickname", Text, nullable=False),
        sa.Column("given_name", Text, nullable=False),
        sa.Column("family_name", Text, nullable=False),
        sa.Column("phone_number", Text, nullable=False),
        sa.Column("locale", Text, nullable=False),
        sa.Column("description", Text, nullable=False),
        sa.Column("tags", Json, nullable=False),
        sa.Column("primary_email", Text, nullable=False),
        sa.Column("folded_email", Text, nullable=False),
        sa.Column("interactive_login", sa.Boolean, nullable=False),
        sa.Column("division_ids", Json, nullable=False),
        sa.Column("state", Text, nullable=False),
        sa.Column("suspension_reason", Text, nullable=False),
        sa.Column("last_login_time", Instant),
        sa.Column("mfa_enabled", sa.Boolean, nullable=False),
        sa.Column("search", Text, nullable=False),
        sa.Column("attributes", Json, nullable=False),
        sa.Column("catalogue", Text, nullable=False),
        sa.Column("editable", sa.Boolean, nullable=False),
        sa.Column("deletable", sa.Boolean, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("create_time", Instant, nullable=False),
        sa.Column("update_time", Instant, nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "id"),
        sa.UniqueConstraint("organization_id", "username", name="user_username"),
    )
    op.create_index("user_create_time", "user", ["organization_id", "create_time", "id"])
    op.create_table(
        "email_address",
        sa.Column("organization_id", Id, nullable=False),
        sa.Column("id", Id, nullable=False),
        sa.Column("user_id", Id, nullable=False),
        sa.Column("population", Text, nullable=False),
        sa.Column("address", Text, nullable=False),
        sa.Column("folded_address", Text, nullable=False),
        sa.Column("state", Text, nullable=False),
        sa.Column("create_time", Instant, nullable=False),
        sa.Column("update_time", Instant, nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "id"),
        sa.UniqueConstraint("organization_id", "population", "folded_address", name="email_address_folded"),
    )
    op.create_index("email_address_user", "email_address", ["organization_id", "user_id"])


def _create_the_rest() -> None:
    op.create_table(
        "application",
        sa.Column("organization_id", Id, nullable=False),
        sa.Column("id", Id, nullable=False),
        sa.Column("name", Text, nullable=False),
        sa.Column("folded_name", Text, nullable=False),
        sa.Column("description", Text, nullable=False),
        sa.Column("tags", Json, nullable=False),
        sa.Column("state", Text, nullable=False),
        sa.Column("api_key_count", sa.BigInteger, nullable=False),
        sa.Column("attributes", Json, nullable=False),
        sa.Column("catalogue", Text, nullable=False),
        sa.Column("editable", sa.Boolean, nullable=False),
        sa.Column("deletable", sa.Boolean, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("create_time", Instant, nullable=False),
        sa.Column("update_time", Instant, nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "id"),
    )
    op.create_index("application_create_time", "application", ["organization_id", "create_time", "id"])
    op.create_table(
        "tagged",
        sa.Column("organization_id", Id, nullable=False),
        sa.Column("resource_type", Text, nullable=False),
        sa.Column("resource_id", Id, nullable=False),
        sa.Column("tag", Text, nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "resource_type", "resource_id", "tag"),
    )
    op.create_index("tagged_tag", "tagged", ["organization_id", "resource_type", "tag"])
    op.create_table(
        "quota",
        sa.Column("organization_id", Id, nullable=False),
        sa.Column("name", Text, nullable=False),
        sa.Column("maximum", sa.BigInteger),
        sa.PrimaryKeyConstraint("organization_id", "name"),
    )
