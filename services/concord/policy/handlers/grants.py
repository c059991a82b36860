"""Serves grants."""

from typing import Any, Final

from google.protobuf.empty_pb2 import Empty

from concord.kernel.rpc.call import Call
from concord.kernel.units import Units
from concord.policy import wire
from concord.policy.handlers.reach import require_everything, require_holders
from concord.policy.operations import grants
from concord.policy.store import PolicyStore
from concord.policy.v1 import grant_pb2, grant_service_pb2
from concord.policy.v1.grant_service_pb2_grpc import GrantServiceServicer

GRANT_ORDERS: Final = ("create_time",)
# What a boundary names, and who holds a role, may still be on its way from either.
AWAITS: Final = ("identity", "groups")


class GrantHandlers(GrantServiceServicer):
    """Serves grants."""

    def __init__(self, units: Units[PolicyStore]) -> None:
        self._units = units

    async def CreateGrant(
        self, request: grant_service_pb2.CreateGrantRequest, context: Any
    ) -> grant_service_pb2.CreateGrantResponse:
        Call.current().own_organization(request.organization_id)
        require_everything()
        key = wire.grant_key_from_wire(request.grant, "grant")
        return await self._units.write(
            request,
            lambda unit: grants.create_grant(unit, key),
            lambda made: grant_service_pb2.CreateGrantResponse(grant=wire.grant_to_wire(made[0]), created=made[1]),
            awaits=AWAITS,
        )

    async def GetGrant(self, request: grant_service_pb2.GetGrantRequest, context: Any) -> grant_pb2.Grant:
        organization_id = Call.current().organization_id
        require_everything()
        locator = wire.grant_locator_from_wire(request)
        found = await self._units.read(lambda store: grants.get_grant(store, organization_id, locator))
        return wire.grant_to_wire(found)

    async def ListGrants(
        self, request: grant_service_pb2.ListGrantsRequest, context: Any
    ) -> grant_service_pb2.ListGrantsResponse:
        call = Call.current()
        organization_id = call.own_organization(request.organization_id)
        wanted = wire.grant_filter_from_wire(request, organization_id)
        page = self._units.page_request(
            request, orders=GRANT_ORDERS, default_order="create_time", organization_id=organization_id
        )
        if wanted is None or not call.reach.everything:
            return grant_service_pb2.ListGrantsResponse()
        require_holders(wanted.subjects)
        found = await self._units.read(
            lambda store: grants.list_grants(store, organization_id, wanted, page, effective=request.effective)
        )
        return grant_service_pb2.ListGrantsResponse(
            grants=map(wire.grant_to_wire, found.items),
            next_page_token=found.next_page_token,
            total_size=found.total_size,
        )

    async def SetGrants(
        self, request: grant_service_pb2.SetGrantsRequest, context: Any
    ) -> grant_service_pb2.SetGrantsResponse:
        require_everything()
        subject = wire.subject_from_wire(request.subject, "subject")
        boundary = wire.place_from_wire(request)
        return await self._units.write(
            request,
            lambda unit: grants.set_grants(
                unit,
                subject,
                boundary,
                tuple(request.role_ids),
                language=request.replaced_language,
                catalogues=tuple(request.replaced_catalogues),
            ),
            lambda outcome: grant_service_pb2.SetGrantsResponse(
                grants=map(wire.grant_to_wire, outcome.grants),
                created_ids=[each.id for each in outcome.created],
                ended=map(wire.grant_to_wire, outcome.ended),
            ),
            awaits=AWAITS,
        )

    async def DeleteGrant(self, request: grant_service_pb2.DeleteGrantRequest, context: Any) -> Empty:
        require_everything()
        locator = wire.grant_locator_from_wire(request)
        return await self._units.write(
            request, lambda unit: grants.delete_grant(unit, locator, request.etag), lambda _: Empty()
        )
