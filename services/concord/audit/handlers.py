"""The servicer: unpack, call, pack. What all rpcs share is in the chain."""

import asyncio
from collections.abc import Sequence
from typing import Any

from concord.audit import operations, wire
from concord.audit.store import EVENT_ORDERS, Store
from concord.audit.v1 import audit_event_pb2, audit_service_pb2
from concord.audit.v1.audit_service_pb2_grpc import AuditServiceServicer
from concord.kernel.errors import Denied
from concord.kernel.feed.consumer import Consumer
from concord.kernel.rpc.call import Call
from concord.kernel.units import Units


class AuditHandlers(AuditServiceServicer):
    """Serves audit events."""

    def __init__(self, units: Units[Store], consumers: Sequence[Consumer]) -> None:
        self._units = units
        self._consumers = tuple(consumers)

    async def ListAuditEvents(
        self, request: audit_service_pb2.ListAuditEventsRequest, context: Any
    ) -> audit_service_pb2.ListAuditEventsResponse:
        call = Call.current()
        organization_id = call.own_organization(request.organization_id)
        criteria = wire.filter_from_wire(request)
        asked = audit_service_pb2.ListAuditEventsRequest()
        asked.CopyFrom(request)
        asked.order_by = wire.order_from_wire(request.order_by)
        page = self._units.page_request(
            asked, orders=EVENT_ORDERS, default_order="time,sequence", organization_id=organization_id
        )
        # Events lie in no project, so a reach of projects covers none.
        if not call.reach.everything:
            return audit_service_pb2.ListAuditEventsResponse()
        await self._catch_up()
        found = await self._units.read(lambda store: operations.list_events(store, organization_id, criteria, page))
        return audit_service_pb2.ListAuditEventsResponse(
            audit_events=map(wire.event_to_wire, found.items),
            next_page_token=found.next_page_token,
            total_size=found.total_size,
        )

    async def GetAuditEvent(
        self, request: audit_service_pb2.GetAuditEventRequest, context: Any
    ) -> audit_event_pb2.AuditEvent:
        call = Call.current()
        if not call.reach.everything:
            raise Denied(call.method.permission)
        organization_id = call.organization_id
        found = await self._units.read(lambda store: operations.get_event(store, organization_id, request.id))
        return wire.event_to_wire(found)

    async def _catch_up(self) -> None:
        """Wait until what any source had committed at this moment is here: callers look for their own acts."""
        await asyncio.gather(*(consumer.catch_up() for consumer in self._consumers))
