"""Settings of an organization: each holds from the next call on, and leaves alone what there was before."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration

from concord.credentials.v1 import mfa_service_pb2, password_pb2, password_service_pb2
from concord.identity import wire as identity_wire
from concord.identity.model import SecuritySettings as IdentitySettings
from concord.identity.v1.security_settings_pb2 import PasswordRules
from concord.kernel.errors import Invalid, Reason
from concord.kernel.rpc.wire import instant_from_wire, instant_to_wire
from credentials.making import OWNER, USER, World, organization_message
from credentials.people import OTHER_PASSWORD, PASSWORD, Person, settings
from fakes import ORGANIZATION, START

DAY = 86400
WRONG = "never-the-Right-1"


@pytest.fixture
def ann(world: World) -> Person:
    return Person(world)


async def demand(world: World, **changes: Any) -> None:
    await world.hear("security_settings.updated", ORGANIZATION, settings(**changes))


async def password_of(world: World) -> Any:
    return await world.passwords.GetPassword(
        password_service_pb2.GetPasswordRequest(user_id=USER.id), metadata=world.system
    )


async def told(world: World) -> list[tuple[str, bool]]:
    """Which events told whether the password is locked, and what they told."""
    found = []
    for event in await world.events():
        if event.resource_type == "password" and event.HasField("after"):
            password = password_pb2.Password()
            assert event.after.Unpack(password)
            found.append((event.type, password.HasField("lock_time")))
    return found


async def test_both_ends_begin_with_the_same_settings(world: World) -> None:
    def kept(store: Any) -> tuple[Any, Any]:
        return store.find_organization(ORGANIZATION), store.find_login_rules(ORGANIZATION)

    unheard = await world.units.read(kept)
    birth = IdentitySettings(organization_id=ORGANIZATION, create_time=START, update_time=START)
    await world.hear("security_settings.updated", ORGANIZATION, identity_wire.security_settings_to_wire(birth))

    assert await world.units.read(kept) == unheard


async def test_shorter_sessions_are_for_those_opened_from_now_on(world: World, ann: Person) -> None:
    await ann.set_password()
    long = await ann.log_in(ttl=Duration(seconds=20 * DAY))

    await demand(world, max_session_ttl=Duration(seconds=600))

    refused = await world.refusal(ann.log_in(ttl=Duration(seconds=601)))
    short = await ann.log_in()
    world.clock.advance(timedelta(days=19))
    assert isinstance(refused, Invalid)
    assert short.session.expire_time == instant_to_wire(START + timedelta(seconds=600))
    assert (await world.authenticate(access_token=long.access_token.token)).passport
    assert (await world.refusal(world.authenticate(access_token=short.access_token.token))).reason is (
        Reason.CREDENTIAL_EXPIRED
    )


async def test_a_limit_for_keys_is_for_those_made_from_now_on(world: World) -> None:
    endless = await world.create_key()

    await demand(world, max_api_key_ttl=Duration(seconds=DAY))

    without = await world.refusal(world.create_key())
    late = await world.refusal(world.create_key(expire_time=instant_to_wire(START + timedelta(seconds=DAY + 1))))
    timely = await world.create_key(expire_time=instant_to_wire(START + timedelta(seconds=DAY)))
    for refused in (without, late):
        assert isinstance(refused, Invalid)
        assert [each.field for each in refused.violations] == ["api_key.expire_time"]
    assert timely.secret
    assert (await world.create_session(endless.secret)).access_token.token
    await demand(world)
    assert (await world.create_key()).secret


async def test_a_temporary_password_lives_as_long_as_it_was_made_for(world: World, ann: Person) -> None:
    await ann.set_password(temporary=True)
    before = await password_of(world)

    await demand(world, temporary_password_ttl=Duration(seconds=600))

    kept = await password_of(world)
    await ann.set_password(OTHER_PASSWORD, temporary=True)
    after = await password_of(world)
    assert instant_from_wire(before.expire_time) == START + timedelta(days=1)
    assert kept == before
    assert instant_from_wire(after.expire_time) == START + timedelta(seconds=600)


async def test_a_password_that_no_new_one_may_be_like_still_opens_sessions(world: World, ann: Person) -> None:
    await ann.set_password()

    await demand(world, password_rules=PasswordRules(min_length=30, max_length=512))

    session = await ann.log_in()
    refused = await world.refusal(ann.set_password(OTHER_PASSWORD))
    assert session.access_token.token
    assert isinstance(refused, Invalid)
    assert [each.rule for each in refused.violations] == ["min_length"]


async def test_fewer_attempts_count_the_failures_of_before(world: World, ann: Person) -> None:
    await ann.set_password()
    for _ in range(3):
        await world.refusal(ann.log_in(WRONG))

    await demand(world, max_login_attempts=3)

    locked = await world.refusal(ann.log_in())
    assert locked.reason is Reason.CREDENTIAL_LOCKED
    assert (await told(world))[-1] == ("password.locked", True)


async def test_renewal_is_asked_of_passwords_set_from_now_on(world: World, ann: Person) -> None:
    root = Person(world, OWNER, "root")
    await ann.set_password()

    await demand(world, enforce_password_renewal=True)

    await root.set_password()
    for each in (ann, root):
        await each.log_in()
    world.clock.advance(timedelta(days=4))
    assert (await ann.log_in()).access_token.token
    assert (await world.refusal(root.log_in())).reason is Reason.CREDENTIAL_LOCKED


async def test_a_second_factor_is_asked_for_from_the_next_login_on(world: World, ann: Person) -> None:
    await ann.set_password()
    before = await ann.log_in(ttl=Duration(seconds=20 * DAY))

    await demand(world, enforce_mfa=True, grace_period=Duration(seconds=3600))
    world.clock.advance(timedelta(days=4))

    begun = await ann.log_in()
    world.clock.advance(timedelta(seconds=3600))
    late = await world.refusal(ann.log_in())
    await demand(world)
    assert begun.access_token.token
    assert late.reason is Reason.CREDENTIAL_LOCKED
    assert (await ann.log_in()).access_token.token
    assert (await world.authenticate(access_token=before.access_token.token)).passport


async def test_a_grace_period_that_has_begun_keeps_its_end(world: World, ann: Person) -> None:
    await demand(world, enforce_mfa=True)
    await ann.set_password()
    await ann.log_in()

    await demand(world, enforce_mfa=True, grace_period=Duration(seconds=300))
    await ann.log_in()

    (period,) = (
        await world.mfa.ListGracePeriods(
            mfa_service_pb2.ListGracePeriodsRequest(user_id=USER.id), metadata=world.system
        )
    ).grace_periods
    assert instant_from_wire(period.expire_time) == START + timedelta(days=3)


async def test_closed_ways_to_log_in_open_no_session_and_end_none(world: World, ann: Person) -> None:
    await ann.set_password()
    before = await ann.log_in()
    code = await ann.start_login()

    closed = organization_message(login_password_enabled=False, login_magic_code_enabled=False)
    await world.hear("organization.updated", ORGANIZATION, closed)

    by_password = await world.refusal(ann.log_in())
    by_code = await world.refusal(ann.log_in_by_code(code))
    assert [each.reason for each in (by_password, by_code)] == [Reason.LOGIN_DISABLED] * 2
    assert (await ann.start_login(), await ann.start_recovery()) == ("", "")
    assert (await world.authenticate(access_token=before.access_token.token)).passport
    await world.hear("organization.updated", ORGANIZATION, organization_message())
    assert (await ann.log_in()).access_token.token


async def _log_in(world: World, ann: Person) -> None:
    await ann.log_in()


async def _change(world: World, ann: Person) -> None:
    request = password_service_pb2.ChangePasswordRequest(
        user_id=USER.id, password=OTHER_PASSWORD, current_password=PASSWORD
    )
    await world.passwords.ChangePassword(request, metadata=world.system)


@pytest.mark.parametrize("succeed", [_log_in, _change])
async def test_a_lock_that_its_own_attempt_lifts_is_told_as_lifted(
    world: World, ann: Person, succeed: Callable[[World, Person], Awaitable[None]]
) -> None:
    await demand(world, max_login_attempts=2)
    await ann.set_password()
    await world.refusal(ann.log_in(WRONG))

    await succeed(world, ann)

    said = await told(world)
    assert said[1:3] == [("password.locked", True), ("password.unlocked", False)]
    assert not said[-1][1]
    assert not (await password_of(world)).HasField("lock_time")


async def test_a_password_given_to_a_locked_user_is_told_as_locked(world: World, ann: Person) -> None:
    await demand(world, max_login_attempts=1)
    await ann.set_password()
    await world.refusal(ann.log_in(WRONG))
    await world.passwords.DeletePassword(
        password_service_pb2.DeletePasswordRequest(user_id=USER.id), metadata=world.system
    )

    again = await ann.set_password(OTHER_PASSWORD)

    assert again.HasField("lock_time")
    assert again == await password_of(world)
    assert (await told(world))[-1] == ("password.set", True)
    assert (await world.refusal(ann.log_in())).reason is Reason.CREDENTIAL_LOCKED
    await ann.unlock()
    assert (await told(world))[-1] == ("password.unlocked", False)
