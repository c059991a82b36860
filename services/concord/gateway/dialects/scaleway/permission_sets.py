"""Permission sets: the supplied roles that rules name."""

from typing import Literal

import msgspec

from concord.gateway.call import Call
from concord.gateway.dialects.scaleway.fields import CATALOGUE, Count, Paged, Uuid, canonical, listed, order
from concord.gateway.dialects.scaleway.rules import SCOPE_TYPES, ScopeType
from concord.policy.v1 import role_pb2, role_service_pb2

# No field of this resource is unsupported.
UNSUPPORTED: dict[str, str] = {}

# Supplied sets are all as old as their catalogue: by age they stand by name.
_ORDERS = {"name": "name", "created_at": "name"}


class PermissionSet(msgspec.Struct, frozen=True):
    """A permission set as it is answered."""

    id: str
    name: str
    scope_type: ScopeType
    description: str
    categories: list[str] | None


class ListPermissionSetsResponse(msgspec.Struct, frozen=True):
    """One page of permission sets."""

    permission_sets: list[PermissionSet]
    total_count: Count


class ListPermissionSetsQuery(Paged, frozen=True, kw_only=True):
    """How to list them."""

    order_by: Literal["name_asc", "name_desc", "created_at_asc", "created_at_desc"] = "name_asc"
    organization_id: Uuid


def to_permission_set(source: role_pb2.Role) -> PermissionSet:
    """Translate an answer."""
    return PermissionSet(
        id=source.id,
        name=source.handle,
        scope_type=SCOPE_TYPES.get(source.boundary_kind, "unknown_scope_type"),
        description=source.description.text,
        categories=list(source.categories),
    )


def from_list(query: ListPermissionSetsQuery, skip: int, size: int) -> role_service_pb2.ListRolesRequest:
    """Translate a list's filter: only what is supplied with this dialect."""
    return role_service_pb2.ListRolesRequest(
        organization_id=canonical(query.organization_id),
        page_size=size,
        skip=skip,
        order_by=order(query.order_by, _ORDERS),
        with_total_size=True,
        catalogues=(CATALOGUE,),
    )


async def list_permission_sets(call: Call) -> ListPermissionSetsResponse:
    """GET /permission-sets."""

    async def fetch(skip: int, size: int) -> ListPermissionSetsResponse:
        answer = await call.ask(call.core.roles.ListRoles, from_list(call.query, skip, size))
        return ListPermissionSetsResponse([to_permission_set(role) for role in answer.roles], answer.total_size)

    return await listed(call.query, fetch, lambda a: a.total_count, lambda n: ListPermissionSetsResponse([], n))
