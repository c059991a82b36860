"""What goes out comes back the same, and can be verified by whoever has nothing but the contract."""

import hashlib
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from concord.audit import records, wire
from concord.audit.model import AuditEvent, FieldChange, chain_hash
from concord.audit.v1 import audit_event_pb2, audit_service_pb2
from concord.common.v1.change_pb2 import ChangeEvent
from concord.kernel.errors import Invalid
from concord.kernel.ids import AuditEventId, OrganizationId
from concord.kernel.principal import PrincipalKind, PrincipalRef

uuids = st.uuids().map(str)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
instants = st.datetimes(datetime(1971, 1, 1), datetime(2200, 1, 1)).map(lambda each: each.replace(tzinfo=UTC))
scalars = st.booleans() | texts | st.floats(allow_nan=False, allow_infinity=False, width=32)
values = scalars | st.lists(scalars | st.none(), max_size=3) | st.dictionaries(texts, scalars, max_size=3)
events = st.builds(
    AuditEvent,
    id=uuids.map(AuditEventId),
    organization_id=uuids.map(OrganizationId),
    time=instants,
    source=texts,
    source_revision=st.integers(1, 2**62),
    action=texts,
    resource_type=texts,
    resource_id=texts,
    resource_name=texts,
    actor=st.none() | st.builds(PrincipalRef, st.sampled_from(PrincipalKind), uuids),
    actor_session_id=texts,
    actor_api_key_id=texts,
    ip=texts,
    user_agent=texts,
    rpc=texts,
    operation=texts,
    call_id=texts,
    changes=st.lists(st.builds(FieldChange, texts, st.none() | values, st.none() | values), max_size=3).map(tuple),
    sequence=st.integers(1, 2**62),
    previous_hash=st.binary(min_size=32, max_size=32),
    hash=st.binary(min_size=32, max_size=32),
    record=st.binary(max_size=50),
)


@given(events)
def test_an_event_survives_the_wire(event: AuditEvent) -> None:
    message = audit_event_pb2.AuditEvent.FromString(wire.event_to_wire(event).SerializeToString())

    assert wire.event_from_wire(message) == event


def test_a_stranger_can_verify_an_event_by_the_contract_alone() -> None:
    change = ChangeEvent(
        revision=3,
        type="group.updated",
        organization_id="22222222-2222-4222-8222-222222222222",
        resource_type="group",
        resource_id="g",
        resource_name="café",
    )
    record = records.entry_of("groups", change).record
    hash_ = chain_hash(b"\x01" * 32, 2, "groups", record)
    event = records.event_of("groups", record, sequence=2, previous_hash=b"\x01" * 32, hash_=hash_)

    message: Any = wire.event_to_wire(event)

    told = f"{message.sequence} {message.source} ".encode() + message.record
    assert hashlib.sha256(message.previous_hash + told).digest() == message.hash
    kept = ChangeEvent.FromString(message.record)
    assert (kept.revision, kept.resource_id, kept.resource_name) == (
        message.source_revision,
        message.resource_id,
        message.resource_name,
    )


def test_the_same_change_always_has_the_same_id() -> None:
    change = ChangeEvent(revision=5, type="group.created", organization_id="o")

    assert records.entry_of("groups", change).id == records.entry_of("groups", change).id
    assert records.entry_of("groups", change).id != records.entry_of("policy", change).id


@pytest.mark.parametrize(
    ("order_by", "order"),
    [
        ("", "time,sequence"),
        ("time", "time,sequence"),
        ("create_time asc", "time,sequence"),
        (" time  DESC ", "time desc,sequence desc"),
        ("create_time desc", "time desc,sequence desc"),
    ],
)
def test_orders_are_understood(order_by: str, order: str) -> None:
    assert wire.order_from_wire(order_by) == order


@pytest.mark.parametrize("order_by", ["sequence", "time up", "time, id", "desc", "hash"])
def test_other_orders_are_refused(order_by: str) -> None:
    with pytest.raises(Invalid):
        wire.order_from_wire(order_by)


@pytest.mark.parametrize(
    ("fields", "at"),
    [
        ({"text": "x" * 257}, "text"),
        ({"resource_id": "\x00"}, "resource_id"),
        ({"actions": ["x"] * 1001}, "actions"),
        ({"actor_ids": ["x" * 257]}, "actor_ids"),
    ],
)
def test_filters_that_cannot_match_are_refused(fields: dict[str, Any], at: str) -> None:
    with pytest.raises(Invalid) as refusal:
        wire.filter_from_wire(audit_service_pb2.ListAuditEventsRequest(**fields))

    assert [each.field for each in refusal.value.violations] == [at]


def test_audit_announces_nothing() -> None:
    with pytest.raises(TypeError):
        wire.snapshot(None)
