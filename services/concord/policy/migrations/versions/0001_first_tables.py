"""Policies with their statements, quotas, and what is copied from other services."""

import sqlalchemy as sa
from alembic import op

from concord.kernel.database.columns import Id, Instant, Json, Text
from concord.kernel.database.migrate import create_kernel_tables_1

revision = "0001"
down_revision = None


def upgrade() -> None:
    create_kernel_tables_1()
    _create_policies()
    _create_quotas()
    _create_replicas()


def _create_policies() -> None:
    op.create_table(
        "policy",
        sa.Column("organization_id", Id, nullable=False),
        sa.Column("id", Id, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("create_time", Instant, nullable=False),
        sa.Column("update_time", Instant, nullable=False),
        sa.Column("name", Text, nullable=False),
        sa.Column("name_folded", Text, nullable=False),
        sa.Column("description", Text, nullable=False),
        sa.Column("tags", Json, nullable=False),
        sa.Column("attributes", Json, nullable=False),
        sa.Column("subject_kind", Text, nullable=False),
        sa.Column("subject_id", Text, nullable=False),
        sa.Column("inline", sa.Boolean, nullable=False),
        sa.Column("language", Text, nullable=False),
        sa.Column("document", Text, nullable=False),
        sa.Column("statement_count", sa.Integer, nullable=False),
        sa.Column("boundary_count", sa.Integer, nullable=False),
        sa.Column("role_count", sa.Integer, nullable=False),
        sa.Column("catalogue", Text, nullable=False),
        sa.Column("editable", sa.Boolean, nullable=False),
        sa.Column("deletable", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "id", name="policy_key"),
    )
    op.create_index("policy_subject", "policy", ["organization_id", "subject_kind", "subject_id"])
    op.create_index("policy_name", "policy", ["organization_id", "name_folded", "id"])
    op.create_index("policy_create_time", "policy", ["organization_id", "create_time", "id"])
    op.create_index("policy_update_time", "policy", ["organization_id", "update_time", "id"])
    op.create_table(
        "policy_tag",
        sa.Column("organization_id", Id, nullable=False),
        sa.Column("tag", Text, nullable=False),
        sa.Column("policy_id", Id, nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "tag", "policy_id", name="policy_tag_key"),
        sa.ForeignKeyConstraint(
            ["organization_id", "policy_id"],
            ["policy.organization_id", "policy.id"],
            name="policy_tag_policy",
            ondelete="CASCADE",
        ),
    )
    op.create_index("policy_tag_policy_id", "policy_tag", ["organization_id", "policy_id"])
    op.create_table(
        "statement",
        sa.Column("organization_id", Id, nullable=False),
        sa.Column("id", Id, nullable=False),
        sa.Column("policy_id", Id, nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("body", Json, nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "id", name="statement_key"),
        sa.ForeignKeyConstraint(
            ["organization_id", "policy_id"],
            ["policy.organization_id", "policy.id"],
            name="statement_policy",
            ondelete="CASCADE",
        ),
    )
    op.create_index("statement_position", "statement", ["organization_id", "policy_id", "position"], unique=True)
    op.create_table(
        "policy_project",
        sa.Column("organization_id", Id, nullable=False),
        sa.Column("project_id", Id, nullable=False),
        sa.Column("policy_id", Id, nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "project_id", "policy_id", name="policy_project_key"),
        sa.ForeignKeyConstraint(
            ["organization_id", "policy_id"],
            ["policy.organization_id", "policy.id"],
            name="policy_project_policy",
            ondelete="CASCADE",
        ),
    )
    op.create_index("policy_project_policy_id", "policy_project", ["organization_id", "policy_id"])


def _create_quotas() -> None:
    op.create_table(
        "quota",
        sa.Column("organization_id", Id, nullable=False),
        sa.Column("name", Text, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("create_time", Instant, nullable=False),
        sa.Column("update_time", Instant, nullable=False),
        sa.Column("maximum", sa.BigInteger, nullable=False),
        sa.Column("unlimited", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "name", name="quota_key"),
    )


def _create_replicas() -> None:
    op.create_table(
        "known_organization",
        sa.Column("id", Id, nullable=False),
        sa.Column("owner_user_id", Id, nullable=True),
        sa.Column("state", Text, nullable=False),
        sa.Column("stamp", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="known_organization_key"),
    )
    op.create_table(
        "known_principal",
        sa.Column("organization_id", Id, nullable=False),
        sa.Column("kind", Text, nullable=False),
        sa.Column("id", Id, nullable=False),
        sa.Column("name", Text, nullable=False),
        sa.Column("state", Text, nullable=False),
        sa.Column("is_owner", sa.Boolean, nullable=False),
        sa.Column("stamp", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "kind", "id", name="known_principal_key"),
    )
    op.create_table(
        "known_project",
        sa.Column("organization_id", Id, nullable=False),
        sa.Column("id", Id, nullable=False),
        sa.Column("name", Text, nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "id", name="known_project_key"),
    )
    op.create_table(
        "known_group",
        sa.Column("organization_id", Id, nullable=False),
        sa.Column("id", Id, nullable=False),
        sa.Column("parent_id", Id, nullable=True),
        sa.Column("name", Text, nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "id", name="known_group_key"),
    )
    op.create_table(
        "known_membership",
        sa.Column("organization_id", Id, nullable=False),
        sa.Column("kind", Text, nullable=False),
        sa.Column("principal_id", Id, nullable=False),
        sa.Column("group_id", Id, nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "kind", "principal_id", "group_id", name="known_membership_key"),
    )
    op.create_index("known_membership_group", "known_membership", ["organization_id", "group_id"])
    op.create_table(
        "ended_credential",
        sa.Column("organization_id", Id, nullable=False),
        sa.Column("kind", Text, nullable=False),
        sa.Column("id", Id, nullable=False),
        sa.Column("principal_kind", Text, nullable=False),
        sa.Column("principal_id", Id, nullable=False),
        sa.Column("end_time", Instant, nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "kind", "id", name="ended_credential_key"),
    )
    op.create_index(
        "ended_credential_principal", "ended_credential", ["organization_id", "principal_kind", "principal_id"]
    )
    op.create_index("ended_credential_end_time", "ended_credential", ["end_time"])
