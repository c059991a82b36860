"""The tables of the audit service and its list."""

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    UniqueConstraint,
    bindparam,
    func,
    or_,
    select,
)

from concord.audit.store import EVENT_ORDERS
from concord.kernel.database.columns import Bytes, Id, Instant, Text
from concord.kernel.database.listing import Listing, any_of
from concord.kernel.database.tables import kernel_tables

metadata = MetaData()
kernel_tables(metadata)

# Triggers of the first migration refuse every UPDATE and DELETE.
audit_event = Table(
    "audit_event",
    metadata,
    # Empty for what happened in no organization.
    Column("organization_id", Id, nullable=False),
    Column("id", Id, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("time", Instant, nullable=False),
    Column("source", String(32), nullable=False),
    Column("action", Text, nullable=False),
    Column("resource_type", Text, nullable=False),
    Column("resource_id", Text, nullable=False),
    Column("resource_name", Text, nullable=False),
    Column("actor_id", Text, nullable=False),
    # A `concord.common.v1.ChangeEvent`, as it came.
    Column("record", Bytes, nullable=False),
    Column("previous_hash", Bytes, nullable=False),
    Column("hash", Bytes, nullable=False),
    PrimaryKeyConstraint("organization_id", "sequence", name="audit_event_pk"),
    # Both are UUIDs: an organization in front would make every write dearer and find nothing sooner.
    UniqueConstraint("id", name="audit_event_id"),
    Index("audit_event_resource", "resource_id"),
    Index("audit_event_time", "organization_id", "time", "sequence"),
)

_e = audit_event.c

events_listing = Listing(
    select(audit_event),
    identity=_e.id,
    orders={name: _e[name] for name in EVENT_ORDERS},
    filters={
        "organization": _e.organization_id == bindparam("organization"),
        "ids": any_of(_e.id, "ids"),
        "start_time": _e.time >= bindparam("start_time", type_=_e.time.type),
        "end_time": _e.time < bindparam("end_time", type_=_e.time.type),
        "actions": any_of(_e.action, "actions"),
        "resource_types": any_of(_e.resource_type, "resource_types"),
        "resource_id": _e.resource_id == bindparam("resource_id"),
        "actor_ids": any_of(_e.actor_id, "actor_ids"),
        "text": or_(
            *(
                func.lower(column).like(bindparam("text"), escape="\\")
                for column in (_e.resource_id, _e.resource_name, _e.actor_id)
            )
        ),
    },
)
