"""What identity copies from the other services."""

from datetime import timedelta
from typing import Any

import pytest

from concord.common.v1.change_pb2 import ChangeEvent
from concord.common.v1.principal_pb2 import (
    PRINCIPAL_KIND_APPLICATION,
    PRINCIPAL_KIND_USER,
    PrincipalRef,
)
from concord.credentials.v1.api_key_pb2 import ApiKey
from concord.credentials.v1.session_pb2 import Session
from concord.identity.consume import apply_credentials, apply_policy
from concord.identity.drafts import ApplicationDraft, UserDraft
from concord.identity.operations.applications import create_application
from concord.identity.operations.users import create_user
from concord.kernel.errors import QuotaExceeded
from concord.kernel.rpc.wire import instant_to_wire
from concord.policy.v1.quota_pb2 import Quota
from fakes import ORGANIZATION, OTHER_ORGANIZATION, START
from identity.making import World


def event(kind: str, *, before: Any = None, after: Any = None) -> ChangeEvent:
    made = ChangeEvent(type=kind, resource_type=kind.partition(".")[0], organization_id=ORGANIZATION)
    if before is not None:
        made.before.Pack(before)
    if after is not None:
        made.after.Pack(after)
    return made


async def apply(world: World, *events: ChangeEvent, **where: Any) -> None:
    for each in events:
        follow = apply_policy if each.resource_type == "quota" else apply_credentials
        await world.act(lambda unit, each=each, follow=follow: follow(unit, each), **where)


async def test_keys_of_an_application_are_counted_without_changing_it(world: World) -> None:
    robot = await world.act(lambda unit: create_application(unit, ApplicationDraft(name="x")))
    key = ApiKey(bearer=PrincipalRef(kind=PRINCIPAL_KIND_APPLICATION, id=robot.id))
    users_key = ApiKey(bearer=PrincipalRef(kind=PRINCIPAL_KIND_USER, id=robot.id))

    await apply(
        world,
        event("api_key.created", after=key),
        event("api_key.created", after=key),
        event("api_key.created", after=users_key),
        event("api_key.deleted", before=key),
        event("api_key.updated", before=key, after=key),
        event("password.set"),
    )

    after = await world.see(lambda store: store.applications.find(ORGANIZATION, robot.id))
    assert after is not None
    assert (after.api_key_count, after.version, after.update_time) == (1, 1, robot.update_time)
    assert world.events == ["application.created"]


async def test_a_key_elsewhere_counts_nothing_here(world: World) -> None:
    robot = await world.act(lambda unit: create_application(unit, ApplicationDraft(name="x")))
    key = ApiKey(bearer=PrincipalRef(kind=PRINCIPAL_KIND_APPLICATION, id=robot.id))

    await apply(world, event("api_key.created", after=key), organization_id=OTHER_ORGANIZATION)

    after = await world.see(lambda store: store.applications.find(ORGANIZATION, robot.id))
    assert after is not None
    assert after.api_key_count == 0


async def test_the_last_login_is_the_latest_session_of_the_user_alone(world: World) -> None:
    ann = await world.act(lambda unit: create_user(unit, UserDraft(username="ann")))
    principal = PrincipalRef(kind=PRINCIPAL_KIND_USER, id=ann.id)
    other = PrincipalRef(kind=PRINCIPAL_KIND_USER, id="other")

    def session(days: int, **fields: Any) -> ChangeEvent:
        at = instant_to_wire(START + timedelta(days=days))
        return event("session.created", after=Session(principal=principal, create_time=at, **fields))

    await apply(world, session(2), session(1), session(3, assumed_by=other))

    after = await world.see(lambda store: store.users.find(ORGANIZATION, ann.id))
    assert after is not None
    assert (after.last_login_time, after.version) == (START + timedelta(days=2), 1)


async def test_a_quota_that_policy_sets_holds_here(world: World) -> None:
    await apply(world, event("quota.set", after=Quota(name="applications", limit=1)))
    await world.act(lambda unit: create_application(unit, ApplicationDraft(name="x")))

    with pytest.raises(QuotaExceeded):
        await world.act(lambda unit: create_application(unit, ApplicationDraft(name="y")))

    await apply(world, event("quota.set", after=Quota(name="applications", unlimited=True)))
    await world.act(lambda unit: create_application(unit, ApplicationDraft(name="y")))
    await apply(world, event("quota.reset", before=Quota(name="applications", unlimited=True)))
    assert await world.see(lambda store: store.quotas.find(ORGANIZATION, "applications")) is None
