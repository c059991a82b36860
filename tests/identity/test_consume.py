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
from concord.credentials.v1.credential_status_pb2 import MFA_STATE_ACTIVE, MFA_STATE_UNCONFIRMED
from concord.credentials.v1.mfa_pb2 import MfaDevice
from concord.credentials.v1.password_pb2 import Password
from concord.credentials.v1.session_pb2 import Session
from concord.identity.consume import apply_credentials, apply_policy
from concord.identity.drafts import ApplicationDraft, UserDraft
from concord.identity.model import UserState
from concord.identity.operations.applications import create_application
from concord.identity.operations.users import create_user, resume_user, suspend_user
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


async def test_the_second_factor_is_shown_from_its_activation_to_its_end(world: World) -> None:
    ann = await world.act(lambda unit: create_user(unit, UserDraft(username="ann")))
    waiting = MfaDevice(user_id=ann.id, state=MFA_STATE_UNCONFIRMED)
    active = MfaDevice(user_id=ann.id, state=MFA_STATE_ACTIVE)
    seen = []

    for told in (
        event("mfa_device.created", after=waiting),
        event("mfa_device.activated", before=waiting, after=active),
        event("mfa_device.deleted", before=active),
    ):
        await apply(world, told)
        after = await world.see(lambda store: store.users.find(ORGANIZATION, ann.id))
        assert after is not None
        seen.append((after.mfa_enabled, after.version))

    assert seen == [(False, 1), (True, 1), (False, 1)]


async def test_a_locked_password_locks_its_user_until_it_is_unlocked(world: World) -> None:
    ann = await world.act(lambda unit: create_user(unit, UserDraft(username="ann")))
    bob = await world.act(lambda unit: create_user(unit, UserDraft(username="bob")))
    open_one = Password(user_id=ann.id)
    locked = Password(user_id=ann.id, lock_time=instant_to_wire(START))
    seen = []

    for told in (
        event("password.set", after=open_one),
        event("password.locked", before=open_one, after=locked),
        event("password.set", before=locked, after=locked),
        event("password.deleted", before=locked),
        event("password.unlocked", before=locked, after=open_one),
        event("password.locked", before=open_one, after=locked),
        event("password.set", before=locked, after=open_one),
    ):
        await apply(world, told)
        after = await world.see(lambda store: store.users.find(ORGANIZATION, ann.id))
        assert after is not None
        seen.append((after.locked, after.version))

    assert seen == [(locked, 1) for locked in (False, True, True, True, False, True, False)]
    other = await world.see(lambda store: store.users.find(ORGANIZATION, bob.id))
    assert other is not None
    assert not other.locked
    assert world.events == ["user.created", "user.created"]


async def test_a_user_is_locked_by_a_suspension_or_by_the_password(world: World) -> None:
    ann = await world.act(lambda unit: create_user(unit, UserDraft(username="ann")))
    locked = Password(user_id=ann.id, lock_time=instant_to_wire(START))

    await apply(world, event("password.locked", after=locked))
    both = await world.act(lambda unit: suspend_user(unit, ann.id, "", ""))
    await apply(world, event("password.unlocked", after=Password(user_id=ann.id)))
    suspended = await world.see(lambda store: store.users.find(ORGANIZATION, ann.id))
    await apply(world, event("password.locked", after=locked))
    resumed = await world.act(lambda unit: resume_user(unit, ann.id, ""))

    assert both.locked
    assert suspended is not None
    assert suspended.locked
    assert (resumed.state, resumed.locked) == (UserState.ACTIVE, True)


async def test_a_lock_elsewhere_locks_nobody_here(world: World) -> None:
    ann = await world.act(lambda unit: create_user(unit, UserDraft(username="ann")))
    locked = Password(user_id=ann.id, lock_time=instant_to_wire(START))

    await apply(world, event("password.locked", after=locked), organization_id=OTHER_ORGANIZATION)

    after = await world.see(lambda store: store.users.find(ORGANIZATION, ann.id))
    assert after is not None
    assert not after.locked


async def test_a_quota_that_policy_sets_holds_here(world: World) -> None:
    await apply(world, event("quota.set", after=Quota(name="applications", limit=1)))
    await world.act(lambda unit: create_application(unit, ApplicationDraft(name="x")))

    with pytest.raises(QuotaExceeded):
        await world.act(lambda unit: create_application(unit, ApplicationDraft(name="y")))

    await apply(world, event("quota.set", after=Quota(name="applications", unlimited=True)))
    await world.act(lambda unit: create_application(unit, ApplicationDraft(name="y")))
    await apply(world, event("quota.reset", before=Quota(name="applications", unlimited=True)))
    assert await world.see(lambda store: store.quotas.find(ORGANIZATION, "applications")) is None
