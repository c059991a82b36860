"""Serves roles."""

from typing import Any, Final

from concord.kernel.rpc.call import Call
from concord.kernel.units import Units
from concord.policy import wire
from concord.policy.handlers.reach import require_everything
from concord.policy.operations import roles
from concord.policy.operations.role_names import get_role
from concord.policy.store import PolicyStore
from concord.policy.v1 import role_pb2, role_service_pb2
from concord.policy.v1.role_service_pb2_grpc import RoleServiceServicer

ROLE_ORDERS: Final = ("name",)


class RoleHandlers(RoleServiceServicer):
    """Serves roles: supplied ones from the catalogues, the others from the store."""

    def __init__(self, units: Units[PolicyStore]) -> None:
        self._units = units

    async def CreateRole(self, request: role_service_pb2.CreateRoleRequest, context: Any) -> role_pb2.Role:
        organization_id = Call.current().own_organization(request.organization_id)
        require_everything()
        draft = wire.role_draft_from_wire(request.role)
        return await self._units.write(
            request,
            lambda unit: roles.create_role(unit, draft),
            lambda role: wire.role_to_wire(role, organization_id),
        )

    async def GetRole(self, request: role_service_pb2.GetRoleRequest, context: Any) -> role_pb2.Role:
        organization_id = Call.current().organization_id
        require_everything()
        role = await self._units.look(lambda store: get_role(store, organization_id, request.id))
        return wire.role_to_wire(role, organization_id)

    async def ListRoles(
        self, request: role_service_pb2.ListRolesRequest, context: Any
    ) -> role_service_pb2.ListRolesResponse:
        call = Call.current()
        organization_id = call.own_organization(request.organization_id)
        page = self._units.page_request(
            request, orders=ROLE_ORDERS, default_order="name", organization_id=organization_id
        )
        wanted = wire.role_filter_from_wire(request)
        if not call.reach.everything:
            return role_service_pb2.ListRolesResponse()
        found = await self._units.read(lambda store: roles.list_roles(store, organization_id, wanted, page))
        return role_service_pb2.ListRolesResponse(
            roles=[wire.role_to_wire(each, organization_id) for each in found.items],
            next_page_token=found.next_page_token,
            total_size=found.total_size,
        )

    async def UpdateRole(self, request: role_service_pb2.UpdateRoleRequest, context: Any) -> role_pb2.Role:
        organization_id = Call.current().organization_id
        require_everything()
        patch = wire.role_patch_from_wire(request.role, request.update_mask.paths)
        named, etag = request.role.id, request.role.etag
        return await self._units.write(
            request,
            lambda unit: roles.update_role(unit, named, patch, etag),
            lambda role: wire.role_to_wire(role, organization_id),
        )

    async def DeleteRole(self, request: role_service_pb2.DeleteRoleRequest, context: Any) -> role_pb2.Role:
        organization_id = Call.current().organization_id
        require_everything()
        refuse_if = wire.role_relations_from_wire(request.refuse_if)
        return await self._units.write(
            request,
            lambda unit: roles.delete_role(unit, request.id, refuse_if, request.etag),
            lambda role: wire.role_to_wire(role, organization_id),
        )
