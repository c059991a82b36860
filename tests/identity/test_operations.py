"""What identity does, over a real store."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from concord.identity.drafts import ApplicationDraft, OrganizationDraft, ProjectDraft, UserDraft, UserLocator
from concord.identity.model import (
    Application,
    ApplicationState,
    DirectoryKind,
    Project,
    Quota,
    User,
    UserKind,
    UserState,
)
from concord.identity.operations import applications, organizations, projects, users
from concord.identity.operations.access import Sight
from concord.identity.store import ApplicationFilter, ProjectFilter, UserFilter
from concord.kernel import ids
from concord.kernel.errors import (
    AlreadyExists,
    ConcordError,
    Conflict,
    Denied,
    Invalid,
    NotFound,
    Precondition,
    QuotaExceeded,
    Reason,
)
from concord.kernel.ids import ApplicationId, ProjectId, UserId
from concord.kernel.paging import PageRequest
from concord.kernel.principal import PrincipalKind, PrincipalRef, Reach, TargetClass
from fakes import ORGANIZATION, OTHER_ORGANIZATION
from identity.making import ALL, World, own_only

EVERYTHING = Sight(Reach(classes=ALL))
BY_TIME = PageRequest(order=(("create_time", False),))


async def member(world: World, name: str = "ann", **draft: Any) -> User:
    return await world.act(lambda unit: users.create_user(unit, UserDraft(username=name, **draft)))


async def app(world: World, name: str = "deploy", **draft: Any) -> Application:
    return await world.act(lambda unit: applications.create_application(unit, ApplicationDraft(name=name, **draft)))


async def part(world: World, name: str = "web") -> Project:
    return await world.act(lambda unit: projects.create_project(unit, ProjectDraft(name=name)))


async def change(world: World, user: User, etag: str = "", **changes: Any) -> User:
    draft, fields = UserDraft(**changes), frozenset(changes)
    return await world.act(lambda unit: users.update_user(unit, user.id, draft, fields, etag))


async def find(world: World, user_id: UserId) -> User | None:
    return await world.see(lambda store: store.users.find(ORGANIZATION, user_id))


async def reason_of(awaitable: Any) -> Reason:
    with pytest.raises(ConcordError) as failed:
        await awaitable
    return failed.value.reason


# Birth


async def test_an_organization_is_born_with_owner_project_and_settings(world: World) -> None:
    acme = await world.found(name="Acme Inc.")

    owner = await find(world, acme.owner_user_id)
    default = await world.see(lambda store: store.projects.find(ORGANIZATION, ProjectId(ORGANIZATION)))
    settings = await world.see(lambda store: store.organizations.find_security_settings(ORGANIZATION))
    assert owner is not None
    assert (owner.kind, owner.username, owner.deletable) == (UserKind.OWNER, "owner@acme.example", False)
    assert default is not None
    assert (default.is_default, default.deletable) == (True, False)
    assert settings is not None
    assert (settings.max_session_ttl, settings.max_api_key_ttl) == (timedelta(days=30), timedelta(0))
    assert (acme.number, acme.slug, acme.languages) == (1, "acmeinc", ("en",))
    assert world.events == ["organization.created", "user.created", "project.created"]
    assert all(each.awaited for each in world.changes)


async def test_organizations_do_not_share_numbers_slugs_or_owners_addresses(worlds: World) -> None:
    await worlds.found(slug="acme", number=7)
    second = await worlds.found(OTHER_ORGANIZATION, name="Acme", email="else@x.example")

    assert (second.number, second.slug) == (8, "acme8")
    for taken, field in (
        ({"email": "OWNER@acme.example"}, "owner.primary_email"),
        ({"email": "new@x.example", "slug": "acme"}, "organization.slug"),
        ({"email": "new@x.example", "number": 7}, "organization.number"),
    ):
        with pytest.raises(AlreadyExists) as refused:
            await worlds.found(ids.new(str), **taken)
        assert refused.value.metadata == {"field": field}


async def test_organizations_born_at_once_get_names_of_their_own(worlds: World) -> None:
    born = await asyncio.gather(*(worlds.found(ids.new(str), name="Same", email=f"o{n}@x.example") for n in range(10)))

    assert {each.number for each in born} == set(range(1, 11))
    assert len({each.slug for each in born}) == 10


async def test_a_name_without_letters_still_gets_a_slug(world: World) -> None:
    assert (await world.found(name="名前")).slug == "org1"
    assert (await world.found(OTHER_ORGANIZATION, name="A", email="a@x.example")).slug == "oa2"


async def test_an_owner_needs_an_address_and_an_organization_a_name(world: World) -> None:
    assert await reason_of(world.found(email="")) is Reason.INVALID_FIELDS
    assert await reason_of(world.found(name="")) is Reason.INVALID_FIELDS
    assert await reason_of(world.found(slug="UPPER")) is Reason.INVALID_FIELDS


async def test_one_birth_is_not_repeated(world: World) -> None:
    await world.found()

    assert await reason_of(world.found(email="else@x.example")) is Reason.REQUEST_ID_REUSED


# Organizations


async def test_an_organization_is_found_by_its_own_names_only(world: World) -> None:
    acme = await world.found(slug="acme")
    await world.found(OTHER_ORGANIZATION, name="Other", email="o@x.example")

    for asked in (None, ORGANIZATION, (DirectoryKind.NUMBER, "1"), (DirectoryKind.SLUG, "acme")):
        found = await world.see(lambda s, asked=asked: organizations.get_organization(s, ORGANIZATION, asked))
        assert found == acme
    for asked in (
        OTHER_ORGANIZATION,
        (DirectoryKind.NUMBER, "2"),
        (DirectoryKind.SLUG, "no"),
        (DirectoryKind.ALIAS, ""),
    ):
        with pytest.raises(NotFound):
            await world.see(lambda s, asked=asked: organizations.get_organization(s, ORGANIZATION, asked))


async def test_an_organization_changes_what_the_mask_names(world: World) -> None:
    await world.found()

    draft = OrganizationDraft(name="New", description="ignored", default_language="fr")
    fields = frozenset({"name", "default_language"})
    changed = await world.act(lambda unit: organizations.update_organization(unit, draft, fields, "1"))

    assert (changed.name, changed.description, changed.languages) == ("New", "", ("fr", "en"))
    assert (changed.version, changed.etag) == (2, "2")
    stale = world.act(lambda unit: organizations.update_organization(unit, draft, fields, "1"))
    assert await reason_of(stale) is Reason.ETAG_MISMATCH


# Users


async def test_a_user_is_active_at_once_whatever_the_kind(world: World) -> None:
    for kind in (UserKind.MEMBER, UserKind.GUEST, UserKind.CUSTOMER):
        made = await member(world, kind.value, kind=kind)
        assert (made.kind, made.state, made.interactive_login) == (kind, UserState.ACTIVE, True)
    assert (await member(world, "no kind")).kind is UserKind.MEMBER
    assert (await member(world, "no login", interactive_login=False)).interactive_login is False


async def test_a_username_comes_from_the_address_and_gets_a_number_when_taken(world: World) -> None:
    first = await member(world, "", primary_email="ann@x.example")
    second = await member(world, "", primary_email="ANN@y.example")
    await member(world, "ann@z.example")
    third = await member(world, "", primary_email="ann@z.example")
    long = await member(world, "", primary_email="a" * 300 + "@x.example")

    assert [each.username for each in (first, second, third)] == ["ann@x.example", "ANN@y.example", "ann@z.example-2"]
    assert len(long.username) == 256


async def test_a_user_needs_a_name_or_an_address_and_is_never_a_second_owner(world: World) -> None:
    assert await reason_of(member(world, "")) is Reason.INVALID_FIELDS
    assert await reason_of(member(world, kind=UserKind.OWNER)) is Reason.OWNER_PROTECTED
    assert await reason_of(member(world, division_ids=("x",))) is Reason.RESOURCE_NOT_FOUND
    assert world.events == []


async def test_kb36_a_name_used_again_is_another_user(world: World) -> None:
    first = await member(world, primary_email="a@x.example")
    await world.act(lambda unit: users.delete_user(unit, first.id, ""))

    second = await member(world, primary_email="a@x.example")

    assert second.id != first.id
    assert await find(world, first.id) is None
    assert world.events == ["user.created", "user.deleted", "user.created"]
    deleted = world.changes[1]
    assert (deleted.resource_id, deleted.before, deleted.after) == (first.id, first, None)
    assert deleted.security_relevant


async def test_kb38_weird_names_are_found_again_byte_for_byte(world: World) -> None:
    for name in ("a/b", "a:b#c", "a@b", "*", "%", "_", "\u202eabc", "שלום", " ", "A" * 256, "🙂/..%2f"):
        made = await member(world, name)
        locator = UserLocator(username=name)
        found = await world.see(lambda s, by=locator: users.get_user(s, ORGANIZATION, by, EVERYTHING))
        assert found == made
    assert await reason_of(member(world, "nul\0")) is Reason.INVALID_FIELDS


async def test_only_the_fields_of_the_mask_change_and_empty_clears(world: World) -> None:
    ann = await member(world, given_name="Ann", nickname="a", tags=("x",), locale="en", primary_email="a@x.example")

    changed = await change(world, ann, given_name="", tags=(), locale="", primary_email="")

    assert (changed.given_name, changed.tags, changed.locale, changed.primary_email) == ("", (), "", "")
    assert (changed.nickname, changed.username) == ("a", "ann")
    assert (changed.version, changed.update_time) == (2, world.clock.now())
    assert changed.create_time == ann.create_time
    assert await find(world, ann.id) == changed
    assert await reason_of(change(world, ann, username="")) is Reason.INVALID_FIELDS
    assert (await change(world, changed, interactive_login=None)).interactive_login is False


async def test_a_change_that_changes_nothing_leaves_no_trace(world: World) -> None:
    ann = await member(world, nickname="a")

    same = await change(world, ann, nickname="a", username="ann")

    assert same == ann
    assert world.events == ["user.created"]


async def test_a_stale_etag_stops_every_write(world: World) -> None:
    ann, robot, web = await member(world), await app(world), await part(world)
    await change(world, ann, nickname="x")
    fields = frozenset({"description"})

    stale: list[Any] = [
        change(world, ann, etag="1", nickname="y"),
        world.act(lambda u: users.delete_user(u, ann.id, "1")),
        world.act(lambda u: users.suspend_user(u, ann.id, "", "1")),
        world.act(lambda u: users.resume_user(u, ann.id, "1")),
        world.act(lambda u: applications.update_application(u, robot.id, ApplicationDraft(), fields, "2")),
        world.act(lambda u: applications.delete_application(u, robot.id, "old")),
        world.act(lambda u: projects.update_project(u, web.id, ProjectDraft(), fields, "2")),
        world.act(lambda u: projects.delete_project(u, web.id, "2")),
    ]

    for each in stale:
        with pytest.raises(Conflict):
            await each
    await world.act(lambda u: users.delete_user(u, ann.id, "2"))


async def test_of_two_changes_with_one_etag_one_wins(worlds: World) -> None:
    ann = await member(worlds)

    outcomes = await asyncio.gather(
        *(change(worlds, ann, etag="1", nickname=f"n{at}") for at in range(5)), return_exceptions=True
    )

    assert sorted(type(each).__name__ for each in outcomes) == ["Conflict"] * 4 + ["User"]


async def test_names_and_addresses_move_apart_and_must_be_free(world: World) -> None:
    ann, bob = await member(world, "ann", primary_email="a@x.example"), await member(world, "bob")

    moved = await change(world, ann, username="anna")
    assert (moved.username, moved.primary_email) == ("anna", "a@x.example")
    assert (await change(world, bob, username="ann")).username == "ann"
    assert await reason_of(change(world, bob, username="anna")) is Reason.RESOURCE_ALREADY_EXISTS
    assert await reason_of(change(world, bob, primary_email="A@X.example")) is Reason.RESOURCE_ALREADY_EXISTS
    assert (await change(world, moved, primary_email="A@x.example")).primary_email == "A@x.example"


async def test_suspending_and_resuming_move_the_state_and_say_so(world: World) -> None:
    ann = await member(world)

    suspended = await world.act(lambda unit: users.suspend_user(unit, ann.id, "left", ""))
    again = await world.act(lambda unit: users.suspend_user(unit, ann.id, "left", ""))
    resumed = await world.act(lambda unit: users.resume_user(unit, ann.id, ""))
    same = await world.act(lambda unit: users.resume_user(unit, ann.id, ""))

    assert (suspended.state, suspended.locked, suspended.suspension_reason) == (UserState.SUSPENDED, True, "left")
    assert again == suspended
    assert (resumed.state, resumed.locked, resumed.suspension_reason) == (UserState.ACTIVE, False, "")
    assert same == resumed
    assert world.events == ["user.created", "user.suspended", "user.resumed"]
    assert world.changes[1].security_relevant
    assert world.changes[2].awaited


async def test_somebody_who_has_not_begun_is_not_resumed(world: World) -> None:
    ann = await member(world)
    await world.act(lambda unit: unit.store.users.replace(replace(ann, state=UserState.INVITED)))

    refused = world.act(lambda unit: users.resume_user(unit, ann.id, ""))

    assert await reason_of(refused) is Reason.INVALID_STATE


async def test_the_owner_is_neither_suspended_nor_deleted_nor_made_another_kind(world: World) -> None:
    owner = await find(world, (await world.found()).owner_user_id)
    assert owner is not None

    refused: list[Any] = [
        world.act(lambda unit: users.suspend_user(unit, owner.id, "", "")),
        world.act(lambda unit: users.delete_user(unit, owner.id, "")),
        change(world, owner, kind=UserKind.MEMBER),
    ]

    assert [await reason_of(each) for each in refused] == [Reason.OWNER_PROTECTED] * 3
    assert await reason_of(change(world, owner, primary_email="")) is Reason.INVALID_FIELDS


async def test_the_owners_address_stays_unique_among_owners(worlds: World) -> None:
    await worlds.found()
    await worlds.found(OTHER_ORGANIZATION, name="Other", email="other@x.example")
    acme = await worlds.see(lambda store: store.organizations.find(ORGANIZATION))
    assert acme is not None
    owner = await find(worlds, acme.owner_user_id)
    assert owner is not None

    assert await reason_of(change(worlds, owner, primary_email="Other@x.example")) is Reason.RESOURCE_ALREADY_EXISTS
    await change(worlds, owner, primary_email="new@x.example")

    moved = await worlds.see(lambda store: store.organizations.find(ORGANIZATION))
    assert moved is not None
    assert (moved.owner_email, moved.version) == ("new@x.example", 1)
    # The old address may now found an organization.
    await worlds.found(ids.new(str), name="Third", email="owner@acme.example")


async def test_supplied_things_are_kept_from_people(world: World) -> None:
    ann, robot, web = await member(world), await app(world), await part(world)
    fixed = {"catalogue": "supplied", "editable": False, "deletable": False}

    def supply(unit: Any) -> None:
        unit.store.users.replace(replace(ann, **fixed))
        unit.store.applications.replace(replace(robot, **fixed))
        unit.store.projects.replace(replace(web, **fixed))

    await world.act(supply)
    fields = frozenset({"description"})

    for refused in (
        change(world, ann, nickname="x"),
        world.act(lambda u: users.delete_user(u, ann.id, "")),
        world.act(lambda u: applications.update_application(u, robot.id, ApplicationDraft(), fields, "")),
        world.act(lambda u: applications.delete_application(u, robot.id, "")),
        world.act(lambda u: projects.update_project(u, web.id, ProjectDraft(), fields, "")),
        world.act(lambda u: projects.delete_project(u, web.id, "")),
    ):
        assert await reason_of(refused) is Reason.RESOURCE_MANAGED


async def test_an_unknown_id_and_one_of_another_organization_answer_the_same(world: World) -> None:
    ann = await member(world)

    def delete(unit: Any) -> None:
        users.delete_user(unit, ann.id, "")

    with pytest.raises(NotFound) as there:
        await world.act(delete, organization_id=OTHER_ORGANIZATION)
    await world.act(delete)
    with pytest.raises(NotFound) as gone:
        await world.act(delete)
    assert str(there.value) == str(gone.value)


# Reach


async def test_who_may_see_only_himself_sees_only_himself(world: World) -> None:
    ann, bob = await member(world, "ann"), await member(world, "bob")
    reach, principal = own_only(ann.id)
    sight = Sight(reach, principal)

    def get(locator: UserLocator) -> Any:
        return world.see(lambda store: users.get_user(store, ORGANIZATION, locator, sight))

    assert await get(UserLocator(user_id=ann.id)) == ann
    # Known and unknown names look alike to somebody who may not see them.
    for hidden in (UserLocator(user_id=bob.id), UserLocator(username="bob"), UserLocator(username="nobody")):
        with pytest.raises(Denied):
            await get(hidden)
    page = await world.see(lambda store: users.list_users(store, ORGANIZATION, UserFilter(), BY_TIME, sight))
    assert list(page.items) == [ann]
    asked = UserFilter(only=frozenset({bob.id}))
    page = await world.see(lambda store: users.list_users(store, ORGANIZATION, asked, BY_TIME, sight))
    assert not page.items


async def test_a_right_bounded_to_projects_touches_those_projects_and_no_principal(world: World) -> None:
    web, other = await part(world, "web"), await part(world, "other")
    robot = await app(world)
    reach = Reach(everything=False, project_ids=frozenset({web.id}), classes=ALL)
    sight = Sight(reach, PrincipalRef(PrincipalKind.APPLICATION, robot.id))

    seen = await world.see(lambda s: projects.list_projects(s, ORGANIZATION, ProjectFilter(), BY_TIME, sight))
    unseen = await world.see(
        lambda s: applications.list_applications(s, ORGANIZATION, ApplicationFilter(), BY_TIME, sight)
    )

    assert [each.name for each in seen.items] == ["web"]
    assert not unseen.items
    draft, fields = ProjectDraft(name="new"), frozenset({"name"})
    await world.act(lambda u: projects.update_project(u, web.id, draft, fields, ""), reach=reach)
    for refused in (
        world.act(lambda u: projects.update_project(u, other.id, draft, fields, ""), reach=reach),
        world.act(lambda u: projects.delete_project(u, other.id, ""), reach=reach),
        world.act(lambda u: projects.create_project(u, draft), reach=reach),
        world.act(lambda u: users.create_user(u, UserDraft(username="x")), reach=reach),
        world.act(lambda u: users.delete_user(u, UserId(robot.id), ""), reach=reach),
        world.act(lambda u: applications.create_application(u, ApplicationDraft(name="x")), reach=reach),
        world.act(lambda u: applications.delete_application(u, robot.id, ""), reach=reach),
        world.see(lambda s: projects.get_project(s, ORGANIZATION, other.id, sight)),
        world.see(lambda s: applications.get_application(s, ORGANIZATION, robot.id, sight)),
    ):
        with pytest.raises(Denied):
            await refused


async def test_a_project_that_a_right_leaves_out_is_neither_listed_nor_touched(world: World) -> None:
    web, shut = await part(world, "web"), await part(world, "shut")
    reach = Reach(except_project_ids=frozenset({shut.id}), classes=ALL)
    sight = Sight(reach, PrincipalRef(PrincipalKind.USER, "x"))
    draft, fields = ProjectDraft(name="new"), frozenset({"name"})

    async def listed(only: frozenset[str] | None = None) -> list[str]:
        page, chosen = replace(BY_TIME, with_total=True), ProjectFilter(only=only)
        found = await world.see(lambda s: projects.list_projects(s, ORGANIZATION, chosen, page, sight))
        assert found.total_size == len(found.items)
        return [each.name for each in found.items]

    assert await listed() == ["web"]
    assert await listed(frozenset({web.id, shut.id})) == ["web"]
    assert await listed(frozenset({shut.id})) == []
    for refused in (
        world.act(lambda u: projects.update_project(u, shut.id, draft, fields, ""), reach=reach),
        world.act(lambda u: projects.delete_project(u, shut.id, ""), reach=reach),
        world.see(lambda s: projects.get_project(s, ORGANIZATION, shut.id, sight)),
    ):
        with pytest.raises(Denied):
            await refused
    assert await world.see(lambda s: projects.get_project(s, ORGANIZATION, web.id, sight)) == web
    assert (await world.act(lambda u: projects.update_project(u, web.id, draft, fields, ""), reach=reach)).name == "new"
    # What belongs to the whole organization lies in no project that is left out.
    await world.act(lambda u: projects.create_project(u, draft), reach=reach)


async def test_a_right_that_names_more_projects_than_a_page_holds_still_lists(world: World) -> None:
    web, shut = await part(world, "web"), await part(world, "shut")
    many = frozenset(f"00000000-0000-4000-8000-{number:012}" for number in range(1500))

    for reach in (
        Reach(except_project_ids=many | {shut.id}, classes=ALL),
        Reach(everything=False, project_ids=many | {web.id}, classes=ALL),
    ):
        by = Sight(reach)
        seen = await world.see(lambda s, by=by: projects.list_projects(s, ORGANIZATION, ProjectFilter(), BY_TIME, by))
        assert [each.name for each in seen.items] == ["web"]


async def test_nothing_decided_means_nothing_seen(world: World) -> None:
    await part(world)
    sight = Sight(Reach(everything=True, classes=frozenset({TargetClass.OWN})))

    seen = await world.see(lambda s: projects.list_projects(s, ORGANIZATION, ProjectFilter(), BY_TIME, sight))

    assert not seen.items


# Applications and projects


async def test_an_application_lives_and_dies(world: World) -> None:
    robot = await app(world, tags=("x",))
    draft = ApplicationDraft(state=ApplicationState.SUSPENDED, tags=("y",))

    changed = await world.act(
        lambda u: applications.update_application(u, robot.id, draft, frozenset({"state", "tags"}), robot.etag)
    )
    await world.act(lambda u: applications.delete_application(u, robot.id, changed.etag))

    assert (robot.state, changed.state, changed.tags) == (ApplicationState.ACTIVE, ApplicationState.SUSPENDED, ("y",))
    assert world.events == ["application.created", "application.updated", "application.deleted"]
    assert all(each.security_relevant for each in world.changes[1:])
    with pytest.raises(NotFound):
        await world.see(lambda s: applications.get_application(s, ORGANIZATION, robot.id, EVERYTHING))


async def test_applications_and_projects_may_share_a_name(world: World) -> None:
    assert (await app(world)).id != (await app(world)).id
    assert (await part(world)).id != (await part(world)).id


async def test_the_default_project_can_be_renamed_but_not_deleted(world: World) -> None:
    await world.found()
    default = ProjectId(ORGANIZATION)

    renamed = await world.act(
        lambda u: projects.update_project(u, default, ProjectDraft(name="main"), frozenset({"name"}), "")
    )

    assert renamed.name == "main"
    with pytest.raises(Precondition) as refused:
        await world.act(lambda u: projects.delete_project(u, default, ""))
    assert refused.value.reason is Reason.INVALID_STATE


# Quotas


async def test_parallel_creations_do_not_pass_the_quota_together(worlds: World) -> None:
    def limit(unit: Any) -> None:
        for name in ("users", "applications", "projects"):
            unit.store.quotas.set(Quota(ORGANIZATION, name, 3))

    await worlds.act(limit)

    for make in (member, app, part):
        outcomes = await asyncio.gather(*(make(worlds, f"n{at}") for at in range(8)), return_exceptions=True)
        assert sum(isinstance(each, QuotaExceeded) for each in outcomes) == 5
        assert sum(isinstance(each, ConcordError) for each in outcomes) == 5


async def test_a_limit_may_be_lifted_and_a_deletion_makes_room(world: World) -> None:
    await world.act(lambda unit: unit.store.quotas.set(Quota(ORGANIZATION, "applications", 1)))
    robot = await app(world)

    with pytest.raises(QuotaExceeded) as refused:
        await app(world)
    assert (refused.value.quota, refused.value.limit, refused.value.current) == ("applications", 1, 1)
    await world.act(lambda u: applications.delete_application(u, ApplicationId(robot.id), ""))
    await app(world)
    await world.act(lambda unit: unit.store.quotas.set(Quota(ORGANIZATION, "applications", None)))
    await app(world)


async def test_bad_input_is_refused_before_the_quota_is_asked(world: World) -> None:
    await world.act(lambda unit: unit.store.quotas.set(Quota(ORGANIZATION, "applications", 0)))

    with pytest.raises(Invalid):
        await app(world, "")
