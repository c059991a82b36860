"""The grants of the authorization server, over gRPC."""

import base64
import hashlib
import json
from datetime import timedelta
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from concord.credentials.secrets.vault import Vault
from concord.credentials.v1 import oauth_client_pb2, oauth_service_pb2, session_service_pb2
from concord.kernel.principal import Author, PrincipalKind
from concord.kernel.secret import Secret
from credentials.making import APPLICATION, OWNER, USER, World, make_session
from credentials.oauth_making import CALLBACK, JWT, NONE, POST, SCOPES, OAuth, pkce
from fakes import ORGANIZATION


@pytest.fixture
def oauth(world: World) -> OAuth:
    return OAuth(world)


async def key_set(oauth: OAuth) -> KeySet:
    found = await oauth.stub.ListSigningKeys(oauth_service_pb2.ListSigningKeysRequest())
    return KeySet.import_key_set({"keys": [json.loads(each.public_jwk) for each in found.signing_keys]})


async def test_a_code_is_exchanged_for_tokens_that_authenticate_the_user(oauth: OAuth) -> None:
    party = await oauth.client()

    got = await oauth.tokens(party)

    proof = await oauth.world.authenticate(bearer_token=got.access_token.token)
    assert proof.content.principal.id == USER.id
    assert list(proof.content.ceiling.scopes) == ["openid", "identity.users.list"]
    assert got.refresh_token.token
    assert got.access_token.scope == "openid identity.users.list"


async def test_a_public_client_gets_tokens_with_its_verifier_alone(oauth: OAuth) -> None:
    party = await oauth.client(method=NONE)

    got = await oauth.tokens(party)

    assert await oauth.authenticates(got.access_token.token)


async def test_the_id_token_is_for_the_client_and_names_nonce_and_access_token(oauth: OAuth) -> None:
    party = await oauth.client()

    got = await oauth.tokens(party)

    token = jwt.decode(got.id_token, await key_set(oauth), algorithms=["RS256"])
    digest = hashlib.sha256(got.access_token.token.encode()).digest()
    assert token.claims["aud"] == party.message.client_id
    assert token.claims["nonce"] == "nonce-1"
    assert token.claims["iss"].startswith("http://")
    assert token.claims["at_hash"] == base64.urlsafe_b64encode(digest[:16]).rstrip(b"=").decode()
    assert token.claims["sub"] == f"{ORGANIZATION}:user:{USER.id}"
    assert not await oauth.authenticates(got.id_token)


@pytest.mark.parametrize(
    ("algorithm", "name"),
    [
        (oauth_client_pb2.SIGNING_ALGORITHM_RS256, "RS256"),
        (oauth_client_pb2.SIGNING_ALGORITHM_ED25519, "Ed25519"),
    ],
)
async def test_jwt_access_tokens_are_those_of_rfc_9068(oauth: OAuth, algorithm: int, name: str) -> None:
    party = await oauth.client(
        APPLICATION, token_format=JWT, signing_algorithm=algorithm, audiences=["https://api.example"]
    )

    got = await oauth.exchange(party, "client_credentials", resource="https://api.example")

    token = jwt.decode(got.access_token.token, await key_set(oauth), algorithms=[name])
    assert token.header["typ"] == "at+jwt"
    assert token.claims["aud"] == "https://api.example"
    assert token.claims["client_id"] == party.message.client_id
    assert {"iss", "exp", "iat", "jti", "sub"} <= set(token.claims)


async def test_kb10_a_token_for_another_audience_is_refused_here(oauth: OAuth) -> None:
    party = await oauth.client(APPLICATION, token_format=JWT, audiences=["https://api.example"])

    elsewhere = await oauth.exchange(party, "client_credentials", resource="https://api.example")
    here = await oauth.exchange(party, "client_credentials")

    assert not await oauth.authenticates(elsewhere.access_token.token)
    assert await oauth.authenticates(here.access_token.token)
    assert (await oauth.introspect(elsewhere.access_token.token)).audience == "https://api.example"
    refused = oauth.exchange(party, "client_credentials", resource="https://other.example")
    assert await oauth.error(refused) == "invalid_target"


async def test_a_jwt_that_was_altered_or_signed_by_others_is_refused(oauth: OAuth) -> None:
    party = await oauth.client(APPLICATION, token_format=JWT)
    token = (await oauth.exchange(party, "client_credentials")).access_token.token
    head, body, signature = token.split(".")
    unsigned = base64.urlsafe_b64encode(b'{"alg":"none","typ":"at+jwt"}').rstrip(b"=").decode()

    for forged in (f"{head}.{body}.{signature[:-4]}AAAA", f"{unsigned}.{body}.", f"{head}.{body[:-2]}AA.{signature}"):
        assert not await oauth.authenticates(forged)


async def test_client_credentials_act_as_the_bearer_and_get_no_refresh_token(oauth: OAuth) -> None:
    party = await oauth.client(APPLICATION, method=POST)

    got = await oauth.exchange(party, "client_credentials", scope="identity.users.list")

    proof = await oauth.world.authenticate(access_token=got.access_token.token)
    assert proof.content.principal.id == APPLICATION.id
    assert got.session.principal.id == APPLICATION.id
    assert not got.HasField("refresh_token")
    assert not got.id_token


async def test_refreshing_rotates_and_both_tokens_work_on(oauth: OAuth) -> None:
    party = await oauth.client()
    first = await oauth.tokens(party)

    second = await oauth.refresh(party, first.refresh_token.token)
    third = await oauth.refresh(party, second.refresh_token.token)

    assert len({first.refresh_token.token, second.refresh_token.token, third.refresh_token.token}) == 3
    assert await oauth.authenticates(third.access_token.token)
    assert third.session.id == first.session.id


async def test_refreshing_can_ask_for_less_and_never_for_more(oauth: OAuth) -> None:
    party = await oauth.client()
    first = await oauth.tokens(party)

    less = await oauth.refresh(party, first.refresh_token.token, scope="openid")
    more = oauth.refresh(party, less.refresh_token.token, scope="openid offline_access")

    proof = await oauth.world.authenticate(access_token=less.access_token.token)
    assert list(proof.content.ceiling.scopes) == ["openid"]
    assert await oauth.error(more) == "invalid_scope"
    again = await oauth.refresh(party, less.refresh_token.token)
    assert again.access_token.scope == "openid identity.users.list"


async def test_a_login_that_ends_takes_the_clients_it_let_in_along(oauth: OAuth) -> None:
    party = await oauth.client()
    login = await oauth.login()
    got = await oauth.tokens(party, login)
    offline = await oauth.tokens(party, login, scope="openid offline_access")
    parent = (await oauth.introspect(login[0][1].removeprefix("Bearer "))).session_id

    await oauth.world.sessions.RevokeSession(
        session_service_pb2.RevokeSessionRequest(id=parent), metadata=oauth.world.system
    )

    assert not await oauth.authenticates(got.access_token.token)
    assert await oauth.error(oauth.refresh(party, got.refresh_token.token)) == "invalid_grant"
    assert await oauth.authenticates(offline.access_token.token)
    assert offline.session.expire_time.ToDatetime() > got.session.expire_time.ToDatetime()


async def test_consent_is_asked_once_and_again_for_more(oauth: OAuth) -> None:
    party, login = await oauth.client(), await oauth.login()
    _, challenge = pkce()

    first = await oauth.stub.Authorize(oauth.request(party, challenge), metadata=login)
    await oauth.authorize(party, login, challenge)
    second = await oauth.stub.Authorize(oauth.request(party, challenge), metadata=login)
    wider = await oauth.stub.Authorize(
        oauth.request(party, challenge, scope=" ".join(("openid", "offline_access"))), metadata=login
    )

    assert first.HasField("consent_question")
    assert not first.code
    assert second.code
    assert wider.HasField("consent_question")


async def test_a_consent_proof_is_good_for_its_own_question_only(oauth: OAuth) -> None:
    party, login, other = await oauth.client(), await oauth.login(), await oauth.login(OWNER)
    _, challenge = pkce()
    _, second = pkce()
    asked = await oauth.stub.Authorize(oauth.request(party, challenge), metadata=login)
    proof = {
        "consent_decision": oauth_service_pb2.CONSENT_DECISION_GRANTED,
        "consent_proof": asked.consent_question.consent_proof,
    }

    elsewhere = await oauth.stub.Authorize(oauth.request(party, challenge, **proof), metadata=other)
    another = await oauth.stub.Authorize(oauth.request(party, second, **proof), metadata=login)
    wider = await oauth.stub.Authorize(oauth.request(party, challenge, scope=" ".join(SCOPES), **proof), metadata=login)
    oauth.world.clock.advance(timedelta(minutes=11))
    late = await oauth.stub.Authorize(oauth.request(party, challenge, **proof), metadata=login)

    assert not any(each.code for each in (elsewhere, another, wider, late))


async def test_a_denied_consent_goes_back_as_access_denied(oauth: OAuth) -> None:
    party, login = await oauth.client(), await oauth.login()
    _, challenge = pkce()
    asked = await oauth.stub.Authorize(oauth.request(party, challenge), metadata=login)

    denied = await oauth.stub.Authorize(
        oauth.request(
            party,
            challenge,
            consent_decision=oauth_service_pb2.CONSENT_DECISION_DENIED,
            consent_proof=asked.consent_question.consent_proof,
        ),
        metadata=login,
    )

    assert denied.error == "access_denied"
    assert denied.redirect_uri == CALLBACK
    assert denied.state == "state-1"


async def test_a_consent_can_be_seen_and_taken_back_with_what_rests_on_it(oauth: OAuth) -> None:
    party = await oauth.client()
    got = await oauth.tokens(party, scope="openid offline_access")

    seen = await oauth.stub.ListOAuthConsents(
        oauth_service_pb2.ListOAuthConsentsRequest(user_id=USER.id), metadata=oauth.world.system
    )
    await oauth.stub.DeleteOAuthConsent(
        oauth_service_pb2.DeleteOAuthConsentRequest(user_id=USER.id, oauth_client_id=party.message.id),
        metadata=oauth.world.system,
    )

    assert list(seen.oauth_consents[0].scopes) == ["offline_access", "openid"]
    assert not await oauth.authenticates(got.access_token.token)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"prompt": "none"}, "consent_required"),
        ({"prompt": "login"}, "login_required"),
        ({"max_age": {"seconds": 5}}, "login_required"),
        ({"resource": "https://other.example"}, "invalid_target"),
        ({"scope": "billing"}, "invalid_scope"),
        ({"scope": "a\tb"}, "invalid_scope"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": ""}, "invalid_request"),
    ],
)
async def test_refusals_go_back_to_the_redirect_address(oauth: OAuth, changes: dict[str, Any], error: str) -> None:
    party, login = await oauth.client(), await oauth.login()
    oauth.world.clock.advance(timedelta(seconds=10))
    _, challenge = pkce()

    answer = await oauth.stub.Authorize(oauth.request(party, challenge, **changes), metadata=login)

    assert (answer.error, answer.redirect_uri, answer.state) == (error, CALLBACK, "state-1")
    assert not answer.code


async def test_only_a_users_own_login_lets_a_client_in(oauth: OAuth) -> None:
    party = await oauth.client(APPLICATION)
    _, challenge = pkce()
    program = await oauth.exchange(party, "client_credentials")
    through_client = await oauth.tokens(party)

    for token in (program.access_token.token, through_client.access_token.token):
        answer = await oauth.stub.Authorize(
            oauth.request(party, challenge), metadata=(("authorization", f"Bearer {token}"),)
        )
        assert answer.error == "access_denied"


async def test_whoever_acts_as_another_user_lets_no_client_in(oauth: OAuth) -> None:
    party = await oauth.client()
    _, challenge = pkce()
    now = oauth.world.clock.now()
    session = make_session(
        principal=USER, assumed_by=OWNER, create_time=now, update_time=now, expire_time=now + timedelta(hours=1)
    )
    token = Secret("cct_assumed")

    def add(unit: Any) -> None:
        unit.store.add_session(session)
        unit.store.add_token(session, Vault(oauth.world.keyring).hash(token), now, session.expire_time)

    await oauth.world.units.system(ORGANIZATION, add, Author())

    answer = await oauth.stub.Authorize(
        oauth.request(party, challenge), metadata=(("authorization", f"Bearer {token.reveal()}"),)
    )

    assert answer.error == "access_denied"


async def test_user_info_needs_the_scope_openid(oauth: OAuth) -> None:
    party = await oauth.client()
    got = await oauth.tokens(party)
    narrow = await oauth.tokens(party, scope="identity.users.list")

    told = await oauth.stub.GetUserInfo(oauth_service_pb2.GetUserInfoRequest(access_token=got.access_token.token))
    refused = oauth.stub.GetUserInfo(oauth_service_pb2.GetUserInfoRequest(access_token=narrow.access_token.token))

    assert told.principal.id == USER.id
    assert PrincipalKind.USER.value in told.subject
    assert await oauth.error(refused) == "insufficient_scope"


async def test_revoking_either_token_ends_the_grant(oauth: OAuth) -> None:
    party, other = await oauth.client(), await oauth.client()
    first, second = await oauth.tokens(party), await oauth.tokens(party)

    async def revoke(by: Any, token: str) -> None:
        await oauth.stub.RevokeToken(oauth_service_pb2.RevokeTokenRequest(client=by.proof, token=token))

    assert await oauth.error(revoke(other, first.access_token.token)) == "unauthorized_client"
    assert await oauth.authenticates(first.access_token.token)
    await revoke(party, first.access_token.token)
    await revoke(party, second.refresh_token.token)
    await revoke(party, "unknown")

    for got in (first, second):
        assert not await oauth.authenticates(got.access_token.token)
        assert not (await oauth.introspect(got.refresh_token.token)).active


async def test_introspection_says_what_a_token_is_worth_and_nothing_of_a_bad_one(oauth: OAuth) -> None:
    party = await oauth.client()
    got = await oauth.tokens(party)

    access = await oauth.introspect(got.access_token.token)
    refresh = await oauth.introspect(got.refresh_token.token)
    oauth.world.clock.advance(timedelta(days=31))
    dead = await oauth.introspect(got.access_token.token)

    assert (access.active, access.token_type, access.client_id) == (True, "Bearer", party.message.client_id)
    assert (refresh.active, refresh.token_type) == (True, "refresh_token")
    assert dead == oauth_service_pb2.IntrospectTokenResponse(active=False)
