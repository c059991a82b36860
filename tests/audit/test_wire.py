"""What goes out comes back the same, and can be verified by whoever has nothing but the contract."""

import hashlib
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from google.protobuf import json_format
from hypothesis import given
from hypothesis import strategies as st

from concord.audit import wire
from concord.audit.model import NO_HASH, AuditEvent, FieldChange
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
).map(lambda event: event.chained(7, NO_HASH))


@given(events)
def test_an_event_survives_the_wire(event: AuditEvent) -> None:
    message = audit_event_pb2.AuditEvent.FromString(wire.event_to_wire(event).SerializeToString())

    assert wire.event_from_wire(message) == event


def test_a_stranger_can_verify_an_event_by_the_contract_alone() -> None:
    event = AuditEvent(
        id=AuditEventId("11111111-1111-4111-8111-111111111111"),
        organization_id=OrganizationId("22222222-2222-4222-8222-222222222222"),
        time=datetime(2026, 1, 1, 0, 0, 0, 5, tzinfo=UTC),
        source="groups",
        source_revision=3,
        action="updated",
        resource_type="group",
        resource_id="g",
        resource_name="café",
        actor=PrincipalRef(PrincipalKind.USER, "u"),
        changes=(FieldChange("tags", None, ["é"]),),
    ).chained(2, b"\x01" * 32)

    message: Any = wire.event_to_wire(event)

    as_they_are = {
        *("id", "organization_id", "actor_session_id", "actor_api_key_id", "ip", "user_agent", "action", "rpc"),
        *("operation", "resource_type", "resource_id", "resource_name", "call_id", "source", "source_revision"),
        "sequence",
    }
    content = {name: getattr(message, name) for name in as_they_are}
    content["time"] = message.time.ToMicroseconds()
    content["actor"] = ["user", message.actor.id]
    content["changes"] = [[each.field, None, json_format.MessageToDict(each.new)] for each in message.changes]
    content["outcome"] = "succeeded"
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":")).encode()
    assert hashlib.sha256(message.previous_hash + canonical).digest() == message.hash


def test_the_same_change_always_has_the_same_id() -> None:
    change = ChangeEvent(revision=5, type="group.created", organization_id="o")

    assert wire.event_from_change("groups", change).id == wire.event_from_change("groups", change).id
    assert wire.event_from_change("groups", change).id != wire.event_from_change("policy", change).id


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
