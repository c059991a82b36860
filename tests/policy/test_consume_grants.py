"""What ends elsewhere, and which grants and unnamed policies end with it."""

import json
from typing import Any

import pytest

from concord.groups.v1.group_pb2 import Group
from concord.identity.v1.application_pb2 import Application
from concord.identity.v1.organization_pb2 import Organization
from concord.identity.v1.project_pb2 import Project
from concord.identity.v1.user_pb2 import User
from concord.kernel.paging import PageRequest
from concord.policy.model import Boundary, BoundaryKind, GrantFilter, Subject
from concord.policy.operations.grants import end_grants_in_project
from concord.policy.operations.inline_policies import set_inline_policy
from fakes import ORGANIZATION

from .conftest import World, deleted, in_group

LIST = "identity.users.list"
PAGE = PageRequest(size=1000, order=(("create_time", False),))


async def grants(world: World) -> list[Any]:
    found = await world.ask(lambda store: store.list_grants(ORGANIZATION, GrantFilter(), PAGE))
    return list(found.items)


def within(*projects: str) -> Boundary:
    return Boundary(BoundaryKind.PROJECTS, project_ids=projects)


@pytest.mark.parametrize("kind", ["user", "application", "group"])
async def test_grants_and_unnamed_policies_end_with_their_holder(world: World, kind: str) -> None:
    other = await world.user()
    if kind == "group":
        group = await world.group(other)
        subject, gone = in_group(group), deleted("group", group, Group)
    else:
        ref = await (world.user() if kind == "user" else world.application())
        subject, gone = Subject.of(ref), deleted(kind, ref.id, User if kind == "user" else Application)
    role = await world.role("groups.groups.list")
    await world.grant(subject, role)
    kept = await world.grant(other, role)
    document = json.dumps({"statements": [{"effect": "allow", "permissions": [LIST]}]})
    await world.do(lambda unit: set_inline_policy(unit, subject, language="statements", document=document))

    await world.apply("groups" if kind == "group" else "identity", gone)

    assert await grants(world) == [kept]
    assert await world.ask(lambda store: store.find_inline_policy(ORGANIZATION, subject)) is None
    assert not await world.allows(other, LIST)


async def test_what_is_held_within_a_group_ends_with_the_group(world: World) -> None:
    user, group = await world.user(), await world.group()
    role = await world.role(LIST)
    await world.grant(user, role, Boundary(BoundaryKind.GROUP_SUBTREE, group_id=group))
    kept = await world.grant(user, role)

    await world.apply("groups", deleted("group", group, Group))

    assert await grants(world) == [kept]


async def test_a_deleted_project_leaves_grants_and_widens_none(world: World) -> None:
    user, one, other = await world.user(), await world.project(), await world.project()
    role, second = await world.role(LIST), await world.role(LIST)
    await world.grant(user, role, within(one))
    narrowed = await world.grant(user, second, within(one, other))

    await world.apply("identity", deleted("project", one, Project))

    (left,) = await grants(world)
    assert (left.id, left.boundary, left.version) == (narrowed.id, within(other), 2)
    assert not await world.allows(user, LIST)


async def test_two_grants_that_become_one_are_one(world: World) -> None:
    user, one, other = await world.user(), await world.project(), await world.project()
    role = await world.role(LIST)
    kept = await world.grant(user, role, within(other))
    await world.grant(user, role, within(one, other))

    changes = await world.recorded(lambda unit: end_grants_in_project(unit, one))

    assert await grants(world) == [kept]
    assert [each.type for each in changes] == ["grant.deleted"]


async def test_what_ends_with_something_is_told_to_others(world: World) -> None:
    user, one, other = await world.user(), await world.project(), await world.project()
    await world.grant(user, await world.role(LIST), within(one, other))
    before = world.units.feed.head

    await world.apply("identity", deleted("project", one, Project))
    moved = world.units.feed.head
    await world.apply("identity", deleted("user", user.id, User))

    assert before < moved < world.units.feed.head


async def test_a_deleted_organization_keeps_neither_roles_nor_grants(world: World) -> None:
    await world.grant(await world.user(), await world.role(LIST))

    await world.apply("identity", deleted("organization", ORGANIZATION, Organization))

    assert await grants(world) == []
    assert await world.ask(lambda store: store.role_heads(ORGANIZATION)) == []
