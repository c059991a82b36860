"""Further tokens of sessions, secrets of clients, and the grant of a password."""

import json
from datetime import timedelta
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from concord.credentials.v1 import (
    oauth_client_pb2,
    oauth_client_service_pb2,
    oauth_service_pb2,
    session_service_pb2,
)
from credentials.making import APPLICATION, USER, World
from credentials.oauth_making import NONE, OAuth
from credentials.people import PASSWORD, Person


@pytest.fixture
def oauth(world: World) -> OAuth:
    return OAuth(world)


def bearer(token: str) -> Any:
    return (("authorization", f"Bearer {token}"),)


async def renew(oauth: OAuth, login: Any, **fields: Any) -> Any:
    request = session_service_pb2.RenewSessionRequest(**fields)
    return await oauth.world.sessions.RenewSession(request, metadata=login)


async def test_a_renewed_session_has_one_more_token_and_lasts_longer(oauth: OAuth) -> None:
    login = await oauth.login()
    oauth.world.clock.advance(timedelta(minutes=50))

    answer = await renew(oauth, login, ttl={"seconds": 7200})
    oauth.world.clock.advance(timedelta(minutes=100))

    assert await oauth.authenticates(answer.access_token.token)
    assert answer.access_token.session_id == answer.session.id


async def test_a_session_is_not_renewed_beyond_the_organizations_maximum(oauth: OAuth) -> None:
    login = await oauth.login()
    for _ in range(40):
        oauth.world.clock.advance(timedelta(hours=23))
        try:
            login = bearer((await renew(oauth, login, ttl={"seconds": 86400})).access_token.token)
        except Exception:
            break

    refusal = await oauth.world.refusal(renew(oauth, login))
    assert refusal.reason.value == "CREDENTIAL_EXPIRED"


@pytest.mark.parametrize("seconds", [0, -5, 60 * 86400])
async def test_a_life_beyond_the_limits_is_refused_by_name(oauth: OAuth, seconds: int) -> None:
    refusal = await oauth.world.refusal(renew(oauth, await oauth.login(), ttl={"seconds": seconds}))

    assert refusal.violations[0].field == "ttl"


async def test_a_programs_session_gets_nothing_beyond_its_grant(oauth: OAuth) -> None:
    got = await oauth.tokens(await oauth.client(), scope="openid")
    request = session_service_pb2.IssueAudienceTokenRequest(audience="https://api.example")

    for refused in (
        renew(oauth, bearer(got.access_token.token)),
        oauth.world.sessions.IssueAudienceToken(request, metadata=bearer(got.access_token.token)),
    ):
        assert (await oauth.world.refusal(refused)).reason.value == "INVALID_STATE"


async def test_an_audience_token_is_for_its_audience_alone_and_ends_with_the_session(oauth: OAuth) -> None:
    login = await oauth.login()
    request = session_service_pb2.IssueAudienceTokenRequest(audience="https://support.example")

    token = (await oauth.world.sessions.IssueAudienceToken(request, metadata=login)).access_token.token

    found = await oauth.stub.ListSigningKeys(oauth_service_pb2.ListSigningKeysRequest())
    keys = KeySet.import_key_set({"keys": [json.loads(each.public_jwk) for each in found.signing_keys]})
    claims = jwt.decode(token, keys, algorithms=["RS256"]).claims
    assert claims["aud"] == "https://support.example"
    assert claims["exp"] - claims["iat"] == 300
    assert not await oauth.authenticates(token)
    assert (await oauth.introspect(token)).active
    await oauth.world.sessions.RevokeSession(
        session_service_pb2.RevokeSessionRequest(id=claims["sid"]), metadata=oauth.world.system
    )
    assert not (await oauth.introspect(token)).active


async def test_a_secret_is_replaced_without_an_outage(oauth: OAuth) -> None:
    party = await oauth.client(APPLICATION)
    old = party.message.secrets[0].number
    fresh = await oauth.world.clients.CreateClientSecret(
        oauth_client_service_pb2.CreateClientSecretRequest(oauth_client_id=party.message.id, name="second"),
        metadata=oauth.world.system,
    )
    assert (await oauth.exchange(party, "client_credentials")).access_token.token

    await oauth.world.clients.DeleteClientSecret(
        oauth_client_service_pb2.DeleteClientSecretRequest(oauth_client_id=party.message.id, number=old),
        metadata=oauth.world.system,
    )

    assert await oauth.error(oauth.exchange(party, "client_credentials")) == "invalid_client"
    party.secret = fresh.secret
    assert (await oauth.exchange(party, "client_credentials")).access_token.token
    listed = await oauth.world.clients.ListClientSecrets(
        oauth_client_service_pb2.ListClientSecretsRequest(oauth_client_id=party.message.id),
        metadata=oauth.world.system,
    )
    assert [each.name for each in listed.client_secrets] == ["second"]


async def test_a_client_has_at_most_ten_secrets_and_none_without_need(oauth: OAuth) -> None:
    async def make(party: Any) -> None:
        await oauth.world.clients.CreateClientSecret(
            oauth_client_service_pb2.CreateClientSecretRequest(oauth_client_id=party.message.id),
            metadata=oauth.world.system,
        )

    party, public = await oauth.client(), await oauth.client(method=NONE)
    for _ in range(9):
        await make(party)

    for refused in (make(party), make(public)):
        assert (await oauth.world.refusal(refused)).reason.value == "INVALID_STATE"


async def test_an_update_changes_what_the_mask_names_and_nothing_when_nothing_changes(oauth: OAuth) -> None:
    party = await oauth.client(name="before")

    async def update(*paths: str, **fields: Any) -> Any:
        return await oauth.world.clients.UpdateOAuthClient(
            oauth_client_service_pb2.UpdateOAuthClientRequest(
                oauth_client=oauth_client_pb2.OAuthClient(id=party.message.id, **fields),
                update_mask={"paths": list(paths)},
            ),
            metadata=oauth.world.system,
        )

    changed = await update("name", name="after", scopes=["x"])
    same = await update("name", name="after")

    assert (changed.name, changed.version, list(changed.scopes)) == ("after", 2, list(party.message.scopes))
    assert same.version == 2
    assert (await oauth.world.refusal(update("client_id", client_id="x"))).violations[0].field.startswith("update_mask")
    assert (await oauth.world.refusal(update("grant_types", grant_types=["implicit"]))).violations


async def test_a_password_opens_a_session_for_a_client_that_may(oauth: OAuth) -> None:
    ann = Person(oauth.world)
    await ann.set_password()
    party = await oauth.client()
    other = await oauth.client(grant_types=["authorization_code"])
    shown = {"username": "ann", "password": PASSWORD}

    got = await oauth.exchange(party, "password", scope="openid", **shown)

    proof = await oauth.world.authenticate(access_token=got.access_token.token)
    assert proof.content.principal.id == USER.id
    assert list(proof.content.ceiling.scopes) == ["openid"]
    assert got.refresh_token.token
    assert await oauth.error(oauth.exchange(other, "password", **shown)) == "unauthorized_client"
    wrong = {**shown, "password": "not-" + PASSWORD}
    assert await oauth.error(oauth.exchange(party, "password", **wrong)) == "invalid_grant"
    unknown = {**shown, "username": "nobody"}
    assert await oauth.error(oauth.exchange(party, "password", **unknown)) == "invalid_grant"


async def test_a_password_shown_to_a_client_counts_in_the_one_budget(oauth: OAuth) -> None:
    ann = Person(oauth.world)
    await ann.set_password()
    party = await oauth.client()

    for _ in range(100):
        refusal = await oauth.world.refusal(oauth.exchange(party, "password", username="ann", password="wrong"))
        assert refusal.metadata["oauth_error"] == "invalid_grant"

    # The right one comes too late, through whichever door.
    assert await oauth.error(oauth.exchange(party, "password", username="ann", password=PASSWORD)) == "invalid_grant"
    assert (await oauth.world.refusal(ann.log_in())).reason.value == "CREDENTIAL_LOCKED"
