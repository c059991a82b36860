"""Audit events between model and contract, both ways side by side."""

from collections.abc import Sequence
from typing import Any, Final, cast

from google.protobuf import json_format
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Value

from concord.audit.model import AuditEvent, EventFilter, FieldChange, Outcome
from concord.audit.v1 import audit_event_pb2, audit_service_pb2
from concord.kernel.errors import Invalid, Violation
from concord.kernel.ids import AuditEventId, OrganizationId
from concord.kernel.rpc.wire import (
    instant_from_wire,
    instant_to_wire,
    principal_from_wire,
    principal_to_wire,
)

_OUTCOMES: Final = {Outcome.SUCCEEDED: audit_event_pb2.OUTCOME_SUCCEEDED}
_OUTCOMES_BACK: Final = {number: outcome for outcome, number in _OUTCOMES.items()}
_MAX_TEXT: Final = 256
_MAX_ENTRIES: Final = 1000


def event_to_wire(event: AuditEvent) -> audit_event_pb2.AuditEvent:
    """Return the message for an event."""
    return audit_event_pb2.AuditEvent(
        id=event.id,
        organization_id=event.organization_id,
        time=instant_to_wire(event.time),
        actor=None if event.actor is None else principal_to_wire(event.actor),
        actor_session_id=event.actor_session_id,
        actor_api_key_id=event.actor_api_key_id,
        ip=event.ip,
        user_agent=event.user_agent,
        action=event.action,
        rpc=event.rpc,
        operation=event.operation,
        resource_type=event.resource_type,
        resource_id=event.resource_id,
        resource_name=event.resource_name,
        changes=map(_change_to_wire, event.changes),
        outcome=cast(Any, _OUTCOMES[event.outcome]),
        call_id=event.call_id,
        source=event.source,
        source_revision=event.source_revision,
        sequence=event.sequence,
        previous_hash=event.previous_hash,
        hash=event.hash,
        record=event.record,
    )


def event_from_wire(message: audit_event_pb2.AuditEvent) -> AuditEvent:
    """Return the event of a message that this service wrote."""
    return AuditEvent(
        id=AuditEventId(message.id),
        organization_id=OrganizationId(message.organization_id),
        time=instant_from_wire(message.time),
        source=message.source,
        source_revision=message.source_revision,
        action=message.action,
        resource_type=message.resource_type,
        resource_id=message.resource_id,
        resource_name=message.resource_name,
        actor=principal_from_wire(message.actor) if message.HasField("actor") else None,
        actor_session_id=message.actor_session_id,
        actor_api_key_id=message.actor_api_key_id,
        ip=message.ip,
        user_agent=message.user_agent,
        rpc=message.rpc,
        operation=message.operation,
        call_id=message.call_id,
        changes=tuple(map(_change_from_wire, message.changes)),
        outcome=_OUTCOMES_BACK[message.outcome],
        sequence=message.sequence,
        previous_hash=message.previous_hash,
        hash=message.hash,
        record=message.record,
    )


def _change_to_wire(change: FieldChange) -> audit_event_pb2.FieldChange:
    message = audit_event_pb2.FieldChange(field=change.field)
    for slot, value in ((message.old, change.old), (message.new, change.new)):
        if value is not None:
            json_format.ParseDict(value, slot)
    return message


def _change_from_wire(message: audit_event_pb2.FieldChange) -> FieldChange:
    return FieldChange(
        message.field,
        _json(message.old) if message.HasField("old") else None,
        _json(message.new) if message.HasField("new") else None,
    )


def _json(value: Value) -> Any:
    return json_format.MessageToDict(value)


def filter_from_wire(request: audit_service_pb2.ListAuditEventsRequest) -> EventFilter:
    """Return the filter of a list request, or raise Invalid."""
    wrong: list[Violation] = []
    for at in ("ids", "actions", "resource_types", "actor_ids"):
        wrong += _words(getattr(request, at), at)
    for at in ("resource_id", "text"):
        wrong += _words([getattr(request, at)], at)
    if wrong:
        raise Invalid(*wrong)
    return EventFilter(
        ids=tuple(each.lower() for each in request.ids),
        start_time=instant_from_wire(request.start_time) if request.HasField("start_time") else None,
        end_time=instant_from_wire(request.end_time) if request.HasField("end_time") else None,
        actions=tuple(request.actions),
        resource_types=tuple(request.resource_types),
        resource_id=request.resource_id,
        actor_ids=tuple(each.lower() for each in request.actor_ids),
        text=request.text,
    )


def order_from_wire(order_by: str) -> str:
    """Return the order with the tie-breaker that the contract promises, or raise Invalid."""
    name, _, direction = order_by.strip().partition(" ")
    direction = direction.strip().lower()
    if name not in ("", "time", "create_time") or direction not in ("", "asc", "desc") or (direction and not name):
        raise Invalid(Violation("order_by", "must be `time` or `time desc`", rule="order"))
    return "time desc,sequence desc" if direction == "desc" else "time,sequence"


def _words(words: Sequence[str], at: str) -> list[Violation]:
    if len(words) > _MAX_ENTRIES:
        return [Violation(at, f"must have at most {_MAX_ENTRIES} entries", rule="max_items")]
    if any(len(word) > _MAX_TEXT or "\x00" in word for word in words):
        return [Violation(at, f"must have at most {_MAX_TEXT} characters, none of them U+0000", rule="max_length")]
    return []


def snapshot(value: object) -> Message:
    """Refuse: this service publishes no changes of its own."""
    raise TypeError(f"{type(value).__name__}: audit events are not announced")
