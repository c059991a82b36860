"""Serves limits."""

from typing import Any

from concord.kernel import ids
from concord.kernel.ids import OrganizationId
from concord.kernel.rpc.call import Call
from concord.kernel.units import Units
from concord.policy import wire
from concord.policy.operations import quotas
from concord.policy.store import PolicyStore
from concord.policy.v1 import quota_pb2, quota_service_pb2
from concord.policy.v1.quota_service_pb2_grpc import QuotaServiceServicer


class QuotaHandlers(QuotaServiceServicer):
    """Serves limits."""

    def __init__(self, units: Units[PolicyStore]) -> None:
        self._units = units

    async def ListQuotas(
        self, request: quota_service_pb2.ListQuotasRequest, context: Any
    ) -> quota_service_pb2.ListQuotasResponse:
        organization_id = Call.current().own_organization(request.organization_id)
        page = self._units.page_request(
            request, orders=("name",), default_order="name", organization_id=organization_id
        )
        names = tuple(request.names) or None
        found = await self._units.read(lambda store: quotas.list_quotas(store, organization_id, names, page))
        return quota_service_pb2.ListQuotasResponse(
            quotas=map(wire.quota_to_wire, found.items),
            next_page_token=found.next_page_token,
            total_size=found.total_size,
        )

    async def GetQuota(self, request: quota_service_pb2.GetQuotaRequest, context: Any) -> quota_pb2.Quota:
        organization_id = Call.current().organization_id
        quota = await self._units.look(lambda store: quotas.get_quota(store, organization_id, request.name))
        return wire.quota_to_wire(quota)

    async def SetQuota(self, request: quota_service_pb2.SetQuotaRequest, context: Any) -> quota_pb2.Quota:
        organization_id: OrganizationId = ids.parse(OrganizationId, request.organization_id, "organization_id")
        return await self._units.write(
            request,
            lambda unit: quotas.set_quota(
                unit, request.name, limit=request.limit, unlimited=request.unlimited, etag=request.etag
            ),
            wire.quota_to_wire,
            organization_id=organization_id,
            awaits=("identity",),
        )
