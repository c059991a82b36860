"""How systems like this one were broken, tried on its caches, batches, cursors, lists and streams.

Where the machinery is tested on its own, the rows it answers for stand there: `engine/test_index.py` (07),
`test_operations_roles.py` (08), `test_decisions_listing.py` (12) and `test_decisions_stream.py` (16).
"""

import asyncio
import gc
import threading
import uuid
from dataclasses import replace
from itertools import permutations, product
from random import Random
from typing import Any

import pytest

from concord.groups.v1.group_pb2 import Group
from concord.kernel.errors import Invalid, Precondition
from concord.policy.checks import Check
from concord.policy.compiling import compile_sources
from concord.policy.engine import Context, Request, decide
from concord.policy.model import Boundary, BoundaryKind, Effect, Sources, Subject
from concord.policy.operations.grants import GrantKey, create_grant
from concord.policy.operations.roles import RoleDraft, create_role
from concord.policy.v1 import decision_pb2 as d
from concord.policy.v1 import decision_service_pb2 as ds
from policy import spec
from policy.against import sources_of
from policy.worlds import USERS, Maker

from .conftest import OWNER, World, allow, in_group, made
from .decision_world import Asking, about

GET, LIST, READ = "identity.users.get", "identity.users.list", "shop.orders.read"


@pytest.fixture
def asking(world: World) -> Asking:
    return Asking(world)


async def _checked(world: World, passport: Any, *checks: Check) -> list[bool]:
    return [each.allowed for each in await world.checks.decide(passport.organization_id, passport, list(checks))]


# 01: a key of a cache leaves out what changes the answer


async def test_kb01_the_ceiling_of_one_credential_never_answers_for_another(world: World) -> None:
    user = await world.user()
    await world.policy(user, allow("identity.users.*"))
    ceilings: list[tuple[str, ...]] = [(), (GET,), (LIST,), (GET, LIST), ("IAMReadOnly",), ("nothing",)]

    answers = [
        (
            await world.allows(user, GET, passport={"ceiling": c}),
            await world.allows(user, LIST, passport={"ceiling": c}),
        )
        for c in (*ceilings, *reversed(ceilings))
    ]

    expected = [(True, True), (True, False), (False, True), (True, True), (True, True), (False, False)]
    assert answers == [*expected, *reversed(expected)]


async def test_kb01_checks_and_lists_at_the_same_time_never_answer_for_each_other(asking: Asking, world: World) -> None:
    user = await world.user()
    await world.policy(user, allow(READ, condition='request.ip == "10.0.0.1"'), allow(GET))
    stub = asking.stub

    async def checked(ip: str, scopes: tuple[str, ...]) -> bool:
        check = about(user, READ, context=d.CheckContext(ip=ip), scopes=scopes)
        return bool((await stub.Check(ds.CheckRequest(check=check), **asking.by(OWNER))).allowed)

    async def listed(ip: str, scopes: tuple[str, ...]) -> bool:
        check = about(user, "", context=d.CheckContext(ip=ip), scopes=scopes)
        page = await stub.ListPermissions(
            ds.ListPermissionsRequest(check=check, resource_types=["shop.orders"]), **asking.by(OWNER)
        )
        return READ in [each.permission for each in page.permissions]

    cases = list(product(("10.0.0.1", "10.0.0.2", ""), ((), (READ,), (GET,)))) * 4
    checks, lists = await asyncio.gather(
        asyncio.gather(*(checked(*case) for case in cases)), asyncio.gather(*(listed(*case) for case in cases))
    )

    assert checks == lists == [ip == "10.0.0.1" and scopes != (GET,) for ip, scopes in cases]


# 02: two questions share one key


async def test_kb02_ids_that_differ_in_a_byte_are_kept_apart(world: World) -> None:
    user = await world.user()
    last = user.id[-1]
    others = [replace(user, id=user.id[:-1] + digit) for digit in "0123456789abcdef" if digit != last]
    for other in others:
        await world.user(other)
    await world.policy(user, allow(GET))

    answers = [await world.allows(who, GET) for who in (user, *others, user, *others)]

    assert answers == [True, *[False] * 15] * 2


@pytest.mark.parametrize("separator", [",", " ", "|", ":", "/", "\x1f", "\n", "\u2028", "','", '", "'])
async def test_kb02_what_stands_before_a_separator_is_never_taken_for_what_stands_behind(
    asking: Asking, world: World, separator: str
) -> None:
    user = await world.user()
    await world.policy(user, allow("a.b.c", "d.e.f"))
    joined, apart = (f"a.b.c{separator}d.e.f",), ("a.b.c", "d.e.f")
    checks = [
        *(about(user, permission, scopes=scopes) for scopes in (joined, apart, joined) for permission in apart),
        about(user, f"a.b.c{separator}", operation="d.e.f"),
        about(user, "a.b.c", operation=f"{separator}d.e.f"),
        about(user, "", operation=f"a.b.c{separator}d.e.f"),
    ]

    batch = await asking.stub.BatchCheck(ds.BatchCheckRequest(checks=checks), **asking.by(OWNER))
    singles = [await asking.stub.Check(ds.CheckRequest(check=each), **asking.by(OWNER)) for each in checks]

    answers = [False, False, True, True, False, False, False, True, False]
    assert [each.allowed for each in batch.decisions] == answers
    assert [each.allowed for each in singles] == answers


# 03: what was true for one question only


async def test_kb03_circumstances_of_one_check_never_answer_the_next(asking: Asking, world: World) -> None:
    user = await world.user()
    await world.policy(user, allow(READ, condition='request.attributes.colour == "red"'))
    red = about(user, READ)
    red.context.attributes.update({"colour": "red"})
    asked = [red, about(user, READ)] * 3
    stub, by = asking.stub, asking.by(OWNER)

    checked = [await stub.Check(ds.CheckRequest(check=each), **by) for each in asked]
    batch = await stub.BatchCheck(ds.BatchCheckRequest(checks=asked), **by)
    explained = [await stub.Explain(ds.ExplainRequest(check=each, without_repairs=True), **by) for each in asked]
    stream = stub.StreamCheck(**by)
    streamed = []
    for each in asked:
        await stream.write(ds.StreamCheckRequest(check=each))
        streamed.append(await stream.read())

    answers = [True, False] * 3
    assert [each.allowed for each in checked] == answers
    assert [each.allowed for each in batch.decisions] == answers
    assert [each.decision.allowed for each in explained] == answers
    assert [each.decision.allowed for each in streamed] == answers


# 04: where a circle was cut


@pytest.mark.parametrize("order", list(permutations(range(3))))
async def test_kb04_groups_in_a_loop_decide_alike_from_wherever_one_asks(world: World, order: tuple[int, ...]) -> None:
    users = [await world.user() for _ in range(3)]
    groups = [str(uuid.uuid4()) for _ in range(3)]
    for at in order:
        await world.apply("groups", made("group", Group(id=groups[at], parent_group_id=groups[(at + 1) % 3])))
        await world.join(groups[at], users[at])
    await world.policy(in_group(groups[0]), allow(GET))
    await world.policy(in_group(groups[1]), replace(allow(LIST), effect=Effect.DENY), allow("identity.users.*"))

    asked = [(GET, True), (LIST, False), ("identity.users.update", True)]
    for at in (*order, *reversed(order)):
        assert [await world.allows(users[at], permission) for permission, _ in asked] == [each for _, each in asked]


# 05: a question that was given up


@pytest.mark.parametrize("turns", range(8))
async def test_kb05_a_question_given_up_leaves_nothing_behind(world: World, turns: int) -> None:
    user = await world.user()
    await world.policy(user, allow(GET))
    task = asyncio.ensure_future(world.allows(user, GET))
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    assert await world.allows(user, GET)
    assert not await world.allows(user, LIST)


# 06: a batch that makes one question of two


async def test_kb06_a_batch_answers_each_check_as_if_it_stood_alone(world: World) -> None:
    user = await world.user()
    project = await world.project()
    await world.policy(user, allow(GET), allow(READ, condition='request.attributes.n == "1"'))
    checks = [Check(permission=READ, context=Context(attributes={"n": n})) for n in ("1", "2", "1", "2")] + [
        Check(permission=GET),
        Check(permission=GET, subject=OWNER),
        Check(permission=LIST, subject=OWNER),
        Check(permission=GET, project_ids=(project,)),
        Check(permission=GET, scopes=(LIST,)),
    ]
    passport = world.passport(user)

    together = await _checked(world, passport, *checks)
    alone = [(await _checked(world, passport, each))[0] for each in checks]

    assert together == alone == [True, False, True, False, True, True, True, True, False]


# 07: stars and names side by side


@pytest.mark.parametrize("size", [1, 2, 3, 7])
async def test_kb07_a_list_of_names_and_stars_is_the_same_however_it_is_cut(
    asking: Asking, world: World, size: int
) -> None:
    user = await world.user()
    neighbours = ["a.b!", "a.b", "a.b-", "a.b.c", "a.b0", "a.b_", "a.ba", "a.bb", "aa.b", "b.b"]
    names = [f"{each.replace('.', 'x').replace('!', '')}.things.get" for each in neighbours]
    await world.policy(user, allow(*dict.fromkeys(names)), allow("axb.things.*", "*.things.get", "axb.*.get"))
    await world.policy(user, replace(allow("axba.things.*"), effect=Effect.DENY))

    async def pages(page_size: int) -> list[str]:
        request = ds.ListPermissionsRequest(
            check=about(user, ""), page_size=page_size, resource_types=[f"{n.partition('.')[0]}.things" for n in names]
        )
        found: list[str] = []
        while True:
            page = await asking.stub.ListPermissions(request, **asking.by(OWNER))
            found.extend(each.permission for each in page.permissions)
            if not page.next_page_token:
                return found
            request.page_token = page.next_page_token

    listed = await pages(size)
    checks = [about(user, name) for name in dict.fromkeys(names)]
    batch = await asking.stub.BatchCheck(ds.BatchCheckRequest(checks=checks), **asking.by(OWNER))

    assert listed == sorted(listed) == await pages(1000)
    allowed = {check.permission for check, each in zip(checks, batch.decisions, strict=True) if each.allowed}
    assert {each for each in listed if "*" not in each} == allowed
    assert "axba.things.get" not in allowed
    assert len(allowed) == len(set(names)) - 1


# 08: what was stored under another rule


_HELD = {
    BoundaryKind.ORGANIZATION: {BoundaryKind.ORGANIZATION},
    BoundaryKind.PROJECTS: {
        BoundaryKind.ORGANIZATION,
        BoundaryKind.PROJECTS,
        BoundaryKind.GROUP_SUBTREE,
        BoundaryKind.OWN_DIVISIONS,
    },
    BoundaryKind.GROUP_SUBTREE: {BoundaryKind.ORGANIZATION, BoundaryKind.GROUP_SUBTREE},
    BoundaryKind.OWN_DIVISIONS: {BoundaryKind.ORGANIZATION, BoundaryKind.OWN_DIVISIONS},
    BoundaryKind.OWNER_ACCOUNT: {BoundaryKind.OWNER_ACCOUNT},
}


@pytest.mark.parametrize("wanted", list(BoundaryKind))
@pytest.mark.parametrize("given", list(BoundaryKind))
async def test_kb08_a_role_is_held_only_where_it_may_be_also_after_it_changed(
    world: World, wanted: BoundaryKind, given: BoundaryKind
) -> None:
    user, project, group = await world.user(), await world.project(), await world.group()
    place = {
        BoundaryKind.PROJECTS: Boundary(given, project_ids=(project,)),
        BoundaryKind.GROUP_SUBTREE: Boundary(given, group_id=group),
        BoundaryKind.OWNER_ACCOUNT: Boundary(given, owner_user_id=OWNER.id),
    }.get(given, Boundary(given))
    role = await world.do(lambda unit: create_role(unit, RoleDraft(permissions=(READ,), boundary_kind=wanted)))
    key = GrantKey(Subject.of(user), role.id, place)
    fits = given in _HELD[wanted]

    try:
        grant, _ = await world.do(lambda unit: create_grant(unit, key))
    except (Invalid, Precondition):
        grant = None
    assert (grant is not None) is fits

    # As if it had been stored when the role was another one.
    there = replace(role, boundary_kind=given)
    stored = grant or (await _granted_as(world, user, there, place))
    program = compile_sources(Sources((), (stored,), {role.id: role}))
    assert any(READ in statement.statement.permissions for statement in program.statements) is fits


async def _granted_as(world: World, user: Any, role: Any, place: Boundary) -> Any:
    fitting = await world.do(
        lambda unit: create_role(unit, RoleDraft(permissions=(READ,), boundary_kind=role.boundary_kind))
    )
    grant, _ = await world.do(lambda unit: create_grant(unit, GrantKey(Subject.of(user), fitting.id, place)))
    return replace(grant, role_id=role.id)


@pytest.mark.parametrize("language", ["statements", "call_statements", "role_rules"])
@pytest.mark.parametrize("condition", ["((((", "no_such_name == 1", "'" + "x" * 3000 + "' == 'x'"])
def test_kb08_a_condition_that_is_readable_no_more_never_becomes_none(language: str, condition: str) -> None:
    text = {
        "statements": '{"statements": [{"effect": "allow", "permissions": ["*"], "condition": "true"}]}',
        "call_statements": '{"statements": [{"effect": "allow", "api": "*", "condition": "true"}]}',
        "role_rules": '{"rules": [{"role_names": ["IAMUserManager"], "condition": "true"}]}',
    }[language]
    world = replace(
        Maker(Random(1)).world(language), documents=(spec.Document("d", USERS[0], language, text),), grants=()
    )
    sources = sources_of(world, USERS[0])
    (policy,) = sources.policies
    (statement,) = policy.statements or ()
    broken = replace(policy, statements=(replace(statement, condition=condition),))
    request = Request(GET, operation="soracom/Sim:listSims")

    assert decide(compile_sources(sources), request).allowed
    assert not decide(compile_sources(replace(sources, policies=(broken,))), request).allowed


# 12: lists that say something else than checks


async def test_kb12_what_only_one_branch_of_a_condition_allows_is_listed_where_it_holds(
    asking: Asking, world: World
) -> None:
    user = await world.user()
    await world.policy(
        user,
        allow("a.b.c", condition='request.ip == "10.0.0.1"'),
        allow("a.b.c", condition="request.mfa"),
        allow("a.b.*", condition='request.nothing == 1 || request.ip == "10.0.0.2"'),
    )
    contexts = [
        d.CheckContext(ip="10.0.0.1"),
        d.CheckContext(ip="10.0.0.2"),
        d.CheckContext(ip="10.0.0.3", mfa=True),
        d.CheckContext(ip="10.0.0.3"),
        d.CheckContext(),
    ]

    found = []
    for context in contexts:
        like = about(user, "", context=context)
        page = await asking.stub.ListPermissions(
            ds.ListPermissionsRequest(check=like, resource_types=["a.b"]), **asking.by(OWNER)
        )
        single = await asking.stub.Check(
            ds.CheckRequest(check=about(user, "a.b.c", context=context)), **asking.by(OWNER)
        )
        found.append(({each.permission for each in page.permissions}, single.allowed))

    assert found == [({"a.b.c"}, True), ({"a.b.c", "a.b.*"}, True), ({"a.b.c"}, True), (set(), False), (set(), False)]


# 16: calls that leave something behind


async def test_kb16_lists_and_batches_that_were_abandoned_leave_nothing_behind(asking: Asking, world: World) -> None:
    user = await world.user()
    await world.policy(user, *(allow(f"shop.orders{n}.get", condition=f"resource.id == '{n}'") for n in range(50)))

    async def abandon(count: int) -> None:
        for at in range(count):
            calls = [
                asking.stub.ListPermissions(ds.ListPermissionsRequest(page_size=1), **asking.by(user)),
                asking.stub.BatchCheck(
                    ds.BatchCheckRequest(checks=[about(permission=f"shop.orders{n}.get") for n in range(50)]),
                    **asking.by(user),
                ),
            ]
            for _ in range(at % 5):
                await asyncio.sleep(0)
            for call in calls:
                call.cancel()
            await asyncio.gather(*calls, return_exceptions=True)
        gc.collect()

    await abandon(50)
    tasks, threads, things = len(asyncio.all_tasks()), threading.active_count(), len(gc.get_objects())
    await abandon(250)

    assert len(asyncio.all_tasks()) <= tasks
    assert threading.active_count() <= threads
    # A call has hundreds of objects: one in ten of five hundred would show.
    assert len(gc.get_objects()) - things < 5000
