"""Logs: who created, changed or deleted what."""

from typing import Annotated, Literal

import msgspec

from concord.audit.v1 import audit_event_pb2, audit_service_pb2
from concord.gateway.call import Call
from concord.gateway.dialects.scaleway.fields import (
    BigCount,
    Instant,
    Needle,
    Paged,
    Time,
    Uuid,
    canonical,
    instant,
    listed,
    order,
    timestamp,
)
from concord.gateway.shapes import is_uuid
from concord.kernel.errors import NotFound

# No field of this resource is unsupported.
UNSUPPORTED: dict[str, str] = {}

Action = Literal["unknown_action", "created", "updated", "deleted"]
ResourceType = Literal["unknown_resource_type", "api_key", "user", "application", "group", "policy"]
AnsweredId = Annotated[str, msgspec.Meta(extra_json_schema={"format": "uuid"})]

RESOURCE_TYPES = ("api_key", "user", "application", "group", "policy")
# Everything else that happens to one of those resources is a change of it.
UPDATES = ("updated", "suspended", "resumed", "activated", "rotated", "set")
ACTIONS = {
    "unknown_action": ("created", "deleted", *UPDATES),
    "created": ("created",),
    "updated": UPDATES,
    "deleted": ("deleted",),
}
# The suite itself acted: no principal of the organization has this id.
NOBODY = "00000000-0000-0000-0000-000000000000"
_ORDERS = {"created_at": "time"}


class Log(msgspec.Struct, frozen=True):
    """A log entry as it is answered."""

    id: AnsweredId
    created_at: Instant | None
    ip: str
    user_agent: str
    action: Action
    bearer_id: AnsweredId
    organization_id: AnsweredId
    resource_type: ResourceType
    resource_id: str


class ListLogsResponse(msgspec.Struct, frozen=True):
    """One page of log entries."""

    logs: list[Log]
    total_count: BigCount


class ListLogsQuery(Paged, frozen=True, kw_only=True):
    """Which entries to list."""

    order_by: Literal["created_at_asc", "created_at_desc"] = "created_at_asc"
    organization_id: Uuid | None = None
    created_after: Time | None = None
    created_before: Time | None = None
    action: Action = "unknown_action"
    resource_type: ResourceType = "unknown_resource_type"
    search: Needle | None = None


def to_log(source: audit_event_pb2.AuditEvent) -> Log:
    """Translate an answer."""
    action: Action = "updated"
    if source.action == "created":
        action = "created"
    elif source.action == "deleted":
        action = "deleted"
    # Clients know a key by its access key, never by the core's id.
    named = source.resource_type == "api_key" and source.resource_name != ""
    return Log(
        id=source.id,
        created_at=instant(source.time),
        ip=source.ip,
        user_agent=source.user_agent,
        action=action,
        bearer_id=source.actor.id if is_uuid(source.actor.id) else NOBODY,
        organization_id=source.organization_id,
        resource_type=_resource_type(source.resource_type),
        resource_id=source.resource_name if named else source.resource_id,
    )


def _resource_type(name: str) -> ResourceType:
    for known in RESOURCE_TYPES:
        if known == name:
            kind: ResourceType = msgspec.convert(name, ResourceType)
            return kind
    return "unknown_resource_type"


def from_list(query: ListLogsQuery, skip: int, size: int) -> audit_service_pb2.ListAuditEventsRequest:
    """Translate a list's filter."""
    kinds = RESOURCE_TYPES if query.resource_type == "unknown_resource_type" else (query.resource_type,)
    return audit_service_pb2.ListAuditEventsRequest(
        organization_id=canonical(query.organization_id),
        page_size=size,
        skip=skip,
        order_by=order(query.order_by, _ORDERS),
        with_total_size=True,
        start_time=timestamp(query.created_after, "created_after") if query.created_after else None,
        end_time=timestamp(query.created_before, "created_before") if query.created_before else None,
        actions=ACTIONS[query.action],
        resource_types=kinds,
        text=query.search or "",
    )


async def list_logs(call: Call) -> ListLogsResponse:
    """GET /logs."""

    async def fetch(skip: int, size: int) -> ListLogsResponse:
        answer = await call.ask(call.core.audit.ListAuditEvents, from_list(call.query, skip, size))
        return ListLogsResponse([to_log(event) for event in answer.audit_events], answer.total_size)

    return await listed(call.query, fetch, lambda a: a.total_count, lambda n: ListLogsResponse([], n))


async def get_log(call: Call) -> Log:
    """GET /logs/{log_id}. Events of things that this dialect does not have are no logs."""
    log_id = canonical(call.path["log_id"])
    event = await call.ask(call.core.audit.GetAuditEvent, audit_service_pb2.GetAuditEventRequest(id=log_id))
    if event.resource_type not in RESOURCE_TYPES or event.action not in ACTIONS["unknown_action"]:
        raise NotFound("log", log_id)
    return to_log(event)
