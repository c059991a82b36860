"""What the store promises, on every engine."""

import asyncio
from dataclasses import asdict, replace
from datetime import timedelta
from pathlib import Path
from shutil import copy
from typing import Any

import pytest
from sqlalchemy import Table, insert

from concord.identity.model import DirectoryKind, Population, Quota, User, UserKind, UserState
from concord.identity.server import MIGRATIONS
from concord.identity.sql import metadata
from concord.identity.store import ApplicationFilter, ProjectFilter, UserFilter
from concord.kernel.errors import AlreadyExists
from concord.kernel.ids import ApplicationId, UserId
from concord.kernel.paging import Page, PageRequest
from databases import OpenDatabase, schema_differences
from fakes import ORGANIZATION, OTHER_ORGANIZATION, START
from identity.making import World, application, of, organization, project, settings, user

BY_NAME = PageRequest(order=(("name", False),))
BY_USERNAME = PageRequest(order=(("username", False),))


async def kept(world: World, *things: Any) -> None:
    def add(unit: Any) -> None:
        for thing in things:
            stores = {"User": unit.store.users, "Application": unit.store.applications, "Project": unit.store.projects}
            stores[type(thing).__name__].add(thing)

    await world.act(add)


async def usernames(world: World, chosen: UserFilter, request: PageRequest = BY_USERNAME) -> list[str]:
    page: Page[User] = await world.see(lambda store: store.users.page(ORGANIZATION, chosen, request))
    return [each.username for each in page.items]


async def test_the_history_makes_the_tables_that_the_code_expects(database_engines: OpenDatabase) -> None:
    assert await schema_differences(database_engines, metadata, MIGRATIONS) == []


async def test_everything_comes_back_as_it_was_kept(worlds: World) -> None:
    ann = user(
        nickname="annie",
        given_name="Ann",
        family_name="O'Hara",
        phone_number="+33 1",
        locale="fr_FR",
        description="two\nlines",
        tags=("b", "a"),
        primary_email="Ann@acme.example",
        interactive_login=False,
        state=UserState.SUSPENDED,
        suspension_reason="left",
        last_login_time=START + timedelta(microseconds=1),
        mfa_enabled=True,
        password_locked=True,
        attributes={"vendor.key": "value"},
        catalogue="supplied",
        editable=False,
        deletable=False,
        version=7,
    )
    app = application(tags=("x",), api_key_count=2, attributes={"a.b": "c"})
    web = project(description="the web", attributes={"a.b": "c"})
    acme = organization(languages=("en", "fr"), catalogues=("one",), attributes={"a.b": "c"})

    await kept(worlds, ann, app, web)
    await worlds.act(lambda unit: unit.store.organizations.add(acme, settings()))

    assert await worlds.see(lambda store: store.users.find(ORGANIZATION, ann.id)) == ann
    assert await worlds.see(lambda store: store.applications.find(ORGANIZATION, app.id)) == app
    assert await worlds.see(lambda store: store.projects.find(ORGANIZATION, web.id)) == web
    assert await worlds.see(lambda store: store.organizations.find(ORGANIZATION)) == acme
    assert await worlds.see(lambda store: store.organizations.find_security_settings(ORGANIZATION)) == settings()


async def test_nothing_is_seen_from_another_organization(worlds: World) -> None:
    ann, app, web = user(primary_email="a@x.example", tags=("t",)), application(), project()

    await kept(worlds, ann, app, web)

    def look(store: Any) -> list[Any]:
        elsewhere = OTHER_ORGANIZATION
        return [
            store.users.find(elsewhere, ann.id),
            store.users.find_by_username(elsewhere, "ann"),
            store.users.find_by_email(elsewhere, Population.STAFF, "a@x.example"),
            *store.users.page(elsewhere, UserFilter(), BY_USERNAME).items,
            *store.users.page(elsewhere, UserFilter(tag="t"), BY_USERNAME).items,
            store.applications.find(elsewhere, app.id),
            *store.applications.page(elsewhere, ApplicationFilter(), BY_NAME).items,
            store.projects.find(elsewhere, web.id),
            *store.projects.page(elsewhere, ProjectFilter(), BY_NAME).items,
        ]

    assert not any(await worlds.see(look))


async def test_removing_elsewhere_leaves_what_is_here(worlds: World) -> None:
    ann, app, web = user(tags=("t",)), application(), project()
    await kept(worlds, ann, app, web)

    def remove(unit: Any) -> None:
        unit.store.users.remove(OTHER_ORGANIZATION, ann.id)
        unit.store.applications.remove(OTHER_ORGANIZATION, app.id)
        unit.store.projects.remove(OTHER_ORGANIZATION, web.id)

    await worlds.act(remove)

    assert await usernames(worlds, UserFilter(tag="t")) == ["ann"]
    assert await worlds.see(lambda store: store.applications.find(ORGANIZATION, app.id)) == app
    assert await worlds.see(lambda store: store.projects.find(ORGANIZATION, web.id)) == web


async def test_a_username_is_taken_within_its_organization_only(worlds: World) -> None:
    await kept(worlds, user("ann"), of(user("ann"), OTHER_ORGANIZATION))

    with pytest.raises(AlreadyExists) as refused:
        await kept(worlds, user("ann"))

    assert refused.value.metadata == {"field": "user.username"}


NAMES = ["Foo", "foo", "foo ", "straße", "strasse", "e\u0301".encode().decode(), "ſ", "s", "ı", "i"]


async def test_kb09_names_that_differ_in_any_byte_are_different_users(worlds: World) -> None:
    everyone = [user(name) for name in NAMES]

    await kept(worlds, *everyone)

    for each in everyone:
        found = await worlds.see(lambda store, each=each: store.users.find_by_username(ORGANIZATION, each.username))
        assert found == each


async def test_an_address_is_taken_whatever_its_case_but_only_in_its_population(worlds: World) -> None:
    await kept(
        worlds,
        user("a", primary_email="Ann@Acme.example"),
        user("b", primary_email="ann@acme.example", kind=UserKind.CUSTOMER),
    )

    with pytest.raises(AlreadyExists) as refused:
        await kept(worlds, user("c", primary_email="ANN@acme.example"))

    assert refused.value.metadata == {"field": "user.primary_email"}
    staff = await worlds.see(lambda s: s.users.find_by_email(ORGANIZATION, Population.STAFF, "aNN@acme.example"))
    customer = await worlds.see(lambda s: s.users.find_by_email(ORGANIZATION, Population.CUSTOMERS, "ANN@ACME.example"))
    assert (staff.username, customer.username) == ("a", "b")


async def test_a_removed_or_changed_user_frees_name_and_address(worlds: World) -> None:
    ann, bob = user("ann", primary_email="a@x.example"), user("bob", primary_email="b@x.example")
    await kept(worlds, ann, bob)

    await worlds.act(lambda unit: unit.store.users.remove(ORGANIZATION, ann.id))
    moved = replace(bob, username="rob", primary_email="r@x.example")
    await worlds.act(lambda unit: unit.store.users.replace(moved))

    again = [user("ann", primary_email="A@x.example"), user("bob", primary_email="b@x.example")]
    await kept(worlds, *again)
    assert await usernames(worlds, UserFilter()) == ["ann", "bob", "rob"]


async def test_of_two_parallel_creations_of_one_name_one_wins(worlds: World) -> None:
    outcomes = await asyncio.gather(
        *(kept(worlds, user("ann", primary_email="a@x.example")) for _ in range(8)), return_exceptions=True
    )

    assert sorted(type(each).__name__ for each in outcomes) == ["AlreadyExists"] * 7 + ["NoneType"]
    assert await usernames(worlds, UserFilter()) == ["ann"]


async def test_a_failed_creation_leaves_nothing_behind(worlds: World) -> None:
    await kept(worlds, user("ann", primary_email="a@x.example"))

    with pytest.raises(AlreadyExists):
        await kept(worlds, user("bob", primary_email="a@x.example", tags=("t",)))

    assert await usernames(worlds, UserFilter()) == ["ann"]
    assert await usernames(worlds, UserFilter(tag="t")) == []


async def test_lists_are_filtered_by_everything_that_is_asked_for(worlds: World) -> None:
    ann = user("ann", tags=("x", "y"), given_name="Ännchen", mfa_enabled=True)
    bob = user("bob", kind=UserKind.GUEST, tags=("X",), editable=False, primary_email="Bob@acme.example")
    cid = user("c_d%", state=UserState.SUSPENDED, nickname="back\\slash")
    await kept(worlds, ann, bob, cid)

    expected = {
        UserFilter(kinds=frozenset({UserKind.GUEST})): ["bob"],
        UserFilter(kinds=frozenset({UserKind.GUEST, UserKind.MEMBER})): ["ann", "bob", "c_d%"],
        UserFilter(states=frozenset({UserState.SUSPENDED})): ["c_d%"],
        UserFilter(tag="x"): ["ann"],
        UserFilter(tag="X"): ["bob"],
        UserFilter(editable=True): ["ann", "c_d%"],
        UserFilter(editable=False): ["bob"],
        UserFilter(mfa_enabled=True): ["ann"],
        UserFilter(mfa_enabled=False): ["bob", "c_d%"],
        UserFilter(only=frozenset({ann.id, bob.id})): ["ann", "bob"],
        UserFilter(only=frozenset()): [],
        UserFilter(text="ÄNN"): ["ann"],
        UserFilter(text="bob@ACME"): ["bob"],
        UserFilter(text="%"): ["c_d%"],
        UserFilter(text="_d"): ["c_d%"],
        UserFilter(text="K\\S"): ["c_d%"],
        UserFilter(text="nobody"): [],
        UserFilter(text="b", kinds=frozenset({UserKind.MEMBER})): ["c_d%"],
    }
    for chosen, names in expected.items():
        assert await usernames(worlds, chosen) == names, chosen


async def test_applications_and_projects_are_found_by_part_of_their_name(worlds: World) -> None:
    await kept(worlds, application("Deploy Robot", tags=("t",)), application("other"), project("Web"), project("x"))

    apps = await worlds.see(lambda s: s.applications.page(ORGANIZATION, ApplicationFilter(name="robot"), BY_NAME))
    tagged = await worlds.see(lambda s: s.applications.page(ORGANIZATION, ApplicationFilter(tag="t"), BY_NAME))
    webs = await worlds.see(lambda s: s.projects.page(ORGANIZATION, ProjectFilter(name="WEB"), BY_NAME))

    assert [each.name for each in apps.items] == [each.name for each in tagged.items] == ["Deploy Robot"]
    assert [each.name for each in webs.items] == ["Web"]


async def test_orders_are_the_same_everywhere_and_ties_go_by_id(worlds: World) -> None:
    late = START + timedelta(hours=1)
    ann = user("ann", last_login_time=late, primary_email="z@x.example")
    big = user("Bob", primary_email="Y@x.example", last_login_time=late + timedelta(microseconds=1))
    cid = user("cid")
    eve = user("eve", create_time=late)
    await kept(worlds, ann, big, cid, eve)

    def ordered(*order: tuple[str, bool]) -> Any:
        return usernames(worlds, UserFilter(), PageRequest(order=order))

    assert await ordered(("username", False)) == ["Bob", "ann", "cid", "eve"]
    assert await ordered(("folded_username", False)) == ["ann", "Bob", "cid", "eve"]
    assert await ordered(("folded_username", True)) == ["eve", "cid", "Bob", "ann"]
    assert (await ordered(("primary_email", False)))[2:] == ["Bob", "ann"]
    assert (await ordered(("last_login_time", True)))[:2] == ["Bob", "ann"]
    assert (await ordered(("last_login_time", False)))[2:] == ["ann", "Bob"]
    ties = sorted((ann, big, cid), key=lambda each: each.id)
    assert await ordered(("create_time", False)) == [*(each.username for each in ties), "eve"]
    assert await ordered(("create_time", True)) == ["eve", *(each.username for each in ties)]


@pytest.mark.parametrize("name", ["last_login_time", "create_time", "folded_username", "primary_email"])
@pytest.mark.parametrize("descends", [False, True])
async def test_pages_together_are_the_list(worlds: World, name: str, descends: bool) -> None:
    everyone = [user(f"u{at}", last_login_time=START + timedelta(days=at % 3) if at % 2 else None) for at in range(7)]
    await kept(worlds, *everyone)
    order = ((name, descends),)
    whole = await usernames(worlds, UserFilter(), PageRequest(order=order))

    seen: list[str] = []
    after = None
    while True:
        request = PageRequest(size=3, order=order, after=after, with_total=True, issue=lambda after: "more")
        page = await worlds.see(lambda store, r=request: store.users.page(ORGANIZATION, UserFilter(), r))
        assert page.total_size == 7
        seen += [each.username for each in page.items]
        after = page.after
        if not page.next_page_token:
            break

    assert seen == whole
    assert await usernames(worlds, UserFilter(), PageRequest(order=order, skip=5)) == whole[5:]


async def test_counts_leave_out_what_was_supplied(worlds: World) -> None:
    await kept(worlds, user("a"), user("b", catalogue="supplied"), application(), application(catalogue="supplied"))
    await kept(worlds, project(), project(catalogue="supplied"))

    def counts(store: Any) -> list[int]:
        return [each.count_counted(ORGANIZATION) for each in (store.users, store.applications, store.projects)]

    assert await worlds.see(counts) == [1, 1, 1]


async def test_copies_from_others_are_not_undone_by_a_write(worlds: World) -> None:
    ann, app = user(mfa_enabled=True, password_locked=True), application()
    await kept(worlds, ann, app)

    def copy(unit: Any) -> None:
        unit.store.users.set_last_login(replace(ann, last_login_time=START))
        unit.store.applications.add_to_key_count(ORGANIZATION, app.id, 1)
        unit.store.users.replace(replace(ann, nickname="annie", mfa_enabled=False, password_locked=False))
        unit.store.applications.replace(replace(app, description="new"))

    await worlds.act(copy)

    after = await worlds.see(lambda s: s.users.find(ORGANIZATION, ann.id))
    assert (after.nickname, after.last_login_time) == ("annie", START)
    assert (after.mfa_enabled, after.password_locked) == (True, True)
    counted = await worlds.see(lambda s: s.applications.find(ORGANIZATION, app.id))
    assert (counted.description, counted.api_key_count) == ("new", 1)


async def test_a_key_count_never_falls_below_zero(worlds: World) -> None:
    app = application()
    await kept(worlds, app)

    def move(unit: Any) -> None:
        unit.store.applications.add_to_key_count(ORGANIZATION, app.id, -1)
        unit.store.applications.add_to_key_count(ORGANIZATION, ApplicationId(UserId("no such")), 1)

    await worlds.act(move)

    assert (await worlds.see(lambda s: s.applications.find(ORGANIZATION, app.id))).api_key_count == 0


async def test_a_name_in_the_directory_belongs_to_one(worlds: World) -> None:
    def claims(unit: Any) -> list[bool]:
        directory = unit.store.directory
        return [
            directory.claim(DirectoryKind.SLUG, "acme", ORGANIZATION),
            directory.claim(DirectoryKind.SLUG, "acme", OTHER_ORGANIZATION),
            directory.claim(DirectoryKind.ALIAS, "acme", OTHER_ORGANIZATION),
        ]

    assert await worlds.act(claims) == [True, False, True]
    assert await worlds.see(lambda s: s.directory.find(DirectoryKind.SLUG, "acme")) == ORGANIZATION

    await worlds.act(lambda unit: unit.store.directory.release(DirectoryKind.SLUG, "acme", OTHER_ORGANIZATION))
    assert await worlds.see(lambda s: s.directory.find(DirectoryKind.SLUG, "acme")) == ORGANIZATION
    await worlds.act(lambda unit: unit.store.directory.release(DirectoryKind.SLUG, "acme", ORGANIZATION))
    assert await worlds.see(lambda s: s.directory.find(DirectoryKind.SLUG, "acme")) is None


async def test_numbers_count_as_numbers(worlds: World) -> None:
    assert await worlds.see(lambda s: s.directory.highest_number()) == 0

    def claim(unit: Any) -> None:
        for number in ("9", "10"):
            unit.store.directory.claim(DirectoryKind.NUMBER, number, ORGANIZATION)
        unit.store.directory.claim(DirectoryKind.SLUG, "99", ORGANIZATION)

    await worlds.act(claim)

    assert await worlds.see(lambda s: s.directory.highest_number()) == 10


async def test_quotas_are_set_replaced_and_reset(worlds: World) -> None:
    for limit in (3, None):
        await worlds.act(lambda unit, limit=limit: unit.store.quotas.set(Quota(ORGANIZATION, "users", limit)))
        found = await worlds.see(lambda s: s.quotas.find(ORGANIZATION, "users"))
        assert found == Quota(ORGANIZATION, "users", limit)

    await worlds.act(lambda unit: unit.store.quotas.reset(ORGANIZATION, "users"))

    assert await worlds.see(lambda s: s.quotas.find(ORGANIZATION, "users")) is None


async def test_an_upgrade_of_the_first_schema_keeps_people_and_settings(
    database_engines: OpenDatabase, tmp_path: Path
) -> None:
    first = tmp_path / "identity" / "migrations"
    (first / "versions").mkdir(parents=True)
    copy(MIGRATIONS / "versions" / "0001_first_schema.py", first / "versions")
    database = await database_engines(metadata, first, name="people_upgraded")
    ann, demanded = user(), settings()
    people, demands = metadata.tables["user"], metadata.tables["security_settings"]

    def names(table: Table) -> list[str]:
        return [column.name for column in table.c]

    def keep(connection: Any) -> None:
        spoken = {"search": "", "folded_username": "ann", "folded_email": "", "tags": [], "division_ids": []}
        row = {name: getattr(ann, name) for name in names(people) if name not in spoken and name != "password_locked"}
        connection.execute(insert(people), {**row, **spoken, "kind": ann.kind.value, "state": ann.state.value})
        seconds = {name: 600 for name in names(demands) if name.endswith(("_ttl", "_period"))}
        rules = {"password_rules": asdict(demanded.password_rules)}
        row = {name: getattr(demanded, name) for name in names(demands) if name != "enforce_mfa"}
        connection.execute(insert(demands), {**row, **seconds, **rules})

    await database.write(ORGANIZATION, keep)
    await database.close()

    world = World(await database_engines(metadata, MIGRATIONS, name="people_upgraded"))

    found = await world.see(lambda store: store.organizations.find_security_settings(ORGANIZATION))
    assert await world.see(lambda store: store.users.find(ORGANIZATION, ann.id)) == ann
    assert (found.max_session_ttl, found.enforce_mfa) == (timedelta(minutes=10), False)
