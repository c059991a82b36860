"""Side doors: what somebody tries who holds a part of a proof, an older one, or one that was meant for less."""

import base64
import json
from datetime import timedelta
from typing import Any

import grpc.aio
import pytest
from google.protobuf.duration_pb2 import Duration

from concord.common.v1.passport_pb2 import Ceiling
from concord.credentials.background.grace import GraceWatch
from concord.credentials.v1 import (
    api_key_service_pb2,
    mfa_service_pb2,
    oauth_client_pb2,
    oauth_client_service_pb2,
    password_pb2,
    session_service_pb2,
)
from concord.identity.v1.user_pb2 import USER_KIND_OWNER
from concord.kernel.errors import ConcordError, Reason
from concord.kernel.rpc.status import from_rpc_error
from credentials.making import USER, World, fresh_id, user_message
from credentials.oauth_making import OAuth
from credentials.people import OTHER_PASSWORD, PASSWORD, Person, background, bearer, settings
from credentials.trust_making import BOB, assume, caller, document, name_of, set_policy

DAY = timedelta(days=1)


@pytest.fixture
def ann(world: World) -> Person:
    return Person(world)


@pytest.fixture
async def bob(world: World) -> Person:
    """Somebody whom Ann trusts to act as her."""
    await world.hear("user.created", BOB.id, user_message(BOB, "bob"))
    await set_policy(world, USER, document(name_of("bob")))
    return Person(world, BOB, "bob")


@pytest.fixture
def oauth(world: World) -> OAuth:
    return OAuth(world)


async def renew(world: World, token: str, ttl: timedelta = DAY) -> Any:
    request = session_service_pb2.RenewSessionRequest(ttl=Duration(seconds=int(ttl.total_seconds())))
    return await world.sessions.RenewSession(request, metadata=(("authorization", f"Bearer {token}"),))


async def is_good(world: World, token: str) -> bool:
    return not isinstance(await outcome(world.authenticate(access_token=token)), ConcordError)


async def outcome(awaitable: Any) -> Any:
    """Return the answer of a call, or what it fails with."""
    try:
        return await awaitable
    except grpc.aio.AioRpcError as error:
        return from_rpc_error(error)


async def rotate(world: World, key: Any) -> Any:
    request = api_key_service_pb2.RotateApiKeyRequest(id=key.api_key.id, overlap=Duration(seconds=600))
    return await world.keys.RotateApiKey(request, metadata=world.system)


# Guesses at a password that no budget counts.


@pytest.mark.parametrize("way", ["must not exist", "request id of another request"])
async def test_kb25_a_password_that_cannot_be_set_is_not_compared_with_the_present_one(
    world: World, ann: Person, way: str
) -> None:
    fields: dict[str, Any] = {"must_not_exist": True}
    if way != "must not exist":
        fields = {"request_id": fresh_id()}
        await ann.set_password("first-Choice-77", **fields)
    await ann.set_password()

    told = [await world.refusal(ann.set_password(guess, **fields)) for guess in (PASSWORD, "never-the-Right-1")]

    assert told[0].reason is told[1].reason is not Reason.INVALID_FIELDS


# Second factors.


async def delete_device(world: World, metadata: Any, **proof: str) -> Any:
    request = mfa_service_pb2.DeleteMfaDeviceRequest(user_id=USER.id, proof=password_pb2.UserProof(**proof))
    return await world.mfa.DeleteMfaDevice(request, metadata=metadata)


async def test_kb21_the_second_factor_of_whoever_acts_as_a_user_is_not_that_users(
    world: World, ann: Person, bob: Person
) -> None:
    await ann.set_password()
    await ann.set_up_mfa()
    await bob.set_password()
    await bob.set_up_mfa()
    opened = await assume(world, bearer(await bob.log_in(code=bob.code())), username="ann")

    refused = await world.refusal(delete_device(world, bearer(opened)))

    assert refused.reason is Reason.PERMISSION_DENIED


async def replace_codes(world: World, metadata: Any, **proof: str) -> Any:
    request = mfa_service_pb2.ReplaceRecoveryCodesRequest(user_id=USER.id, proof=password_pb2.UserProof(**proof))
    return await world.mfa.ReplaceRecoveryCodes(request, metadata=metadata)


async def test_kb29_with_the_password_alone_nobody_gets_rid_of_the_second_factor(world: World, ann: Person) -> None:
    await ann.set_password()
    await ann.set_up_mfa()
    _, without = await caller(world, USER)

    refused = [
        await world.refusal(delete_device(world, without, password=PASSWORD)),
        await world.refusal(replace_codes(world, without, password=PASSWORD)),
    ]

    assert [each.reason for each in refused] == [Reason.SECOND_FACTOR_REQUIRED] * 2
    # Nothing that was shown was wrong.
    assert await ann.failures() == 0
    fresh = await replace_codes(world, without, recovery_code=ann.recovery_codes[0])
    await delete_device(world, without, password=PASSWORD, recovery_code=fresh.recovery_codes[0])
    assert not (await ann.log_in()).session.mfa


async def test_kb29_who_was_in_before_the_second_factor_is_out_with_it(
    world: World, ann: Person, bob: Person, oauth: OAuth
) -> None:
    await ann.set_password()
    mine, stolen = await ann.log_in(), await ann.log_in()
    program = await oauth.tokens(await oauth.client(), bearer(stolen), scope="openid offline_access")
    key = await world.create_session((await world.create_key(USER)).secret)
    acting = await assume(world, (await caller(world, BOB))[1], username="ann")
    await ann.create_device()

    request = mfa_service_pb2.ConfirmMfaDeviceRequest(user_id=USER.id, code=ann.code(), recovery_code_count=1)
    await world.mfa.ConfirmMfaDevice(request, metadata=bearer(mine))

    good = [await is_good(world, each.access_token.token) for each in (mine, stolen, program, key, acting)]
    assert good == [True, False, False, True, True]
    proved = await world.authenticate(access_token=mine.access_token.token)
    assert (proved.content.mfa, list(proved.content.methods)) == (True, ["session", "password", "totp"])
    # It counts as opened with the factor in all that is asked of it, once what was vouched for before is out of date.
    world.clock.advance(timedelta(minutes=5))
    await delete_device(world, bearer(mine))


async def test_kb29_the_login_that_a_program_showed_the_factor_in_stays(
    world: World, ann: Person, oauth: OAuth
) -> None:
    await ann.set_password()
    login, party = await ann.log_in(), await oauth.client(scopes=["credentials.mfa_devices.confirm"])
    program = await oauth.tokens(party, bearer(login), scope="credentials.mfa_devices.confirm")
    await ann.create_device()

    request = mfa_service_pb2.ConfirmMfaDeviceRequest(user_id=USER.id, code=ann.code())
    await world.mfa.ConfirmMfaDevice(request, metadata=bearer(program))

    assert [await is_good(world, each.access_token.token) for each in (login, program)] == [True, True]


@pytest.mark.parametrize("whose", ["the user", "an administrator"])
async def test_kb26_setting_up_and_taking_away_gives_no_more_time_without_the_factor(
    world: World, ann: Person, whose: str
) -> None:
    await world.hear("security_settings.updated", "x", settings(enforce_mfa=True))
    await ann.set_password()
    await ann.log_in()
    _, own = await caller(world, USER)
    for _ in range(3):
        world.clock.advance(timedelta(hours=20))
        await ann.set_up_mfa()
        if whose == "the user":
            await delete_device(world, own, code=ann.code())
        else:
            await delete_device(world, world.system)
    assert (await ann.log_in()).access_token.token

    world.clock.advance(timedelta(hours=20))

    if whose == "the user":
        assert (await world.refusal(ann.log_in())).reason is Reason.CREDENTIAL_LOCKED
    else:
        assert (await ann.log_in()).access_token.token


async def test_kb26_a_recovery_by_mail_gives_no_more_time_to_set_up_the_factor(world: World, ann: Person) -> None:
    await world.hear("security_settings.updated", "x", settings(enforce_mfa=True))
    await ann.set_password()
    await ann.log_in()
    world.clock.advance(3 * DAY)
    early = await ann.start_recovery()
    before_the_sweep = await outcome(ann.complete_recovery(early))
    await background(world, GraceWatch).sweep()
    late = await ann.start_recovery()
    after_the_sweep = await outcome(ann.complete_recovery(late))

    assert [before_the_sweep.reason, after_the_sweep.reason] == [Reason.CREDENTIAL_LOCKED] * 2
    assert (await world.refusal(ann.log_in())).reason is Reason.CREDENTIAL_LOCKED
    await ann.unlock()
    assert (await ann.log_in()).access_token.token


# Sessions that outlive what they rest on.


async def test_acting_as_somebody_is_not_prolonged_beyond_its_hour(world: World, bob: Person) -> None:
    _, metadata = await caller(world, BOB)
    opened = await assume(world, metadata, username="ann")

    renewed = await renew(world, opened.access_token.token)

    assert renewed.session.expire_time == opened.session.expire_time
    world.clock.advance(timedelta(hours=1))
    assert not await is_good(world, renewed.access_token.token)


async def test_whoever_becomes_the_owner_is_acted_as_by_nobody_from_then_on(world: World, bob: Person) -> None:
    _, metadata = await caller(world, BOB)
    opened = await assume(world, metadata, username="ann")

    await world.hear("user.updated", USER.id, user_message(USER, "ann", kind=USER_KIND_OWNER))

    assert not await is_good(world, opened.access_token.token)


async def test_acting_as_somebody_ends_with_the_session_that_it_began_in(world: World, bob: Person) -> None:
    await bob.set_password()
    login, other = await bob.log_in(), await bob.log_in()
    first = await assume(world, bearer(login), username="ann")
    kept = await assume(world, bearer(other), username="ann")

    revoke = session_service_pb2.RevokeSessionRequest(id=login.session.id)
    await world.sessions.RevokeSession(revoke, metadata=world.system)

    assert not await is_good(world, first.access_token.token)
    assert await is_good(world, kept.access_token.token)


@pytest.mark.parametrize("opened", ["before the rotation", "within the overlap"])
async def test_a_session_of_a_rotated_pair_is_not_prolonged_beyond_the_overlap(world: World, opened: str) -> None:
    key = await world.create_key(USER)
    if opened == "before the rotation":
        session = await world.create_session(key.secret)
        await rotate(world, key)
    else:
        await rotate(world, key)
        session = await world.create_session(key.secret)

    renewed = await renew(world, session.access_token.token)

    world.clock.advance(timedelta(seconds=599))
    assert await is_good(world, renewed.access_token.token)
    world.clock.advance(timedelta(seconds=1))
    assert not await is_good(world, renewed.access_token.token)


async def test_a_session_of_the_new_pair_is_prolonged_as_ever(world: World) -> None:
    key = await world.create_key(USER)
    fresh = await rotate(world, key)
    session = await world.create_session(fresh.secret)

    renewed = await renew(world, session.access_token.token)

    world.clock.advance(DAY - timedelta(seconds=1))
    assert await is_good(world, renewed.access_token.token)


async def test_a_client_that_a_rotated_pair_let_in_goes_with_the_overlap(world: World, oauth: OAuth) -> None:
    party = await oauth.client()
    key = await world.create_key(USER)
    await rotate(world, key)
    login = bearer(await world.create_session(key.secret))

    tokens = await oauth.tokens(party, login, scope="openid offline_access")

    world.clock.advance(timedelta(seconds=600))
    assert not await is_good(world, tokens.access_token.token)
    assert await oauth.error(oauth.refresh(party, tokens.refresh_token.token)) == "invalid_grant"


async def test_a_client_shown_a_temporary_password_is_in_for_as_long_as_that_is_good(
    world: World, oauth: OAuth, ann: Person
) -> None:
    await ann.set_password(temporary=True)
    party = await oauth.client(scopes=["identity.own_users.get"])

    tokens = await oauth.exchange(party, "password", username="ann", password=PASSWORD)

    world.clock.advance(DAY)
    assert await oauth.error(oauth.refresh(party, tokens.refresh_token.token)) == "invalid_grant"


# Limits and bindings that get lost on the way.


async def test_a_token_for_others_tells_the_limits_of_its_session(world: World) -> None:
    key = await world.create_key(USER, ceiling=Ceiling(scopes=["identity.users.list"]))
    session = await world.create_session(key.secret)

    issued = await world.sessions.IssueAudienceToken(
        session_service_pb2.IssueAudienceTokenRequest(audience="https://other.example"), metadata=bearer(session)
    )

    payload = issued.access_token.token.split(".")[1]
    said = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    assert said["ceiling"] == ["identity.users.list"]
    # Whoever makes a key chooses these names: elsewhere they must not be taken for something granted.
    assert "scope" not in said


async def test_kb23_a_code_that_went_to_an_address_since_taken_away_is_worth_nothing(
    world: World, oauth: OAuth
) -> None:
    party = await oauth.client()
    code, verifier = await oauth.code(party, await oauth.login())
    client = oauth_client_pb2.OAuthClient(id=party.message.id, redirect_uris=["https://app.example/other"])
    request = oauth_client_service_pb2.UpdateOAuthClientRequest(oauth_client=client)
    request.update_mask.paths.append("redirect_uris")

    await world.clients.UpdateOAuthClient(request, metadata=world.system)

    assert await oauth.error(oauth.exchange_code(party, code, verifier)) == "invalid_grant"


async def test_kb21_what_was_mailed_to_an_address_that_is_no_more_the_users_opens_nothing(
    world: World, ann: Person
) -> None:
    await ann.set_password()
    token = await ann.start_recovery()
    code = await ann.start_login()

    await world.hear("user.updated", USER.id, user_message(USER, "ann", primary_email="new@acme.example"))

    assert (await world.refusal(ann.complete_recovery(token, OTHER_PASSWORD))).reason is Reason.CREDENTIAL_INVALID
    assert (await world.refusal(ann.log_in_by_code(code))).reason is Reason.CREDENTIAL_INVALID
    assert (await ann.log_in()).access_token.token


@pytest.mark.parametrize("ending", ["deleted", "may do less"])
async def test_kb31_what_a_client_opened_as_somebody_else_goes_with_the_client(
    world: World, oauth: OAuth, bob: Person, ending: str
) -> None:
    party = await oauth.client(BOB)
    granted = await oauth.exchange(party, "client_credentials", scope="identity.users.list")
    opened = await assume(world, bearer(granted), username="ann")

    if ending == "deleted":
        request = oauth_client_service_pb2.DeleteOAuthClientRequest(id=party.message.id)
        await world.clients.DeleteOAuthClient(request, metadata=world.system)
    else:
        less = oauth_client_pb2.OAuthClient(id=party.message.id, scopes=["openid"])
        update = oauth_client_service_pb2.UpdateOAuthClientRequest(oauth_client=less)
        update.update_mask.paths.append("scopes")
        await world.clients.UpdateOAuthClient(update, metadata=world.system)

    assert not await is_good(world, opened.access_token.token)


# Much of everything.


async def test_limits_that_no_passport_could_carry_are_refused_by_name(world: World, oauth: OAuth) -> None:
    fits = [f"{number:029d}" for number in range(100)]
    key = await world.create_key(USER, ceiling=Ceiling(scopes=fits))
    party = await oauth.client(USER, scopes=[])
    granted = await oauth.exchange(party, "client_credentials", scope=" ".join(fits))
    long, wide = [f"{'s' * 250}{number}" for number in range(12)], ["\N{GRINNING FACE}" * 100] * 4

    keys = [await world.refusal(world.create_key(USER, ceiling=Ceiling(scopes=each))) for each in (long, wide)]
    client = await world.refusal(oauth.client(USER, scopes=long))
    asked = await oauth.error(oauth.exchange(party, "client_credentials", scope=" ".join(long)))

    for good in (key.secret, granted.access_token.token):
        lists = session_service_pb2.ListSessionsRequest()
        await world.sessions.ListSessions(lists, metadata=(("authorization", f"Bearer {good}"),))
    assert {each.violations[0].field for each in keys} == {"api_key.ceiling.scopes"}
    assert client.violations[0].field == "oauth_client.scopes"
    assert asked == "invalid_scope"
