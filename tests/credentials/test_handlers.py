"""The service on the real chain: keys, sessions, clients, passwords, and what refuses them."""

import asyncio
from datetime import timedelta

import grpc.aio
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask

from concord.common.v1.passport_pb2 import Ceiling
from concord.credentials.model import SESSION_TTL
from concord.credentials.operations.sessions import KEPT
from concord.credentials.v1 import (
    api_key_pb2,
    api_key_service_pb2,
    authentication_service_pb2,
    oauth_client_pb2,
    oauth_client_service_pb2,
    password_service_pb2,
    session_pb2,
    session_service_pb2,
    status_service_pb2,
)
from concord.identity.v1.application_pb2 import APPLICATION_STATE_ACTIVE, APPLICATION_STATE_SUSPENDED, Application
from concord.identity.v1.organization_pb2 import ORGANIZATION_STATE_SUSPENDED, Organization
from concord.identity.v1.project_pb2 import Project
from concord.identity.v1.security_settings_pb2 import SecuritySettings
from concord.kernel.errors import Reason
from concord.kernel.principal import PrincipalKind, PrincipalRef, TargetClass
from concord.kernel.rpc.passports import PASSPORT_TYPE, token_type
from concord.kernel.rpc.wire import instant_to_wire
from concord.policy.v1.quota_pb2 import Quota
from credentials.making import APPLICATION, OWNER, PROJECT, USER, World, fresh_id, principal_message
from fakes import ORGANIZATION, OTHER_ORGANIZATION, START

UUID_SECRET = api_key_pb2.KeyFormat(access_id_prefix="SCW", access_id_length=17, secret_is_uuid=True)


def pair(key, secret=None):
    return authentication_service_pb2.ApiKeyCredential(access_id=key.api_key.access_id, secret=secret or key.secret)


def update(key, *paths, **fields):
    return api_key_service_pb2.UpdateApiKeyRequest(
        api_key=api_key_pb2.ApiKey(id=key.api_key.id, **fields), update_mask=FieldMask(paths=paths)
    )


def bearer(secret):
    return (("authorization", f"Bearer {secret}"),)


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
        api_key_service_pb2.GetApiKeyRequest(id=key.api_key.id), metadata=bearer(answer.passport)
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
        update(key, "state", state=api_key_pb2.API_KEY_STATE_SUSPENDED), metadata=world.system
    )
    suspended = await world.refusal(world.authenticate(api_key=pair(key)))
    its_session = await world.refusal(world.authenticate(access_token=session.access_token.token))
    await world.keys.UpdateApiKey(update(key, "state", state=api_key_pb2.API_KEY_STATE_ACTIVE), metadata=world.system)

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


async def test_old_sessions_are_forgotten_in_the_background(world: World):
    key = await world.create_key()
    session = await world.create_session(key.secret)
    world.clock.advance(KEPT + SESSION_TTL + timedelta(seconds=1))
    trim = next(each for each in world.service.background if each.__name__ == "trim")

    task = asyncio.ensure_future(trim())
    get = session_service_pb2.GetSessionRequest(id=session.session.id)
    async with asyncio.timeout(10):
        while True:
            try:
                await world.sessions.GetSession(get, metadata=world.system)
            except grpc.aio.AioRpcError:
                break
    task.cancel()

    error = await world.refusal(world.authenticate(access_token=session.access_token.token))
    assert error.reason is Reason.CREDENTIAL_INVALID


async def test_kb36_access_ids_are_never_given_out_again_and_numbers_neither(world: World):
    first = await world.create_key()
    await world.keys.DeleteApiKey(api_key_service_pb2.DeleteApiKeyRequest(id=first.api_key.id), metadata=world.system)
    second = await world.create_key()

    assert second.api_key.number == first.api_key.number + 1
    assert second.api_key.access_id != first.api_key.access_id


async def test_the_secret_is_in_one_answer_and_nowhere_else(world: World, caplog, tmp_path):
    caplog.set_level("DEBUG")
    key = await world.create_key(secret_recoverable=True)
    session = await world.create_session(key.secret)
    client = await world.create_client()
    password = "correct horse battery"
    await world.passwords.SetPassword(
        password_service_pb2.SetPasswordRequest(user_id=USER.id, password=password, request_id=fresh_id()),
        metadata=world.system,
    )
    error = await world.refusal(world.authenticate(api_key=pair(key, key.secret + "x")))

    listed = await world.keys.ListApiKeys(api_key_service_pb2.ListApiKeysRequest(), metadata=world.system)
    clients = await world.clients.ListOAuthClients(
        oauth_client_service_pb2.ListOAuthClientsRequest(), metadata=world.system
    )
    events = b"".join([each.SerializeToString() for each in await world.events()])
    files = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    for secret in (key.secret, session.access_token.token, client.secret, password):
        assert secret
        assert secret not in str(listed) + str(clients) + str(error) + repr(vars(error)) + caplog.text
        assert secret.encode() not in events
        assert len(files) > 1
        assert not [each for each in files if secret.encode() in each]


async def test_a_repeated_request_gets_the_same_secret_for_ten_minutes(world: World):
    request_id = fresh_id()
    first = await world.create_key(request_id=request_id)
    again = await world.create_key(request_id=request_id)
    other = await world.refusal(world.create_key(request_id=request_id, name="another"))
    world.clock.advance(timedelta(minutes=10))
    late = await world.refusal(world.create_key(request_id=request_id))

    assert again == first
    assert other.reason is Reason.REQUEST_ID_REUSED
    assert late.reason is Reason.REQUEST_ANSWER_EXPIRED


async def test_a_check_makes_no_key_and_shows_no_secret(world: World):
    tried = await world.create_key(validate_only=True)
    listed = await world.keys.ListApiKeys(
        api_key_service_pb2.ListApiKeysRequest(with_total_size=True), metadata=world.system
    )

    assert tried.api_key.access_id
    assert tried.secret == ""
    assert listed.total_size == 0


async def test_fifty_creations_at_once_stop_exactly_at_the_quota(world: World):
    await world.hear("quota.set", "api_keys", Quota(name="api_keys", limit=20), source="policy")

    outcomes = await asyncio.gather(*(world.create_key() for _ in range(50)), return_exceptions=True)

    made = [each for each in outcomes if not isinstance(each, BaseException)]
    error = await world.refusal(world.create_key())
    assert len(made) == 20
    assert len({each.api_key.number for each in made}) == 20
    assert error.reason is Reason.QUOTA_EXCEEDED
    assert error.metadata["limit"] == "20"


async def test_the_default_quota_is_fifty_and_may_be_lifted(world: World):
    for _ in range(50):
        await world.create_key()
    refused = await world.refusal(world.create_key())

    await world.hear("quota.set", "api_keys", Quota(name="api_keys", unlimited=True), source="policy")

    assert refused.reason is Reason.QUOTA_EXCEEDED
    assert (await world.create_key()).secret


async def test_an_unknown_bearer_and_an_unknown_project_are_not_found(world: World):
    stranger = PrincipalRef(PrincipalKind.USER, fresh_id())

    bearer_error = await world.refusal(world.create_key(stranger))
    project_error = await world.refusal(world.create_key(default_project_id=PROJECT))
    await world.hear("project.created", PROJECT, Project(id=PROJECT))
    key = await world.create_key(default_project_id=PROJECT)

    assert (bearer_error.resource_type, bearer_error.reason) == ("user", Reason.RESOURCE_NOT_FOUND)
    assert (project_error.resource_type, project_error.reason) == ("project", Reason.RESOURCE_NOT_FOUND)
    assert key.api_key.default_project_id == PROJECT


async def test_a_deleted_project_leaves_its_keys_to_the_default_one(world: World):
    await world.hear("project.created", PROJECT, Project(id=PROJECT))
    key = await world.create_key(default_project_id=PROJECT)

    await world.hear("project.deleted", PROJECT)

    found = await world.keys.GetApiKey(
        api_key_service_pb2.GetApiKeyRequest(access_id=key.api_key.access_id), metadata=world.system
    )
    assert found.default_project_id == ORGANIZATION


async def test_the_expiry_is_set_once_and_lies_ahead(world: World):
    key = await world.create_key()
    soon, later = instant_to_wire(START + timedelta(hours=1)), instant_to_wire(START + timedelta(hours=2))

    past = await world.refusal(
        world.keys.UpdateApiKey(update(key, "expire_time", expire_time=instant_to_wire(START)), metadata=world.system)
    )
    changed = await world.keys.UpdateApiKey(update(key, "expire_time", expire_time=soon), metadata=world.system)
    twice = await world.refusal(
        world.keys.UpdateApiKey(update(key, "expire_time", expire_time=later), metadata=world.system)
    )
    cleared = await world.refusal(world.keys.UpdateApiKey(update(key, "expire_time"), metadata=world.system))
    born_dead = await world.refusal(world.create_key(expire_time=instant_to_wire(START)))

    assert past.reason is born_dead.reason is Reason.INVALID_FIELDS
    assert changed.expire_time == soon
    assert twice.reason is cleared.reason is Reason.INVALID_STATE


async def test_a_shortened_key_shortens_its_sessions(world: World):
    key = await world.create_key()
    session = await world.create_session(key.secret)
    end = START + timedelta(minutes=1)

    await world.keys.UpdateApiKey(update(key, "expire_time", expire_time=instant_to_wire(end)), metadata=world.system)
    world.clock.set(end)

    error = await world.refusal(world.authenticate(access_token=session.access_token.token))
    assert error.reason is Reason.CREDENTIAL_EXPIRED


async def test_the_longest_lifetime_binds_new_keys_only(world: World):
    old = await world.create_key()
    settings = SecuritySettings(max_api_key_ttl=Duration(seconds=3600))
    await world.hear("security_settings.updated", ORGANIZATION, settings)

    without = await world.refusal(world.create_key())
    too_late = await world.refusal(
        world.create_key(expire_time=instant_to_wire(START + timedelta(seconds=3600, microseconds=1)))
    )
    at_the_limit = await world.create_key(expire_time=instant_to_wire(START + timedelta(seconds=3600)))

    assert [each.violations[0].field for each in (without, too_late)] == ["api_key.expire_time"] * 2
    assert at_the_limit.secret
    assert (await world.authenticate(api_key=pair(old))).passport


async def test_a_stale_etag_changes_nothing(world: World):
    key = await world.create_key()
    first = await world.keys.UpdateApiKey(update(key, "description", description="a"), metadata=world.system)

    stale = update(key, "description", description="b", etag=key.api_key.etag)
    error = await world.refusal(world.keys.UpdateApiKey(stale, metadata=world.system))

    found = await world.keys.GetApiKey(api_key_service_pb2.GetApiKeyRequest(id=key.api_key.id), metadata=world.system)
    assert error.reason is Reason.ETAG_MISMATCH
    assert found == first
    assert found.description == "a"
    assert found.update_time == first.update_time


@pytest.mark.parametrize("path", ["bearer", "access_id", "secret_recoverable", "nothing", "ceiling"])
async def test_a_mask_names_only_what_may_change(world: World, path):
    key = await world.create_key()

    error = await world.refusal(world.keys.UpdateApiKey(update(key, path), metadata=world.system))

    assert error.reason is Reason.INVALID_FIELDS


async def test_the_plain_permission_does_not_reach_the_owners_keys(world: World):
    owners = await world.create_key(OWNER)
    others = await world.create_key(APPLICATION)
    world.decisions.grant(TargetClass.ANY, TargetClass.OWN)

    made = await world.refusal(world.create_key(OWNER))
    got = await world.refusal(
        world.keys.GetApiKey(api_key_service_pb2.GetApiKeyRequest(id=owners.api_key.id), metadata=world.system)
    )
    deleted = await world.refusal(
        world.keys.DeleteApiKey(api_key_service_pb2.DeleteApiKeyRequest(id=owners.api_key.id), metadata=world.system)
    )
    listed = await world.keys.ListApiKeys(
        api_key_service_pb2.ListApiKeysRequest(with_total_size=True), metadata=world.system
    )

    assert made.reason is got.reason is deleted.reason is Reason.PERMISSION_DENIED
    assert [each.id for each in listed.api_keys] == [others.api_key.id]
    assert listed.total_size == 1


async def test_own_rights_reach_own_keys_only(world: World):
    mine = await world.create_key(USER)
    foreign = await world.create_key(APPLICATION)
    world.decisions.grant(TargetClass.OWN)
    me = bearer(mine.secret)

    listed = await world.keys.ListApiKeys(api_key_service_pb2.ListApiKeysRequest(), metadata=me)
    updated = await world.keys.UpdateApiKey(update(mine, "name", name="n"), metadata=me)
    refused = await world.refusal(world.keys.UpdateApiKey(update(foreign, "name", name="n"), metadata=me))

    assert [each.id for each in listed.api_keys] == [mine.api_key.id]
    assert updated.name == "n"
    assert refused.reason is Reason.PERMISSION_DENIED


async def test_kb27_another_organization_is_as_unknown_as_none(world: World):
    key = await world.create_key()
    foreign = (("authorization", f"Bearer {world.token('system', OTHER_ORGANIZATION)()}"),)

    got = await world.refusal(
        world.keys.GetApiKey(api_key_service_pb2.GetApiKeyRequest(id=key.api_key.id), metadata=foreign)
    )
    named = await world.refusal(
        world.keys.GetApiKey(api_key_service_pb2.GetApiKeyRequest(access_id=key.api_key.access_id), metadata=foreign)
    )
    deleted = await world.refusal(
        world.keys.DeleteApiKey(api_key_service_pb2.DeleteApiKeyRequest(id=key.api_key.id), metadata=foreign)
    )
    listed = await world.refusal(
        world.keys.ListApiKeys(
            api_key_service_pb2.ListApiKeysRequest(organization_id=OTHER_ORGANIZATION), metadata=world.system
        )
    )

    assert {each.reason for each in (got, named, deleted, listed)} == {Reason.RESOURCE_NOT_FOUND}


async def test_a_session_lasts_an_hour_or_as_long_as_asked(world: World):
    key = await world.create_key()
    end = START + timedelta(minutes=90)
    short_key = await world.create_key(expire_time=instant_to_wire(end))

    usual = await world.create_session(key.secret)
    longer = await world.create_session(key.secret, ttl=Duration(seconds=7200))
    bound = await world.create_session(short_key.secret, ttl=Duration(seconds=7200))
    too_long = await world.refusal(world.create_session(key.secret, ttl=Duration(seconds=31 * 86400)))

    assert usual.session.expire_time == instant_to_wire(START + SESSION_TTL)
    assert longer.access_token.expire_time == instant_to_wire(START + timedelta(hours=2))
    assert bound.session.expire_time == instant_to_wire(end)
    assert too_long.violations[0].field == "ttl"


async def test_a_session_is_its_principals_and_says_how_it_came(world: World):
    key = await world.create_key(USER, ceiling=Ceiling(scopes=["reader"]))
    session = await world.create_session(key.secret)

    answer = await world.authenticate(bearer_token=session.access_token.token)
    events = [each for each in await world.events() if each.type == "session.created"]

    assert answer.content.session_id == session.session.id
    assert answer.content.api_key_id == key.api_key.id
    assert list(answer.content.methods) == ["session", "api_key"]
    assert list(answer.content.ceiling.scopes) == ["reader"]
    assert events[0].author.principal == principal_message(USER)


async def test_a_revoked_session_has_ended(world: World):
    key = await world.create_key()
    session = await world.create_session(key.secret)

    for _ in range(2):
        await world.sessions.RevokeSession(
            session_service_pb2.RevokeSessionRequest(id=session.session.id), metadata=world.system
        )

    error = await world.refusal(world.authenticate(access_token=session.access_token.token))
    found = await world.sessions.GetSession(
        session_service_pb2.GetSessionRequest(id=session.session.id), metadata=world.system
    )
    assert error.reason is Reason.CREDENTIAL_REVOKED
    assert found.state == session_pb2.SESSION_STATE_ENDED
    assert [each.type for each in await world.events()].count("session.ended") == 1


async def test_revoking_all_sessions_leaves_keys_and_others_alone(world: World):
    mine, other = await world.create_key(USER), await world.create_key(APPLICATION)
    sessions = [await world.create_session(mine.secret) for _ in range(3)]
    spared = await world.create_session(other.secret)

    await world.sessions.RevokeAllSessions(
        session_service_pb2.RevokeAllSessionsRequest(principal=principal_message(USER)), metadata=world.system
    )

    for each in sessions:
        error = await world.refusal(world.authenticate(access_token=each.access_token.token))
        assert error.reason is Reason.CREDENTIAL_REVOKED
    assert (await world.authenticate(access_token=spared.access_token.token)).passport
    live = await world.sessions.ListSessions(
        session_service_pb2.ListSessionsRequest(live_only=True), metadata=world.system
    )
    assert [each.id for each in live.sessions] == [spared.session.id]
    assert (await world.create_session(mine.secret)).access_token.token


async def test_setting_a_password_ends_the_users_sessions(world: World):
    key = await world.create_key(USER)
    session = await world.create_session(key.secret)
    request = password_service_pb2.SetPasswordRequest(user_id=USER.id, password="a")

    first = await world.passwords.SetPassword(request, metadata=world.system)
    second = await world.passwords.SetPassword(request, metadata=world.system)
    request.must_not_exist = True
    taken = await world.refusal(world.passwords.SetPassword(request, metadata=world.system))

    error = await world.refusal(world.authenticate(access_token=session.access_token.token))
    assert (first.version, second.version) == (1, 2)
    assert taken.reason is Reason.RESOURCE_ALREADY_EXISTS
    assert error.reason is Reason.CREDENTIAL_REVOKED


@pytest.mark.parametrize(("length", "rule"), [(0, "min_length"), (1, ""), (512, ""), (513, "max_length")])
async def test_a_password_has_one_to_five_hundred_and_twelve_characters(world: World, length, rule):
    answer = await world.passwords.CheckPassword(
        password_service_pb2.CheckPasswordRequest(password="ß" * length), metadata=world.system
    )

    assert answer.valid is not bool(rule)
    assert [each.rule for each in answer.violations] == ([rule] if rule else [])


async def test_statuses_come_in_the_order_asked_and_leave_out_strangers(world: World):
    await world.create_key(USER)
    await world.create_key(USER)
    await world.passwords.SetPassword(
        password_service_pb2.SetPasswordRequest(user_id=USER.id, password="a", temporary=True), metadata=world.system
    )
    stranger = PrincipalRef(PrincipalKind.USER, fresh_id())

    asked = [principal_message(each) for each in (APPLICATION, stranger, USER, APPLICATION)]
    answer = await world.statuses.ListCredentialStatuses(
        status_service_pb2.ListCredentialStatusesRequest(principals=asked), metadata=world.system
    )

    assert [each.principal for each in answer.statuses] == [asked[0], asked[2]]
    assert not answer.statuses[0].has_password
    assert answer.statuses[1].has_password
    assert answer.statuses[1].password_temporary
    assert answer.statuses[1].api_key_count == 2


async def test_a_deleted_user_leaves_no_credential_and_each_end_is_told(world: World):
    keys = [await world.create_key(USER) for _ in range(2)]
    client = await world.create_client(USER)
    await world.passwords.SetPassword(
        password_service_pb2.SetPasswordRequest(user_id=USER.id, password="a"), metadata=world.system
    )

    await world.hear("user.deleted", USER.id)

    told = [(each.type, each.resource_id) for each in await world.events() if each.type.endswith("deleted")]
    assert sorted(told) == sorted(
        [
            *(("api_key.deleted", each.api_key.id) for each in keys),
            ("oauth_client.deleted", client.oauth_client.id),
            ("password.deleted", USER.id),
        ]
    )


async def test_use_is_noted_once_a_minute_and_off_the_path(world: World):
    key = await world.create_key()
    usage = next(each.__self__ for each in world.service.background if hasattr(each, "__self__"))
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
    gateway = await world.authentication.Authenticate(request, metadata=bearer(world.token("gateway")()))

    assert stranger.content.caller_address == ""
    assert (gateway.content.caller_address, gateway.content.caller_agent) == ("203.0.113.9", "agent/1")


async def test_lists_page_filter_and_sort(world: World):
    ends = instant_to_wire(START + timedelta(minutes=1))
    first = await world.create_key(USER, description="alpha 100%", expire_time=ends)
    second = await world.create_key(APPLICATION, description="Beta")
    third = await world.create_key(APPLICATION, name="gamma")
    world.clock.advance(timedelta(minutes=1))

    async def listed(**fields):
        request = api_key_service_pb2.ListApiKeysRequest(**fields)
        answer = await world.keys.ListApiKeys(request, metadata=world.system)
        return [each.id for each in answer.api_keys]

    a, b, c = (each.api_key.id for each in (first, second, third))
    assert await listed(order_by="number") == [a, b, c]
    assert await listed(order_by="number desc") == [c, b, a]
    assert await listed(order_by="expire_time, number") == [a, b, c]
    assert await listed(expired=True) == [a]
    assert await listed(expired=False, order_by="number") == [b, c]
    assert await listed(text="BETA") == [b]
    assert await listed(description="100%") == [a]
    assert await listed(description="100_") == []
    assert await listed(text="GAMMA") == [c]
    assert await listed(editable=False) == []
    assert await listed(bearers=[principal_message(USER)]) == [a]
    assert await listed(bearer_kind=principal_message(APPLICATION).kind, order_by="number") == [b, c]
    assert await listed(access_ids=[second.api_key.access_id]) == [b]
    assert await listed(ids=[fresh_id()]) == []

    page = await world.keys.ListApiKeys(
        api_key_service_pb2.ListApiKeysRequest(page_size=2, order_by="number"), metadata=world.system
    )
    rest = await world.keys.ListApiKeys(
        api_key_service_pb2.ListApiKeysRequest(page_size=2, order_by="number", page_token=page.next_page_token),
        metadata=world.system,
    )
    forged = await world.refusal(
        world.keys.ListApiKeys(
            api_key_service_pb2.ListApiKeysRequest(order_by="name", page_token=page.next_page_token),
            metadata=world.system,
        )
    )
    assert [each.id for each in [*page.api_keys, *rest.api_keys]] == [a, b, c]
    assert rest.next_page_token == ""
    assert forged.reason is Reason.INVALID_PAGE_TOKEN


async def test_the_published_key_is_the_one_that_signs(world: World):
    first = await world.authentication.ListPassportKeys(authentication_service_pb2.ListPassportKeysRequest())

    assert len(first.keys) == 1
    assert first.keys[0].algorithm == "Ed25519"
    assert len(first.keys[0].public_key) == 32
