"""What groups and memberships do, on an embedded database."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from concord.groups.model import (
    Container,
    ContainerKind,
    GroupDraft,
    GroupPatch,
    GroupRelation,
    LocalizedText,
    MemberKind,
    UniqueWithin,
)
from concord.groups.operations import groups, memberships
from concord.kernel import ids
from concord.kernel.errors import (
    AlreadyExists,
    Conflict,
    Invalid,
    NotFound,
    Precondition,
    QuotaExceeded,
    Reason,
)
from concord.kernel.ids import GroupId
from concord.kernel.principal import PrincipalKind, PrincipalRef
from fakes import ORGANIZATION, OTHER_ORGANIZATION, START


async def update(world: Any, group_id: str, *, within: UniqueWithin = UniqueWithin.NOWHERE, **fields: Any) -> Any:
    return await world.do(lambda unit: groups.update_group(unit, group_id, GroupPatch(fields), within))


async def delete(world: Any, group_id: str, *refuse_if: GroupRelation) -> Any:
    return await world.do(lambda unit: groups.delete_group(unit, group_id, refuse_if))


async def add(world: Any, group: Any, *principals: PrincipalRef, is_owner: bool = False) -> Any:
    return await world.do(lambda unit: memberships.add_members(unit, group.container, principals, is_owner=is_owner))


async def remove(world: Any, group: Any, *principals: PrincipalRef, **how: bool) -> Any:
    return await world.do(lambda unit: memberships.remove_members(unit, group.container, principals, **how))


async def members(world: Any, group: Any) -> list[PrincipalRef]:
    found = await world.ask(lambda store: store.memberships_in(ORGANIZATION, [group.container]))
    return [each.principal for each in found]


def announced(world: Any) -> list[str]:
    return [change.type for change in world.changes]


# Groups


async def test_a_new_group_is_found_by_id_and_by_handle(world: Any) -> None:
    group = await world.group("crew", handle="fo\u006f\u0301")  # not in form NFC

    found = await world.ask(lambda store: groups.get_group(store, ORGANIZATION, group.id.upper()))
    by_handle = await world.ask(lambda store: groups.get_group(store, ORGANIZATION, "fo\u006f\u0301"))

    assert found == by_handle == group
    assert group.handle == "fo\u00f3"
    assert announced(world) == ["group.created"]
    assert (group.version, group.create_time, group.update_time) == (1, START, START)


async def test_a_group_without_a_name_gets_one(world: Any) -> None:
    assert (await world.group("")).name.text.startswith("group-")


async def test_an_unknown_group_is_not_found_in_every_verb(world: Any) -> None:
    stranger = ids.new(GroupId)
    user = await world.principal()
    container = Container(ContainerKind.GROUP, stranger)
    attempts = [
        lambda unit: groups.get_group(unit.store, ORGANIZATION, stranger),
        lambda unit: groups.get_group(unit.store, ORGANIZATION, "no such handle"),
        lambda unit: groups.update_group(unit, stranger, GroupPatch(), UniqueWithin.NOWHERE),
        lambda unit: groups.delete_group(unit, stranger),
        lambda unit: memberships.add_members(unit, container, [user]),
        lambda unit: memberships.remove_members(unit, container, [user]),
        lambda unit: memberships.set_members(unit, container, [user], [PrincipalKind.USER]),
        lambda unit: memberships.get_membership(unit.store, ORGANIZATION, container, user),
    ]

    for attempt in attempts:
        with pytest.raises(NotFound) as refusal:
            await world.do(attempt)
        assert refusal.value.resource_type == "group"


async def test_another_organizations_group_answers_as_an_unknown_one(world: Any) -> None:
    group = await world.group()

    with pytest.raises(NotFound):
        await world.do(lambda unit: groups.delete_group(unit, group.id), OTHER_ORGANIZATION)


async def test_names_repeat_unless_the_writer_asks_otherwise(world: Any) -> None:
    parent = await world.group("parent")
    await world.group("crew")
    await world.group("crew")

    await world.group("crew", within=UniqueWithin.PARENT, parent_group_id=parent.id)

    with pytest.raises(AlreadyExists):
        await world.group("crew", within=UniqueWithin.PARENT)
    with pytest.raises(AlreadyExists):
        await world.group("crew", within=UniqueWithin.PARENT, parent_group_id=parent.id)
    with pytest.raises(AlreadyExists):
        await world.group("crew", within=UniqueWithin.ORGANIZATION)
    await world.group("Crew", within=UniqueWithin.ORGANIZATION)


async def test_a_rename_is_checked_and_keeping_ones_own_name_is_not_a_conflict(world: Any) -> None:
    first, second = await world.group("first"), await world.group("second")

    with pytest.raises(AlreadyExists):
        await update(world, second.id, within=UniqueWithin.ORGANIZATION, name=LocalizedText("first"))
    renamed = await update(world, first.id, within=UniqueWithin.ORGANIZATION, name=LocalizedText("first", {"de": "x"}))

    assert renamed.name.translations == {"de": "x"}


async def test_one_of_two_parallel_creations_with_a_unique_name_is_refused(both: Any) -> None:
    attempts = [both.group("only", within=UniqueWithin.ORGANIZATION) for _ in range(8)]

    outcomes = await asyncio.gather(*attempts, return_exceptions=True)

    refused = [each for each in outcomes if isinstance(each, AlreadyExists)]
    assert len(refused) == 7
    assert len(await both.ask(lambda store: store.find_groups_named(ORGANIZATION, "only"))) == 1


async def test_an_update_moves_version_and_time_only_when_something_changes(world: Any) -> None:
    group = await world.group("crew", tags=("a",))

    same = await update(world, group.id, tags=("a",), name=LocalizedText("crew"))
    assert (same, announced(world)) == (group, [])

    changed = await update(world, group.id, tags=())
    assert (changed.version, changed.tags) == (2, ())
    assert changed.update_time > group.update_time
    [change] = world.changes
    assert (change.type, change.before, change.after, change.security_relevant) == (
        "group.updated",
        group,
        changed,
        True,
    )


async def test_parts_of_a_text_change_alone(world: Any) -> None:
    group = await world.group()
    await update(world, group.id, name=LocalizedText("crew", {"de": "Mannschaft"}))

    patch = GroupPatch(parts={("name", "text"): "gang"})
    renamed = await world.do(lambda unit: groups.update_group(unit, group.id, patch, UniqueWithin.NOWHERE))

    assert renamed.name == LocalizedText("gang", {"de": "Mannschaft"})


async def test_an_old_etag_is_a_conflict(world: Any) -> None:
    group = await world.group()
    await update(world, group.id, tags=("a",))

    with pytest.raises(Conflict):
        await world.do(lambda unit: groups.delete_group(unit, group.id, etag=group.etag))
    with pytest.raises(Conflict):
        await world.do(lambda unit: groups.update_group(unit, group.id, GroupPatch(), UniqueWithin.NOWHERE, group.etag))


async def test_a_group_is_never_above_itself(world: Any) -> None:
    top = await world.group("top")
    low = await world.group("low", parent_group_id=top.id)

    for parent in (top, low):
        with pytest.raises(Invalid) as refusal:
            await update(world, top.id, parent_group_id=parent.id)
        assert refusal.value.violations[0].rule == "cycle"


async def test_two_parallel_moves_make_no_cycle(both: Any) -> None:
    first, second = await both.group("first"), await both.group("second")

    outcomes = await asyncio.gather(
        update(both, first.id, parent_group_id=second.id),
        update(both, second.id, parent_group_id=first.id),
        return_exceptions=True,
    )

    assert sum(isinstance(each, Invalid) for each in outcomes) == 1


async def test_a_tree_has_at_most_sixteen_levels(world: Any) -> None:
    parent_id = None
    chain = []
    for level in range(16):
        chain.append(await world.group(f"level {level}", parent_group_id=parent_id))
        parent_id = chain[-1].id

    with pytest.raises(Invalid) as refusal:
        await world.group("too deep", parent_group_id=parent_id)
    assert refusal.value.violations[0].rule == "depth"
    above = await world.group("above")
    with pytest.raises(Invalid):
        await update(world, chain[0].id, parent_group_id=above.id)
    await update(world, chain[1].id, parent_group_id=None)


async def test_an_unknown_parent_or_division_is_not_found(world: Any) -> None:
    with pytest.raises(NotFound):
        await world.group(parent_group_id=ids.new(GroupId))
    with pytest.raises(NotFound) as refusal:
        await world.group(division_ids=(ids.new(str),))
    assert refusal.value.resource_type == "division"


async def test_people_make_as_many_groups_as_the_quota_says(world: Any) -> None:
    await world.do(lambda unit: unit.store.put_limit(ORGANIZATION, "groups", 1))
    await world.group()

    with pytest.raises(QuotaExceeded) as refusal:
        await world.group()
    assert (refusal.value.quota, refusal.value.limit, refusal.value.current) == ("groups", 1, 1)

    await world.do(lambda unit: unit.store.put_limit(ORGANIZATION, "groups", None))
    await world.group()


async def test_the_supplied_quota_is_fifty(world: Any) -> None:
    for index in range(50):
        await world.group(f"g{index}")

    with pytest.raises(QuotaExceeded):
        await world.group("one more")


async def test_deleting_a_group_takes_what_is_below_it_and_returns_it_as_it_was(world: Any) -> None:
    top = await world.group("top")
    low = await world.group("low", parent_group_id=top.id)
    stranger = await world.group("stranger")
    user = await world.principal()
    for group in (top, low, stranger):
        await add(world, group, user)

    assert await delete(world, top.id) == top

    assert announced(world) == ["membership.deleted", "membership.deleted", "group.deleted", "group.deleted"]
    assert [change.resource_id for change in world.changes][2:] == [low.id, top.id]
    assert all(change.security_relevant for change in world.changes)
    left = await world.ask(lambda store: store.memberships_of(ORGANIZATION, user))
    assert [each.container for each in left] == [stranger.container]
    assert await world.ask(lambda store: store.find_group(ORGANIZATION, low.id)) is None


async def test_a_deletion_is_refused_by_the_relations_it_names(world: Any) -> None:
    top = await world.group("top")
    low = await world.group("low", parent_group_id=top.id)
    await add(world, low, await world.principal())

    for relation in GroupRelation:
        with pytest.raises(Precondition) as refusal:
            await delete(world, top.id, relation)
        assert refusal.value.reason is Reason.RESOURCE_IN_USE
    with pytest.raises(Precondition):
        await delete(world, low.id, *GroupRelation)
    await delete(world, low.id, GroupRelation.SUB_GROUPS)
    await delete(world, top.id, *GroupRelation)


async def test_kb36_a_group_made_again_under_the_same_name_inherits_nothing(world: Any) -> None:
    first = await world.group("crew", handle="crew")
    user = await world.principal()
    await add(world, first, user)
    await delete(world, first.id)

    second = await world.group("crew", handle="crew")

    assert second.id != first.id
    assert await members(world, second) == []
    joined = await add(world, second, user)
    assert len(joined.created) == 1


# Memberships


async def test_joining_twice_is_joining_once(world: Any) -> None:
    group, user = await world.group(), await world.principal()
    first = await add(world, group, user, user)

    second = await add(world, group, user)

    assert first.created == first.memberships == second.memberships
    assert (second.created, announced(world)) == ((), [])


async def test_members_answer_in_the_order_of_the_request(world: Any) -> None:
    group = await world.group()
    people = [await world.principal() for _ in range(5)]
    wanted = sorted(people, key=lambda each: each.id, reverse=True)
    await add(world, group, people[2])

    outcome = await add(world, group, *wanted)

    assert [each.principal for each in outcome.memberships] == wanted
    assert {each.principal for each in outcome.created} == set(people) - {people[2]}
    assert await members(world, group) == sorted(people, key=lambda each: each.id)


async def test_members_coming_and_going_do_not_move_the_group(world: Any) -> None:
    group, user = await world.group(), await world.principal()
    await add(world, group, user)
    await remove(world, group, user)

    assert await world.ask(lambda store: store.find_group(ORGANIZATION, group.id)) == group


@pytest.mark.parametrize("kind", [PrincipalKind.USER, PrincipalKind.APPLICATION, PrincipalKind.DEVICE])
async def test_nobody_joins_when_one_does_not_exist(world: Any, kind: PrincipalKind) -> None:
    group, user = await world.group(), await world.principal()
    stranger = PrincipalRef(kind, ids.new(str))

    with pytest.raises(NotFound) as refusal:
        await add(world, group, user, stranger)

    assert (refusal.value.resource_type, refusal.value.resource_id) == (kind.value, stranger.id)
    assert await members(world, group) == []


async def test_a_device_and_a_user_of_one_id_are_two_principals(world: Any) -> None:
    group, user = await world.group(), await world.principal()

    with pytest.raises(NotFound):
        await add(world, group, PrincipalRef(PrincipalKind.DEVICE, user.id))


async def test_removing_who_is_no_member_names_it(world: Any) -> None:
    group, user, other = await world.group(), await world.principal(), await world.principal()
    await add(world, group, user)

    with pytest.raises(NotFound) as refusal:
        await remove(world, group, user, other)

    assert (refusal.value.resource_type, refusal.value.resource_id) == ("membership", other.id)
    assert await members(world, group) == [user]
    outcome = await remove(world, group, user, other, allow_missing=True)
    assert [each.principal for each in outcome.removed] == [user]
    assert outcome.remaining == 0


async def test_everybody_leaves_at_once(world: Any) -> None:
    group = await world.group()
    people = [await world.principal() for _ in range(3)]
    await add(world, group, *people)

    outcome = await remove(world, group, everybody=True)

    assert len(outcome.removed) == 3
    assert announced(world) == ["membership.deleted"] * 3
    assert await members(world, group) == []


async def test_kinds_that_the_writer_does_not_see_survive_a_replacement(world: Any) -> None:
    group = await world.group()
    gone, kept, new = [await world.principal() for _ in range(3)]
    device = await world.principal(PrincipalKind.DEVICE)
    await add(world, group, gone, kept, device)
    seen = [PrincipalKind.USER, PrincipalKind.APPLICATION]

    outcome = await world.do(lambda unit: memberships.set_members(unit, group.container, [new, kept, new], seen))

    assert [each.principal for each in outcome.memberships] == [new, kept]
    assert [each.principal for each in outcome.created] == [new]
    assert [each.principal for each in outcome.removed] == [gone]
    assert outcome.remaining == 3
    assert set(await members(world, group)) == {new, kept, device}


async def test_parallel_joins_and_leaves_of_one_principal_leave_one_membership_or_none(both: Any) -> None:
    group, user = await both.group(), await both.principal()

    outcomes = await asyncio.gather(
        *(add(both, group, user) for _ in range(8)),
        *(remove(both, group, user, allow_missing=True) for _ in range(8)),
    )

    created = sum(len(each.created) for each in outcomes)
    removed = sum(len(each.removed) for each in outcomes)
    assert created - removed == len(await members(both, group))


async def test_a_group_admits_only_its_kind_of_member(world: Any) -> None:
    worker, guest = await world.principal(), await world.principal(is_customer=True)
    program = await world.principal(PrincipalKind.APPLICATION)
    crew = await world.group(member_kind=MemberKind.WORKFORCE)
    guests = await world.group(member_kind=MemberKind.CUSTOMER)

    await add(world, crew, worker, program)
    await add(world, guests, guest)

    for group, principal in ((crew, guest), (guests, worker), (guests, program)):
        with pytest.raises(Precondition) as refusal:
            await add(world, group, principal)
        assert refusal.value.reason is Reason.INVALID_STATE
    with pytest.raises(Precondition):
        await update(world, crew.id, member_kind=MemberKind.CUSTOMER)
    await update(world, crew.id, member_kind=MemberKind.ANY)
    await add(world, crew, guest)


async def test_a_principal_is_in_one_group_of_an_exclusion_key(world: Any) -> None:
    user = await world.principal()
    day, night, free = [await world.group(each, exclusion_key=key) for each, key in (("d", "w"), ("n", "w"), ("f", ""))]
    await add(world, day, user)

    with pytest.raises(Precondition):
        await add(world, night, user)
    await add(world, free, user)
    with pytest.raises(Precondition):
        await update(world, free.id, exclusion_key="w")
    await remove(world, day, user)
    await add(world, night, user)


async def test_the_last_owner_stays_while_others_do(world: Any) -> None:
    top = await world.group("top")
    low = await world.group("low", parent_group_id=top.id)
    owner, other = await world.principal(), await world.principal()
    await add(world, top, owner, is_owner=True)
    await add(world, low, other)

    with pytest.raises(Precondition) as refusal:
        await remove(world, top, owner)
    assert refusal.value.reason is Reason.OWNER_PROTECTED

    await add(world, low, owner, is_owner=True)
    await remove(world, top, owner)
    await remove(world, low, everybody=True)


async def test_members_of_a_supplied_group_that_is_fixed_stay(world: Any) -> None:
    group, user = await world.group(), await world.principal()
    fixed = group.changed({"editable": False, "deletable": False}, START + timedelta(days=1))
    await world.do(lambda unit: unit.store.update_group(fixed))

    for attempt in (add(world, group, user), update(world, group.id, tags=("a",)), delete(world, group.id)):
        with pytest.raises(Precondition) as refusal:
            await attempt
        assert refusal.value.reason is Reason.RESOURCE_MANAGED


async def test_projects_have_members_too(world: Any) -> None:
    user = await world.principal()
    project = Container(ContainerKind.PROJECT, ids.new(str))
    with pytest.raises(NotFound) as refusal:
        await world.do(lambda unit: memberships.add_members(unit, project, [user]))
    assert refusal.value.resource_type == "project"
    await world.do(lambda unit: unit.store.put_project(ORGANIZATION, project.id))

    await world.do(lambda unit: memberships.add_members(unit, project, [user]))

    found = await world.ask(lambda store: memberships.get_membership(store, ORGANIZATION, project, user))
    assert found.container == project


@pytest.mark.parametrize(
    "name", ["a/b", "a:b", "#", "@", "*", "%", "a b ", "\u202e\u05d0\u05d1", "\u0627\u0644", "n" * 256, "\\", "'\""]
)
async def test_kb38_any_name_is_kept_found_and_kept_apart(world: Any, name: str) -> None:
    group = await world.group(name, handle=name, within=UniqueWithin.ORGANIZATION)

    assert group.name.text == name
    assert await world.ask(lambda store: groups.get_group(store, ORGANIZATION, name)) == group
    with pytest.raises(AlreadyExists):
        await world.group(name, within=UniqueWithin.ORGANIZATION)
    await world.group(name + "'" if len(name) < 256 else name[1:], within=UniqueWithin.ORGANIZATION)


async def test_a_draft_is_not_stored_when_its_unit_fails(world: Any) -> None:
    def fail(unit: Any) -> None:
        groups.create_group(unit, GroupDraft(name=LocalizedText("half")), UniqueWithin.NOWHERE)
        raise RuntimeError

    with pytest.raises(RuntimeError):
        await world.do(fail)

    assert not await world.ask(lambda store: store.find_groups_named(ORGANIZATION, "half"))
