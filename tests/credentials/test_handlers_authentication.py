"""Examined credentials over the wire: what is good, what is refused, and whose passport comes of it."""

from datetime import timedelta

import pytest

from concord.credentials.background.usage import Usage
from concord.credentials.v1 import (
    api_key_pb2,
    api_key_service_pb2,
    authentication_service_pb2,
    oauth_client_pb2,
    oauth_client_service_pb2,
)
from concord.identity.v1.application_pb2 import APPLICATION_STATE_ACTIVE, APPLICATION_STATE_SUSPENDED, Application
from concord.identity.v1.organization_pb2 import ORGANIZATION_STATE_SUSPENDED, Organization
from concord.kernel.errors import Reason
from concord.kernel.rpc.passports import PASSPORT_TYPE, token_type
from concord.kernel.rpc.wire import instant_to_wire
from credentials.making import APPLICATION, USER, World, key_update, pair, principal_message, shown
from credentials.people import background
from fakes import ORGANIZATION, START

UUID_SECRET = api_key_pb2.KeyFormat(access_id_prefix="SCW", access_id_length=17, secret_is_uuid=True)


async def test_a_new_key_authenticates_by_pair_and_by_its_secret_alone(world: World):
    key = await world.create_key(key_format=UUID_SECRET)

    by_pair = await world.authenticate(api_key=pair(key))
    alone = await world.authenticate(api_key=authentication_service_pb2.ApiKeyCredential(secret=key.secret))

    assert key.api_key.access_id.startswith("SCW")
    assert len(key.api_key.access_id) == 20
    assert key.api_key.secret_identifies
    for answer in (by_pair, alone):
        assert answer.content.principal == principal_message(APPLICATION)
        assert answer.content.api_key_id == key.api_key.id
        assert list(answer.content.methods) == ["api_key"]
        assert token_type(answer.passport) == PASSPORT_TYPE


async def test_a_passport_opens_the_next_call(world: World):
    key = await world.create_key(USER)
    answer = await world.authenticate(bearer_token=key.secret)

    found = await world.keys.GetApiKey(
        api_key_service_pb2.GetApiKeyRequest(id=key.api_key.id), metadata=shown(answer.passport)
    )

    assert found == key.api_key
    assert world.decisions.asked[-1].passport.principal == USER


async def test_an_unknown_id_and_a_wrong_secret_are_the_same_refusal(world: World):
    key = await world.create_key()
    other = await world.create_key()

    unknown = authentication_service_pb2.ApiKeyCredential(access_id="KEYUNKNOWN", secret=key.secret)
    refusals = [
        await world.refusal(world.authenticate(api_key=unknown)),
        await world.refusal(world.authenticate(api_key=pair(key, other.secret))),
        await world.refusal(world.authenticate(api_key=pair(key, "x" * 43))),
        await world.refusal(world.authenticate(bearer_token="x" * 43)),
        await world.refusal(world.authenticate(access_token="cct_nothing")),
    ]

    assert {(each.reason, each.message) for each in refusals} == {(Reason.CREDENTIAL_INVALID, refusals[0].message)}


async def test_a_short_secret_does_not_authenticate_alone(world: World):
    key = await world.create_key(key_format=api_key_pb2.KeyFormat(secret_length=16))

    error = await world.refusal(world.authenticate(bearer_token=key.secret))
    answer = await world.authenticate(api_key=pair(key))

    assert not key.api_key.secret_identifies
    assert error.reason is Reason.CREDENTIAL_INVALID
    assert answer.content.api_key_id == key.api_key.id


async def test_a_key_is_refused_from_the_very_instant_of_its_expiry(world: World):
    end = START + timedelta(minutes=2)
    key = await world.create_key(expire_time=instant_to_wire(end))

    world.clock.set(end - timedelta(microseconds=1))
    last = await world.authenticate(api_key=pair(key))
    world.clock.set(end)
    error = await world.refusal(world.authenticate(api_key=pair(key)))

    assert last.expire_time == instant_to_wire(end)
    assert error.reason is Reason.CREDENTIAL_EXPIRED


async def test_a_passport_lives_five_minutes_at_most(world: World):
    key = await world.create_key()

    answer = await world.authenticate(api_key=pair(key))

    assert answer.expire_time == instant_to_wire(START + timedelta(minutes=5))


async def test_a_deleted_key_and_its_sessions_are_refused_as_revoked(world: World):
    key = await world.create_key()
    session = await world.create_session(key.secret)

    await world.keys.DeleteApiKey(api_key_service_pb2.DeleteApiKeyRequest(id=key.api_key.id), metadata=world.system)

    by_key = await world.refusal(world.authenticate(api_key=pair(key)))
    by_session = await world.refusal(world.authenticate(access_token=session.access_token.token))
    wrong = await world.refusal(world.authenticate(api_key=pair(key, "x" * 43)))
    gone = await world.refusal(
        world.keys.GetApiKey(api_key_service_pb2.GetApiKeyRequest(id=key.api_key.id), metadata=world.system)
    )
    assert by_key.reason is by_session.reason is Reason.CREDENTIAL_REVOKED
    assert wrong.reason is Reason.CREDENTIAL_INVALID
    assert gone.reason is Reason.RESOURCE_NOT_FOUND


async def test_a_suspended_key_is_refused_until_it_is_active_again(world: World):
    key = await world.create_key()
    session = await world.create_session(key.secret)

    await world.keys.UpdateApiKey(
        key_update(key, "state", state=api_key_pb2.API_KEY_STATE_SUSPENDED), metadata=world.system
    )
    suspended = await world.refusal(world.authenticate(api_key=pair(key)))
    its_session = await world.refusal(world.authenticate(access_token=session.access_token.token))
    await world.keys.UpdateApiKey(
        key_update(key, "state", state=api_key_pb2.API_KEY_STATE_ACTIVE), metadata=world.system
    )

    assert suspended.reason is its_session.reason is Reason.CREDENTIAL_REVOKED
    assert (await world.authenticate(api_key=pair(key))).content.api_key_id == key.api_key.id


async def everything_of_the_application(world: World):
    key = await world.create_key()
    session = await world.create_session(key.secret)
    client = await world.create_client()
    shown = authentication_service_pb2.ClientCredential(
        client_id=client.oauth_client.client_id, client_secret=client.secret
    )
    credentials = {
        "key": {"api_key": pair(key)},
        "secret": {"bearer_token": key.secret},
        "session": {"access_token": session.access_token.token},
        "client": {"client": shown},
    }
    for each in credentials.values():
        assert (await world.authenticate(**each)).content.principal == principal_message(APPLICATION)
    return credentials


@pytest.mark.parametrize(
    ("type", "message", "reason"),
    [
        ("application.updated", Application(state=APPLICATION_STATE_SUSPENDED), Reason.PRINCIPAL_SUSPENDED),
        ("application.deleted", None, Reason.PRINCIPAL_DELETED),
        ("organization.updated", Organization(state=ORGANIZATION_STATE_SUSPENDED), Reason.PRINCIPAL_SUSPENDED),
    ],
)
async def test_kb31_no_credential_of_an_ended_principal_authenticates(world: World, type, message, reason):
    credentials = await everything_of_the_application(world)

    await world.hear(type, ORGANIZATION if "organization" in type else APPLICATION.id, message)

    refused = {name: (await world.refusal(world.authenticate(**each))).reason for name, each in credentials.items()}
    assert refused == dict.fromkeys(credentials, reason)


async def test_kb31_a_deleted_organization_has_no_credentials(world: World):
    credentials = await everything_of_the_application(world)

    await world.hear("organization.deleted", ORGANIZATION)

    del credentials["session"]  # forgotten, so it is merely unknown
    refused = {(await world.refusal(world.authenticate(**each))).reason for each in credentials.values()}
    assert refused == {Reason.PRINCIPAL_DELETED}


async def test_keys_return_with_their_principal_and_sessions_do_not(world: World):
    credentials = await everything_of_the_application(world)

    await world.hear("application.updated", APPLICATION.id, Application(state=APPLICATION_STATE_SUSPENDED))
    await world.hear("application.updated", APPLICATION.id, Application(state=APPLICATION_STATE_ACTIVE))

    error = await world.refusal(world.authenticate(**credentials["session"]))
    assert error.reason is Reason.CREDENTIAL_REVOKED
    assert (await world.authenticate(**credentials["key"])).passport


async def test_kb36_a_recreated_client_does_not_inherit_the_secret(world: World):
    first = await world.create_client(client_id="robot")
    await world.clients.DeleteOAuthClient(
        oauth_client_service_pb2.DeleteOAuthClientRequest(id=first.oauth_client.id), metadata=world.system
    )
    second = await world.create_client(USER, client_id="robot")

    shown = authentication_service_pb2.ClientCredential(client_id="robot", client_secret=first.secret)
    error = await world.refusal(world.authenticate(client=shown))
    shown.client_secret = second.secret
    answer = await world.authenticate(client=shown)

    assert error.reason is Reason.CREDENTIAL_REVOKED
    assert second.oauth_client.id != first.oauth_client.id
    assert answer.content.principal == principal_message(USER)


async def test_a_clients_passport_names_the_client_and_its_scopes_are_the_ceiling(world: World):
    client = await world.create_client(scopes=["reader"])
    shown = authentication_service_pb2.ClientCredential(
        client_id=client.oauth_client.client_id, client_secret=client.secret
    )

    answer = await world.authenticate(client=shown)
    wrong = await world.refusal(
        world.authenticate(
            client=authentication_service_pb2.ClientCredential(client_id="other", client_secret=client.secret)
        )
    )

    assert answer.content.api_key_id == client.oauth_client.id
    assert list(answer.content.ceiling.scopes) == ["reader"]
    assert list(answer.content.methods) == ["oauth_client"]
    assert wrong.reason is Reason.CREDENTIAL_INVALID


async def test_a_public_client_has_no_secret(world: World):
    client = await world.create_client(auth_method=oauth_client_pb2.CLIENT_AUTH_METHOD_NONE)

    assert client.secret == ""
    assert not client.oauth_client.secrets


async def test_use_is_noted_once_a_minute_and_off_the_path(world: World):
    key = await world.create_key()
    usage = background(world, Usage)
    get = api_key_service_pb2.GetApiKeyRequest(id=key.api_key.id)

    await world.authenticate(api_key=pair(key))
    before = await world.keys.GetApiKey(get, metadata=world.system)
    await usage.flush()
    noted = await world.keys.GetApiKey(get, metadata=world.system)
    world.clock.advance(timedelta(seconds=59))
    await world.authenticate(api_key=pair(key))
    await usage.flush()
    same = await world.keys.GetApiKey(get, metadata=world.system)
    world.clock.advance(timedelta(seconds=1))
    await world.authenticate(api_key=pair(key))
    await usage.flush()
    moved = await world.keys.GetApiKey(get, metadata=world.system)

    assert not before.HasField("last_used_time")
    assert noted.last_used_time == same.last_used_time == instant_to_wire(START)
    assert moved.last_used_time == instant_to_wire(START + timedelta(minutes=1))
    assert moved.version == key.api_key.version


async def test_the_callers_place_is_believed_from_our_own_processes_only(world: World):
    key = await world.create_key()
    request = authentication_service_pb2.AuthenticateRequest(
        api_key=pair(key), caller_address="203.0.113.9", caller_agent="agent/1"
    )

    stranger = await world.authentication.Authenticate(request)
    gateway = await world.authentication.Authenticate(request, metadata=shown(world.token("gateway")()))

    assert stranger.content.caller_address == ""
    assert (gateway.content.caller_address, gateway.content.caller_agent) == ("203.0.113.9", "agent/1")


async def test_the_published_key_is_the_one_that_signs(world: World):
    first = await world.authentication.ListPassportKeys(authentication_service_pb2.ListPassportKeysRequest())

    assert len(first.keys) == 1
    assert first.keys[0].algorithm == "Ed25519"
    assert len(first.keys[0].public_key) == 32
