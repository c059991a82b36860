"""API keys over the wire: made, shown, changed, and whose they are."""

import asyncio
from datetime import timedelta

import pytest
from google.protobuf.duration_pb2 import Duration

from concord.credentials.v1 import (
    api_key_service_pb2,
    oauth_client_service_pb2,
    password_service_pb2,
)
from concord.identity.v1.project_pb2 import Project
from concord.identity.v1.security_settings_pb2 import SecuritySettings
from concord.kernel.errors import Reason
from concord.kernel.principal import PrincipalKind, PrincipalRef, TargetClass
from concord.kernel.rpc.wire import instant_to_wire
from concord.policy.v1.quota_pb2 import Quota
from credentials.making import (
    APPLICATION,
    OWNER,
    PROJECT,
    USER,
    World,
    fresh_id,
    key_update,
    pair,
    principal_message,
    shown,
)
from fakes import ORGANIZATION, OTHER_ORGANIZATION, START


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
        world.keys.UpdateApiKey(
            key_update(key, "expire_time", expire_time=instant_to_wire(START)), metadata=world.system
        )
    )
    changed = await world.keys.UpdateApiKey(key_update(key, "expire_time", expire_time=soon), metadata=world.system)
    twice = await world.refusal(
        world.keys.UpdateApiKey(key_update(key, "expire_time", expire_time=later), metadata=world.system)
    )
    cleared = await world.refusal(world.keys.UpdateApiKey(key_update(key, "expire_time"), metadata=world.system))
    born_dead = await world.refusal(world.create_key(expire_time=instant_to_wire(START)))

    assert past.reason is born_dead.reason is Reason.INVALID_FIELDS
    assert changed.expire_time == soon
    assert twice.reason is cleared.reason is Reason.INVALID_STATE


async def test_a_shortened_key_shortens_its_sessions(world: World):
    key = await world.create_key()
    session = await world.create_session(key.secret)
    end = START + timedelta(minutes=1)

    await world.keys.UpdateApiKey(
        key_update(key, "expire_time", expire_time=instant_to_wire(end)), metadata=world.system
    )
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
    first = await world.keys.UpdateApiKey(key_update(key, "description", description="a"), metadata=world.system)

    stale = key_update(key, "description", description="b", etag=key.api_key.etag)
    error = await world.refusal(world.keys.UpdateApiKey(stale, metadata=world.system))

    found = await world.keys.GetApiKey(api_key_service_pb2.GetApiKeyRequest(id=key.api_key.id), metadata=world.system)
    assert error.reason is Reason.ETAG_MISMATCH
    assert found == first
    assert found.description == "a"
    assert found.update_time == first.update_time


@pytest.mark.parametrize("path", ["bearer", "access_id", "secret_recoverable", "nothing", "ceiling"])
async def test_a_mask_names_only_what_may_change(world: World, path):
    key = await world.create_key()

    error = await world.refusal(world.keys.UpdateApiKey(key_update(key, path), metadata=world.system))

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
    me = shown(mine.secret)

    listed = await world.keys.ListApiKeys(api_key_service_pb2.ListApiKeysRequest(), metadata=me)
    updated = await world.keys.UpdateApiKey(key_update(mine, "name", name="n"), metadata=me)
    refused = await world.refusal(world.keys.UpdateApiKey(key_update(foreign, "name", name="n"), metadata=me))

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
