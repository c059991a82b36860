"""Second factors over gRPC: their three states, codes that are used once, recovery codes, and how they go."""

import asyncio
from datetime import timedelta

import pyotp
import pytest

from concord.credentials.secrets.totp import matching_step
from concord.credentials.v1 import credential_status_pb2, mfa_service_pb2, password_pb2
from concord.kernel.errors import Reason
from concord.kernel.secret import Secret
from credentials.making import OWNER, USER, World, fresh_id
from credentials.people import PASSWORD, Person, bearer, login, new_mail, secret_in, settings
from fakes import START


@pytest.fixture
def ann(world: World) -> Person:
    return Person(world)


async def devices(world, user=USER):
    answer = await world.mfa.ListMfaDevices(
        mfa_service_pb2.ListMfaDevicesRequest(user_id=user.id), metadata=world.system
    )
    return list(answer.devices)


def delete(**fields):
    proof = {name: fields.pop(name) for name in ("password", "code", "recovery_code") if name in fields}
    return mfa_service_pb2.DeleteMfaDeviceRequest(
        user_id=USER.id, proof=password_pb2.UserProof(**proof) if proof else None, **fields
    )


async def test_codes_are_those_of_the_standard():
    """RFC 6238's own table, SHA-1, cut to six digits."""
    seed = Secret("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ")
    from datetime import UTC, datetime

    for seconds, code in [(59, "287082"), (1111111109, "081804"), (1234567890, "005924"), (20000000000, "353130")]:
        now = datetime.fromtimestamp(seconds, UTC)
        assert matching_step(seed, code, now) == seconds // 30
        assert matching_step(seed, code, now + timedelta(seconds=30)) == seconds // 30
        assert matching_step(seed, code, now + timedelta(seconds=90)) is None


async def test_a_device_is_none_then_unconfirmed_then_active_then_none(world: World, ann: Person):
    await ann.set_password()
    seen = [[each.state for each in await devices(world)]]
    made = await ann.create_device(issuer="Acme Inc")
    seen.append([each.state for each in await devices(world)])
    confirmed = await ann.confirm(count=4)
    seen.append([each.state for each in await devices(world)])
    await world.mfa.DeleteMfaDevice(delete(), metadata=world.system)
    seen.append([each.state for each in await devices(world)])

    assert seen == [[], [credential_status_pb2.MFA_STATE_UNCONFIRMED], [credential_status_pb2.MFA_STATE_ACTIVE], []]
    assert made.seed_uri.startswith("otpauth://totp/Acme%20Inc:ann?secret=")
    assert len(set(confirmed.recovery_codes)) == confirmed.device.recovery_code_count == 4
    told = [each.type for each in await world.events() if each.type.startswith("mfa_device.")]
    assert told == ["mfa_device.created", "mfa_device.activated", "mfa_device.deleted"]


async def test_an_unconfirmed_device_asks_for_nothing(world: World, ann: Person):
    await ann.set_password()
    await ann.create_device()

    assert not (await ann.log_in()).session.mfa


async def test_a_second_create_replaces_the_seed_until_one_is_active(world: World, ann: Person):
    await ann.set_password()
    first = await ann.create_device()
    second = await ann.create_device()

    stale = await world.refusal(ann.confirm(pyotp.TOTP(first.seed).at(START)))
    await ann.confirm()
    third = await world.refusal(ann.create_device())

    assert first.seed != second.seed
    assert [(each.field, each.rule) for each in stale.violations] == [("code", "mismatch")]
    assert third.reason is Reason.RESOURCE_ALREADY_EXISTS


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"recovery_code_count": 21}, "recovery_code_count"),
        ({"recovery_code_count": -1}, "recovery_code_count"),
        ({"recovery_code_length": 7}, "recovery_code_length"),
        ({"recovery_code_length": 33}, "recovery_code_length"),
        ({"device_id": "x"}, "device_id"),
    ],
)
async def test_confirming_says_what_is_wrong_with_the_request(world: World, ann: Person, fields, field):
    await ann.create_device()
    fields = {"recovery_code_count": 1, **fields}

    request = mfa_service_pb2.ConfirmMfaDeviceRequest(user_id=USER.id, code=ann.code(), **fields)
    error = await world.refusal(world.mfa.ConfirmMfaDevice(request, metadata=world.system))

    assert [each.field for each in error.violations] == [field]
    assert [each.state for each in await devices(world)] == [credential_status_pb2.MFA_STATE_UNCONFIRMED]


async def test_recovery_codes_are_as_many_and_as_long_as_asked_for(world: World, ann: Person):
    await ann.set_password()
    await ann.create_device()

    confirmed = await ann.confirm(count=5, recovery_code_length=8)

    assert [len(each) for each in confirmed.recovery_codes] == [8] * 5


async def test_kb35_the_code_that_confirms_does_not_log_in(world: World, ann: Person):
    await ann.set_password()
    await ann.create_device()
    await ann.confirm()

    error = await world.refusal(ann.log_in(code=ann.code()))

    assert error.reason is Reason.CREDENTIAL_INVALID
    assert (await ann.log_in(code=ann.code(1))).session.mfa


async def test_kb35_no_step_is_accepted_twice_nor_an_earlier_one_after_it(world: World, ann: Person):
    await ann.set_password()
    await ann.set_up_mfa()
    earlier, present = ann.code(), ann.code(1)

    await ann.log_in(code=present)

    for code in (present, earlier):
        assert (await world.refusal(ann.log_in(code=code))).reason is Reason.CREDENTIAL_INVALID


async def test_kb35_fifty_parallel_uses_of_one_step_open_one_session(world: World, ann: Person):
    await world.hear("security_settings.updated", "x", settings(max_login_attempts=50))
    await ann.set_password()
    await ann.set_up_mfa()
    code = ann.code()

    results = await asyncio.gather(*(ann.log_in(code=code) for _ in range(50)), return_exceptions=True)

    assert sum(not isinstance(each, BaseException) for each in results) == 1


async def test_fifty_parallel_uses_of_one_recovery_code_open_one_session(world: World, ann: Person):
    await world.hear("security_settings.updated", "x", settings(max_login_attempts=50))
    await ann.set_password()
    await ann.set_up_mfa()

    results = await asyncio.gather(
        *(ann.log_in(recovery_code=ann.recovery_codes[0]) for _ in range(50)), return_exceptions=True
    )

    assert sum(not isinstance(each, BaseException) for each in results) == 1
    assert [each.recovery_code_count for each in await devices(world)] == [4]


async def test_replacing_recovery_codes_makes_the_old_ones_void(world: World, ann: Person):
    await ann.set_password()
    await ann.set_up_mfa()
    request = mfa_service_pb2.ReplaceRecoveryCodesRequest(
        user_id=USER.id,
        proof=password_pb2.UserProof(recovery_code=ann.recovery_codes[0]),
        recovery_code_count=2,
        request_id=fresh_id(),
    )

    fresh = await world.mfa.ReplaceRecoveryCodes(request, metadata=world.system)

    assert len(fresh.recovery_codes) == 2
    assert (await world.refusal(ann.log_in(recovery_code=ann.recovery_codes[1]))).reason is Reason.CREDENTIAL_INVALID
    assert (await ann.log_in(recovery_code=fresh.recovery_codes[0])).session.mfa
    events = [each for each in await world.events() if each.type == "recovery_codes.replaced"]
    assert len(events) == 1
    assert not any(code.encode() in events[0].SerializeToString() for code in fresh.recovery_codes)


async def test_kb29_whoever_takes_their_own_factor_away_shows_a_proof(world: World, ann: Person):
    await ann.set_password()
    key = await world.create_key(USER)
    await ann.set_up_mfa()
    own = (("authorization", f"Bearer {key.secret}"),)

    missing = await world.refusal(world.mfa.DeleteMfaDevice(delete(), metadata=own))
    wrong = await world.refusal(world.mfa.DeleteMfaDevice(delete(password="never-the-Right-1"), metadata=own))
    half = await world.refusal(world.mfa.DeleteMfaDevice(delete(password=PASSWORD), metadata=own))
    await world.mfa.DeleteMfaDevice(delete(recovery_code=ann.recovery_codes[0]), metadata=own)

    assert half.reason is Reason.SECOND_FACTOR_REQUIRED
    assert [(each.field, each.rule) for each in missing.violations] == [("proof", "required")]
    assert wrong.reason is Reason.CREDENTIAL_INVALID
    assert await devices(world) == []
    assert not (await ann.log_in()).session.mfa


async def test_a_session_opened_with_the_factor_is_proof_enough_and_ends_with_it(world: World, ann: Person):
    await ann.set_password()
    await ann.set_up_mfa()
    session = await ann.log_in(code=ann.code())

    await world.mfa.DeleteMfaDevice(delete(), metadata=bearer(session))

    ended = await world.refusal(world.authenticate(access_token=session.access_token.token))
    assert ended.reason is Reason.CREDENTIAL_REVOKED


async def test_taking_the_factor_away_begins_the_grace_period_anew(world: World, ann: Person):
    await world.hear("security_settings.updated", "x", settings(enforce_mfa=True))
    await ann.set_password()
    await ann.set_up_mfa()
    world.clock.advance(timedelta(days=100))

    await world.mfa.DeleteMfaDevice(delete(), metadata=world.system)

    assert (await ann.log_in()).access_token.token
    world.clock.advance(timedelta(days=3))
    assert (await world.refusal(ann.log_in())).reason is Reason.CREDENTIAL_LOCKED


async def recover(world, token, code, password=PASSWORD):
    return await world.mfa.CompleteMfaRecovery(
        mfa_service_pb2.CompleteMfaRecoveryRequest(login=login(), password=password, recovery_code=code, token=token)
    )


async def start(world, password=PASSWORD, **who):
    await world.mfa.StartMfaRecovery(mfa_service_pb2.StartMfaRecoveryRequest(login=login(**who), password=password))
    return secret_in(await new_mail(world))


async def test_a_lost_device_goes_for_password_recovery_code_and_mail_together(world: World, ann: Person):
    await ann.set_password()
    await ann.set_up_mfa()
    first = await start(world)
    token = await start(world)
    code, other = ann.recovery_codes[:2]

    for attempt in [
        recover(world, token, "aaaaaaaaaa"),
        recover(world, first, code),
        recover(world, token, code, "never-the-Right-1"),
        recover(world, token.partition(".")[2], code),
    ]:
        assert (await world.refusal(attempt)).reason is Reason.CREDENTIAL_INVALID
    assert len(await devices(world)) == 1
    await recover(world, token, code)

    assert await devices(world) == []
    assert (await world.refusal(recover(world, token, other))).reason is Reason.CREDENTIAL_INVALID
    assert not (await ann.log_in()).session.mfa


async def test_no_mail_goes_out_where_there_is_nothing_to_recover_from(world: World, ann: Person):
    await ann.set_password()

    nothing = await start(world)
    wrong = await world.refusal(start(world, "never-the-Right-1"))
    unknown = await world.refusal(start(world, name="nobody"))

    assert nothing == ""
    assert (wrong.reason, wrong.message) == (unknown.reason, unknown.message)
    assert wrong.reason is Reason.CREDENTIAL_INVALID


async def test_seeds_and_codes_are_in_no_event_and_no_file(world: World, ann: Person):
    await ann.set_password()
    await ann.set_up_mfa()
    await ann.log_in(code=ann.code())

    files = b"".join(path.read_bytes() for path in world.directory.rglob("*") if path.is_file())
    events = b"".join([each.SerializeToString() for each in await world.events()])

    for secret in (ann.seed, *ann.recovery_codes, PASSWORD):
        assert secret.encode() not in files
        assert secret.encode() not in events


async def test_a_rehearsed_device_and_its_codes_are_not_shown(world: World, ann: Person):
    rehearsed = await ann.create_device(validate_only=True)
    await ann.create_device()
    confirmed = await ann.confirm(validate_only=True)

    assert (rehearsed.seed, rehearsed.seed_uri, list(confirmed.recovery_codes)) == ("", "", [])
    assert [each.state for each in await devices(world)] == [credential_status_pb2.MFA_STATE_UNCONFIRMED]


async def test_strangers_and_users_without_a_device_are_told_apart_from_nothing(world: World):
    unknown = fresh_id()
    for method, request in [
        ("ListMfaDevices", mfa_service_pb2.ListMfaDevicesRequest(user_id=unknown)),
        ("ListGracePeriods", mfa_service_pb2.ListGracePeriodsRequest(user_id=unknown)),
        ("DeleteMfaDevice", mfa_service_pb2.DeleteMfaDeviceRequest(user_id=unknown)),
        ("DeleteMfaDevice", mfa_service_pb2.DeleteMfaDeviceRequest(user_id=OWNER.id)),
        ("ConfirmMfaDevice", mfa_service_pb2.ConfirmMfaDeviceRequest(user_id=OWNER.id, code="123456")),
    ]:
        error = await world.refusal(getattr(world.mfa, method)(request, metadata=world.system))
        assert error.reason is Reason.RESOURCE_NOT_FOUND, method


async def test_an_api_key_is_no_way_around_the_factor_into_a_session_that_claims_it(world: World, ann: Person):
    await ann.set_password()
    await ann.set_up_mfa()
    key = await world.create_key(USER)

    session = await world.create_session(key.secret)

    assert (list(session.session.methods), session.session.mfa) == (["api_key"], False)
