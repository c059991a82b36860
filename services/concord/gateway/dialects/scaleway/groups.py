"""Groups and their members. Members of other kinds (devices) are neither shown nor touched."""

from collections.abc import Iterable
from typing import Literal

import msgspec

from concord.common.v1.localized_text_pb2 import LocalizedText
from concord.common.v1.principal_pb2 import PRINCIPAL_KIND_APPLICATION, PRINCIPAL_KIND_USER, PrincipalRef
from concord.gateway.call import Call
from concord.gateway.dialects.scaleway.fields import (
    CATALOGUES,
    Count,
    Description,
    IdFilter,
    Instant,
    Name,
    Needle,
    Paged,
    Tags,
    Uuid,
    Uuids,
    canonical,
    canonicals,
    instant,
    invented_name,
    listed,
    one_of,
    order,
)
from concord.groups.v1 import group_pb2, group_service_pb2, membership_pb2, membership_service_pb2
from concord.kernel.errors import Invalid, Violation

# No field of this resource is unsupported.
UNSUPPORTED: dict[str, str] = {}

MEMBER_KINDS = (PRINCIPAL_KIND_USER, PRINCIPAL_KIND_APPLICATION)
_ORDERS = {"created_at": "create_time", "updated_at": "update_time", "name": "name"}
_MOST_MEMBERS = 1000
# The core hands out members in pages; a list of groups reads at most this many of them.
_MEMBER_PAGES = 100


class Group(msgspec.Struct, frozen=True):
    """A group as it is answered."""

    id: str
    created_at: Instant | None
    updated_at: Instant | None
    organization_id: str
    name: str
    description: str
    user_ids: list[str]
    application_ids: list[str]
    tags: list[str]
    editable: bool
    deletable: bool
    managed: bool


class ListGroupsResponse(msgspec.Struct, frozen=True):
    """One page of groups."""

    groups: list[Group]
    total_count: Count


class ListGroupsQuery(Paged, frozen=True, kw_only=True):
    """Which groups to list."""

    order_by: Literal[
        "created_at_asc", "created_at_desc", "updated_at_asc", "updated_at_desc", "name_asc", "name_desc"
    ] = "created_at_asc"
    organization_id: Uuid | None = None
    name: Needle | None = None
    application_ids: IdFilter | None = None
    user_ids: IdFilter | None = None
    group_ids: IdFilter | None = None
    tag: Needle | None = None


class CreateGroupRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A new group, without members."""

    organization_id: Uuid
    name: Name
    description: Description | None = None
    tags: Tags | None = None


class UpdateGroupRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Changes of a group; null is no change."""

    name: Name | None = None
    description: Description | None = None
    tags: Tags | None = None


class GroupMemberRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One member: a user or an application."""

    user_id: Uuid | None = None
    application_id: Uuid | None = None


class AddGroupMembersRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Several members."""

    user_ids: Uuids | None = None
    application_ids: Uuids | None = None


class SetGroupMembersRequest(msgspec.Struct, frozen=True, kw_only=True):
    """All members."""

    user_ids: Uuids
    application_ids: Uuids


def to_group(source: group_pb2.Group, members: Iterable[membership_pb2.Membership]) -> Group:
    """Translate an answer. Members stand in the order in which they are given."""
    user_ids: list[str] = []
    application_ids: list[str] = []
    for member in members:
        if member.principal.kind == PRINCIPAL_KIND_USER:
            user_ids.append(member.principal.id)
        elif member.principal.kind == PRINCIPAL_KIND_APPLICATION:
            application_ids.append(member.principal.id)
    return Group(
        id=source.id,
        created_at=instant(source.create_time),
        updated_at=instant(source.update_time),
        organization_id=source.organization_id,
        name=source.name.text,
        description=source.description.text,
        user_ids=user_ids,
        application_ids=application_ids,
        tags=list(source.tags),
        editable=source.editable,
        deletable=source.deletable,
        managed=source.managed,
    )


def from_create(body: CreateGroupRequest) -> group_service_pb2.CreateGroupRequest:
    """Translate a creation: group names are unique in the organization."""
    return group_service_pb2.CreateGroupRequest(
        organization_id=canonical(body.organization_id),
        group=group_pb2.Group(
            name=LocalizedText(text=body.name or invented_name("grp")),
            description=LocalizedText(text=body.description or ""),
            tags=body.tags or (),
        ),
        unique_within=group_service_pb2.UNIQUE_WITHIN_ORGANIZATION,
    )


def from_update(group_id: str, body: UpdateGroupRequest) -> group_service_pb2.UpdateGroupRequest:
    """Translate a change. Only the texts in the default language change; translations stay."""
    request = group_service_pb2.UpdateGroupRequest(
        group=group_pb2.Group(id=canonical(group_id)), unique_within=group_service_pb2.UNIQUE_WITHIN_ORGANIZATION
    )
    if body.name is not None:
        request.group.name.text = body.name or invented_name("grp")
        request.update_mask.paths.append("name.text")
    if body.description is not None:
        request.group.description.text = body.description
        request.update_mask.paths.append("description.text")
    if body.tags is not None:
        request.group.tags.extend(body.tags)
        request.update_mask.paths.append("tags")
    return request


def from_list(query: ListGroupsQuery, skip: int, size: int) -> group_service_pb2.ListGroupsRequest:
    """Translate a list's filter."""
    return group_service_pb2.ListGroupsRequest(
        organization_id=canonical(query.organization_id),
        page_size=size,
        skip=skip,
        order_by=order(query.order_by, _ORDERS),
        with_total_size=True,
        ids=canonicals(query.group_ids or ()),
        text=query.name or "",
        tag=query.tag or "",
        holds=principals(query.user_ids or (), query.application_ids or ()),
        catalogues=CATALOGUES,
    )


def principals(user_ids: Iterable[str], application_ids: Iterable[str]) -> list[PrincipalRef]:
    """Return users and applications as the core names them."""
    return [
        *(PrincipalRef(kind=PRINCIPAL_KIND_USER, id=user_id) for user_id in canonicals(user_ids)),
        *(PrincipalRef(kind=PRINCIPAL_KIND_APPLICATION, id=app_id) for app_id in canonicals(application_ids)),
    ]


def one_principal(body: GroupMemberRequest) -> list[PrincipalRef]:
    """Return the one member that a body names."""
    one_of({"user_id": body.user_id, "application_id": body.application_id}, required=True)
    return principals([body.user_id] if body.user_id else [], [body.application_id] if body.application_id else [])


def container(group_id: str) -> membership_pb2.Container:
    """Return a group as something that has members."""
    return membership_pb2.Container(group_id=canonical(group_id))


async def _members(call: Call, group_ids: Iterable[str]) -> dict[str, list[membership_pb2.Membership]]:
    """Read the members of many groups, a batch at a time, never group by group."""
    found: dict[str, list[membership_pb2.Membership]] = {group_id: [] for group_id in group_ids}
    request = membership_service_pb2.ListMembersRequest(
        page_size=_MOST_MEMBERS,
        containers=[container(group_id) for group_id in found],
        kinds=MEMBER_KINDS,
        # A group that ends between the two questions has no members; that is no failure of the list.
        allow_missing=True,
    )
    for _ in range(_MEMBER_PAGES if found else 0):
        answer = await call.ask(call.core.memberships.ListMembers, request)
        for membership in answer.memberships:
            found[membership.container.group_id].append(membership)
        if not answer.next_page_token:
            break
        request.page_token = answer.next_page_token
    return found


async def _read(call: Call, group_id: str) -> Group:
    group, members = await call.both(
        call.ask(call.core.groups.GetGroup, group_service_pb2.GetGroupRequest(id=group_id)),
        _members(call, [group_id]),
    )
    return to_group(group, members[group_id])


async def list_groups(call: Call) -> ListGroupsResponse:
    """GET /groups."""

    async def fetch(skip: int, size: int) -> ListGroupsResponse:
        answer = await call.ask(call.core.groups.ListGroups, from_list(call.query, skip, size))
        members = await _members(call, [group.id for group in answer.groups])
        return ListGroupsResponse([to_group(group, members[group.id]) for group in answer.groups], answer.total_size)

    return await listed(call.query, fetch, lambda a: a.total_count, lambda n: ListGroupsResponse([], n))


async def create_group(call: Call) -> Group:
    """POST /groups."""
    return to_group(await call.ask(call.core.groups.CreateGroup, from_create(call.body)), ())


async def get_group(call: Call) -> Group:
    """GET /groups/{group_id}."""
    return await _read(call, canonical(call.path["group_id"]))


async def update_group(call: Call) -> Group:
    """PATCH /groups/{group_id}. A change of nothing is a reading."""
    request = from_update(call.path["group_id"], call.body)
    if not request.update_mask.paths:
        return await get_group(call)
    group = await call.ask(call.core.groups.UpdateGroup, request)
    return to_group(group, (await _members(call, [group.id]))[group.id])


async def delete_group(call: Call) -> None:
    """DELETE /groups/{group_id}."""
    request = group_service_pb2.DeleteGroupRequest(id=canonical(call.path["group_id"]))
    await call.ask(call.core.groups.DeleteGroup, request)


async def _add(call: Call, members: list[PrincipalRef]) -> Group:
    group_id = canonical(call.path["group_id"])
    if members:
        request = membership_service_pb2.AddMembersRequest(container=container(group_id), principals=members)
        await call.ask(call.core.memberships.AddMembers, request)
    return await _read(call, group_id)


async def add_member(call: Call) -> Group:
    """POST /groups/{group_id}/add-member."""
    return await _add(call, one_principal(call.body))


async def add_members(call: Call) -> Group:
    """POST /groups/{group_id}/add-members. Members that are there stay; none named changes nothing."""
    members = principals(call.body.user_ids or (), call.body.application_ids or ())
    if len(members) > _MOST_MEMBERS:
        raise Invalid(Violation("user_ids", f"at most {_MOST_MEMBERS} members at once", rule="length"))
    return await _add(call, members)


async def set_members(call: Call) -> Group:
    """PUT /groups/{group_id}/members. The answer keeps the order of the request."""
    group_id = canonical(call.path["group_id"])
    members = principals(call.body.user_ids, call.body.application_ids)
    if len(members) > _MOST_MEMBERS:
        raise Invalid(Violation("user_ids", f"at most {_MOST_MEMBERS} members", rule="length"))
    request = membership_service_pb2.SetMembersRequest(
        container=container(group_id), principals=members, replaced_kinds=MEMBER_KINDS
    )
    answer = await call.ask(call.core.memberships.SetMembers, request)
    group = await call.ask(call.core.groups.GetGroup, group_service_pb2.GetGroupRequest(id=group_id))
    return to_group(group, answer.memberships)


async def remove_member(call: Call) -> Group:
    """POST /groups/{group_id}/remove-member. Removing what is no member is refused, naming its id."""
    group_id = canonical(call.path["group_id"])
    request = membership_service_pb2.RemoveMembersRequest(
        container=container(group_id), principals=one_principal(call.body)
    )
    await call.ask(call.core.memberships.RemoveMembers, request)
    return await _read(call, group_id)
