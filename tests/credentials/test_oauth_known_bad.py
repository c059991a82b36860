"""What went wrong in other authorization servers, tried here."""

import asyncio
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from sqlalchemy import func, select

from concord.credentials.background.key_turning import NOWHERE
from concord.credentials.secrets.signing import check_issuer
from concord.credentials.sql.tables import access_token
from concord.credentials.sql.token_tables import authorization_code, refresh_token
from concord.credentials.v1 import (
    api_key_service_pb2,
    oauth_client_pb2,
    oauth_client_service_pb2,
    oauth_service_pb2,
    session_service_pb2,
)
from concord.identity.v1.organization_pb2 import ORGANIZATION_STATE_SUSPENDED, Organization
from concord.identity.v1.user_pb2 import USER_STATE_SUSPENDED, User
from concord.kernel.config import BadSetting
from concord.kernel.principal import Author
from concord.kernel.rpc.status import from_rpc_error
from credentials.making import APPLICATION, OWNER, USER, World, open_world, principal_message
from credentials.oauth_making import CALLBACK, JWT, NONE, POST, SCOPES, TLS, OAuth, pkce
from credentials.people import PASSWORD, Person
from fakes import ORGANIZATION

PARALLEL = 50


@pytest.fixture
def oauth(world: World) -> OAuth:
    return OAuth(world)


async def outcomes(calls: list[Any]) -> list[str]:
    """Return "" for each success and the error code for each refusal."""
    answers = await asyncio.gather(*calls, return_exceptions=True)
    return [
        from_rpc_error(each).metadata.get("oauth_error", "?") if isinstance(each, BaseException) else ""
        for each in answers
    ]


@pytest.mark.parametrize("issuer", ["", "concord", "ftp://a", "https://a?b", "https://a#b", "https://a b"])
def test_kb10_without_an_issuer_nothing_starts(issuer: str) -> None:
    with pytest.raises(BadSetting):
        check_issuer(issuer, "CONCORD_ISSUER")


async def test_kb17_of_parallel_refreshes_one_wins_and_the_family_ends(oauth: OAuth) -> None:
    party = await oauth.client()
    first = await oauth.tokens(party)

    told = await outcomes([oauth.refresh(party, first.refresh_token.token) for _ in range(PARALLEL)])

    assert told.count("") == 1
    assert told.count("invalid_grant") == PARALLEL - 1
    assert not await oauth.authenticates(first.access_token.token)


async def test_kb17_a_refresh_token_that_comes_twice_ends_what_it_had_made(oauth: OAuth) -> None:
    party = await oauth.client()
    first = await oauth.tokens(party)
    second = await oauth.refresh(party, first.refresh_token.token)

    assert await oauth.error(oauth.refresh(party, first.refresh_token.token)) == "invalid_grant"

    assert not await oauth.authenticates(second.access_token.token)
    assert await oauth.error(oauth.refresh(party, second.refresh_token.token)) == "invalid_grant"


async def test_of_parallel_uses_of_a_code_one_wins_and_its_tokens_end(oauth: OAuth) -> None:
    party = await oauth.client()
    code, verifier = await oauth.code(party, await oauth.login())

    answers = await asyncio.gather(
        *(oauth.exchange_code(party, code, verifier) for _ in range(PARALLEL)), return_exceptions=True
    )

    won = [each for each in answers if not isinstance(each, BaseException)]
    assert len(won) == 1
    assert not await oauth.authenticates(won[0].access_token.token)


async def test_kb18_what_was_revoked_stays_so_after_a_restart(tmp_path: Path) -> None:
    async with open_world(tmp_path) as before:
        oauth = OAuth(before)
        party = await oauth.client()
        revoked, used = await oauth.tokens(party), await oauth.tokens(party)
        kept = await oauth.tokens(party)
        await oauth.stub.RevokeToken(
            oauth_service_pb2.RevokeTokenRequest(client=party.proof, token=revoked.refresh_token.token)
        )
        await oauth.refresh(party, used.refresh_token.token)

    async with open_world(tmp_path) as after:
        again = OAuth(after)
        assert await again.error(again.refresh(party, revoked.refresh_token.token)) == "invalid_grant"
        assert await again.error(again.refresh(party, used.refresh_token.token)) == "invalid_grant"
        assert (await again.refresh(party, kept.refresh_token.token)).access_token.token


async def _end_token(oauth: OAuth, party: Any, got: Any) -> None:
    await oauth.stub.RevokeToken(oauth_service_pb2.RevokeTokenRequest(client=party.proof, token=got.access_token.token))


async def _end_session(oauth: OAuth, party: Any, got: Any) -> None:
    await oauth.world.sessions.RevokeSession(
        session_service_pb2.RevokeSessionRequest(id=got.session.id), metadata=oauth.world.system
    )


async def _end_user_sessions(oauth: OAuth, party: Any, got: Any) -> None:
    await oauth.world.sessions.RevokeAllSessions(
        session_service_pb2.RevokeAllSessionsRequest(principal=principal_message(USER)), metadata=oauth.world.system
    )


async def _end_organization_sessions(oauth: OAuth, party: Any, got: Any) -> None:
    answer = await oauth.world.sessions.RevokeOrganizationSessions(
        session_service_pb2.RevokeOrganizationSessionsRequest(), metadata=oauth.world.system
    )
    assert answer.ended_sessions >= 2


async def _delete_client(oauth: OAuth, party: Any, got: Any) -> None:
    await oauth.world.clients.DeleteOAuthClient(
        oauth_client_service_pb2.DeleteOAuthClientRequest(id=party.message.id), metadata=oauth.world.system
    )


async def _suspend_user(oauth: OAuth, party: Any, got: Any) -> None:
    await oauth.world.hear("user.updated", USER.id, User(id=USER.id, state=USER_STATE_SUSPENDED))


async def _delete_user(oauth: OAuth, party: Any, got: Any) -> None:
    await oauth.world.hear("user.deleted", USER.id)


async def _suspend_organization(oauth: OAuth, party: Any, got: Any) -> None:
    state = Organization(id=ORGANIZATION, owner_user_id=OWNER.id, state=ORGANIZATION_STATE_SUSPENDED)
    await oauth.world.hear("organization.updated", ORGANIZATION, state)


async def _end_login_key(oauth: OAuth, party: Any, got: Any) -> None:
    await oauth.world.keys.DeleteApiKey(
        api_key_service_pb2.DeleteApiKeyRequest(id=got.session.api_key_id), metadata=oauth.world.system
    )


ENDS = [
    _end_token,
    _end_session,
    _end_user_sessions,
    _end_organization_sessions,
    _delete_client,
    _suspend_user,
    _delete_user,
    _suspend_organization,
    _end_login_key,
]


@pytest.mark.parametrize("end", ENDS, ids=lambda each: each.__name__.strip("_"))
async def test_kb19_each_level_of_revocation_kills_and_introspection_knows(oauth: OAuth, end: Any) -> None:
    party = await oauth.client()
    got = await oauth.tokens(party, scope="openid offline_access identity.users.list")

    await end(oauth, party, got)

    assert not await oauth.authenticates(got.access_token.token)
    assert not (await oauth.introspect(got.access_token.token)).active
    assert not (await oauth.introspect(got.refresh_token.token)).active
    assert await oauth.error(oauth.refresh(party, got.refresh_token.token)) in ("invalid_grant", "invalid_client")


@pytest.mark.parametrize(
    "changes",
    [
        {"code_challenge": ""},
        {"code_challenge_method": ""},
        {"code_challenge_method": "plain"},
        {"code_challenge_method": "s256"},
        {"code_challenge": "short"},
        {"code_challenge": "x" * 44},
    ],
)
@pytest.mark.parametrize("method", [NONE, POST])
async def test_kb22_no_client_gets_a_code_without_pkce(oauth: OAuth, method: int, changes: dict[str, str]) -> None:
    party, login = await oauth.client(method=method), await oauth.login()
    _, challenge = pkce()

    answer = await oauth.authorize(party, login, challenge, **changes)

    assert answer.error == "invalid_request"
    assert not answer.code


@pytest.mark.parametrize(
    "changes",
    [
        {"code_verifier": ""},
        {"code_verifier": "x" * 43},
        {"code_verifier": "short"},
        {"redirect_uri": ""},
        {"redirect_uri": CALLBACK + "/"},
    ],
)
async def test_kb22_dropping_or_altering_a_parameter_at_the_token_step_burns_the_code(
    oauth: OAuth, changes: dict[str, str]
) -> None:
    party = await oauth.client()
    code, verifier = await oauth.code(party, await oauth.login())

    values = {"code": code, "code_verifier": verifier, "redirect_uri": CALLBACK, **changes}
    refused = oauth.exchange(party, "authorization_code", **values)

    assert await oauth.error(refused) == "invalid_grant"
    assert await oauth.error(oauth.exchange_code(party, code, verifier)) == "invalid_grant"


async def test_kb22_a_client_with_a_secret_is_not_taken_without_it(oauth: OAuth) -> None:
    party = await oauth.client()
    code, verifier = await oauth.code(party, await oauth.login())
    party.secret, party.method = "", NONE

    assert await oauth.error(oauth.exchange_code(party, code, verifier)) == "invalid_client"


@pytest.mark.parametrize(
    "uri",
    [
        "https://app.example@evil.example/callback",
        "https://app.example/..;/callback",
        "https://app.example/%63allback",
        "https://app.example/callback%252f",
        "https://APP.example/callback",
        "HTTPS://app.example/callback",
        "https://app.example:443/callback",
        "https://app.example/callback#",
        "https://appxexample/callback",
        "https://app.example/callback\t",
        "https://app.example\\callback",
        "https://app.example/callback?x=1",
        "https://app.example/callback/",
        "https://app.example/",
        "https://sub.app.example/callback",
        "http://app.example/callback",
        " https://app.example/callback",
    ],
)
async def test_kb23_a_redirect_address_is_the_registered_bytes_or_none(oauth: OAuth, uri: str) -> None:
    party, login = await oauth.client(), await oauth.login()
    _, challenge = pkce()

    refused = oauth.stub.Authorize(oauth.request(party, challenge, redirect_uri=uri), metadata=login)

    assert await oauth.error(refused) == "invalid_request"


@pytest.mark.parametrize(
    "uri",
    [
        "http://app.example/cb",
        "https://app.example/cb#part",
        "https://user@app.example/cb",
        "javascript:alert(1)",
        "data:text/html,x",
        "https://*.example/cb",
        "https:///cb",
        "app:/cb",
        "https://app.example\\cb",
    ],
)
async def test_kb23_addresses_that_cannot_be_matched_safely_are_not_registered(oauth: OAuth, uri: str) -> None:
    refusal = await oauth.world.refusal(oauth.client(redirect_uris=[uri]))

    assert refusal.violations[0].field == "oauth_client.redirect_uris"


@pytest.mark.parametrize(
    "uri", ["https://[2001:db8::1]/cb", "http://127.0.0.1:8000/cb", "http://localhost/cb?x", "com.example.app:/cb"]
)
async def test_addresses_of_web_and_native_apps_can_be_registered(oauth: OAuth, uri: str) -> None:
    party = await oauth.client(redirect_uris=[uri])

    assert list(party.message.redirect_uris) == [uri]


async def test_kb24_a_code_that_another_client_shows_is_burnt(oauth: OAuth) -> None:
    party, thief = await oauth.client(), await oauth.client()
    code, verifier = await oauth.code(party, await oauth.login())

    assert await oauth.error(oauth.exchange_code(thief, code, verifier)) == "invalid_grant"
    assert await oauth.error(oauth.exchange_code(party, code, verifier)) == "invalid_grant"


async def test_kb24_a_refresh_token_that_another_client_shows_ends_its_family(oauth: OAuth) -> None:
    party, thief = await oauth.client(), await oauth.client(method=NONE)
    got = await oauth.tokens(party)

    assert await oauth.error(oauth.refresh(thief, got.refresh_token.token)) == "invalid_grant"
    assert await oauth.error(oauth.refresh(party, got.refresh_token.token)) == "invalid_grant"
    assert not await oauth.authenticates(got.access_token.token)


async def test_kb31_a_suspended_bearer_is_refused_by_every_way_in(oauth: OAuth) -> None:
    party = await oauth.client(USER)
    login = await oauth.login()
    got = await oauth.tokens(party, login)
    code, verifier = await oauth.code(party, login)
    credential = {"client_id": party.message.client_id, "client_secret": party.secret}
    certificate, subject = _certificate("robot")
    certified = await oauth.client(USER, method=TLS, tls_subject=subject)
    await Person(oauth.world).set_password()
    login = await oauth.login()
    code, verifier = await oauth.code(party, login)
    assert (await exchange_certificate(oauth, certified, certificate)).access_token.token

    await _suspend_user(oauth, party, got)

    for refused in (
        oauth.exchange(party, "client_credentials"),
        oauth.exchange(party, "password", username="ann", password=PASSWORD),
        oauth.refresh(party, got.refresh_token.token),
        oauth.exchange_code(party, code, verifier),
        exchange_certificate(oauth, certified, certificate),
    ):
        assert await oauth.error(refused) in ("invalid_client", "invalid_grant")
    assert not await oauth.authenticates(got.access_token.token)
    assert not await oauth.authenticates(login[0][1].removeprefix("Bearer "))
    refusal = await oauth.world.refusal(oauth.world.authenticate(client=credential))
    assert refusal.reason.value == "PRINCIPAL_SUSPENDED"


@pytest.mark.parametrize("grant", ["authorization_code", "client_credentials", "refresh_token"])
async def test_kb32_scopes_are_what_is_asked_for_and_allowed_on_every_grant(oauth: OAuth, grant: str) -> None:
    party = await oauth.client(APPLICATION)
    asked = "identity.users.list identity.users.delete"

    if grant == "client_credentials":
        got = await oauth.exchange(party, grant, scope=asked)
        nothing = oauth.exchange(party, grant, scope="identity.users.delete")
    elif grant == "authorization_code":
        got = await oauth.tokens(party, scope=asked)
        answer = await oauth.authorize(party, await oauth.login(), pkce()[1], scope="identity.users.delete")
        assert answer.error == "invalid_scope"
        nothing = None
    else:
        first = await oauth.tokens(party, scope=" ".join(SCOPES))
        await oauth.world.clients.UpdateOAuthClient(
            oauth_client_service_pb2.UpdateOAuthClientRequest(
                oauth_client=oauth_client_pb2.OAuthClient(id=party.message.id, scopes=[*SCOPES, "extra.things.list"]),
                update_mask={"paths": ["scopes"]},
            ),
            metadata=oauth.world.system,
        )
        got = await oauth.refresh(party, first.refresh_token.token, scope="identity.users.list")
        nothing = oauth.refresh(party, got.refresh_token.token, scope="extra.things.list")

    proof = await oauth.world.authenticate(access_token=got.access_token.token)
    assert list(proof.content.ceiling.scopes) == ["identity.users.list"]
    assert got.access_token.scope == "identity.users.list"
    if nothing is not None:
        assert await oauth.error(nothing) == "invalid_scope"


async def test_kb32_a_client_that_may_do_less_now_holds_no_session_that_does_more(oauth: OAuth) -> None:
    party = await oauth.client()
    got = await oauth.tokens(party)

    await oauth.world.clients.UpdateOAuthClient(
        oauth_client_service_pb2.UpdateOAuthClientRequest(
            oauth_client=oauth_client_pb2.OAuthClient(id=party.message.id, scopes=["openid"]),
            update_mask={"paths": ["scopes"]},
        ),
        metadata=oauth.world.system,
    )

    assert not await oauth.authenticates(got.access_token.token)


@pytest.mark.parametrize("seconds", [0, 86401, 10**11])
async def test_kb37_no_client_chooses_a_life_beyond_the_cap(oauth: OAuth, seconds: int) -> None:
    refusal = await oauth.world.refusal(oauth.client(access_token_ttl={"seconds": seconds}))

    assert refusal.violations[0].field == "oauth_client.access_token_ttl"


async def test_kb37_what_stops_replays_is_forgotten_when_nothing_can_be_replayed_any_more(oauth: OAuth) -> None:
    party = await oauth.client(refresh_token_ttl={"seconds": 60}, access_token_ttl={"seconds": 60})
    got = await oauth.tokens(party)
    await oauth.refresh(party, got.refresh_token.token)
    units = oauth.world.units

    oauth.world.clock.advance(timedelta(days=32))

    def trim(unit: Any) -> None:
        unit.store.trim_grants(unit.now)
        unit.store.trim_sessions(unit.now)

    await units.system(NOWHERE, trim, Author())

    for table in (authorization_code, refresh_token, access_token):
        left = await units.database.read(
            lambda connection, table=table: connection.execute(select(func.count()).select_from(table)).scalar()
        )
        assert left == 0


async def test_a_code_is_good_for_a_minute(oauth: OAuth) -> None:
    party = await oauth.client()
    code, verifier = await oauth.code(party, await oauth.login())

    oauth.world.clock.advance(timedelta(seconds=60))

    assert await oauth.error(oauth.exchange_code(party, code, verifier)) == "invalid_grant"


async def test_a_client_proves_itself_in_the_one_way_it_was_registered_with(oauth: OAuth) -> None:
    party = await oauth.client(APPLICATION)
    party.method = POST

    assert await oauth.error(oauth.exchange(party, "client_credentials")) == "invalid_client"


async def test_a_certificate_is_believed_from_the_gateway_only(oauth: OAuth) -> None:
    certificate, subject = _certificate("robot")
    other, _ = _certificate("thief")
    party = await oauth.client(APPLICATION, method=TLS, tls_subject=subject)

    assert (await exchange_certificate(oauth, party, certificate)).access_token.token
    assert await oauth.error(exchange_certificate(oauth, party, certificate, role="")) == "invalid_client"
    assert await oauth.error(exchange_certificate(oauth, party, certificate, role="identity")) == "invalid_client"
    assert await oauth.error(exchange_certificate(oauth, party, other)) == "invalid_client"
    assert await oauth.error(exchange_certificate(oauth, party, b"\x30\x03junk")) == "invalid_client"


async def exchange_certificate(oauth: OAuth, party: Any, shown: bytes, role: str = "gateway") -> Any:
    """Ask for tokens with a certificate that one of the suite's processes hands over."""
    proof = oauth_service_pb2.ClientProof(client_id=party.message.client_id, auth_method=TLS, client_certificate=shown)
    request = oauth_service_pb2.ExchangeTokenRequest(client=proof, grant_type="client_credentials")
    metadata = (("authorization", f"Bearer {oauth.world.token(role)()}"),) if role else ()
    return await oauth.stub.ExchangeToken(request, metadata=metadata)


async def test_nothing_that_was_issued_is_stored_or_told_in_the_open(oauth: OAuth, tmp_path: Path) -> None:
    party = await oauth.client(token_format=JWT)
    login = await oauth.login()
    code, verifier = await oauth.code(party, login)
    got = await oauth.exchange_code(party, code, verifier, request_id=str(uuid.uuid4()))
    again = await oauth.refresh(party, got.refresh_token.token)
    secrets = [party.secret, code, verifier, login[0][1].removeprefix("Bearer ")]
    for each in (got, again):
        secrets += [each.access_token.token, each.refresh_token.token, each.id_token]

    stored = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    told = b"".join([event.SerializeToString() for event in await oauth.world.events()])

    assert not [each for each in secrets if each.encode() in stored + told]


def _certificate(name: str) -> tuple[bytes, str]:
    key = Ed25519PrivateKey.generate()
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime(2026, 1, 1, tzinfo=UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
        .sign(key, None)
    )
    return made.public_bytes(Encoding.DER), subject.rfc4514_string()
