"""Somebody who may say or ask something tries to have more by it, or to keep others from asking."""

import asyncio
import gc
from typing import Any

import pytest

from concord.policy.checks import deciding
from concord.policy.engine import Program
from concord.policy.engine.condition import syntax_fault
from concord.policy.model import Effect, RoleKind, Statement, Subject
from concord.policy.operations.policies import Draft, create_policy, set_statements
from concord.policy.v1 import decision_pb2 as d
from concord.policy.v1 import decision_service_pb2 as ds

from .conftest import World, allow
from .decision_world import Asking

ROWS = '{"resources": [{"basePath": "*", "path": "*", "verb": "*", "ipAddress": "*"}]}'
SCOPE = '{"allowed_endpoints": [{"path": "**", "method": "*"}]}'
OPEN_ROW = '{"resources": [{"basePath": "/shop", "path": "/open", "verb": "*", "ipAddress": "*"}]}'
WIDE = pytest.mark.parametrize(
    ("language", "document"), [("endpoint_rows", ROWS), ("endpoint_scopes", SCOPE)], ids=["rows", "scope"]
)


@pytest.fixture
def asking(world: World) -> Asking:
    return Asking(world)


async def _holder(world: World, language: str, document: str) -> Any:
    user = await world.user()
    draft = Draft("policy", subject=Subject.of(user), language=language, document=document)
    await world.do(lambda unit: create_policy(unit, draft))
    return user


async def _every_way(asking: Asking, user: Any, check: d.Check) -> set[bool]:
    """Ask one by one, in a batch, in a batch's defaults, on a stream, and for the reasons."""
    by, stub = asking.by(user), asking.stub
    await asking.world.policy(user, allow("policy.own_decisions.explain"))
    single = await stub.Check(ds.CheckRequest(check=check), **by)
    batch = await stub.BatchCheck(ds.BatchCheckRequest(checks=[check]), **by)
    defaults = await stub.BatchCheck(
        ds.BatchCheckRequest(defaults=check, checks=[d.Check(permission=check.permission)]), **by
    )
    explained = await stub.Explain(ds.ExplainRequest(check=check), **by)
    stream = stub.StreamCheck(**by)
    await stream.write(ds.StreamCheckRequest(check=check))
    streamed = await stream.read()
    await stream.done_writing()
    decisions = (single, batch.decisions[0], defaults.decisions[0], explained.decision, streamed.decision)
    return {each.allowed for each in decisions}


@WIDE
@pytest.mark.parametrize("permission", ["identity.users.delete", "identity.owner_users.update", "policy.grants.create"])
async def test_a_path_allows_no_permission_of_the_platform(
    asking: Asking, language: str, document: str, permission: str
) -> None:
    user = await _holder(asking.world, language, document)
    path = {"endpoint_path": "/shop/orders", "endpoint_method": "GET"}

    assert await _every_way(asking, user, d.Check(permission=permission, **path)) == {False}
    assert await _every_way(asking, user, d.Check(**path)) == {True}
    assert await _every_way(asking, user, d.Check(permission="shop.orders.list", **path)) == {True}
    assert not await asking.world.allows(user, permission)


@WIDE
async def test_a_path_adds_nothing_of_the_platform_to_what_is_listed(
    asking: Asking, language: str, document: str
) -> None:
    user = await _holder(asking.world, language, document)
    await asking.world.policy(user, allow("policy.own_subject_permissions.list"))

    async def listed(**said: Any) -> set[str]:
        request = ds.ListPermissionsRequest(check=d.Check(**said), page_size=1000)
        answer = await asking.stub.ListPermissions(request, **asking.by(user))
        return {each.permission for each in answer.permissions if each.permission.startswith("identity.")}

    bare = await listed()
    assert await listed(endpoint_path="/shop/orders", endpoint_method="GET") == bare
    assert "identity.owner_users.update" not in bare


@pytest.mark.parametrize(
    "path", ["/shop/open/../shut", "/shop/open/./../shut", "/shop/open/%2e%2e/shut", "/shop/open//x", "/shop/open\\x"]
)
async def test_kb23_a_path_that_may_arrive_as_another_one_is_not_let_through(asking: Asking, path: str) -> None:
    user = await _holder(asking.world, "endpoint_rows", OPEN_ROW)

    assert await _every_way(asking, user, d.Check(endpoint_path=path, endpoint_method="GET")) == {False}
    assert await _every_way(asking, user, d.Check(endpoint_path="/shop/open/x", endpoint_method="GET")) == {True}


@pytest.mark.parametrize(
    ("operation", "permission", "allowed"),
    [
        ("scaleway/ListUsers", "identity.users.list", True),
        ("scaleway/ListUsers", "identity.owner_users.update", False),
        ("scaleway/ListUsers", "identity.users.delete", False),
        ("scaleway/ListUsers", "shop.orders.delete", False),
        ("scaleway/UpdateUser", "identity.own_users.update", True),
        ("scaleway/UpdateUser", "identity.owner_users.update", False),
        ("shop/ListOrders", "shop.orders.list", True),
        ("shop/ListOrders", "identity.users.delete", False),
    ],
)
async def test_an_operation_allows_only_what_it_stands_for(
    asking: Asking, operation: str, permission: str, allowed: bool
) -> None:
    user = await asking.world.user()
    await asking.world.policy(user, Statement(id="", operations=(operation,)))

    assert await _every_way(asking, user, d.Check(permission=permission, operation=operation)) == {allowed}


async def test_an_operation_that_does_not_stand_for_a_permission_still_denies_it(asking: Asking) -> None:
    user = await asking.world.user()
    deny = Statement(id="", effect=Effect.DENY, operations=("scaleway/ListUsers",))
    await asking.world.policy(user, allow("identity.users.*"), deny)
    check = d.Check(permission="identity.users.delete", operation="scaleway/ListUsers")

    assert await _every_way(asking, user, check) == {False}


async def _narrowed(world: World, base: Any, resource_type: str) -> Any:
    return await world.role(kind=RoleKind.NARROWED, included=(base.id,), resource_type_id=resource_type)


@pytest.mark.parametrize("wide", ["*", "*.*.*", "identity.*.*", "*.*.update"])
async def test_a_role_that_is_narrowed_is_never_wider_than_before(world: World, wide: str) -> None:
    user = await world.user()
    base = await world.role(wide)
    for resource_type in ("identity.owner_users", "identity.default_users", "identity.users"):
        await world.grant(user, await _narrowed(world, base, resource_type))

    assert not await world.allows(user, "identity.owner_users.update")
    assert not await world.allows(user, "identity.default_users.update")
    assert await world.allows(user, "identity.users.update")


async def test_a_role_keeps_what_it_names_of_the_owners_when_it_is_narrowed_to_that(world: World) -> None:
    user = await world.user()
    base = await world.role("identity.owner_users.update", "groups.groups.get")
    await world.grant(user, await _narrowed(world, base, "identity.owner_users"))

    assert await world.allows(user, "identity.owner_users.update")
    assert not await world.allows(user, "groups.groups.get")


@pytest.mark.parametrize(
    ("denied", "resource_type", "asked", "allowed"),
    [
        ("identity.users.delete", "identity.own_users", "identity.own_users.delete", False),
        ("identity.own_users.delete", "identity.users", "identity.own_users.delete", False),
        ("identity.own_users.delete", "identity.users", "identity.users.delete", True),
        ("identity.owner_users.delete", "identity.users", "identity.users.delete", True),
        ("*.*.delete", "identity.own_users", "identity.own_users.delete", False),
        ("groups.users.delete", "identity.users", "identity.users.delete", True),
    ],
)
async def test_a_role_that_is_narrowed_denies_what_it_denied_before(
    world: World, denied: str, resource_type: str, asked: str, allowed: bool
) -> None:
    user = await world.user()
    base = await world.role(
        language="statements",
        document='{"statements": [{"effect": "allow", "permissions": ["identity.*.*"]},'
        f' {{"effect": "deny", "permissions": ["{denied}"]}}]}}',
    )
    await world.grant(user, await _narrowed(world, base, resource_type))

    assert await world.allows(user, asked) is allowed


async def test_what_policies_once_said_does_not_stay_in_memory(asking: Asking, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deciding, "MAX_ANSWERED_WEIGHT", 20)
    world = asking.world
    user = await world.user()
    policy = await world.policy(user, allow("a.b.c"))
    gc.collect()
    before = sum(isinstance(each, Program) for each in gc.get_objects())

    for number in range(40):
        answer = await asking.stub.Check(ds.CheckRequest(check=d.Check(permission=f"x.y{number}.z")), **asking.by(user))
        assert not answer.allowed
        said = [allow(*(f"x.y{number + 1}.z{each}" for each in range(20)))]
        await world.do(lambda unit, said=said: set_statements(unit, policy.id, said))

    gc.collect()
    assert sum(isinstance(each, Program) for each in gc.get_objects()) <= before + 10


# Each takes milliseconds: about what the bounds of a condition let through.
SLOW = 'request.attributes.exists(a, request.attributes[a].matches("(a|aa)*b{5,20}c%d"))'
STATEMENTS = 200


async def _slow_user(world: World) -> Any:
    conditions = [SLOW % number for number in range(STATEMENTS)]
    assert not syntax_fault(conditions[0])
    user = await world.user()
    for rights in ("a.b.c", "policy.own_decisions.explain", "policy.own_subject_permissions.list"):
        listed = conditions if rights == "a.b.c" else [""]
        await world.policy(user, *(allow(rights, condition=each) for each in listed))
    return user


@pytest.mark.parametrize("way", ["batch", "single", "explain", "list"])
async def test_kb16_slow_questions_of_one_leave_the_others_their_turn(asking: Asking, way: str) -> None:
    world = asking.world
    attacker, other = await _slow_user(world), await world.user()
    await world.policy(other, allow("x.y.z"))
    check = d.Check(permission="a.b.c")
    check.context.attributes.update({f"k{each}": "a" * 1000 for each in range(64)})
    stub, by = asking.stub, asking.by(attacker)
    ask = {
        "batch": lambda: stub.BatchCheck(
            ds.BatchCheckRequest(defaults=check, checks=[_again(n) for n in range(99)]), **by
        ),
        "single": lambda: stub.Check(ds.CheckRequest(check=check), **by),
        "explain": lambda: stub.Explain(ds.ExplainRequest(check=check), **by),
        "list": lambda: stub.ListPermissions(ds.ListPermissionsRequest(check=check, page_size=1000), **by),
    }[way]
    await stub.Check(ds.CheckRequest(check=check), **by)
    mine = ds.CheckRequest(check=d.Check(permission="x.y.z"))
    await stub.Check(mine, **asking.by(other))

    crowd = [asyncio.ensure_future(ask()) for _ in range(40)]
    served = []
    for _ in range(10):
        await asyncio.sleep(0.01)
        before = sum(each.done() for each in crowd)
        assert (await stub.Check(mine, **asking.by(other))).allowed
        served.append(sum(each.done() for each in crowd) - before)
    for each in crowd:
        each.cancel()
    await asyncio.gather(*crowd, return_exceptions=True)

    # Not the crowd's turn first, and then the other's.
    assert max(served) < len(crowd) // 4


def _again(number: int) -> d.Check:
    return d.Check(permission="a.b.c", path_variables={"n": f"{number}"})
