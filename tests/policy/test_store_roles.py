"""The store's promises about roles and grants, on both engines."""

import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from concord.kernel.errors import AlreadyExists, NotFound
from concord.kernel.ids import GroupId, OrganizationId, ProjectId, RoleId, StatementId
from concord.kernel.paging import PageRequest
from concord.policy.model import (
    EVERYONE,
    Boundary,
    BoundaryKind,
    Effect,
    Endpoint,
    Grant,
    GrantFilter,
    GrantId,
    KnownOrganization,
    KnownPrincipal,
    LocalizedText,
    Policy,
    PolicyFilter,
    Role,
    RoleKind,
    Statement,
    Subject,
)
from fakes import ORGANIZATION, OTHER_ORGANIZATION

from .conftest import OWNER, Stored, in_group, new_user
from .test_store import a_policy, a_statement, born

START = datetime(2026, 1, 1, tzinfo=UTC)
WHOLE = Boundary(BoundaryKind.ORGANIZATION, organization_id=ORGANIZATION)
BY_TIME = PageRequest(order=(("create_time", False),), with_total=True)


def a_role(*included: Role, **more: Any) -> Role:
    facts: dict[str, Any] = {
        "id": RoleId(str(uuid.uuid4())),
        "handle": "",
        "name": LocalizedText("role"),
        "organization_id": ORGANIZATION,
        "create_time": START,
        "update_time": START,
        "included_role_ids": tuple(each.id for each in included),
    }
    return Role(**{**facts, **more})


def a_grant(subject: Subject, role: Role, boundary: Boundary = WHOLE, **more: Any) -> Grant:
    facts: dict[str, Any] = {
        "id": GrantId(str(uuid.uuid4())),
        "organization_id": ORGANIZATION,
        "create_time": START,
        "update_time": START,
        "subject": subject,
        "role_id": role.id,
        "boundary": boundary,
        "role_language": role.language,
    }
    return Grant(**{**facts, **more})


def within(*projects: ProjectId) -> Boundary:
    return Boundary(BoundaryKind.PROJECTS, project_ids=projects)


async def kept(both: Stored, *things: Role | Grant | Policy) -> None:
    def write(store: Any) -> None:
        for each in things:
            match each:
                case Role():
                    store.add_role(each)
                case Grant():
                    store.add_grant(each)
                case _:
                    store.add_policy(each)

    await both.do(write)


async def test_a_role_comes_back_as_it_went_in(both: Stored) -> None:
    statement = Statement(
        id=StatementId(str(uuid.uuid4())),
        effect=Effect.DENY,
        operations=("soracom/*",),
        endpoints=(Endpoint("/v1", "/users/*", "GET"),),
        parameters={"a": "b"},
        condition="true",
    )
    role = a_role(
        handle="  R\u00e9aders ",
        name=LocalizedText("n", {"fr": "m"}),
        description=LocalizedText("d", {"fr": "e"}),
        attributes={"x.y": "z"},
        kind=RoleKind.NARROWED,
        language="call_statements",
        document=' {"statements" : []}\n',
        statements=(statement,),
        included_role_ids=(RoleId(str(uuid.uuid4())), RoleId(str(uuid.uuid4()))),
        resource_type_id="a.b",
        permissions=("a.b.c",),
        boundary_kind=BoundaryKind.GROUP_SUBTREE,
        categories=("c",),
        version=7,
    )

    await kept(both, role)

    assert await both.do(lambda store: store.find_role(ORGANIZATION, role.id)) == role
    assert await both.do(lambda store: store.find_role_by_handle(ORGANIZATION, role.handle)) == role
    assert await both.do(lambda store: store.find_roles(ORGANIZATION, [role.id, RoleId(str(uuid.uuid4()))])) == {
        role.id: role
    }
    assert await both.do(lambda store: store.role_heads(ORGANIZATION)) == [replace(role, document="", statements=())]
    assert await both.do(lambda store: store.find_role(OTHER_ORGANIZATION, role.id)) is None
    assert await both.do(lambda store: store.find_role_by_handle(OTHER_ORGANIZATION, role.handle)) is None


async def test_kb09_handles_are_compared_by_their_exact_characters(both: Stored) -> None:
    roles = [
        a_role(handle=each) for each in ("foo", "Foo", "foo ", "stra\u00dfe", "strasse", "cafe\u0301", "caf\u00e9")
    ]

    await kept(both, *roles, a_role(), a_role())

    for each in roles:
        assert await both.do(lambda store, each=each: store.find_role_by_handle(ORGANIZATION, each.handle)) == each
    assert await both.do(lambda store: store.count_roles(ORGANIZATION)) == len(roles) + 2


async def test_ids_and_handles_are_taken_within_an_organization_only(both: Stored) -> None:
    role = a_role(handle="readers")
    await kept(both, role, replace(role, organization_id=OTHER_ORGANIZATION))

    for taken in (role, replace(role, id=RoleId(str(uuid.uuid4())))):
        with pytest.raises(AlreadyExists):
            await kept(both, taken)


async def test_a_saved_role_includes_what_it_says_now(both: Stored) -> None:
    inner, other = a_role(), a_role()
    outer = a_role(inner)
    await kept(both, inner, other, outer)
    after = replace(outer, included_role_ids=(other.id,), version=2)

    await both.do(lambda store: store.save_role(after))

    assert await both.do(lambda store: store.find_role(ORGANIZATION, outer.id)) == after
    assert await both.do(lambda store: store.including(ORGANIZATION, inner.id)) == []
    assert await both.do(lambda store: store.including(ORGANIZATION, other.id)) == [outer.id]
    assert await both.do(lambda store: store.including(OTHER_ORGANIZATION, other.id)) == []
    with pytest.raises(NotFound):
        await both.do(lambda store: store.save_role(a_role()))


async def test_what_roles_are_made_of_is_found_however_deep_and_in_circles(both: Stored) -> None:
    bottom = a_role()
    middle = a_role(bottom)
    top = a_role(middle, bottom)
    circle = replace(a_role(), id=RoleId(str(uuid.uuid4())))
    circle = replace(circle, included_role_ids=(circle.id, top.id))
    await kept(both, bottom, middle, top, circle, a_role())

    assert set(await both.do(lambda store: store.roles_within(ORGANIZATION, [top.id]))) == {
        bottom.id,
        middle.id,
        top.id,
    }
    assert len(await both.do(lambda store: store.roles_within(ORGANIZATION, [circle.id]))) == 4
    assert await both.do(lambda store: store.roles_within(OTHER_ORGANIZATION, [top.id])) == {}


async def test_a_deleted_role_is_gone_with_what_it_included(both: Stored) -> None:
    inner = a_role()
    outer = a_role(inner, handle="outer")
    await kept(both, inner, outer)

    assert not await both.do(lambda store: store.delete_role(OTHER_ORGANIZATION, outer.id))
    assert await both.do(lambda store: store.delete_role(ORGANIZATION, outer.id))
    assert not await both.do(lambda store: store.delete_role(ORGANIZATION, outer.id))

    assert await both.do(lambda store: store.including(ORGANIZATION, inner.id)) == []
    assert await both.do(lambda store: store.find_role_by_handle(ORGANIZATION, "outer")) is None


async def test_a_grant_comes_back_and_there_is_one_for_each_three(both: Stored) -> None:
    user, project = Subject.of(new_user()), ProjectId(str(uuid.uuid4()))
    role = a_role()
    grant = a_grant(user, role, within(project), role_catalogue="x", catalogue="y", version=3)
    await kept(both, role, grant, a_grant(user, role))

    assert await both.do(lambda store: store.find_grant(ORGANIZATION, grant.id)) == grant
    key = (user, role.id, grant.boundary.key)
    assert await both.do(lambda store: store.find_grant_by_key(ORGANIZATION, *key)) == grant
    assert await both.do(lambda store: store.find_grant(OTHER_ORGANIZATION, grant.id)) is None
    assert await both.do(lambda store: store.find_grant_by_key(OTHER_ORGANIZATION, *key)) is None
    assert await both.do(lambda store: store.count_grants(ORGANIZATION)) == 1
    for taken in (grant, replace(grant, id=GrantId(str(uuid.uuid4())))):
        with pytest.raises(AlreadyExists):
            await kept(both, taken)
    await kept(both, replace(grant, organization_id=OTHER_ORGANIZATION))


async def test_grants_are_found_by_holder_role_and_place(both: Stored) -> None:
    one, other = ProjectId(str(uuid.uuid4())), ProjectId(str(uuid.uuid4()))
    group = GroupId(str(uuid.uuid4()))
    user, crew = Subject.of(new_user()), in_group(group)
    role, second = a_role(), a_role()
    placed = a_grant(user, role, within(one, other))
    below = a_grant(user, second, Boundary(BoundaryKind.GROUP_SUBTREE, group_id=group))
    held = a_grant(crew, role)
    await kept(both, role, second, placed, below, held)

    async def ids(method: str, *arguments: Any, organization_id: OrganizationId = ORGANIZATION) -> set[str]:
        found = await both.do(lambda store: getattr(store, method)(organization_id, *arguments))
        return {each.id for each in found}

    assert await ids("grants_of", [user, crew]) == {placed.id, below.id, held.id}
    assert await ids("grants_of", [user]) == {placed.id, below.id}
    assert await ids("grants_of_role", role.id) == {placed.id, held.id}
    assert await ids("grants_in_group", group) == {below.id}
    assert await ids("grants_in_project", other) == {placed.id}
    for method, argument in (
        ("grants_of", [user]),
        ("grants_of_role", role.id),
        ("grants_in_group", group),
        ("grants_in_project", one),
    ):
        assert await ids(method, argument, organization_id=OTHER_ORGANIZATION) == set()


async def test_a_moved_grant_is_found_where_it_is_now(both: Stored) -> None:
    one, other = ProjectId(str(uuid.uuid4())), ProjectId(str(uuid.uuid4()))
    grant = a_grant(Subject.of(new_user()), a_role(), within(one, other))
    await kept(both, grant)
    moved = replace(grant, boundary=within(other), version=2, update_time=START + timedelta(seconds=1))

    await both.do(lambda store: store.move_grant(moved))

    assert await both.do(lambda store: store.find_grant(ORGANIZATION, grant.id)) == moved
    assert await both.do(lambda store: store.grants_in_project(ORGANIZATION, one)) == []
    assert await both.do(lambda store: store.grants_in_project(ORGANIZATION, other)) == [moved]
    assert await both.do(lambda store: store.delete_grant(moved))
    assert not await both.do(lambda store: store.delete_grant(moved))
    with pytest.raises(NotFound):
        await both.do(lambda store: store.move_grant(moved))


async def test_grants_are_listed_in_pages_without_gap_or_repeat(both: Stored) -> None:
    user = Subject.of(new_user())
    grants = [a_grant(user, a_role(), create_time=START + timedelta(seconds=n // 2)) for n in range(7)]
    await kept(both, *grants, a_grant(in_group(str(uuid.uuid4())), a_role()))
    wanted = GrantFilter(subjects=(user,))

    seen: list[Grant] = []
    after = None
    while True:
        page = PageRequest(size=3, after=after, order=(("create_time", True),), with_total=True)
        found = await both.do(lambda store, page=page: store.list_grants(ORGANIZATION, wanted, page))
        seen.extend(found.items)
        after = found.after
        if after is None:
            break

    assert sorted(each.id for each in seen) == sorted(each.id for each in grants)
    assert [each.create_time for each in seen] == sorted((each.create_time for each in grants), reverse=True)
    assert found.total_size == 7
    assert (await both.do(lambda store: store.list_grants(ORGANIZATION, GrantFilter(ids=()), BY_TIME))).items == []
    assert (await both.do(lambda store: store.list_grants(OTHER_ORGANIZATION, GrantFilter(), BY_TIME))).items == []


async def test_sources_and_their_stamp_name_all_that_a_program_is_made_of(both: Stored) -> None:
    user, crew = Subject.of(new_user()), in_group(str(uuid.uuid4()))
    inner, supplied = a_role(version=4), RoleId(str(uuid.uuid4()))
    outer = a_role(inner, included_role_ids=(inner.id, supplied))
    policy = a_policy(a_statement(), subject=EVERYONE)
    mine = a_grant(user, outer)
    theirs = replace(a_grant(crew, outer), role_id=supplied)
    strangers = a_grant(Subject.of(new_user()), a_role())
    await kept(both, inner, outer, policy, mine, theirs, strangers, a_policy(subject=in_group(str(uuid.uuid4()))))

    async def of(*subjects: Subject) -> tuple[Any, Any]:
        stamp = await both.do(lambda store: store.source_stamp(ORGANIZATION, subjects))
        return stamp, await both.do(lambda store: store.sources_of(ORGANIZATION, subjects))

    stamp, sources = await of(user, crew, EVERYONE)

    assert sources.policies == (policy,)
    assert {each.id for each in sources.grants} == {mine.id, theirs.id}
    assert sources.roles == {inner.id: inner, outer.id: outer}
    assert stamp.policies == ((policy.id, 1),)
    assert sorted(stamp.grants) == sorted([(mine.id, 1), (theirs.id, 1)])
    assert stamp.roles == tuple(sorted([(inner.id, 4), (outer.id, 1)]))
    assert (await of(user))[0] != stamp
    await both.do(lambda store: store.save_role(replace(inner, version=5)))
    assert (await of(user, crew, EVERYONE))[0] != stamp
    assert await of(Subject.of(new_user())) == (type(stamp)(), type(sources)())


async def test_what_changes_rights_moves_the_stamp_of_those_it_may_concern(both: Stored) -> None:
    user, other = new_user(), new_user()
    await born(both)
    await both.do(lambda store: [store.put_principal(ORGANIZATION, KnownPrincipal(each)) for each in (user, other)])
    role = a_role()
    mine, theirs = a_grant(Subject.of(user), role), a_grant(in_group(str(uuid.uuid4())), role)

    async def moved(*writes: Any) -> tuple[bool, bool]:
        before = [await both.do(lambda store, ref=ref: store.stamps(ORGANIZATION, ref)) for ref in (user, other)]
        for write in writes:
            await both.do(write)
        after = [await both.do(lambda store, ref=ref: store.stamps(ORGANIZATION, ref)) for ref in (user, other)]
        return before[0] != after[0], before[1] != after[1]

    assert await moved(lambda store: store.add_role(role)) == (False, False)
    assert await moved(lambda store: store.add_grant(mine)) == (True, False)
    assert await moved(lambda store: store.add_grant(theirs)) == (True, True)
    assert await moved(lambda store: store.save_role(replace(role, version=2))) == (True, True)
    assert await moved(lambda store: store.delete_grant(mine)) == (True, False)
    assert await moved(lambda store: store.delete_role(ORGANIZATION, role.id)) == (True, True)


async def test_a_swept_organization_has_neither_roles_nor_grants(both: Stored) -> None:
    role = a_role(a_role())
    grant = a_grant(Subject.of(OWNER), role, within(ProjectId(str(uuid.uuid4()))))
    theirs = replace(role, organization_id=OTHER_ORGANIZATION), replace(grant, organization_id=OTHER_ORGANIZATION)
    await kept(both, role, grant, *theirs)
    await both.do(lambda store: store.put_organization(KnownOrganization(ORGANIZATION, None)))

    await both.do(lambda store: store.forget_organization(ORGANIZATION))

    assert await both.do(lambda store: store.role_heads(ORGANIZATION)) == []
    assert await both.do(lambda store: store.count_grants(ORGANIZATION)) == 0
    assert await both.do(lambda store: store.find_role(OTHER_ORGANIZATION, role.id)) == theirs[0]
    assert await both.do(lambda store: store.find_grant(OTHER_ORGANIZATION, grant.id)) == theirs[1]


async def test_unnamed_policies_are_found_by_holder_and_kept_out_of_lists_and_counts(both: Stored) -> None:
    user = Subject.of(new_user())
    mine = a_policy(a_statement(), subject=user, inline=True, name="")
    everyones = a_policy(subject=EVERYONE, inline=True, name="")
    named = a_policy(subject=user)
    await kept(both, mine, everyones, named)
    page = PageRequest(order=(("name", False),))

    async def listed(**wanted: Any) -> list[str]:
        found = await both.do(lambda store: store.list_policies(ORGANIZATION, PolicyFilter(**wanted), page))
        return [each.id for each in found.items]

    assert await both.do(lambda store: store.find_inline_policy(ORGANIZATION, user)) == mine
    assert await both.do(lambda store: store.find_inline_policy(ORGANIZATION, EVERYONE)) == everyones
    assert await both.do(lambda store: store.find_inline_policy(OTHER_ORGANIZATION, user)) is None
    assert await listed() == [named.id]
    assert await listed(inline=True) == [mine.id]
    assert await both.do(lambda store: store.count_policies(ORGANIZATION)) == 1
