"""The promises of the store, on both engines."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from concord.groups.model import (
    Container,
    ContainerKind,
    Group,
    GroupFilter,
    LocalizedText,
    MemberFilter,
    MemberKind,
    Membership,
    MembershipId,
    Principal,
)
from concord.groups.server import MIGRATIONS
from concord.groups.sql import metadata
from concord.kernel import ids
from concord.kernel.errors import AlreadyExists
from concord.kernel.ids import GroupId
from concord.kernel.paging import PageRequest
from concord.kernel.principal import PrincipalKind, PrincipalRef
from databases import schema_differences
from fakes import ORGANIZATION, OTHER_ORGANIZATION, START

BY_TIME = (("create_time", False),)
BY_SIDES = (("container_id", False), ("principal_id", False))


def a_group(title: str = "crew", **more: Any) -> Group:
    values = {
        "id": ids.new(GroupId),
        "organization_id": ORGANIZATION,
        "create_time": START,
        "update_time": START,
        "name": LocalizedText(title),
        **more,
    }
    return Group(**values)


def a_membership(group: Group, principal: PrincipalRef, **more: Any) -> Membership:
    values = {
        "id": ids.new(MembershipId),
        "organization_id": group.organization_id,
        "container": group.container,
        "principal": principal,
        "create_time": START,
        "update_time": START,
        **more,
    }
    return Membership(**values)


def a_user() -> PrincipalRef:
    return PrincipalRef(PrincipalKind.USER, ids.new(str))


async def listed(world: Any, criteria: GroupFilter, page: PageRequest | None = None) -> list[str]:
    asked = page or PageRequest(order=BY_TIME)
    found = await world.ask(lambda store: store.list_groups(ORGANIZATION, criteria, asked))
    return [group.name.text for group in found.items]


async def keep(world: Any, *things: Any) -> None:
    def put(unit: Any) -> None:
        for thing in things:
            if isinstance(thing, Group):
                unit.store.insert_group(thing)
            else:
                unit.store.insert_memberships([thing])

    await world.do(put)


async def test_the_history_makes_the_tables_that_the_store_uses(database_engines: Any) -> None:
    assert await schema_differences(database_engines, metadata, MIGRATIONS) == []


async def test_a_group_comes_back_as_it_was_kept(both: Any) -> None:
    parent = a_group("parent")
    group = a_group(
        "crew",
        handle="the-crew",
        name=LocalizedText("crew", {"de": "Mannschaft"}),
        description=LocalizedText("those aboard", {"ja": "乗組員"}),
        tags=("z", "a"),
        parent_group_id=parent.id,
        member_kind=MemberKind.WORKFORCE,
        exclusion_key="watch",
        template_ids=(ids.new(str),),
        attributes={"x.y": '{"a":1}'},
        catalogue="some",
        editable=False,
        deletable=False,
        version=7,
        update_time=START + timedelta(microseconds=1),
    )

    await keep(both, parent, group)

    assert await both.ask(lambda store: store.find_group(ORGANIZATION, group.id)) == group
    assert await both.ask(lambda store: store.find_group_by_handle(ORGANIZATION, "the-crew")) == group


async def test_another_organizations_group_is_absent_everywhere(both: Any) -> None:
    group = a_group(handle="here", tags=("t",))
    user = a_user()
    await keep(both, group, a_membership(group, user))

    def look(store: Any) -> list[Any]:
        page = PageRequest(order=BY_TIME)
        members = PageRequest(order=BY_SIDES)
        return [
            store.find_group(OTHER_ORGANIZATION, group.id),
            store.find_group_by_handle(OTHER_ORGANIZATION, "here"),
            list(store.find_groups_named(OTHER_ORGANIZATION, "crew")),
            list(store.subtree(OTHER_ORGANIZATION, group.id)),
            list(store.list_groups(OTHER_ORGANIZATION, GroupFilter(tag="t"), page).items),
            list(store.list_groups(OTHER_ORGANIZATION, GroupFilter(holds=(user,)), page).items),
            list(store.memberships_in(OTHER_ORGANIZATION, [group.container])),
            list(store.memberships_of(OTHER_ORGANIZATION, user)),
            list(store.list_memberships(OTHER_ORGANIZATION, MemberFilter(principals=(user,)), members).items),
            store.count_members(OTHER_ORGANIZATION, group.container),
            store.existing_groups(OTHER_ORGANIZATION, [group.id]),
        ]

    assert not any(await both.ask(look))


async def test_the_same_id_and_handle_may_exist_in_two_organizations(both: Any) -> None:
    group = a_group(handle="same")
    await keep(both, group)

    await both.do(lambda unit: unit.store.insert_group(replace(group, organization_id=OTHER_ORGANIZATION)))

    assert await both.ask(lambda store: store.find_group(OTHER_ORGANIZATION, group.id)) is not None


async def test_a_taken_handle_is_refused_and_no_handle_is_never_taken(both: Any) -> None:
    await keep(both, a_group(handle="taken"), a_group(), a_group())

    with pytest.raises(AlreadyExists) as refusal:
        await keep(both, a_group(handle="taken"))

    assert refusal.value.resource_name == "taken"


async def test_kb09_names_and_handles_are_told_apart_by_code_point(both: Any) -> None:
    spellings = [
        "Foo",
        "foo",
        "fo\u00f3",
        "foo\u0301",
        "foo ",
        " foo",
        "stra\u00dfe",
        "strasse",
        "STRASSE",
        "\u0130",
        "i",
    ]
    handles = [each for each in spellings if each != "foo\u0301"]  # the store is given handles in form NFC
    await keep(both, *(a_group(each) for each in spellings), *(a_group("by handle", handle=each) for each in handles))

    for each in spellings:
        assert await listed(both, GroupFilter(name=each)) == [each]
        named = await both.ask(lambda store, each=each: store.find_groups_named(ORGANIZATION, each))
        assert [group.name.text for group in named] == [each]
    for each in handles:
        found = await both.ask(lambda store, each=each: store.find_group_by_handle(ORGANIZATION, each))
        assert found.handle == each


async def test_an_update_replaces_the_group_and_its_tags(both: Any) -> None:
    group = a_group(tags=("old", "kept"))
    await keep(both, group)

    await both.do(lambda unit: unit.store.update_group(replace(group, tags=("kept", "new"), version=2)))

    assert await listed(both, GroupFilter(tag="old")) == []
    assert await listed(both, GroupFilter(tag="new")) == ["crew"]
    found = await both.ask(lambda store: store.find_group(ORGANIZATION, group.id))
    assert (found.tags, found.version) == (("kept", "new"), 2)


async def test_a_subtree_comes_level_by_level_and_ancestors_nearest_first(both: Any) -> None:
    top = a_group("top")
    middle = [a_group("m", parent_group_id=top.id) for _ in range(2)]
    low = a_group("low", parent_group_id=middle[0].id)
    await keep(both, a_group("stranger"), top, *middle, low)

    tree = await both.ask(lambda store: store.subtree(ORGANIZATION, top.id))
    above = await both.ask(lambda store: store.ancestors(ORGANIZATION, low.id))

    assert [each.id for each in tree] == [top.id, *sorted(each.id for each in middle), low.id]
    assert [each.id for each in above] == [middle[0].id, top.id]
    assert list(await both.ask(lambda store: store.subtree(ORGANIZATION, ids.new(GroupId)))) == []


async def test_supplied_groups_do_not_count_as_made_by_people(both: Any) -> None:
    await keep(both, a_group(), a_group(), a_group(catalogue="some"))

    assert await both.ask(lambda store: store.count_made_groups(ORGANIZATION)) == 2


async def test_each_filter_of_groups_admits_what_it_says(both: Any) -> None:
    top = a_group("100% _Top", create_time=START)
    below = a_group("below", parent_group_id=top.id, tags=("t",), create_time=START + timedelta(seconds=1))
    supplied = a_group("supplied", catalogue="some", create_time=START + timedelta(seconds=2))
    guests = a_group("guests", member_kind=MemberKind.CUSTOMER, create_time=START + timedelta(seconds=3))
    await keep(both, top, below, supplied, guests)

    assert await listed(both, GroupFilter()) == ["100% _Top", "below", "supplied", "guests"]
    assert await listed(both, GroupFilter(ids=(below.id, guests.id, ids.new(str)))) == ["below", "guests"]
    assert await listed(both, GroupFilter(parent_group_id=top.id)) == ["below"]
    assert await listed(both, GroupFilter(top_level=True)) == ["100% _Top", "supplied", "guests"]
    assert await listed(both, GroupFilter(text="% _t")) == ["100% _Top"]
    assert await listed(both, GroupFilter(text="%")) == ["100% _Top"]
    assert await listed(both, GroupFilter(text="ES")) == ["guests"]
    assert await listed(both, GroupFilter(text="\\")) == []
    assert await listed(both, GroupFilter(name="Below")) == []
    assert await listed(both, GroupFilter(tag="t")) == ["below"]
    assert await listed(both, GroupFilter(member_kind=MemberKind.CUSTOMER)) == ["guests"]
    assert await listed(both, GroupFilter(catalogues=("",))) == ["100% _Top", "below", "guests"]
    assert await listed(both, GroupFilter(catalogues=("some", "other"))) == ["supplied"]


async def test_groups_are_found_by_any_or_all_of_their_members(both: Any) -> None:
    first, second = a_user(), PrincipalRef(PrincipalKind.APPLICATION, ids.new(str))
    pair, single, empty = a_group("pair"), a_group("single", create_time=START + timedelta(seconds=1)), a_group("empty")
    await keep(both, pair, single, empty)
    await keep(both, a_membership(pair, first), a_membership(pair, second), a_membership(single, first))
    namesake = PrincipalRef(PrincipalKind.DEVICE, first.id)

    assert await listed(both, GroupFilter(holds=(first, second))) == ["pair", "single"]
    assert await listed(both, GroupFilter(holds=(first, second), holds_all=True)) == ["pair"]
    assert await listed(both, GroupFilter(holds=(first, first), holds_all=True)) == ["pair", "single"]
    assert await listed(both, GroupFilter(holds=(namesake,))) == []


@pytest.mark.parametrize("order", ["create_time", "update_time", "name"])
@pytest.mark.parametrize("descends", [False, True])
async def test_pages_in_every_order_meet_each_group_once(both: Any, order: str, descends: bool) -> None:
    groups = [
        a_group(
            f"g{index % 3}",
            create_time=START + timedelta(seconds=index % 2),
            update_time=START + timedelta(seconds=index % 4),
        )
        for index in range(9)
    ]
    await keep(both, *groups)

    seen: list[Group] = []
    page = PageRequest(size=2, order=((order, descends),), with_total=True)
    while True:
        found = await both.ask(lambda store, page=page: store.list_groups(ORGANIZATION, GroupFilter(), page))
        assert found.total_size == 9
        seen += found.items
        if found.after is None:
            break
        page = replace(page, after=found.after)

    def key(group: Group) -> Any:
        return group.name.text if order == "name" else getattr(group, order)

    assert sorted(each.id for each in seen) == sorted(each.id for each in groups)
    assert [key(each) for each in seen] == sorted(map(key, groups), reverse=descends)


async def test_a_principal_belongs_to_a_container_once(both: Any) -> None:
    group, user = a_group(), a_user()
    await keep(both, group, a_membership(group, user))

    with pytest.raises(AlreadyExists):
        await keep(both, a_membership(group, user))

    namesake = PrincipalRef(PrincipalKind.DEVICE, user.id)
    await keep(both, a_membership(group, namesake))
    assert await both.ask(lambda store: store.count_members(ORGANIZATION, group.container)) == 2


async def test_members_of_many_containers_come_in_one_list_sorted_by_id(both: Any) -> None:
    groups = sorted((a_group() for _ in range(3)), key=lambda each: each.id)
    users = sorted((a_user() for _ in range(4)), key=lambda each: each.id)
    project = Container(ContainerKind.PROJECT, ids.new(str))
    await keep(both, *groups)
    await keep(both, *(a_membership(group, user) for group in groups for user in reversed(users)))
    await keep(both, a_membership(groups[0], users[0], container=project, is_owner=True))
    wanted = (groups[2].container, groups[0].container, project)

    async def find(criteria: MemberFilter, **page: Any) -> Any:
        asked = PageRequest(order=BY_SIDES, **page)
        return await both.ask(lambda store: store.list_memberships(ORGANIZATION, criteria, asked))

    found = await find(MemberFilter(containers=wanted), with_total=True)
    sides = [(each.container.id, each.principal.id) for each in found.items]
    assert found.total_size == 9
    assert sides == sorted(
        [(each.container.id, user.id) for each in (groups[0], groups[2]) for user in users]
        + [(project.id, users[0].id)]
    )
    owners = await find(MemberFilter(containers=wanted, is_owner=True))
    assert [each.container for each in owners.items] == [project]
    others = await find(MemberFilter(containers=wanted, is_owner=False), size=3)
    assert len(others.items) == 3
    assert others.after is not None
    devices = await find(MemberFilter(containers=wanted, kinds=(PrincipalKind.DEVICE,)))
    assert not devices.items
    of_user = await find(MemberFilter(principals=(users[0],), container_kind=ContainerKind.PROJECT))
    assert [each.container for each in of_user.items] == [project]


async def test_exclusions_are_other_groups_with_the_same_key(both: Any) -> None:
    user = a_user()
    this, other, free = a_group(exclusion_key="k"), a_group(exclusion_key="k"), a_group(exclusion_key="K")
    await keep(both, this, other, free)
    await keep(both, *(a_membership(each, user) for each in (this, other, free)))

    found = await both.ask(lambda store: store.find_exclusions(ORGANIZATION, "k", [user], this.id))

    assert [each.container for each in found] == [other.container]


async def test_principals_projects_and_limits_are_kept_replaced_and_forgotten(both: Any) -> None:
    ref, project = a_user(), ids.new(str)

    def put(unit: Any) -> None:
        unit.store.put_principal(ORGANIZATION, Principal(ref))
        unit.store.put_principal(ORGANIZATION, Principal(ref, is_customer=True))
        unit.store.put_project(ORGANIZATION, project)
        unit.store.put_project(ORGANIZATION, project)
        unit.store.put_limit(ORGANIZATION, "groups", 5)
        unit.store.put_limit(ORGANIZATION, "groups", None)

    def look(store: Any) -> Any:
        return (
            store.find_principals(ORGANIZATION, [ref, a_user()]),
            store.find_projects(ORGANIZATION, [project, ids.new(str)]),
            store.find_limit(ORGANIZATION, "groups", 7),
            store.find_limit(ORGANIZATION, "other", 7),
            store.find_limit(OTHER_ORGANIZATION, "groups", 7),
        )

    def forget(unit: Any) -> None:
        unit.store.delete_principal(ORGANIZATION, ref)
        unit.store.delete_project(ORGANIZATION, project)

    await both.do(put)
    assert await both.ask(look) == ({ref: Principal(ref, True)}, {project}, None, 7, 7)

    await both.do(forget)
    assert await both.ask(look) == ({}, frozenset(), None, 7, 7)


async def test_a_sweep_takes_everything_of_one_organization(both: Any) -> None:
    group = a_group(tags=("t",))
    stranger = replace(group, organization_id=OTHER_ORGANIZATION)
    await keep(both, group, a_membership(group, a_user()), stranger)

    await both.do(lambda unit: unit.store.sweep(ORGANIZATION))

    assert await listed(both, GroupFilter()) == []
    assert not await both.ask(lambda store: store.memberships_in(ORGANIZATION, [group.container]))
    assert await both.ask(lambda store: store.find_group(OTHER_ORGANIZATION, group.id)) == stranger
