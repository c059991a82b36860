"""The tables of the groups service and its lists."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    UniqueConstraint,
    bindparam,
    func,
    select,
    true,
    tuple_,
)

from concord.groups.store import GROUP_ORDERS, MEMBERSHIP_ORDERS
from concord.kernel.database.columns import Id, Instant, Json, Text
from concord.kernel.database.listing import Listing, any_of
from concord.kernel.database.tables import kernel_tables

metadata = MetaData()
kernel_tables(metadata)

# `group` is a word of SQL itself.
principal_group = Table(
    "principal_group",
    metadata,
    Column("organization_id", Id, nullable=False),
    Column("id", Id, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("create_time", Instant, nullable=False),
    Column("update_time", Instant, nullable=False),
    Column("catalogue", Text, nullable=False),
    Column("editable", Boolean, nullable=False),
    Column("deletable", Boolean, nullable=False),
    # NULL where there is none, so that only real handles are unique.
    Column("handle", Text),
    Column("name", Text, nullable=False),
    Column("name_translations", Json, nullable=False),
    Column("description", Text, nullable=False),
    Column("description_translations", Json, nullable=False),
    Column("tags", Json, nullable=False),
    Column("parent_group_id", Id),
    Column("member_kind", String(16), nullable=False),
    Column("division_ids", Json, nullable=False),
    Column("exclusion_key", Text, nullable=False),
    Column("template_ids", Json, nullable=False),
    Column("attributes", Json, nullable=False),
    PrimaryKeyConstraint("organization_id", "id", name="principal_group_pk"),
    UniqueConstraint("organization_id", "handle", name="principal_group_handle"),
    Index("principal_group_name", "organization_id", "name"),
    Index("principal_group_parent", "organization_id", "parent_group_id"),
    Index("principal_group_create_time", "organization_id", "create_time", "id"),
)

# The tags once more, one a row, to filter by; the group's own row keeps their order.
group_tag = Table(
    "group_tag",
    metadata,
    Column("organization_id", Id, nullable=False),
    Column("tag", Text, nullable=False),
    Column("group_id", Id, nullable=False),
    PrimaryKeyConstraint("organization_id", "tag", "group_id", name="group_tag_pk"),
    Index("group_tag_group", "organization_id", "group_id"),
)

membership = Table(
    "membership",
    metadata,
    Column("organization_id", Id, nullable=False),
    Column("id", Id, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("create_time", Instant, nullable=False),
    Column("update_time", Instant, nullable=False),
    Column("catalogue", Text, nullable=False),
    Column("container_kind", String(16), nullable=False),
    Column("container_id", Id, nullable=False),
    Column("principal_kind", String(16), nullable=False),
    Column("principal_id", Id, nullable=False),
    Column("is_owner", Boolean, nullable=False),
    PrimaryKeyConstraint("organization_id", "id", name="membership_pk"),
    UniqueConstraint(
        "organization_id",
        "container_kind",
        "container_id",
        "principal_kind",
        "principal_id",
        name="membership_sides",
    ),
    Index("membership_principal", "organization_id", "principal_kind", "principal_id"),
)

known_principal = Table(
    "known_principal",
    metadata,
    Column("organization_id", Id, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("id", Id, nullable=False),
    Column("is_customer", Boolean, nullable=False),
    PrimaryKeyConstraint("organization_id", "kind", "id", name="known_principal_pk"),
)

known_project = Table(
    "known_project",
    metadata,
    Column("organization_id", Id, nullable=False),
    Column("id", Id, nullable=False),
    PrimaryKeyConstraint("organization_id", "id", name="known_project_pk"),
)

quota_limit = Table(
    "quota_limit",
    metadata,
    Column("organization_id", Id, nullable=False),
    Column("name", Text, nullable=False),
    # NULL means unlimited.
    Column("value", BigInteger),
    PrimaryKeyConstraint("organization_id", "name", name="quota_limit_pk"),
)

OWN_TABLES = (principal_group, group_tag, membership, known_principal, known_project, quota_limit)

_g = principal_group.c
_m = membership.c
_sides = tuple_(_m.principal_kind, _m.principal_id)
_held = select(_m.container_id).where(_m.organization_id == bindparam("organization"), _m.container_kind == "group")

groups_listing = Listing(
    select(principal_group),
    identity=_g.id,
    orders={name: _g[name] for name in GROUP_ORDERS},
    filters={
        "organization": _g.organization_id == bindparam("organization"),
        "ids": any_of(_g.id, "ids"),
        "parent": _g.parent_group_id == bindparam("parent"),
        "top_level": _g.parent_group_id.is_(None) & (bindparam("top_level") == 1),
        "text": func.lower(_g.name).like(bindparam("text"), escape="\\"),
        "name": _g.name == bindparam("name"),
        "tag": _g.id.in_(
            select(group_tag.c.group_id).where(
                group_tag.c.organization_id == bindparam("organization"), group_tag.c.tag == bindparam("tag")
            )
        ),
        "member_kind": _g.member_kind == bindparam("member_kind"),
        "catalogues": any_of(_g.catalogue, "catalogues"),
        "holds_any": _g.id.in_(_held.where(_sides.in_(bindparam("holds_any", expanding=True)))),
        "holds_all": _g.id.in_(
            _held.where(_sides.in_(bindparam("holds_all", expanding=True)))
            .group_by(_m.container_id)
            .having(func.count() == bindparam("holds_size"))
        ),
        # Goes with `holds_all`; says nothing of its own.
        "holds_size": true(),
    },
)

memberships_listing = Listing(
    select(membership),
    identity=_m.id,
    orders={name: _m[name] for name in MEMBERSHIP_ORDERS},
    filters={
        "organization": _m.organization_id == bindparam("organization"),
        "containers": tuple_(_m.container_kind, _m.container_id).in_(bindparam("containers", expanding=True)),
        "principals": _sides.in_(bindparam("principals", expanding=True)),
        "kinds": any_of(_m.principal_kind, "kinds"),
        "container_kind": _m.container_kind == bindparam("container_kind"),
        "is_owner": _m.is_owner == bindparam("is_owner"),
    },
)
