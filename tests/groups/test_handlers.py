"""The groups service as callers meet it: in process, behind the real chain."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from concord.common.v1 import principal_pb2
from concord.common.v1.localized_text_pb2 import LocalizedText
from concord.groups.server import build
from concord.groups.v1 import group_pb2, membership_pb2
from concord.groups.v1 import group_service_pb2 as groups
from concord.groups.v1 import membership_service_pb2 as members
from concord.groups.v1.group_service_pb2_grpc import GroupServiceStub
from concord.groups.v1.membership_service_pb2_grpc import MembershipServiceStub
from concord.identity.v1.application_pb2 import Application
from concord.identity.v1.organization_pb2 import Organization
from concord.identity.v1.project_pb2 import Project
from concord.identity.v1.user_pb2 import USER_KIND_CUSTOMER, USER_KIND_MEMBER, User
from concord.kernel import ids
from concord.kernel.errors import (
    AlreadyExists,
    Conflict,
    Denied,
    Invalid,
    NotFound,
    Precondition,
    QuotaExceeded,
    Reason,
)
from concord.kernel.ids import GroupId
from concord.kernel.principal import PrincipalKind, PrincipalRef, Reach, TargetClass
from concord.kernel.rpc.wire import principal_to_wire
from concord.kernel.units import Change
from concord.policy.v1.quota_pb2 import Quota
from fakes import CALLER, ORGANIZATION, OTHER_ORGANIZATION
from one_service import Served, serving, some_principal

ALICE, BOB = some_principal(1), some_principal(2)
ROBOT = some_principal(3, PrincipalKind.APPLICATION)


@dataclass
class Groups:
    """The service with its two stubs."""

    served: Served
    group: Any
    member: Any

    async def make(self, name: str = "crew", **more: Any) -> group_pb2.Group:
        request = groups.CreateGroupRequest(group=group_pb2.Group(name=LocalizedText(text=name), **more))
        made: group_pb2.Group = await self.served.call(self.group.CreateGroup, request)
        return made

    async def add(self, group: group_pb2.Group, *principals: PrincipalRef) -> members.AddMembersResponse:
        request = members.AddMembersRequest(
            container=membership_pb2.Container(group_id=group.id), principals=map(principal_to_wire, principals)
        )
        answer: members.AddMembersResponse = await self.served.call(self.member.AddMembers, request)
        return answer

    async def of(self, *containers: group_pb2.Group, **more: Any) -> list[str]:
        request = members.ListMembersRequest(
            containers=[membership_pb2.Container(group_id=each.id) for each in containers], **more
        )
        answer = await self.served.call(self.member.ListMembers, request)
        return [each.principal.id for each in answer.memberships]

    async def know(self, *principals: PrincipalRef, customer: bool = False) -> None:
        for each in principals:
            if each.kind is PrincipalKind.USER:
                kind = USER_KIND_CUSTOMER if customer else USER_KIND_MEMBER
                after: Any = User(id=each.id, organization_id=ORGANIZATION, kind=kind)
            else:
                after = Application(id=each.id, organization_id=ORGANIZATION)
            change = Change(f"{each.kind}.created", each.kind.value, each.id, after=after)
            await self.served.publish("identity", change)


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Groups]:
    """The service, following identity and policy."""
    async with serving(tmp_path, "groups", build, ("identity", "policy")) as served:
        channel = served.channel("groups")
        yield Groups(served, GroupServiceStub(channel), MembershipServiceStub(channel))


async def test_a_group_is_made_read_changed_listed_and_deleted(api: Groups) -> None:
    made = await api.make("crew", tags=["a"])
    read = await api.served.call(api.group.GetGroup, groups.GetGroupRequest(id=made.id))
    assert read == made
    assert (made.version, made.etag, made.organization_id) == (1, "1", ORGANIZATION)
    assert (made.editable, made.deletable, made.managed) == (True, True, False)
    assert made.member_kind == group_pb2.MEMBER_KIND_ANY

    update = groups.UpdateGroupRequest(group=group_pb2.Group(id=made.id, etag=made.etag, tags=["b"]))
    update.update_mask.paths.append("tags")
    changed = await api.served.call(api.group.UpdateGroup, update)
    assert (list(changed.tags), changed.version, changed.name.text) == (["b"], 2, "crew")

    listed = await api.served.call(api.group.ListGroups, groups.ListGroupsRequest(tag="b", with_total_size=True))
    assert (list(listed.groups), listed.total_size) == ([changed], 1)

    deleted = await api.served.call(api.group.DeleteGroup, groups.DeleteGroupRequest(id=made.id))
    assert deleted == changed
    assert isinstance(await api.served.fails(api.group.GetGroup, groups.GetGroupRequest(id=made.id)), NotFound)


async def test_a_stale_etag_and_a_taken_name_are_refused(api: Groups) -> None:
    made = await api.make()
    stale = groups.DeleteGroupRequest(id=made.id, etag="7")
    taken = groups.CreateGroupRequest(
        group=group_pb2.Group(name=LocalizedText(text="crew")), unique_within=groups.UNIQUE_WITHIN_ORGANIZATION
    )

    assert isinstance(await api.served.fails(api.group.DeleteGroup, stale), Conflict)
    assert isinstance(await api.served.fails(api.group.CreateGroup, taken), AlreadyExists)


async def test_parallel_creations_with_one_unique_name_make_one_group(api: Groups) -> None:
    request = groups.CreateGroupRequest(
        group=group_pb2.Group(name=LocalizedText(text="only")), unique_within=groups.UNIQUE_WITHIN_ORGANIZATION
    )

    calls = [api.served.call(api.group.CreateGroup, request) for _ in range(10)]
    outcomes = await asyncio.gather(*calls, return_exceptions=True)

    assert sum(isinstance(each, AlreadyExists) for each in outcomes) == 9
    assert sum(isinstance(each, group_pb2.Group) for each in outcomes) == 1


async def test_a_check_changes_nothing_and_a_repeated_request_answers_the_same(api: Groups) -> None:
    checked = groups.CreateGroupRequest(group=group_pb2.Group(name=LocalizedText(text="x")), validate_only=True)
    answer = await api.served.call(api.group.CreateGroup, checked)
    assert answer.name.text == "x"
    repeated = groups.CreateGroupRequest(
        group=group_pb2.Group(name=LocalizedText(text="x")),
        unique_within=groups.UNIQUE_WITHIN_ORGANIZATION,
        request_id=str(uuid.uuid4()),
    )

    first = await api.served.call(api.group.CreateGroup, repeated)
    second = await api.served.call(api.group.CreateGroup, repeated)

    assert first == second
    listed = await api.served.call(api.group.ListGroups, groups.ListGroupsRequest(with_total_size=True))
    assert listed.total_size == 1


@pytest.mark.parametrize(
    ("group", "paths", "at"),
    [
        ({}, ["handle"], "update_mask"),
        ({}, ["version"], "update_mask"),
        ({}, ["nonsense"], "update_mask"),
        ({"name": LocalizedText()}, ["name"], "group.name.text"),
        ({"tags": ["a", "a"]}, ["tags"], "group.tags"),
        ({"parent_group_id": "x"}, ["parent_group_id"], "group.parent_group_id"),
    ],
)
async def test_a_malformed_update_names_the_field(
    api: Groups, group: dict[str, Any], paths: list[str], at: str
) -> None:
    made = await api.make()
    request = groups.UpdateGroupRequest(group=group_pb2.Group(id=made.id, **group))
    request.update_mask.paths.extend(paths)

    refusal = await api.served.fails(api.group.UpdateGroup, request)

    assert isinstance(refusal, Invalid)
    assert [each.field for each in refusal.violations] == [at]


async def test_another_organizations_ids_answer_as_unknown_ones(api: Groups) -> None:
    made = await api.make()
    stranger = api.served.passport(CALLER, OTHER_ORGANIZATION)
    unknown = ids.new(GroupId)

    for id_ in (made.id, unknown):
        container = membership_pb2.Container(group_id=id_)
        alice = principal_to_wire(ALICE)
        calls: list[tuple[Any, Any]] = [
            (api.group.GetGroup, groups.GetGroupRequest(id=id_)),
            (api.group.DeleteGroup, groups.DeleteGroupRequest(id=id_)),
            (api.member.GetMembership, members.GetMembershipRequest(container=container, principal=alice)),
            (api.member.ListMembers, members.ListMembersRequest(containers=[container])),
            (api.member.RemoveMembers, members.RemoveMembersRequest(container=container, all=True)),
        ]
        for method, request in calls:
            refusal = await api.served.fails(method, request, passport=stranger)
            assert isinstance(refusal, NotFound)
            assert (refusal.resource_type, refusal.resource_id) == ("group", id_)
    for organization in (ORGANIZATION, unknown):
        listing = groups.ListGroupsRequest(organization_id=organization)
        assert isinstance(await api.served.fails(api.group.ListGroups, listing, passport=stranger), NotFound)
    here = await api.served.call(api.group.ListGroups, groups.ListGroupsRequest(ids=[made.id]), passport=stranger)
    assert not here.groups


async def test_a_principal_that_was_just_made_can_join_at_once(api: Groups) -> None:
    made = await api.make()
    await api.know(ALICE, ROBOT)

    answer = await api.add(made, ROBOT, ALICE)

    assert [each.principal.id for each in answer.memberships] == [ROBOT.id, ALICE.id]
    assert len(answer.created_ids) == 2
    assert (await api.add(made, ALICE)).created_ids == []


async def test_an_unknown_principal_is_named(api: Groups) -> None:
    made = await api.make()

    with pytest.raises(NotFound) as refusal:
        await api.add(made, ROBOT)

    assert (refusal.value.resource_type, refusal.value.resource_id) == ("application", ROBOT.id)


async def test_who_is_no_member_cannot_be_removed(api: Groups) -> None:
    made = await api.make()
    await api.know(ALICE, BOB)
    await api.add(made, ALICE)
    container = membership_pb2.Container(group_id=made.id)
    request = members.RemoveMembersRequest(container=container, principals=[principal_to_wire(BOB)])

    refusal = await api.served.fails(api.member.RemoveMembers, request)
    assert isinstance(refusal, NotFound)
    assert (refusal.resource_type, refusal.resource_id) == ("membership", BOB.id)

    request.principals.append(principal_to_wire(ALICE))
    request.allow_missing = True
    answer = await api.served.call(api.member.RemoveMembers, request)
    assert [each.principal.id for each in answer.removed] == [ALICE.id]
    assert answer.remaining_size == 0


async def test_a_replacement_answers_in_the_order_of_the_request_and_spares_unseen_kinds(api: Groups) -> None:
    made = await api.make()
    await api.know(ALICE, BOB, ROBOT)
    await api.add(made, ROBOT, ALICE)
    request = members.SetMembersRequest(
        container=membership_pb2.Container(group_id=made.id),
        principals=[principal_to_wire(BOB)],
        replaced_kinds=[principal_pb2.PRINCIPAL_KIND_USER],
    )

    answer = await api.served.call(api.member.SetMembers, request)

    assert [each.principal.id for each in answer.memberships] == [BOB.id]
    assert [each.principal.id for each in answer.removed] == [ALICE.id]
    assert await api.of(made) == [BOB.id, ROBOT.id]
    request.principals.append(principal_to_wire(ROBOT))
    assert isinstance(await api.served.fails(api.member.SetMembers, request), Invalid)


async def test_members_of_many_groups_come_in_pages(api: Groups) -> None:
    first, second = await api.make("one"), await api.make("two")
    await api.know(ALICE, BOB)
    await api.add(first, ALICE, BOB)
    await api.add(second, BOB)
    containers = [membership_pb2.Container(group_id=each.id) for each in (first, second)]
    request = members.ListMembersRequest(containers=containers, page_size=2, with_total_size=True)

    page = await api.served.call(api.member.ListMembers, request)
    request.page_token = page.next_page_token
    rest = await api.served.call(api.member.ListMembers, request)

    assert (page.total_size, len(page.memberships), len(rest.memberships)) == (3, 2, 1)
    assert not rest.next_page_token
    request.containers.append(membership_pb2.Container(group_id=ids.new(GroupId)))
    refusal = await api.served.fails(api.member.ListMembers, request)
    assert refusal.reason is Reason.INVALID_PAGE_TOKEN
    request.page_token = ""
    assert isinstance(await api.served.fails(api.member.ListMembers, request), NotFound)
    request.allow_missing = True
    assert (await api.served.call(api.member.ListMembers, request)).total_size == 3


async def test_memberships_end_with_their_principal(api: Groups) -> None:
    made = await api.make()
    await api.know(ALICE, ROBOT)
    await api.add(made, ALICE, ROBOT)
    user = User(id=ALICE.id, organization_id=ORGANIZATION)
    await api.served.publish("identity", Change("user.deleted", "user", ALICE.id, before=user))
    await api.served.settle()

    assert await api.of(made) == [ROBOT.id]
    with pytest.raises(NotFound):
        await api.add(made, ALICE)
    mine = members.ListMembershipsRequest(principals=[principal_to_wire(ALICE)])
    assert not (await api.served.call(api.member.ListMemberships, mine)).memberships


async def test_groups_are_born_once_with_an_organization_that_asks_for_a_catalogue(api: Groups) -> None:
    after = Organization(id=ORGANIZATION, catalogues=["scaleway", "unknown"])
    born = Change("organization.created", "organization", ORGANIZATION, after=after, awaited=True)
    await api.served.publish("identity", born)
    await api.served.settle()

    listed = await api.served.call(api.group.ListGroups, groups.ListGroupsRequest(catalogues=["scaleway"]))

    names = [each.name.text for each in listed.groups]
    assert names == ["Administrators", "Editors", "Billing Administrators"]
    expected = {ids.derive(GroupId, ORGANIZATION, "scaleway", name) for name in names}
    assert {each.id for each in listed.groups} == expected
    assert all(each.editable and each.deletable and not each.managed for each in listed.groups)
    people = await api.served.call(api.group.ListGroups, groups.ListGroupsRequest(catalogues=[""]))
    assert not people.groups


async def test_an_organization_without_catalogues_is_born_with_no_group(api: Groups) -> None:
    after = Organization(id=ORGANIZATION)
    await api.served.publish("identity", Change("organization.created", "organization", ORGANIZATION, after=after))
    await api.served.settle()

    assert not (await api.served.call(api.group.ListGroups, groups.ListGroupsRequest())).groups


async def test_an_organizations_end_takes_its_groups(api: Groups) -> None:
    await api.make()
    before = Organization(id=ORGANIZATION)
    await api.served.publish("identity", Change("organization.deleted", "organization", ORGANIZATION, before=before))
    await api.served.settle()

    assert not (await api.served.call(api.group.ListGroups, groups.ListGroupsRequest())).groups


async def test_projects_have_members_until_they_end(api: Groups) -> None:
    await api.know(ALICE)
    project = Project(id=str(uuid.uuid4()), organization_id=ORGANIZATION)
    await api.served.publish("identity", Change("project.created", "project", project.id, after=project))
    container = membership_pb2.Container(project_id=project.id)
    request = members.AddMembersRequest(container=container, principals=[principal_to_wire(ALICE)])
    await api.served.call(api.member.AddMembers, request)
    await api.served.publish("identity", Change("project.deleted", "project", project.id, before=project))
    await api.served.settle()

    mine = members.ListMembershipsRequest(principals=[principal_to_wire(ALICE)])
    assert not (await api.served.call(api.member.ListMemberships, mine)).memberships
    assert isinstance(await api.served.fails(api.member.AddMembers, request), NotFound)


async def test_a_quota_that_was_set_holds(api: Groups) -> None:
    quota = Quota(name="groups", organization_id=ORGANIZATION, limit=1)
    await api.served.publish("policy", Change("quota.set", "quota", "groups", after=quota))
    await api.served.settle()
    await api.make()

    with pytest.raises(QuotaExceeded):
        await api.make()


async def test_customers_join_only_where_they_are_admitted(api: Groups) -> None:
    await api.know(ALICE, customer=True)
    crew = await api.make(member_kind=group_pb2.MEMBER_KIND_WORKFORCE)

    with pytest.raises(Precondition) as refusal:
        await api.add(crew, ALICE)

    assert refusal.value.reason is Reason.INVALID_STATE


async def test_the_own_permission_shows_ones_own_memberships_alone(api: Groups) -> None:
    await api.know(CALLER, ALICE)
    made = await api.make()
    await api.add(made, CALLER, ALICE)
    api.served.decider.reach = Reach(classes=frozenset({TargetClass.OWN}))
    mine, hers = principal_to_wire(CALLER), principal_to_wire(ALICE)
    container = membership_pb2.Container(group_id=made.id)

    own = await api.served.call(api.member.ListMemberships, members.ListMembershipsRequest(principals=[mine]))
    listed = await api.served.call(api.group.ListGroups, groups.ListGroupsRequest(holds=[mine]))
    await api.served.call(api.member.GetMembership, members.GetMembershipRequest(container=container, principal=mine))

    assert (len(own.memberships), len(listed.groups)) == (1, 1)
    refused: list[tuple[Any, Any]] = [
        (api.member.ListMemberships, members.ListMembershipsRequest(principals=[mine, hers])),
        (api.member.GetMembership, members.GetMembershipRequest(container=container, principal=hers)),
        (api.group.ListGroups, groups.ListGroupsRequest()),
        (api.group.ListGroups, groups.ListGroupsRequest(holds=[mine, hers])),
    ]
    for method, request in refused:
        assert isinstance(await api.served.fails(method, request), Denied)


async def test_a_reach_of_projects_covers_no_group(api: Groups) -> None:
    made = await api.make()
    api.served.decider.reach = Reach(everything=False, project_ids=frozenset({str(uuid.uuid4())}))

    assert not (await api.served.call(api.group.ListGroups, groups.ListGroupsRequest())).groups
    assert isinstance(await api.served.fails(api.group.GetGroup, groups.GetGroupRequest(id=made.id)), Denied)
    container = membership_pb2.Container(group_id=made.id)
    assert isinstance(
        await api.served.fails(api.member.ListMembers, members.ListMembersRequest(containers=[container])), Denied
    )


async def test_a_project_that_a_right_leaves_out_shows_no_members(api: Groups) -> None:
    made, project = await api.make(), str(uuid.uuid4())
    api.served.decider.reach = Reach(except_project_ids=frozenset({project}))

    def listing(**container: str) -> Any:
        return members.ListMembersRequest(containers=[membership_pb2.Container(**container)])

    assert isinstance(await api.served.fails(api.member.ListMembers, listing(project_id=project)), Denied)
    assert not (await api.served.call(api.member.ListMembers, listing(group_id=made.id))).memberships


async def test_a_service_is_nobodys_member_and_a_kind_must_be_said(api: Groups) -> None:
    made = await api.make()
    for kind in (principal_pb2.PRINCIPAL_KIND_SERVICE, principal_pb2.PRINCIPAL_KIND_UNSPECIFIED):
        request = members.AddMembersRequest(
            container=membership_pb2.Container(group_id=made.id),
            principals=[principal_pb2.PrincipalRef(kind=kind, id=ALICE.id)],
        )
        refusal = await api.served.fails(api.member.AddMembers, request)
        assert isinstance(refusal, Invalid)
        assert [each.field for each in refusal.violations] == ["principals[0].kind"]
