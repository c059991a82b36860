"""Who holds which role, and what they may do for it."""

import json
import uuid
from dataclasses import replace
from typing import Any

import pytest

from concord.groups.v1.group_pb2 import Group
from concord.kernel.errors import Conflict, Invalid, NotFound, QuotaExceeded
from concord.kernel.paging import PageRequest
from concord.policy.compiling import compile_sources
from concord.policy.engine import Context, Request, decide
from concord.policy.model import (
    EVERYONE,
    NOBODY,
    Boundary,
    BoundaryKind,
    GrantFilter,
    RoleKind,
    Subject,
)
from concord.policy.operations.grants import (
    GrantKey,
    create_grant,
    delete_grant,
    get_grant,
    list_grants,
    set_grants,
)
from concord.policy.operations.inline_policies import delete_inline_policy, get_inline_policy, set_inline_policy
from concord.policy.operations.policies import delete_policy, get_policy, set_statements
from concord.policy.operations.quotas import set_quota
from concord.policy.operations.roles import RoleDraft, RolePatch, create_role, delete_role, update_role
from fakes import ORGANIZATION, OTHER_ORGANIZATION

from .conftest import OWNER, World, allow, event, in_group, new_user

GET, LIST, UPDATE = "identity.users.get", "identity.users.list", "identity.users.update"
PAGE = PageRequest(size=1000, order=(("create_time", False),), with_total=True)
STRANGER = str(uuid.uuid4())


def within(*projects: str) -> Boundary:
    return Boundary(BoundaryKind.PROJECTS, project_ids=projects)


def rows(*paths: str) -> str:
    listed = [{"basePath": "*", "path": path, "verb": "*", "ipAddress": "*"} for path in paths]
    return json.dumps({"resources": listed})


async def listed(world: World, *, effective: bool = False, organization_id: Any = ORGANIZATION, **wanted: Any) -> Any:
    page = await world.ask(
        lambda store: list_grants(store, organization_id, GrantFilter(**wanted), PAGE, effective=effective)
    )
    return page.items


@pytest.mark.parametrize("holder", ["user", "application", "group", "group above"])
async def test_a_granted_role_is_a_right_until_it_is_taken_back(world: World, holder: str) -> None:
    principal = await (world.application() if holder == "application" else world.user())
    subject = Subject.of(principal)
    if holder == "group":
        subject = in_group(await world.group(principal))
    elif holder == "group above":
        above = await world.group()
        await world.group(principal, parent=above)
        subject = in_group(above)
    role = await world.role(LIST)
    assert not await world.allows(principal, LIST)

    grant = await world.grant(subject, role)

    assert await world.allows(principal, LIST)
    assert not await world.allows(principal, UPDATE)
    await world.do(lambda unit: delete_grant(unit, grant.id, grant.etag))
    assert not await world.allows(principal, LIST)


async def test_a_right_follows_every_change_of_its_role(world: World) -> None:
    user = await world.user()
    base = await world.role(LIST)
    outer = await world.do(lambda unit: create_role(unit, RoleDraft(kind=RoleKind.COMPOSED, included=(base.id,))))
    await world.grant(user, outer)
    assert await world.allows(user, LIST)

    await world.do(lambda unit: update_role(unit, base.id, RolePatch({"permissions": (GET,)})))

    assert not await world.allows(user, LIST)
    assert await world.allows(user, GET)


async def test_a_supplied_role_is_granted_by_handle_and_held_by_id(world: World) -> None:
    user = await world.user()

    grant = await world.grant(user, "IAMReadOnly")

    assert (grant.role_language, grant.role_catalogue) == ("role_rules", "scaleway")
    assert await world.allows(user, LIST)
    assert not await world.allows(user, UPDATE)


async def test_a_narrowed_role_is_held_to_one_type_of_resource(world: World) -> None:
    user = await world.user()
    base = await world.role("identity.*.get", LIST, "groups.groups.list")
    narrow = RoleDraft(kind=RoleKind.NARROWED, included=(base.id,), resource_type_id="identity.users")
    role = await world.do(lambda unit: create_role(unit, narrow))

    await world.grant(user, role)

    asked = (GET, LIST, "identity.applications.get", "groups.groups.list")
    assert [await world.allows(user, each) for each in asked] == [True, True, False, False]


async def test_a_grant_holds_within_its_boundary_alone(world: World) -> None:
    user, one, other = await world.user(), await world.project(), await world.project()
    role = await world.role("identity.projects.get")
    await world.grant(user, role, within(one))

    answers = [await world.allows(user, "identity.projects.get", resource_id=each) for each in (one, other)]

    assert answers == [True, False]


async def test_all_roles_of_one_holder_must_allow_where_their_language_says_so(world: World) -> None:
    user = await world.user()
    group = await world.group(user)
    first, second, other = [
        await world.do(lambda unit, text=text: create_role(unit, RoleDraft(language="endpoint_rows", document=text)))
        for text in (rows("/a", "/b"), rows("/b"), rows("/a"))
    ]

    async def answers() -> list[bool]:
        standing = await world.ask(lambda store: store.standing(ORGANIZATION, user))
        sources = await world.ask(lambda store: store.sources_of(ORGANIZATION, standing.subjects))
        program = compile_sources(sources)
        asked = [Request("", context=Context(method="GET", path=f"/iam{path}")) for path in ("/a", "/b")]
        return [decide(program, each).allowed for each in asked]

    await world.grant(user, first)
    alone = await answers()
    await world.grant(user, second)
    both = await answers()
    await world.grant(in_group(group), other)

    assert (alone, both) == ([True, True], [False, True])
    assert await answers() == [True, True]


async def test_a_denying_role_takes_away_what_another_holder_has(world: World) -> None:
    user = await world.user()
    group = await world.group(user)
    await world.policy(user, allow(LIST), allow(GET))
    text = json.dumps({"statements": [{"effect": "deny", "permissions": [LIST]}]})
    role = await world.do(lambda unit: create_role(unit, RoleDraft(document=text)))

    await world.grant(in_group(group), role)

    assert [await world.allows(user, each) for each in (LIST, GET)] == [False, True]


async def test_a_second_grant_of_the_same_three_is_the_first(world: World) -> None:
    user, one, other = await world.user(), await world.project(), await world.project()
    role = await world.role(GET)

    async def give(boundary: Boundary | None) -> Any:
        return await world.do(lambda unit: create_grant(unit, GrantKey(Subject.of(user), role.id, boundary)))

    first, again = await give(None), await give(Boundary(BoundaryKind.ORGANIZATION, ORGANIZATION))
    narrow, turned = await give(within(one, other)), await give(within(other, one, other))

    assert (first[1], again, narrow[1], turned) == (True, (first[0], False), True, (narrow[0], False))


@pytest.mark.parametrize(
    ("subject", "role", "boundary", "place"),
    [
        (EVERYONE, "IAMReadOnly", None, "grant.subject"),
        (NOBODY, "IAMReadOnly", None, "grant.subject"),
        (Subject.of(OWNER), "IAMReadOnly", within(ORGANIZATION), "grant.boundary.kind"),
        (Subject.of(OWNER), "IAMReadOnly", Boundary(BoundaryKind.OWN_DIVISIONS), "grant.boundary.kind"),
        (Subject.of(OWNER), "AllProductsReadOnly", within(), "grant.boundary.project_ids"),
        (Subject.of(OWNER), "AllProductsReadOnly", Boundary(BoundaryKind.GROUP_SUBTREE), "grant.boundary.group_id"),
        (
            Subject.of(OWNER),
            "AllProductsReadOnly",
            Boundary(BoundaryKind.ORGANIZATION, project_ids=(ORGANIZATION,)),
            "grant.boundary.project_ids",
        ),
    ],
)
async def test_kb08_what_cannot_be_granted_is_refused(
    world: World, subject: Subject, role: str, boundary: Boundary | None, place: str
) -> None:
    with pytest.raises(Invalid) as refused:
        await world.do(lambda unit: create_grant(unit, GrantKey(subject, role, boundary)))

    assert [each.field for each in refused.value.violations] == [place]
    assert await listed(world) == []


async def test_kb08_a_language_that_knows_no_places_is_granted_everywhere_or_not_at_all(world: World) -> None:
    user, project = await world.user(), await world.project()
    calls = json.dumps({"statements": [{"effect": "allow", "api": "User:*"}]})
    for language, text in (("call_statements", calls), ("endpoint_rows", rows("/a"))):
        draft = RoleDraft(language=language, document=text)
        role = await world.do(lambda unit, draft=draft: create_role(unit, draft))

        with pytest.raises(Invalid):
            await world.grant(user, role, within(project))
        await world.grant(user, role)


@pytest.mark.parametrize(
    ("subject", "role", "boundary", "what"),
    [
        (Subject.of(new_user()), "IAMReadOnly", None, "user"),
        (in_group(STRANGER), "IAMReadOnly", None, "group"),
        (Subject.of(OWNER), STRANGER, None, "role"),
        (Subject.of(OWNER), "readers", None, "role"),
        (Subject.of(OWNER), "AllProductsReadOnly", within(STRANGER), "project"),
        (Subject.of(OWNER), "IAMReadOnly", Boundary(BoundaryKind.ORGANIZATION, OTHER_ORGANIZATION), "organization"),
        (
            Subject.of(OWNER),
            "AllProductsReadOnly",
            Boundary(BoundaryKind.GROUP_SUBTREE, group_id=STRANGER),
            "group",
        ),
    ],
    ids=["user", "group", "role", "role by name", "project", "organization", "group as place"],
)
async def test_what_a_grant_joins_must_exist_here(
    world: World, subject: Subject, role: str, boundary: Boundary | None, what: str
) -> None:
    with pytest.raises(NotFound) as refused:
        await world.do(lambda unit: create_grant(unit, GrantKey(subject, role, boundary)))

    assert refused.value.resource_type == what


async def test_grants_are_found_by_id_and_key_in_their_own_organization(world: World) -> None:
    user = await world.user()
    role = await world.role(GET, handle="readers")
    grant = await world.grant(user, role)
    key = GrantKey(Subject.of(user), "readers")

    async def find(locator: Any, organization_id: Any = ORGANIZATION) -> Any:
        return await world.ask(lambda store: get_grant(store, organization_id, locator))

    assert await find(grant.id) == await find(key) == grant
    foreign = replace(key, boundary=Boundary(BoundaryKind.ORGANIZATION, OTHER_ORGANIZATION))
    for locator, organization_id in (
        (grant.id, OTHER_ORGANIZATION),
        (key, OTHER_ORGANIZATION),
        (foreign, ORGANIZATION),
    ):
        with pytest.raises(NotFound):
            await find(locator, organization_id)
    assert await listed(world, organization_id=OTHER_ORGANIZATION) == []


async def test_lists_show_what_is_held_and_through_which_groups(world: World) -> None:
    user = await world.user()
    above = await world.group()
    group = await world.group(user, parent=above)
    role = await world.role(GET, handle="readers")
    project = await world.project()
    own = await world.grant(user, role)
    placed = await world.grant(in_group(group), role, within(project))
    inherited = await world.grant(in_group(above), "IAMReadOnly")
    await world.grant(await world.user(), role)

    effective = await listed(world, effective=True, subjects=(Subject.of(user),))

    assert [(each.id, each.inherited) for each in effective] == [
        (own.id, False),
        (placed.id, True),
        (inherited.id, True),
    ]
    assert await listed(world, subjects=(Subject.of(user),)) == [own]
    assert await listed(world, role_ids=("IAMReadOnly", "unheard of")) == [inherited]
    assert await listed(world, role_ids=("unheard of",)) == []
    assert await listed(world, boundary_key=within(project).key) == [placed]
    assert await listed(world, role_languages=("role_rules",)) == [inherited]
    assert await listed(world, role_catalogues=("",), subjects=(in_group(group), in_group(above))) == [placed]
    for wanted in ((), (in_group(group),), (Subject.of(user), Subject.of(OWNER))):
        with pytest.raises(Invalid):
            await listed(world, effective=True, subjects=wanted)


async def test_replacing_touches_one_class_in_one_place(world: World) -> None:
    user, project = await world.user(), await world.project()
    subject = Subject.of(user)
    first, second = await world.role(GET), await world.role(LIST)
    kept = [
        await world.grant(user, "IAMReadOnly"),
        await world.grant(user, first, within(project)),
        await world.grant(await world.user(), first),
    ]
    ended = await world.grant(user, first)

    outcome = await world.do(lambda unit: set_grants(unit, subject, None, (second.id,), language="statements"))
    again = await world.recorded(lambda unit: set_grants(unit, subject, None, (second.id,), language="statements"))

    assert list(outcome.ended) == [ended]
    assert [each.role_id for each in outcome.grants] == [second.id]
    assert outcome.created == outcome.grants
    assert again == []
    assert {each.id for each in await listed(world)} == {*(each.id for each in kept), outcome.grants[0].id}
    with pytest.raises(Invalid) as refused:
        await world.do(lambda unit: set_grants(unit, subject, None, ("IAMReadOnly",), language="statements"))
    assert refused.value.violations[0].field == "role_ids[0]"
    await world.do(
        lambda unit: set_grants(unit, subject, None, (), language="role_rules", catalogues=("another catalogue",))
    )
    assert kept[0] in await listed(world)


async def test_grants_are_a_bounded_number_and_every_change_is_marked(world: World) -> None:
    user = await world.user()
    roles = [await world.role(GET), await world.role(LIST)]
    await world.do(lambda unit: set_quota(unit, "grants", limit=1))
    key = GrantKey(Subject.of(user), roles[0].id)

    changes = await world.recorded(lambda unit: create_grant(unit, key))
    with pytest.raises(QuotaExceeded):
        await world.grant(user, roles[1])
    ids = tuple(each.id for each in roles)
    with pytest.raises(QuotaExceeded):
        await world.do(lambda unit: set_grants(unit, Subject.of(user), None, ids, language="statements"))
    swapped = await world.recorded(
        lambda unit: set_grants(unit, Subject.of(user), None, ids[1:], language="statements")
    )

    assert [(each.type, each.security_relevant) for each in (*changes, *swapped)] == [
        ("grant.created", True),
        ("grant.deleted", True),
        ("grant.created", True),
    ]


async def test_an_old_etag_takes_nothing_back(world: World) -> None:
    user = await world.user()
    grant = await world.grant(user, await world.role(LIST))

    with pytest.raises(Conflict):
        await world.do(lambda unit: delete_grant(unit, grant.id, "7"))

    assert await world.allows(user, LIST)


async def test_kb36_a_handle_used_again_inherits_nothing(world: World) -> None:
    user = await world.user()
    await world.grant(user, await world.role(GET, handle="readers"))
    await world.do(lambda unit: delete_role(unit, "readers"))

    await world.role(LIST, handle="readers")

    assert [await world.allows(user, each) for each in (GET, LIST)] == [False, False]
    assert await listed(world) == []


async def test_kb36_a_group_of_the_same_name_inherits_nothing(world: World) -> None:
    user = await world.user()
    group = await world.group(user)
    await world.grant(in_group(group), await world.role(LIST))
    await world.apply("groups", event("group.deleted", Group(id=group), gone=True))

    await world.group(user)

    assert not await world.allows(user, LIST)


# unnamed policies -----------------------------------------------------------------------------------


async def inline(world: World, subject: Subject, *permissions: str, **more: Any) -> Any:
    text = json.dumps({"statements": [{"effect": more.pop("effect", "allow"), "permissions": permissions}]}, indent=1)
    return await world.do(lambda unit: set_inline_policy(unit, subject, language="statements", document=text, **more))


@pytest.mark.parametrize("holder", ["user", "group", "everyone"])
async def test_an_unnamed_policy_counts_like_a_named_one_and_there_is_one(world: World, holder: str) -> None:
    user = await world.user()
    subjects = {"user": Subject.of(user), "group": in_group(await world.group(user)), "everyone": EVERYONE}
    subject = subjects[holder]

    first = await inline(world, subject, LIST)
    second = await inline(world, subject, GET, etag=first.etag)

    assert (second.id, second.version, second.inline, second.name) == (first.id, 2, True, "")
    assert await world.ask(lambda store: get_inline_policy(store, ORGANIZATION, subject)) == second
    assert [await world.allows(user, each) for each in (GET, LIST)] == [True, False]
    await world.do(lambda unit: delete_inline_policy(unit, subject, second.etag))
    assert not await world.allows(user, GET)
    with pytest.raises(NotFound):
        await world.ask(lambda store: get_inline_policy(store, ORGANIZATION, subject))


async def test_everyones_denial_beats_what_anybody_has_and_spares_the_owner(world: World) -> None:
    user = await world.user()
    await world.grant(user, await world.role(LIST))

    await inline(world, EVERYONE, LIST, effect="deny")

    assert [await world.allows(each, LIST) for each in (user, OWNER)] == [False, True]


async def test_an_unnamed_policy_is_reached_by_its_holder_alone(world: World) -> None:
    policy = await inline(world, EVERYONE, LIST)

    for operation in (
        lambda unit: set_statements(unit, policy.id, []),
        lambda unit: delete_policy(unit, policy.id),
        lambda unit: get_policy(unit.store, ORGANIZATION, policy.id),
    ):
        with pytest.raises(NotFound):
            await world.do(operation)


async def test_unnamed_policies_use_up_no_quota_and_change_language_as_a_whole(world: World) -> None:
    await world.do(lambda unit: set_quota(unit, "policies", limit=1))
    users = [await world.user() for _ in range(3)]
    for user in users:
        await inline(world, Subject.of(user), LIST)
    await world.policy(NOBODY)
    calls = '{ "statements": [{"effect": "allow", "api": "User:*"}]}'

    changed = await world.do(
        lambda unit: set_inline_policy(unit, Subject.of(users[0]), language="call_statements", document=calls)
    )

    assert (changed.language, changed.document) == ("call_statements", calls)
    assert not await world.allows(users[0], LIST)


@pytest.mark.parametrize(
    ("subject", "kind"),
    [(NOBODY, Invalid), (Subject.of(new_user()), NotFound), (in_group(STRANGER), NotFound)],
)
async def test_nobody_and_strangers_have_no_unnamed_policy(world: World, subject: Subject, kind: Any) -> None:
    with pytest.raises(kind):
        await inline(world, subject, LIST)
    with pytest.raises(kind):
        await world.ask(lambda store: get_inline_policy(store, ORGANIZATION, subject))


async def test_setting_and_deleting_an_unnamed_policy_is_marked(world: World) -> None:
    user = Subject.of(await world.user())
    text = json.dumps({"statements": [{"effect": "allow", "permissions": [GET]}]})

    changes = [
        *await world.recorded(lambda unit: set_inline_policy(unit, user, language="statements", document=text)),
        *await world.recorded(lambda unit: delete_inline_policy(unit, user)),
    ]

    assert [(each.type, each.security_relevant) for each in changes] == [("policy.set", True), ("policy.deleted", True)]


async def test_a_wrong_document_changes_nothing(world: World) -> None:
    user = await world.user()
    first = await inline(world, Subject.of(user), LIST)

    for more in ({"document": "{"}, {"document": "{}", "statements": (allow(GET),)}, {"etag": "7", "document": "{}"}):
        with pytest.raises((Invalid, Conflict)):
            await world.do(
                lambda unit, more=more: set_inline_policy(unit, Subject.of(user), language="statements", **more)
            )

    assert await world.ask(lambda store: get_inline_policy(store, ORGANIZATION, Subject.of(user))) == first
