"""Examining credentials again and again: what is remembered, and that nothing outlives what ended it."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from concord.credentials.v1 import api_key_pb2, api_key_service_pb2, authentication_service_pb2
from concord.credentials.v1.oauth_client_service_pb2 import DeleteOAuthClientRequest
from concord.credentials.v1.session_service_pb2 import RevokeAllSessionsRequest
from concord.identity.v1.application_pb2 import APPLICATION_STATE_SUSPENDED, Application
from concord.identity.v1.organization_pb2 import ORGANIZATION_STATE_SUSPENDED
from concord.identity.v1.user_pb2 import USER_STATE_SUSPENDED
from concord.kernel.errors import Reason
from concord.kernel.rpc.wire import instant_to_wire
from concord.policy.v1.quota_pb2 import Quota
from credentials.making import (
    APPLICATION,
    USER,
    World,
    fresh_id,
    organization_message,
    principal_message,
    user_message,
)
from fakes import ORGANIZATION, START


async def credentials(world: World, bearer: Any) -> dict[str, dict[str, Any]]:
    """One of each kind of credential of a principal, as it is shown."""
    key = await world.create_key(bearer)
    session = await world.create_session((await world.create_key(bearer)).secret)
    client = await world.create_client(bearer, grant_types=["client_credentials"])
    shown = {
        "key pair": {
            "api_key": authentication_service_pb2.ApiKeyCredential(access_id=key.api_key.access_id, secret=key.secret)
        },
        "key alone": {"bearer_token": key.secret},
        "session": {"access_token": session.access_token.token},
        "session as bearer": {"bearer_token": session.access_token.token},
        "client": {
            "client": authentication_service_pb2.ClientCredential(
                client_id=client.oauth_client.client_id, client_secret=client.secret
            )
        },
    }
    rotated = await world.create_key(bearer)
    request = api_key_service_pb2.RotateApiKeyRequest(id=rotated.api_key.id)
    request.overlap.FromTimedelta(timedelta(hours=1))
    await world.keys.RotateApiKey(request, metadata=world.system)
    shown["pair before a rotation"] = {"bearer_token": rotated.secret}
    return shown


REFUSED = {Reason.PRINCIPAL_SUSPENDED, Reason.PRINCIPAL_DELETED, Reason.CREDENTIAL_REVOKED}


@pytest.mark.parametrize(
    "ending", ["suspend user", "delete user", "suspend application", "suspend organization", "delete organization"]
)
async def test_kb31_whoever_is_disabled_is_refused_at_once_with_every_kind_of_credential(
    world: World, ending: str
) -> None:
    bearer = APPLICATION if "application" in ending else USER
    shown = await credentials(world, bearer)
    # Twice, so that the second answer is one that was remembered.
    for _ in range(2):
        for each in shown.values():
            assert (await world.authenticate(**each)).content.principal == principal_message(bearer)

    match ending:
        case "suspend user":
            await world.hear("user.suspended", USER.id, user_message(USER, "ann", state=USER_STATE_SUSPENDED))
        case "delete user":
            await world.hear("user.deleted", USER.id)
        case "suspend application":
            suspended = Application(id=APPLICATION.id, state=APPLICATION_STATE_SUSPENDED)
            await world.hear("application.suspended", APPLICATION.id, suspended)
        case "suspend organization":
            suspended_organization = organization_message(state=ORGANIZATION_STATE_SUSPENDED)
            await world.hear("organization.suspended", ORGANIZATION, suspended_organization)
        case _:
            await world.hear("organization.deleted", ORGANIZATION)

    reasons = {name: (await world.refusal(world.authenticate(**each))).reason for name, each in shown.items()}
    wrong = {name: reason for name, reason in reasons.items() if reason not in REFUSED}
    # Nothing is left of a deleted organization's sessions, so nobody can say what became of them.
    gone = {Reason.CREDENTIAL_INVALID} if ending == "delete organization" else set()
    assert set(wrong.values()) <= gone


@pytest.mark.parametrize("kind", ["key pair", "key alone", "session", "session as bearer", "client"])
async def test_kb31_what_was_ended_by_itself_is_refused_at_once(world: World, kind: str) -> None:
    shown = (await credentials(world, USER))[kind]
    found = await world.authenticate(**shown)
    await world.authenticate(**shown)

    if "session" in kind:
        everything = RevokeAllSessionsRequest(principal=principal_message(USER))
        await world.sessions.RevokeAllSessions(everything, metadata=world.system)
    elif kind == "client":
        await world.clients.DeleteOAuthClient(
            DeleteOAuthClientRequest(id=found.content.api_key_id), metadata=world.system
        )
    else:
        suspended = api_key_pb2.ApiKey(id=found.content.api_key_id, state=api_key_pb2.API_KEY_STATE_SUSPENDED)
        await world.keys.UpdateApiKey(
            api_key_service_pb2.UpdateApiKeyRequest(api_key=suspended, update_mask=FieldMask(paths=["state"])),
            metadata=world.system,
        )

    assert (await world.refusal(world.authenticate(**shown))).reason is Reason.CREDENTIAL_REVOKED


async def test_an_answer_is_remembered_until_something_is_committed_and_half_a_minute_at_most(world: World) -> None:
    key = await world.create_key(USER)

    first = await world.authenticate(bearer_token=key.secret)
    world.clock.set(START + timedelta(seconds=29))
    second = await world.authenticate(bearer_token=key.secret)
    world.clock.set(START + timedelta(seconds=30))
    third = await world.authenticate(bearer_token=key.secret)
    world.clock.set(START + timedelta(seconds=31))
    await world.hear("quota.set", fresh_id(), Quota(name="api_keys", limit=9), source="policy")
    fourth = await world.authenticate(bearer_token=key.secret)

    assert first == second
    instants = [each.content.issue_time for each in (first, third, fourth)]
    assert instants == [instant_to_wire(START + timedelta(seconds=each)) for each in (0, 30, 31)]


async def test_a_remembered_answer_ends_with_its_credential(world: World) -> None:
    key = await world.create_key(USER, expire_time=instant_to_wire(START + timedelta(seconds=5)))
    await world.authenticate(bearer_token=key.secret)

    world.clock.set(START + timedelta(seconds=5))

    assert (await world.refusal(world.authenticate(bearer_token=key.secret))).reason is Reason.CREDENTIAL_EXPIRED


async def test_kb02_what_is_remembered_depends_on_all_that_was_shown_and_where(world: World) -> None:
    key = await world.create_key(USER)
    access_id, secret = key.api_key.access_id, key.secret
    service = (("authorization", f"Bearer {world.token('identity')()}"),)

    async def from_address(address: str, agent: str) -> Any:
        request = authentication_service_pb2.AuthenticateRequest(
            bearer_token=secret, caller_address=address, caller_agent=agent
        )
        return (await world.authentication.Authenticate(request, metadata=service)).content

    places = [("192.0.2.1", "a"), ("192.0.2.2", "a"), ("192.0.2.1", "b"), ("192.0.2.1", "a")]
    seen = [await from_address(*place) for place in places]
    moved = authentication_service_pb2.ApiKeyCredential(access_id=access_id + secret[:1], secret=secret[1:])

    assert [(each.caller_address, each.caller_agent) for each in seen] == places
    await world.authenticate(api_key=authentication_service_pb2.ApiKeyCredential(access_id=access_id, secret=secret))
    assert (await world.refusal(world.authenticate(api_key=moved))).reason is Reason.CREDENTIAL_INVALID
    assert (await world.refusal(world.authenticate(access_token=secret))).reason is Reason.CREDENTIAL_INVALID


async def test_while_a_key_is_deleted_no_later_answer_is_a_good_one(world: World) -> None:
    key = await world.create_key(USER)
    ended = asyncio.Event()
    late: list[Any] = []

    async def ask() -> None:
        while True:
            after = ended.is_set()
            try:
                answer = await world.authenticate(bearer_token=key.secret)
            except Exception:
                if after:
                    return
            else:
                if after:
                    late.append(answer)
            await asyncio.sleep(0)

    async def end() -> None:
        await world.keys.DeleteApiKey(api_key_service_pb2.DeleteApiKeyRequest(id=key.api_key.id), metadata=world.system)
        ended.set()

    await asyncio.wait_for(asyncio.gather(*(ask() for _ in range(8)), end()), 20)

    assert late == []


@pytest.mark.parametrize(
    "shown",
    [
        {},
        {"bearer_token": ""},
        {"bearer_token": "x" * 70_000},
        {"bearer_token": "a\x00b"},
        {"access_token": "cct_"},
        {"api_key": authentication_service_pb2.ApiKeyCredential(access_id="a")},
        {"api_key": authentication_service_pb2.ApiKeyCredential(access_id="a" * 300, secret="s")},
        {"client": authentication_service_pb2.ClientCredential(client_id="c")},
    ],
    ids=range(8),
)
async def test_what_is_no_credential_is_refused_and_not_repeated(world: World, shown: Any) -> None:
    error = await world.refusal(world.authenticate(**shown))

    assert error.reason in (Reason.INVALID_FIELDS, Reason.CREDENTIAL_INVALID, Reason.REQUEST_TOO_LARGE)
    assert "xxxx" not in str(error)
