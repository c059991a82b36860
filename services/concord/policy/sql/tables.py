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
    UniqueConstraint,
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

role = Table(
    "role",
    METADATA,
    Column("organization_id", Id, nullable=False),
    Column("id", Id, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("create_time", Instant, nullable=False),
    Column("update_time", Instant, nullable=False),
    # NULL where there is none, so that only real handles are unique.
    Column("handle", Text, nullable=True),
    Column("name", Text, nullable=False),
    Column("name_translations", Json, nullable=False),
    Column("description", Text, nullable=False),
    Column("description_translations", Json, nullable=False),
    Column("attributes", Json, nullable=False),
    Column("kind", Text, nullable=False),
    Column("language", Text, nullable=False),
    Column("document", Text, nullable=False),
    Column("statements", Json, nullable=False),
    Column("included_role_ids", Json, nullable=False),
    Column("resource_type_id", Text, nullable=False),
    Column("permissions", Json, nullable=False),
    Column("boundary_kind", Text, nullable=False),
    Column("categories", Json, nullable=False),
    PrimaryKeyConstraint("organization_id", "id", name="role_key"),
    UniqueConstraint("organization_id", "handle", name="role_handle"),
)

# Which roles a role includes, supplied ones too, so that both ways can be walked without reading them all.
role_inclusion = Table(
    "role_inclusion",
    METADATA,
    Column("organization_id", Id, nullable=False),
    Column("role_id", Id, nullable=False),
    Column("included_role_id", Id, nullable=False),
    PrimaryKeyConstraint("organization_id", "role_id", "included_role_id", name="role_inclusion_key"),
    ForeignKeyConstraint(
        ["organization_id", "role_id"],
        ["role.organization_id", "role.id"],
        name="role_inclusion_role",
        ondelete="CASCADE",
    ),
    Index("role_inclusion_included", "organization_id", "included_role_id"),
)

# `grant` is a word of SQL.
role_grant = Table(
    "role_grant",
    METADATA,
    Column("organization_id", Id, nullable=False),
    Column("id", Id, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("create_time", Instant, nullable=False),
    Column("update_time", Instant, nullable=False),
    Column("catalogue", Text, nullable=False),
    Column("subject_kind", Text, nullable=False),
    Column("subject_id", Id, nullable=False),
    Column("role_id", Id, nullable=False),
    # Copied from the role, where they never change: lists and replacements look at them.
    Column("role_language", Text, nullable=False),
    Column("role_catalogue", Text, nullable=False),
    Column("boundary_key", Text, nullable=False),
    # Empty but for a subtree.
    Column("boundary_group_id", Text, nullable=False),
    Column("boundary", Json, nullable=False),
    PrimaryKeyConstraint("organization_id", "id", name="role_grant_key"),
    UniqueConstraint(
        "organization_id", "subject_kind", "subject_id", "role_id", "boundary_key", name="role_grant_joined"
    ),
    Index("role_grant_role", "organization_id", "role_id"),
    Index("role_grant_group", "organization_id", "boundary_group_id"),
    Index("role_grant_create_time", "organization_id", "create_time", "id"),
)

# Which grants name a project, so that its deletion need not read them all.
role_grant_project = Table(
    "role_grant_project",
    METADATA,
    Column("organization_id", Id, nullable=False),
    Column("project_id", Id, nullable=False),
    Column("grant_id", Id, nullable=False),
    PrimaryKeyConstraint("organization_id", "project_id", "grant_id", name="role_grant_project_key"),
    ForeignKeyConstraint(
        ["organization_id", "grant_id"],
        ["role_grant.organization_id", "role_grant.id"],
        name="role_grant_project_grant",
        ondelete="CASCADE",
    ),
    Index("role_grant_project_grant_id", "organization_id", "grant_id"),
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

# What rights were made of when they were frozen, as one text, and the sessions that live by it.
rights_snapshot = Table(
    "rights_snapshot",
    METADATA,
    Column("organization_id", Id, nullable=False),
    Column("id", Id, nullable=False),
    Column("content_hash", Text, nullable=False),
    Column("capture_time", Instant, nullable=False),
    Column("sources", Text, nullable=False),
    PrimaryKeyConstraint("organization_id", "id", name="rights_snapshot_key"),
    Index("rights_snapshot_capture_time", "capture_time"),
)

frozen_session = Table(
    "frozen_session",
    METADATA,
    Column("organization_id", Id, nullable=False),
    Column("id", Id, nullable=False),
    Column("snapshot_id", Id, nullable=False),
    Column("principal_kind", Text, nullable=False),
    Column("principal_id", Id, nullable=False),
    Column("api_key_id", Id, nullable=True),
    Column("expire_time", Instant, nullable=False),
    PrimaryKeyConstraint("organization_id", "id", name="frozen_session_key"),
    Index("frozen_session_snapshot", "organization_id", "snapshot_id"),
    Index("frozen_session_principal", "organization_id", "principal_kind", "principal_id"),
    Index("frozen_session_api_key", "organization_id", "api_key_id"),
    Index("frozen_session_expire_time", "expire_time"),
)

kernel_tables(METADATA)
