"""Groups, memberships, and what is copied from other services."""

import sqlalchemy as sa
from alembic import op

from concord.kernel.database.columns import Id, Instant, Json, Text
from concord.kernel.database.migrate import create_kernel_tables_1

revision = "0001"
down_revision = None


def upgrade() -> None:
    create_kernel_tables_1()
    _create_groups()
    _create_memberships()
    _create_replicas()


def _create_groups() -> None:
    op.create_table(
        "principal_group",
        sa.Column("organization_id", Id, nullable=False),
        sa.Column("id", Id, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("create_time", Instant, nullable=False),
        sa.Column("update_time", Instant, nullable=False),
        sa.Column("catalogue", Text, nullable=False),
        sa.Column("editable", sa.Boolean, nullable=False),
        sa.Column("deletable", sa.Boolean, nullable=False),
        sa.Column("handle", Text),
        sa.Column("name", Text, nullable=False),
        sa.Column("name_translations", Json, nullable=False),
        sa.Column("description", Text, nullable=False),
        sa.Column("description_translations", Json, nullable=False),
        sa.Column("tags", Json, nullable=False),
        sa.Column("parent_group_id", Id),
        sa.Column("member_kind", sa.String(16), nullable=False),
        sa.Column("division_ids", Json, nullable=False),
        sa.Column("exclusion_key", Text, nullable=False),
        sa.Column("template_ids", Json, nullable=False),
        sa.Column("attributes", Json, nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "id", name="principal_group_pk"),
        sa.UniqueConstraint("organization_id", "handle", name="principal_group_handle"),
    )
    op.create_index("principal_group_name", "principal_group", ["organization_id", "name"])
    op.create_index("principal_group_parent", "principal_group", ["organization_id", "parent_group_id"])
    op.create_index("principal_group_create_time", "principal_group", ["organization_id", "create_time", "id"])
    op.create_table(
        "group_tag",
        sa.Column("organization_id", Id, nullable=False),
        sa.Column("tag", Text, nullable=False),
        sa.Column("group_id", Id, nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "tag", "group_id", name="group_tag_pk"),
    )
    op.create_index("group_tag_group", "group_tag", ["organization_id", "group_id"])


def _create_memberships() -> None:
    op.create_table(
        "membership",
        sa.Column("organization_id", Id, nullable=False),
        sa.Column("id", Id, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("create_time", Instant, nullable=False),
        sa.Column("update_time", Instant, nullable=False),
        sa.Column("catalogue", Text, nullable=False),
        sa.Column("container_kind", sa.String(16), nullable=False),
        sa.Column("container_id", Id, nullable=False),
        sa.Column("principal_kind", sa.String(16), nullable=False),
        sa.Column("principal_id", Id, nullable=False),
        sa.Column("is_owner", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "id", name="membership_pk"),
        sa.UniqueConstraint(
            "organization_id",
            "container_kind",
            "container_id",
            "principal_kind",
            "principal_id",
            name="membership_sides",
        ),
    )
    op.create_index("membership_principal", "membership", ["organization_id", "principal_kind", "principal_id"])


def _create_replicas() -> None:
    op.create_table(
        "known_principal",
        sa.Column("organization_id", Id, nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("id", Id, nullable=False),
        sa.Column("is_customer", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "kind", "id", name="known_principal_pk"),
    )
    op.create_table(
        "known_project",
        sa.Column("organization_id", Id, nullable=False),
        sa.Column("id", Id, nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "id", name="known_project_pk"),
    )
    op.create_table(
        "quota_limit",
        sa.Column("organization_id", Id, nullable=False),
        sa.Column("name", Text, nullable=False),
        sa.Column("value", sa.BigInteger),
        sa.PrimaryKeyConstraint("organization_id", "name", name="quota_limit_pk"),
    )
