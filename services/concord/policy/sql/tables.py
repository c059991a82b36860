"""The policy service's tables. The migrations say the same in steps; a test compares them."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    Table,
)

from concord.kernel.database.columns import Id, Instant, Json, Text
from concord.kernel.database.tables import kernel_tables

METADATA = MetaData()

policy = Table(
    "policy",
    METADATA,
    Column("organization_id", Id, nullable=False),
    Column("id", Id, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("create_time", Instant, nullable=False),
    Column("update_time", Instant, nullable=False),
    Column("name", Text, nullable=False),
    # What names are sorted and searched by: case folded.
    Column("name_folded", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("tags", Json, nullable=False),
    Column("attributes", Json, nullable=False),
    Column("subject_kind", Text, nullable=False),
    Column("subject_id", Text, nullable=False),
    Column("inline", Boolean, nullable=False),
    Column("language", Text, nullable=False),
    Column("document", Text, nullable=False),
    Column("statement_count", Integer, nullable=False),
    Column("boundary_count", Integer, nullable=False),
    Column("role_count", Integer, nullable=False),
    Column("catalogue", Text, nullable=False),
    Column("editable", Boolean, nullable=False),
    Column("deletable", Boolean, nullable=False),
    PrimaryKeyConstraint("organization_id", "id", name="policy_key"),
    Index("policy_subject", "organization_id", "subject_kind", "subject_id"),
    Index("policy_name", "organization_id", "name_folded", "id"),
    Index("policy_create_time", "organization_id", "create_time", "id"),
    Index("policy_update_time", "organization_id", "update_time", "id"),
)

policy_tag = Table(
    "policy_tag",
    METADATA,
    Column("organization_id", Id, nullable=False),
    Column("tag", Text, nullable=False),
    Column("policy_id", Id, nullable=False),
    PrimaryKeyConstraint("organization_id", "tag", "policy_id", name="policy_tag_key"),
    ForeignKeyConstraint(
        ["organization_id", "policy_id"],
        ["policy.organization_id", "policy.id"],
        name="policy_tag_policy",
        ondelete="CASCADE",
    ),
    Index("policy_tag_policy_id", "organization_id", "policy_id"),
)

statement = Table(
    "statement",
    METADATA,
    Column("organization_id", Id, nullable=False),
    Column("id", Id, nullable=False),
    Column("policy_id", Id, nullable=False),
    Column("position", Integer, nullable=False),
    Column("body", Json, nullable=False),
    PrimaryKeyConstraint("organization_id", "id", name="statement_key"),
    ForeignKeyConstraint(
        ["organization_id", "policy_id"],
        ["policy.organization_id", "policy.id"],
        name="statement_policy",
        ondelete="CASCADE",
    ),
    Index("statement_position", "organization_id", "policy_id", "position", unique=True),
)

# Which policies name a project, so that its deletion need not read them all.
policy_project = Table(
    "policy_project",
    METADATA,
    Column("organization_id", Id, nullable=False),
    Column("project_id", Id, nullable=False),
    Column("policy_id", Id, nullable=False),
    PrimaryKeyConstraint("organization_id", "project_id", "policy_id", name="policy_project_key"),
    ForeignKeyConstraint(
        ["organization_id", "policy_id"],
        ["policy.organization_id", "policy.id"],
        name="policy_project_policy",
        ondelete="CASCADE",
    ),
    Index("policy_project_policy_id", "organization_id", "policy_id"),
)

quota = Table(
    "quota",
    METADATA,
    Column("organization_id", Id, nullable=False),
    Column("name", Text, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("create_time", Instant, nullable=False),
    Column("update_time", Instant, nullable=False),
    Column("maximum", BigInteger, nullable=False),
    Column("unlimited", Boolean, nullable=False),
    PrimaryKeyConstraint("organization_id", "name", name="quota_key"),
)

known_organization = Table(
    "known_organization",
    METADATA,
    Column("id", Id, nullable=False),
    Column("owner_user_id", Id, nullable=True),
    Column("state", Text, nullable=False),
    # Counts what may change the rights of anybody in it; see PolicyStore.stamps.
    Column("stamp", BigInteger, nullable=False),
    PrimaryKeyConstraint("id", name="known_organization_key"),
)

known_principal = Table(
    "known_principal",
    METADATA,
    Column("organization_id", Id, nullable=False),
    Column("kind", Text, nullable=False),
    Column("id", Id, nullable=False),
    Column("name", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("is_owner", Boolean, nullable=False),
    # Counts what may change the rights of this principal alone.
    Column("stamp", BigInteger, nullable=False),
    PrimaryKeyConstraint("organization_id", "kind", "id", name="known_principal_key"),
)

known_project = Table(
    "known_project",
    METADATA,
    Column("organization_id", Id, nullable=False),
    Column("id", Id, nullable=False),
    Column("name", Text, nullable=False),
    PrimaryKeyConstraint("organization_id", "id", name="known_project_key"),
)

known_group = Table(
    "known_group",
    METADATA,
    Column("organization_id", Id, nullable=False),
    Column("id", Id, nullable=False),
    Column("parent_id", Id, nullable=True),
    Column("name", Text, nullable=False),
    PrimaryKeyConstraint("organization_id", "id", name="known_group_key"),
)

known_membership = Table(
    "known_membership",
    METADATA,
    Column("organization_id", Id, nullable=False),
    Column("kind", Text, nullable=False),
    Column("principal_id", Id, nullable=False),
    Column("group_id", Id, nullable=False),
    PrimaryKeyConstraint("organization_id", "kind", "principal_id", "group_id", name="known_membership_key"),
    Index("known_membership_group", "organization_id", "group_id"),
)

ended_credential = Table(
    "ended_credential",
    METADATA,
    Column("organization_id", Id, nullable=False),
    Column("kind", Text, nullable=False),
    Column("id", Id, nullable=False),
    Column("principal_kind", Text, nullable=False),
    Column("principal_id", Id, nullable=False),
    Column("end_time", Instant, nullable=False),
    PrimaryKeyConstraint("organization_id", "kind", "id", name="ended_credential_key"),
    Index("ended_credential_principal", "organization_id", "principal_kind", "principal_id"),
    Index("ended_credential_end_time", "end_time"),
)

kernel_tables(METADATA)
