"""What somebody takes along who acts as somebody else, holds less than everything, or leaves: nothing that lasts."""

from typing import Any

import pytest

from concord.common.v1.passport_pb2 import Ceiling
from concord.credentials.v1 import (
    api_key_pb2,
    api_key_service_pb2,
    mfa_service_pb2,
    oauth_client_pb2,
    oauth_client_service_pb2,
    password_service_pb2,
    session_service_pb2,
    trust_policy_pb2,
    trust_policy_service_pb2,
)
from concord.kernel.errors import Reason
from concord.kernel.principal import PrincipalKind, PrincipalRef
from credentials.making import (
    APPLICATION,
    OWNER,
    USER,
    World,
    fresh_id,
    organization_message,
    principal_message,
    user_message,
)
from credentials.oauth_making import OAuth, pkce
from credentials.people import OTHER_PASSWORD, PASSWORD, Person, bearer
from credentials.trust_making import BOB, assume, caller, delete_policy, document, elsewhere, name_of, set_policy
from fakes import OTHER_ORGANIZATION


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


async def is_good(world: World, token: str) -> bool:
    return await OAuth(world).authenticates(token)


@pytest.mark.parametrize("how", ["names somebody else", "names nobody", "is gone"])
async def test_acting_as_somebody_ends_with_being_trusted(world: World, bob: Person, how: str) -> None:
    eve = PrincipalRef(PrincipalKind.USER, fresh_id())
    await world.hear("user.created", eve.id, user_message(eve, "eve"))
    carol = PrincipalRef(PrincipalKind.USER, fresh_id())
    await world.hear("user.created", carol.id, user_message(carol, "carol"))
    await set_policy(world, USER, document(name_of("bob"), name_of("eve")))
    await set_policy(world, carol, document(name_of("ann")))
    first = await assume(world, (await caller(world, BOB))[1], username="ann")
    further = await assume(world, bearer(first), username="carol")
    trusted = await assume(world, (await caller(world, eve))[1], username="ann")
    events = len(await world.events())

    if how == "names somebody else":
        await set_policy(world, USER, document(name_of("eve"), condition="currentDate == date(1999, 1, 1)"))
    elif how == "names nobody":
        await set_policy(world, USER, document(name_of("nobody")))
    else:
        await delete_policy(world, USER)

    good = [await is_good(world, each.access_token.token) for each in (first, further, trusted)]
    assert good == [False, False, how == "names somebody else"]
    told = [each.resource_id for each in (await world.events())[events:] if each.type == "session.ended"]
    assert len(told) == len(set(told)) == good.count(False)


async def test_acting_as_somebody_elsewhere_ends_with_the_session_that_it_began_in(world: World, bob: Person) -> None:
    eve = PrincipalRef(PrincipalKind.USER, fresh_id())
    other = organization_message(id=OTHER_ORGANIZATION, owner_user_id=fresh_id(), number=4712, slug="other", alias="o")
    await elsewhere(world, "organization.created", OTHER_ORGANIZATION, other)
    await elsewhere(world, "user.created", eve.id, user_message(eve, "eve", organization_id=OTHER_ORGANIZATION))
    await let_bob_in(world, eve)
    await bob.set_password()
    login, kept = await bob.log_in(), await bob.log_in()
    first = await assume(world, bearer(login), organization_id=OTHER_ORGANIZATION, username="eve")
    second = await assume(world, bearer(kept), organization_id=OTHER_ORGANIZATION, username="eve")

    revoke = session_service_pb2.RevokeSessionRequest(id=login.session.id)
    await world.sessions.RevokeSession(revoke, metadata=world.system)

    assert [await is_good(world, each.access_token.token) for each in (first, second)] == [False, True]


async def let_bob_in(world: World, user: PrincipalRef) -> None:
    """Let a user of the other organization trust Bob."""
    metadata = (("authorization", f"Bearer {world.token('system', OTHER_ORGANIZATION)()}"),)
    policy = trust_policy_pb2.TrustPolicy(user_id=user.id, document=document(name_of("bob")), language="call_trust")
    await world.trust.SetTrustPolicy(
        trust_policy_service_pb2.SetTrustPolicyRequest(trust_policy=policy), metadata=metadata
    )


# What would outlast an hour as somebody else, or get past a limit.


def lasting(world: World, client_id: str, key_id: str) -> dict[str, Any]:
    """Calls that make or change a credential of Ann's."""
    clients, keys, passwords, mfa = (
        oauth_client_service_pb2,
        api_key_service_pb2,
        password_service_pb2,
        mfa_service_pb2,
    )
    client = oauth_client_pb2.OAuthClient(id=client_id, redirect_uris=["https://evil.example/"])
    update = clients.UpdateOAuthClientRequest(oauth_client=client)
    update.update_mask.paths.append("redirect_uris")
    new_key = api_key_pb2.ApiKey(bearer=principal_message(USER))
    new_client = oauth_client_pb2.OAuthClient(bearer=principal_message(USER))
    trusting = trust_policy_pb2.TrustPolicy(user_id=USER.id, document=document(name_of("bob")), language="call_trust")
    whose = {"user_id": USER.id}
    change = passwords.ChangePasswordRequest(**whose, password=OTHER_PASSWORD, current_password=PASSWORD)
    return {
        "CreateApiKey": (world.keys, keys.CreateApiKeyRequest(api_key=new_key)),
        "RotateApiKey": (world.keys, keys.RotateApiKeyRequest(id=key_id)),
        "RevealApiKey": (world.keys, keys.RevealApiKeyRequest(id=key_id)),
        "CreateOAuthClient": (world.clients, clients.CreateOAuthClientRequest(oauth_client=new_client)),
        "UpdateOAuthClient": (world.clients, update),
        "CreateClientSecret": (world.clients, clients.CreateClientSecretRequest(oauth_client_id=client_id)),
        "SetTrustPolicy": (world.trust, trust_policy_service_pb2.SetTrustPolicyRequest(trust_policy=trusting)),
        "CreateMfaDevice": (world.mfa, mfa.CreateMfaDeviceRequest(**whose)),
        "ConfirmMfaDevice": (world.mfa, mfa.ConfirmMfaDeviceRequest(**whose, code="123456")),
        "DeleteMfaDevice": (world.mfa, mfa.DeleteMfaDeviceRequest(**whose)),
        "ReplaceRecoveryCodes": (world.mfa, mfa.ReplaceRecoveryCodesRequest(**whose)),
        "SetPassword": (world.passwords, passwords.SetPasswordRequest(**whose, password=OTHER_PASSWORD)),
        "GeneratePassword": (world.passwords, passwords.GeneratePasswordRequest(**whose)),
        "ChangePassword": (world.passwords, change),
        "DeletePassword": (world.passwords, passwords.DeletePasswordRequest(**whose)),
    }


async def test_whoever_acts_as_somebody_makes_nothing_that_outlasts_it(
    world: World, ann: Person, bob: Person, oauth: OAuth
) -> None:
    await ann.set_password()
    party, key = await oauth.client(USER), await world.create_key(USER, secret_recoverable=True)
    acting = await assume(world, (await caller(world, BOB))[1], username="ann")
    events = len(await world.events())

    told = {}
    for name, (stub, request) in lasting(world, party.message.id, key.api_key.id).items():
        error = await world.refusal(getattr(stub, name)(request, metadata=bearer(acting)))
        told[name] = (error.reason, error.message)

    message = "whoever acts as somebody else changes no credential that lasts"
    assert set(told.values()) == {(Reason.PERMISSION_DENIED, message)}, told
    assert (await oauth.authorize(party, bearer(acting), pkce()[1])).error == "access_denied"
    assert len(await world.events()) == events


@pytest.mark.parametrize("way", ["SetPassword", "GeneratePassword", "SetTrustPolicy"])
async def test_a_credential_with_limits_opens_no_way_past_them(world: World, ann: Person, way: str) -> None:
    await ann.set_password()
    scopes = ["credentials.passwords.set", "credentials.passwords.generate", "credentials.trust_policies.set"]
    _, lowered = await caller(world, APPLICATION, ceiling=Ceiling(scopes=scopes))
    _, whole = await caller(world, APPLICATION)
    stub, request = lasting(world, "", "")[way]

    refused = await world.refusal(getattr(stub, way)(request, metadata=lowered))

    assert refused.reason is Reason.PERMISSION_DENIED
    assert "limits" in refused.message
    await getattr(stub, way)(request, metadata=whole)


# What a client leaves behind.


@pytest.mark.parametrize("asked", [True, False])
async def test_with_a_secret_that_others_have_seen_goes_what_was_got_with_it_if_that_is_asked_for(
    world: World, oauth: OAuth, asked: bool
) -> None:
    party = await oauth.client(APPLICATION)
    granted = await oauth.exchange(party, "client_credentials", scope="identity.users.list")
    tokens = await oauth.tokens(party, scope="openid offline_access")
    more = await world.clients.CreateClientSecret(
        oauth_client_service_pb2.CreateClientSecretRequest(oauth_client_id=party.message.id), metadata=world.system
    )

    request = oauth_client_service_pb2.DeleteClientSecretRequest(
        oauth_client_id=party.message.id, number=party.message.secrets[0].number, end_sessions=asked
    )
    await world.clients.DeleteClientSecret(request, metadata=world.system)

    good = [await is_good(world, each.access_token.token) for each in (granted, tokens)]
    assert good == [not asked] * 2
    party.secret = more.secret
    if asked:
        assert await oauth.error(oauth.refresh(party, tokens.refresh_token.token)) == "invalid_grant"
    else:
        await oauth.refresh(party, tokens.refresh_token.token)


async def test_kb36_a_client_without_a_bearer_goes_with_the_user_it_belongs_to(world: World, oauth: OAuth) -> None:
    orphaned = await oauth.client(owner_user_id=USER.id)
    looked_after = await oauth.client(APPLICATION, owner_user_id=USER.id)
    party = await oauth.client()
    login = await oauth.login(OWNER)
    tokens = await oauth.tokens(orphaned, login)

    await world.hear("user.deleted", USER.id)

    assert not await is_good(world, tokens.access_token.token)
    listed = await world.clients.ListOAuthClients(
        oauth_client_service_pb2.ListOAuthClientsRequest(), metadata=world.system
    )
    assert {each.id for each in listed.oauth_clients} == {looked_after.message.id, party.message.id}
    told = [each.resource_id for each in await world.events() if each.type == "oauth_client.deleted"]
    assert told == [orphaned.message.id]
