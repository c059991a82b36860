"""Roles that people make, and grants. Written out and never edited: later forms are later migrations."""

import sqlalchemy as sa
from alembic import op

from concord.kernel.database.columns import Id, Instant, Json, Text

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Create them."""
    _create_role()
    _create_role_inclusion()
    _create_role_grant()
    _create_role_grant_project()


def _create_role() -> None:
    op.create_table(
        "role",
        sa.Column("organization_id", Id, nullable=False),
        sa.Column("id", Id, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("create_time", Instant, nullable=False),
        sa.Column("update_time", Instant, nullable=False),
        sa.Column("handle", Text, nullable=True),
        sa.Column("name", Text, nullable=False),
        sa.Column("name_translations", Json, nullable=False),
        sa.Column("description", Text, nullable=False),
        sa.Column("description_translations", Json, nullable=False),
        sa.Column("attributes", Json, nullable=False),
        sa.Column("kind", Text, nullable=False),
        sa.Column("language", Text, nullable=False),
        sa.Column("document", Text, nullable=False),
        sa.Column("statements", Json, nullable=False),
        sa.Column("included_role_ids", Json, nullable=False),
        sa.Column("resource_type_id", Text, nullable=False),
        sa.Column("permissions", Json, nullable=False),
        sa.Column("boundary_kind", Text, nullable=False),
        sa.Column("categories", Json, nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "id", name="role_key"),
        sa.UniqueConstraint("organization_id", "handle", name="role_handle"),
    )


def _create_role_inclusion() -> None:
    op.create_table(
        "role_inclusion",
        sa.Column("organization_id", Id, nullable=False),
        sa.Column("role_id", Id, nullable=False),
        sa.Column("included_role_id", Id, nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "role_id", "included_role_id", name="role_inclusion_key"),
        sa.ForeignKeyConstraint(
            ["organization_id", "role_id"],
            ["role.organization_id", "role.id"],
            name="role_inclusion_role",
            ondelete="CASCADE",
        ),
    )
    op.create_index("role_inclusion_included", "role_inclusion", ["organization_id", "included_role_id"])


def _create_role_grant() -> None:
    op.create_table(
        "role_grant",
        sa.Column("organization_id", Id, nullable=False),
        sa.Column("id", Id, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("create_time", Instant, nullable=False),
        sa.Column("update_time", Instant, nullable=False),
        sa.Column("catalogue", Text, nullable=False),
        sa.Column("subject_kind", Text, nullable=False),
        sa.Column("subject_id", Id, nullable=False),
        sa.Column("role_id", Id, nullable=False),
        sa.Column("role_language", Text, nullable=False),
        sa.Column("role_catalogue", Text, nullable=False),
        sa.Column("boundary_key", Text, nullable=False),
        sa.Column("boundary_group_id", Text, nullable=False),
        sa.Column("boundary", Json, nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "id", name="role_grant_key"),
        sa.UniqueConstraint(
            "organization_id", "subject_kind", "subject_id", "role_id", "boundary_key", name="role_grant_joined"
        ),
    )
    op.create_index("role_grant_role", "role_grant", ["organization_id", "role_id"])
    op.create_index("role_grant_group", "role_grant", ["organization_id", "boundary_group_id"])
    op.create_index("role_grant_create_time", "role_grant", ["organization_id", "create_time", "id"])


def _create_role_grant_project() -> None:
    op.create_table(
        "role_grant_project",
        sa.Column("organization_id", Id, nullable=False),
        sa.Column("project_id", Id, nullable=False),
        sa.Column("grant_id", Id, nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "project_id", "grant_id", name="role_grant_project_key"),
        sa.ForeignKeyConstraint(
            ["organization_id", "grant_id"],
            ["role_grant.organization_id", "role_grant.id"],
            name="role_grant_project_grant",
            ondelete="CASCADE",
        ),
    )
    op.create_index("role_grant_project_grant_id", "role_grant_project", ["organization_id", "grant_id"])
