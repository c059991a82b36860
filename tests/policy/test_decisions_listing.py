"""All that a subject may do, through the real chain."""

import uuid
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from concord.common.v1.boundary_pb2 import BOUNDARY_KIND_ORGANIZATION, Boundary
from concord.kernel.errors import Reason
from concord.policy.catalogues.loader import baselines
from concord.policy.checks.known import own_permissions, supplied_permissions
from concord.policy.model import Boundary as Within
from concord.policy.model import BoundaryKind, Effect, Statement
from concord.policy.v1 import decision_pb2 as d
from concord.policy.v1 import decision_service_pb2 as ds
from fakes import OTHER_ORGANIZATION

from .conftest import OWNER, World, allow, new_user
from .decision_world import Asking, about, failure_of, fields_of, within

# What everybody may do with its own credentials stands in every list; it is told apart from what a test gave.
EVERYBODYS = frozenset(p for s in baselines()[0].statements for p in s.permissions)
ORGANIZATION_WIDE = Boundary(kind=BOUNDARY_KIND_ORGANIZATION)


@pytest.fixture
def asking(world: World) -> Asking:
    return Asking(world)


async def listed(asking: Asking, by: Any = OWNER, size: int = 1000, **wanted: Any) -> list[ds.HeldPermission]:
    """Return all pages, without what everybody may do unless the subject is the owner."""
    found = await all_listed(asking, by, size, **wanted)
    if "owner" in {name for each in found for name in each.statement_ids}:
        return found
    return [each for each in found if each.permission not in EVERYBODYS]


async def all_listed(asking: Asking, by: Any, size: int, **wanted: Any) -> list[ds.HeldPermission]:
    """Return all pages."""
    found: list[ds.HeldPermission] = []
    token = ""
    while True:
        request = ds.ListPermissionsRequest(page_size=size, page_token=token, **wanted)
        page = await asking.stub.ListPermissions(request, **asking.by(by))
        found.extend(page.permissions)
        assert len(page.permissions) <= size
        assert page.revision
        token = page.next_page_token
        if not token:
            return found


def names(held: list[ds.HeldPermission], *, pattern: bool = False) -> set[str]:
    return {each.permission for each in held if each.pattern is pattern}


def projects_of(boundaries: Any) -> set[str]:
    return {project for each in boundaries for project in each.project_ids}


async def test_named_permissions_and_patterns_are_listed_with_their_reach(asking: Asking, world: World) -> None:
    user, project, other = await world.user(), await world.project(), await world.project()
    one = Within(BoundaryKind.PROJECTS, project_ids=(project,))
    deny = Statement(id="", effect=Effect.DENY, permissions=("x.y.*",), boundary=one)
    narrow = Statement(id="", effect=Effect.DENY, permissions=("x.y.never",))
    await world.policy(user, allow("a.b.c", boundary=one), allow("x.y.*"), allow("x.y.z"), deny, narrow)

    held = {each.permission: each for each in await listed(asking, check=about(user, ""))}

    assert set(held) == {"a.b.c", "x.y.*", "x.y.z"}
    assert [held[name].pattern for name in ("a.b.c", "x.y.*", "x.y.z")] == [False, True, False]
    assert projects_of(held["a.b.c"].reach.boundaries) == {project}
    assert projects_of(held["x.y.z"].reach.everywhere_except) == {project}
    assert not any(each.reach.everything for each in held.values())
    assert all(each.statement_ids for each in held.values())
    here = await listed(asking, check=about(user, "", boundary=within(project)))
    both = await listed(asking, check=about(user, "", boundary=within(project, other)))
    assert (names(here), names(both)) == ({"a.b.c"}, set())


async def test_a_pattern_is_expanded_over_what_is_known(asking: Asking, world: World) -> None:
    user = await world.user()
    await world.policy(user, allow("identity.*.list"))

    held = await listed(asking, check=about(user, ""))

    assert names(held, pattern=True) == {"identity.*.list"}
    assert {"identity.users.list", "identity.applications.list"} <= names(held)
    assert all(each.startswith("identity.") and each.endswith(".list") for each in names(held))
    assert not any(".owner_" in each or ".default_" in each for each in names(held))


async def test_the_owner_may_do_all_that_is_known(asking: Asking) -> None:
    held = await listed(asking, check=d.Check())

    assert names(held) == own_permissions() | supplied_permissions()
    assert names(held, pattern=True) == {"*"}
    assert all(each.reach.everything for each in held)


async def test_a_list_lowers_to_scopes_and_to_the_callers_credential(asking: Asking, world: World) -> None:
    user = await world.user()
    await world.policy(user, allow("a.*.*", "policy.*.list"))
    request = ds.ListPermissionsRequest(page_size=1000)

    scoped = await listed(asking, check=about(user, "", scopes=["a.b.c", "x.y.z"]))
    lowered = await asking.stub.ListPermissions(
        request, **asking.by(user, ceiling=("a.b.*", "policy.subject_permissions.list"))
    )

    assert {each.permission for each in scoped} == {"a.b.c"}
    assert {each.permission for each in lowered.permissions} == {
        "a.b.*",
        "policy.own_subject_permissions.list",
        "policy.subject_permissions.list",
    }


async def test_of_one_permission_the_reach_can_be_asked_for(asking: Asking, world: World) -> None:
    user, project = await world.user(), await world.project()
    one = Within(BoundaryKind.PROJECTS, project_ids=(project,))
    await world.policy(user, allow("a.b.*", boundary=one), allow("x.y.z"))

    (held,) = await listed(asking, check=about(user, "a.b.unheard_of"))

    assert (held.permission, held.pattern, projects_of(held.reach.boundaries)) == ("a.b.unheard_of", False, {project})
    assert await listed(asking, check=about(user, "b.b.b")) == []


async def test_what_everybody_may_do_with_its_own_credentials_is_listed_until_a_deny_takes_it(
    asking: Asking, world: World
) -> None:
    user = await world.user()
    everything = await all_listed(asking, OWNER, 1000, check=about(user, ""))
    deny = Statement(id="", effect=Effect.DENY, permissions=("credentials.own_passwords.change",))
    await world.policy(user, deny)
    left = await all_listed(asking, OWNER, 1000, check=about(user, ""))

    assert {each.permission for each in everything} == EVERYBODYS
    assert {name for each in everything for name in each.statement_ids} == {"baseline:own"}
    assert {each.permission for each in left} == EVERYBODYS - {"credentials.own_passwords.change"}


async def test_only_the_wanted_types_are_listed(asking: Asking) -> None:
    held = await listed(asking, resource_types=["identity.users", "identity.projects"])

    assert {each.permission.rpartition(".")[0] for each in held} == {"identity.users", "identity.projects"}


async def test_who_is_unknown_suspended_or_elsewhere_has_none(asking: Asking, world: World) -> None:
    user = await world.user()
    await world.policy(user, allow("a.b.c"))
    elsewhere = [
        about(new_user(), ""),
        about(user, "", boundary=within(str(uuid.uuid4()))),
        about(user, "", boundary=Boundary(organization_id=OTHER_ORGANIZATION)),
    ]
    found = [await listed(asking, check=each) for each in elsewhere]
    before = await listed(asking, check=about(user, ""))
    await world.suspend(user)

    assert found == [[], [], []]
    assert names(before) == {"a.b.c"}
    assert await listed(asking, check=about(user, "")) == []


async def test_listing_needs_the_right_for_oneself_and_for_others(asking: Asking, world: World) -> None:
    mere, own, trusted = await world.user(), await world.user(), await world.user()
    await world.policy(own, allow("policy.own_subject_permissions.list"))
    await world.policy(trusted, allow("policy.subject_permissions.list"))
    request, other = ds.ListPermissionsRequest(), ds.ListPermissionsRequest(check=about(OWNER, ""))

    refused = [
        await failure_of(asking.stub.ListPermissions(request, **asking.by(mere))),
        await failure_of(asking.stub.ListPermissions(other, **asking.by(own))),
    ]

    assert [each.reason for each in refused] == [Reason.PERMISSION_DENIED] * 2
    assert names(await listed(asking, own)) == {"policy.own_subject_permissions.list"}
    assert await listed(asking, trusted, check=about(OWNER, ""))


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        ({"check": about(permission="x" * 257)}, "check.permission"),
        ({"check": d.Check(boundary=Boundary())}, "check.boundary.kind"),
        ({"check": d.Check(context=d.CheckContext(ip="x"))}, "check.context.ip"),
        ({"page_size": 1001}, "page_size"),
        ({"page_size": -1}, "page_size"),
        ({"page_token": "x"}, "page_token"),
        ({"resource_types": ["x"] * 101}, "resource_types"),
        ({"resource_types": ["x" * 257]}, "resource_types[0]"),
    ],
)
async def test_a_malformed_list_is_refused_by_the_name_of_its_field(
    asking: Asking, wanted: dict[str, Any], field: str
) -> None:
    refusal = await failure_of(asking.stub.ListPermissions(ds.ListPermissionsRequest(**wanted), **asking.by(OWNER)))

    assert fields_of(refusal) == [field]


async def test_pages_join_to_the_whole_list_in_order(asking: Asking, world: World) -> None:
    user = await world.user()
    await world.policy(user, allow("identity.*.*", *(f"a.b.c{n}" for n in range(30))))

    whole = await all_listed(asking, OWNER, 1000, check=about(user, ""))
    in_pages = await all_listed(asking, OWNER, 7, check=about(user, ""))

    assert [each.permission for each in whole] == sorted(each.permission for each in whole)
    assert in_pages == whole

    check = about(user, "")
    skipping = ds.ListPermissionsRequest(check=check, page_size=3, skip=4, with_total_size=True)
    first = await asking.stub.ListPermissions(skipping, **asking.by(OWNER))
    skipping.page_token = first.next_page_token
    second = await asking.stub.ListPermissions(skipping, **asking.by(OWNER))
    assert [*first.permissions, *second.permissions] == [*whole[4:7], *whole[11:14]]
    assert first.total_size == second.total_size == len(whole)


async def test_kb13_a_token_continues_its_own_list_and_no_other(asking: Asking, world: World) -> None:
    user, other = await world.user(), await world.user()
    for each in (user, other):
        await world.policy(each, allow(*(f"a.b.c{n}" for n in range(9)), "policy.subject_permissions.list"))
    first = await asking.stub.ListPermissions(ds.ListPermissionsRequest(page_size=2), **asking.by(user))
    token = first.next_page_token
    altered = [token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :] for at in range(len(token))]
    foreign = ds.ListPermissionsRequest(page_size=2, page_token=token, resource_types=["a.b"])

    reasons = {
        (await failure_of(asking.stub.ListPermissions(request, **asking.by(caller)))).reason
        for request, caller in [
            *((ds.ListPermissionsRequest(page_token=each), user) for each in altered),
            (foreign, user),
            (ds.ListPermissionsRequest(page_token=token), other),
        ]
    }

    assert reasons == {Reason.INVALID_PAGE_TOKEN}
    going_on = ds.ListPermissionsRequest(page_size=2, page_token=token, at_least_as_fresh=first.revision)
    second = await asking.stub.ListPermissions(going_on, **asking.by(user))
    assert [each.permission for each in second.permissions] == ["a.b.c2", "a.b.c3"]


async def test_a_list_whose_ground_changes_between_pages_has_to_be_begun_again(asking: Asking, world: World) -> None:
    user = await world.user()
    await world.policy(user, allow(*(f"a.b.c{n}" for n in range(9))))
    check = about(user, "")
    first = await asking.stub.ListPermissions(ds.ListPermissionsRequest(check=check, page_size=2), **asking.by(OWNER))
    await world.policy(user, allow("a.b.a"))

    going_on = ds.ListPermissionsRequest(check=check, page_token=first.next_page_token)
    refusal = await failure_of(asking.stub.ListPermissions(going_on, **asking.by(OWNER)))

    assert refusal.reason is Reason.INVALID_PAGE_TOKEN


async def test_all_pages_are_of_one_instant(asking: Asking, world: World) -> None:
    user = await world.user()
    limit = (world.clock.now() + timedelta(minutes=1)).isoformat()
    until = f"request.time < timestamp('{limit}')"
    await world.policy(user, allow(*(f"a.b.c{n}" for n in range(4)), condition=until))
    check = about(user, "")
    first = await asking.stub.ListPermissions(ds.ListPermissionsRequest(check=check, page_size=2), **asking.by(OWNER))

    world.clock.advance(timedelta(minutes=2))
    going_on = ds.ListPermissionsRequest(check=check, page_token=first.next_page_token)
    second = await asking.stub.ListPermissions(going_on, **asking.by(OWNER))

    assert [each.permission for each in second.permissions][:2] == ["a.b.c2", "a.b.c3"]
    assert await listed(asking, check=check) == []


PATTERNS = ("a.b.c", "a.b.*", "a.*.c", "*.b.c", "*", "identity.users.*", "identity.*.get", "a.b", "x.y.z")
CONDITIONS = ("", "request.ip == '10.0.0.1'", "resource.id == 'r'", "request.nothing == 1")
STATEMENTS = st.lists(
    st.tuples(st.sampled_from(PATTERNS), st.sampled_from(CONDITIONS), st.booleans(), st.integers(-1, 1)),
    min_size=1,
    max_size=6,
)
PROBES = (
    "a.b.c",
    "a.b.z",
    "a.z.c",
    "z.b.c",
    "z.z.z",
    "x.y.z",
    "a.b",
    "identity.users.get",
    "credentials.owner_api_keys.create",
)


@given(STATEMENTS, st.sampled_from(("", "10.0.0.1")), st.sampled_from(("", "r")))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_kb12_a_permission_is_listed_exactly_where_a_check_allows_it(
    world: World, held: list[tuple[str, str, bool, int]], ip: str, resource_id: str
) -> None:
    asking = Asking(world)
    projects = [await world.project(), await world.project()]
    user = await world.user()
    await world.policy(user, *(_statement(each, projects) for each in held))
    like = about(user, "", context=d.CheckContext(ip=ip), resource=d.CheckedResource(id=resource_id))
    known = sorted({*own_permissions(), *PROBES} & {*PROBES, *(p for p in own_permissions() if ".users." in p)})
    places = [ORGANIZATION_WIDE, *(within(each) for each in projects)]
    checks = [_like(like, permission, place) for place in places for permission in known]

    batch = await asking.stub.BatchCheck(ds.BatchCheckRequest(checks=checks), **asking.by(OWNER))
    anywhere = {each.permission: each for each in await listed(asking, check=like)}
    by_place = [names(await listed(asking, check=_like(like, "", place))) for place in places]

    allowed = iter(batch.decisions)
    named = own_permissions() | supplied_permissions() | {each[0] for each in held if "*" not in each[0]}
    for place, there in zip(places, by_place, strict=True):
        for permission in known:
            is_allowed = next(allowed).allowed
            if permission in named:
                assert (permission in there) is is_allowed
                assert _reaches(anywhere.get(permission), place) is is_allowed
            elif not any(denies and _fits(pattern, permission) for pattern, _, denies, _ in held):
                # What nothing names and nothing denies is allowed exactly where a pattern that covers it says so.
                fitting = [each for each in anywhere.values() if each.pattern and _fits(each.permission, permission)]
                assert any(_reaches(each, place) for each in fitting) is is_allowed


def _statement(each: tuple[str, str, bool, int], projects: list[str]) -> Statement:
    permission, condition, denies, project = each
    boundary = Within(BoundaryKind.PROJECTS, project_ids=(projects[project],)) if project >= 0 else None
    effect = Effect.DENY if denies else Effect.ALLOW
    return Statement(id="", effect=effect, permissions=(permission,), condition=condition, boundary=boundary)


def _like(like: d.Check, permission: str, place: Boundary) -> d.Check:
    check = d.Check()
    check.CopyFrom(like)
    check.permission = permission
    check.boundary.CopyFrom(place)
    return check


def _reaches(held: ds.HeldPermission | None, place: Boundary) -> bool:
    if held is None:
        return False
    reach = held.reach
    if not place.project_ids:
        return reach.everything or bool(reach.everywhere_except)
    project = place.project_ids[0]
    if reach.everywhere_except:
        return project not in projects_of(reach.everywhere_except)
    return reach.everything or project in projects_of(reach.boundaries)


def _fits(pattern: str, permission: str) -> bool:
    if pattern == "*":
        return True
    parts, asked = pattern.split("."), permission.split(".")
    return len(parts) == len(asked) and all(a in ("*", b) for a, b in zip(parts, asked, strict=True))
