"""The servicers: unpack, call, pack. What all rpcs share is in the chain."""

from collections.abc import Iterable
from typing import Any, Final

from concord.groups import wire
from concord.groups.model import Container, ContainerKind, check_draft, check_patch
from concord.groups.operations import groups, memberships
from concord.groups.store import GROUP_ORDERS, MEMBERSHIP_ORDERS, Store
from concord.groups.v1 import group_pb2, group_service_pb2, membership_pb2, membership_service_pb2
from concord.groups.v1.group_service_pb2_grpc import GroupServiceServicer
from concord.groups.v1.membership_service_pb2_grpc import MembershipServiceServicer
from concord.kernel.errors import Denied, Invalid, Violation
from concord.kernel.principal import PrincipalRef, TargetClass
from concord.kernel.rpc.call import Call
from concord.kernel.units import Units

# Principals are another service's: one that is unknown here may be on its way.
AWAITS: Final = ("identity",)


class GroupHandlers(GroupServiceServicer):
    """Serves groups."""

    def __init__(self, units: Units[Store]) -> None:
        self._units = units

    async def CreateGroup(self, request: group_service_pb2.CreateGroupRequest, context: Any) -> group_pb2.Group:
        Call.current().own_organization(request.organization_id)
        _require_everything()
        draft = wire.draft_from_wire(request.group)
        check_draft(draft)
        unique = wire.unique_from_wire(request.unique_within)
        return await self._units.write(
            request, lambda unit: groups.create_group(unit, draft, unique), wire.group_to_wire
        )

    async def GetGroup(self, request: group_service_pb2.GetGroupRequest, context: Any) -> group_pb2.Group:
        _require_everything()
        organization_id = Call.current().organization_id
        group = await self._units.look(lambda store: groups.get_group(store, organization_id, request.id))
        return wire.group_to_wire(group)

    async def ListGroups(
        self, request: group_service_pb2.ListGroupsRequest, context: Any
    ) -> group_service_pb2.ListGroupsResponse:
        organization_id = Call.current().own_organization(request.organization_id)
        criteria = wire.group_filter_from_wire(request)
        _require_targets(criteria.holds)
        page = self._units.page_request(
            request, orders=GROUP_ORDERS, default_order="create_time", organization_id=organization_id
        )
        # Groups lie in no project, so a reach of projects covers none.
        if not Call.current().reach.everything:
            return group_service_pb2.ListGroupsResponse()
        found = await self._units.read(lambda store: groups.list_groups(store, organization_id, criteria, page))
        return group_service_pb2.ListGroupsResponse(
            groups=map(wire.group_to_wire, found.items),
            next_page_token=found.next_page_token,
            total_size=found.total_size,
        )

    async def UpdateGroup(self, request: group_service_pb2.UpdateGroupRequest, context: Any) -> group_pb2.Group:
        _require_everything()
        patch = wire.patch_from_wire(request.group, request.update_mask.paths)
        check_patch(patch)
        unique = wire.unique_from_wire(request.unique_within)
        named, etag = request.group.id, request.group.etag
        return await self._units.write(
            request, lambda unit: groups.update_group(unit, named, patch, unique, etag), wire.group_to_wire
        )

    async def DeleteGroup(self, request: group_service_pb2.DeleteGroupRequest, context: Any) -> group_pb2.Group:
        _require_everything()
        refuse_if = wire.relations_from_wire(request.refuse_if)
        return await self._units.write(
            request, lambda unit: groups.delete_group(unit, request.id, refuse_if, request.etag), wire.group_to_wire
        )


class MembershipHandlers(MembershipServiceServicer):
    """Serves memberships."""

    def __init__(self, units: Units[Store]) -> None:
        self._units = units

    async def AddMembers(
        self, request: membership_service_pb2.AddMembersRequest, context: Any
    ) -> membership_service_pb2.AddMembersResponse:
        container = wire.container_from_wire(request.container)
        _require_reach([container])
        principals = wire.principals_from_wire(request.principals, "principals")
        return await self._units.write(
            request,
            lambda unit: memberships.add_members(unit, container, principals, is_owner=request.is_owner),
            lambda outcome: membership_service_pb2.AddMembersResponse(
                memberships=map(wire.membership_to_wire, outcome.memberships),
                created_ids=[each.id for each in outcome.created],
            ),
            awaits=AWAITS,
        )

    async def RemoveMembers(
        self, request: membership_service_pb2.RemoveMembersRequest, context: Any
    ) -> membership_service_pb2.RemoveMembersResponse:
        container = wire.container_from_wire(request.container)
        _require_reach([container])
        principals = wire.principals_from_wire(request.principals, "principals")
        if request.all == bool(principals):
            raise Invalid(Violation("principals", "must name somebody, or nobody together with all", rule="exclusive"))
        return await self._units.write(
            request,
            lambda unit: memberships.remove_members(
                unit, container, principals, everybody=request.all, allow_missing=request.allow_missing
            ),
            lambda outcome: membership_service_pb2.RemoveMembersResponse(
                removed=map(wire.membership_to_wire, outcome.removed[:1000]), remaining_size=outcome.remaining
            ),
        )

    async def SetMembers(
        self, request: membership_service_pb2.SetMembersRequest, context: Any
    ) -> membership_service_pb2.SetMembersResponse:
        container = wire.container_from_wire(request.container)
        _require_reach([container])
        principals = wire.principals_from_wire(request.principals, "principals")
        kinds = wire.kinds_from_wire(request.replaced_kinds, "replaced_kinds")
        for index, principal in enumerate(principals):
            if principal.kind not in kinds:
                raise Invalid(Violation(f"principals[{index}].kind", "is not among the replaced kinds", rule="kind"))
        return await self._units.write(
            request,
            lambda unit: memberships.set_members(unit, container, principals, kinds),
            lambda outcome: membership_service_pb2.SetMembersResponse(
                memberships=map(wire.membership_to_wire, outcome.memberships),
                created_ids=[each.id for each in outcome.created],
                removed=map(wire.membership_to_wire, outcome.removed[:1000]),
            ),
            awaits=AWAITS,
        )

    async def GetMembership(
        self, request: membership_service_pb2.GetMembershipRequest, context: Any
    ) -> membership_pb2.Membership:
        container = wire.container_from_wire(request.container)
        principal = wire.principal_in(request.principal, "principal")
        _require_targets([principal])
        _require_reach([container])
        organization_id = Call.current().organization_id
        found = await self._units.read(
            lambda store: memberships.get_membership(store, organization_id, container, principal)
        )
        return wire.membership_to_wire(found)

    async def ListMembers(
        self, request: membership_service_pb2.ListMembersRequest, context: Any
    ) -> membership_service_pb2.ListMembersResponse:
        organization_id = Call.current().organization_id
        criteria = wire.member_filter_from_wire(request)
        _require_reach(criteria.containers)
        page = self._units.page_request(
            request,
            orders=MEMBERSHIP_ORDERS,
            default_order="container_id,principal_id",
            organization_id=organization_id,
        )
        found = await self._units.read(
            lambda store: memberships.list_members(
                store, organization_id, criteria, page, allow_missing=request.allow_missing
            )
        )
        return membership_service_pb2.ListMembersResponse(
            memberships=map(wire.membership_to_wire, found.items),
            next_page_token=found.next_page_token,
            total_size=found.total_size,
        )

    async def ListMemberships(
        self, request: membership_service_pb2.ListMembershipsRequest, context: Any
    ) -> membership_service_pb2.ListMembershipsResponse:
        organization_id = Call.current().organization_id
        criteria = wire.membership_filter_from_wire(request)
        _require_targets(criteria.principals)
        _require_everything()
        page = self._units.page_request(
            request,
            orders=MEMBERSHIP_ORDERS,
            default_order="principal_id,container_id",
            organization_id=organization_id,
        )
        found = await self._units.read(
            lambda store: memberships.list_memberships(store, organization_id, criteria, page)
        )
        return membership_service_pb2.ListMembershipsResponse(
            memberships=map(wire.membership_to_wire, found.items),
            next_page_token=found.next_page_token,
            total_size=found.total_size,
        )


def _require_everything() -> None:
    call = Call.current()
    if not call.reach.everything:
        raise Denied(call.method.permission)


def _require_reach(containers: Iterable[Container]) -> None:
    call = Call.current()
    reach = call.reach
    for each in containers:
        # A group lies in no project: only what holds in the whole organization reaches it.
        within = reach.holds_in(each.id) if each.kind is ContainerKind.PROJECT else reach.everything
        if not within:
            raise Denied(call.method.permission)


def _require_targets(principals: Iterable[PrincipalRef]) -> None:
    call = Call.current()
    named = list(principals)
    if not named and TargetClass.ANY not in call.reach.classes:
        raise Denied(call.method.permission)
    for each in named:
        call.require_target(each)
