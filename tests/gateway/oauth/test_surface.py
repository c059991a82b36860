"""OAuth over HTTP: what is refused, and how, whatever the core would say."""

import base64
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from concord.credentials.v1 import oauth_client_pb2, oauth_consent_pb2, oauth_service_pb2, session_pb2, signing_key_pb2
from concord.gateway.server import caller_certificate
from concord.kernel.addresses import TrustedProxies
from concord.kernel.errors import ConcordError, Denied, RateLimited, Reason, Unauthenticated, Unavailable
from gateway.cores import Protocol, Scope, Shim

ISSUER = "https://iam.example"
FORM = {"content-type": "application/x-www-form-urlencoded"}
SESSION_TOKEN = "cct_login"


@pytest.fixture
def shim(shim: Shim) -> Shim:
    shim.app.issuer = ISSUER
    return shim


def basic(client_id: str = "robot", secret: str = "s3cret") -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(f"{client_id}:{secret}".encode()).decode()}


async def post(shim: Shim, path: str, body: Any, headers: dict[str, str] | None = None) -> Protocol:
    """Send a form; a text goes as it is."""
    text = body if isinstance(body, str) else urlencode(body)
    return await shim.send("POST", path, token=None, chunks=[text.encode()], headers={**FORM, **(headers or {})})


def instant(seconds: int) -> datetime:
    return datetime.fromtimestamp(1_800_000_000 + seconds, UTC)


def tokens(**fields: Any) -> oauth_service_pb2.ExchangeTokenResponse:
    answer = oauth_service_pb2.ExchangeTokenResponse(**fields)
    answer.access_token.CopyFrom(session_pb2.AccessToken(token="cct_new", scope="openid"))
    answer.access_token.issue_time.FromDatetime(instant(0).replace(tzinfo=None))
    answer.access_token.expire_time.FromDatetime(instant(3600).replace(tzinfo=None))
    return answer


async def test_tokens_are_answered_as_rfc_6749_says_and_kept_nowhere(shim: Shim) -> None:
    shim.core.answers["ExchangeToken"] = tokens(
        refresh_token=session_pb2.RefreshToken(token="ccr_new"), id_token="a.b.c"
    )

    answer = await post(shim, "/oauth2/token", {"grant_type": "client_credentials", "scope": "openid"}, basic())

    assert answer.status == 200
    assert answer.json() == {
        "access_token": "cct_new",
        "token_type": "Bearer",
        "expires_in": 3600,
        "scope": "openid",
        "refresh_token": "ccr_new",
        "id_token": "a.b.c",
    }
    assert answer.header("cache-control") == "no-store"
    asked = shim.core.calls("ExchangeToken")[0]
    assert asked.message.client.auth_method == oauth_client_pb2.CLIENT_AUTH_METHOD_BASIC
    assert (asked.message.client.client_id, asked.message.client.client_secret) == ("robot", "s3cret")
    assert asked.message.issuer == ISSUER
    assert asked.metadata["authorization"] == "Bearer gateway-token"
    assert asked.metadata["concord-caller-address"] == "192.0.2.7"


async def test_ids_and_secrets_of_basic_are_form_decoded(shim: Shim) -> None:
    shim.core.answers["ExchangeToken"] = tokens()

    await post(shim, "/oauth2/token", {"grant_type": "client_credentials"}, basic("a%3Ab", "x%2By%20z"))

    client = shim.core.calls("ExchangeToken")[0].message.client
    assert (client.client_id, client.client_secret) == ("a:b", "x+y z")


GOOD = {"grant_type": "client_credentials", "client_id": "robot", "client_secret": "s"}


@pytest.mark.parametrize(
    ("body", "headers", "status", "error"),
    [
        ("grant_type=client_credentials&client_id=a&client_id=b", {}, 400, "invalid_request"),
        ("grant_type=client_credentials&grant_type=password&client_id=a", {}, 400, "invalid_request"),
        ("client_id=a", {}, 400, "invalid_request"),
        ("grant_type=&client_id=a", {}, 400, "invalid_request"),
        ("grant_type=authorization_code&client_id=a", {}, 400, "invalid_request"),
        ("grant_type=refresh_token&client_id=a", {}, 400, "invalid_request"),
        ("grant_type=password&client_id=a&username=u", {}, 400, "invalid_request"),
        ("grant_type=client_credentials", {}, 401, "invalid_client"),
        (GOOD, basic(), 400, "invalid_request"),
        ({"grant_type": "client_credentials", "client_id": "other"}, basic(), 400, "invalid_request"),
        ({"grant_type": "client_credentials"}, {"authorization": "Basic ???"}, 401, "invalid_client"),
        ({"grant_type": "client_credentials"}, {"authorization": "Digest x"}, 401, "invalid_client"),
        ({"grant_type": "client_credentials"}, basic("%ff", "x"), 401, "invalid_client"),
        ({**GOOD, "client_assertion": "x"}, {}, 401, "invalid_client"),
        (GOOD, {"content-type": "application/json"}, 400, "invalid_request"),
        ("grant_type=%ff&client_id=a", {}, 400, "invalid_request"),
        ("grant_type=a%00b&client_id=a", {}, 400, "invalid_request"),
        ("grant_type=é", {}, 400, "invalid_request"),
        ("&".join(f"p{number}=1" for number in range(100)), {}, 400, "invalid_request"),
        ("x" * 70_000, {}, 413, "invalid_request"),
    ],
)
async def test_a_malformed_token_request_is_refused_before_the_core_hears_of_it(
    shim: Shim, body: Any, headers: dict[str, str], status: int, error: str
) -> None:
    answer = await post(shim, "/oauth2/token", body, headers)

    assert (answer.status, answer.json()["error"]) == (status, error)
    assert answer.header("cache-control") == "no-store"
    assert (answer.header("www-authenticate") is not None) == (status == 401)
    assert not shim.core.asked


async def test_parameters_in_the_query_of_the_token_endpoint_are_refused(shim: Shim) -> None:
    answer = await post(shim, "/oauth2/token?client_secret=s", GOOD)

    assert (answer.status, answer.json()["error"]) == (400, "invalid_request")


def refused(error: str) -> ConcordError:
    reason = Reason.CREDENTIAL_INVALID if error in ("invalid_client", "invalid_grant") else Reason.INVALID_FIELDS
    return ConcordError(reason, 'told "plainly" é', {"oauth_error": error})


@pytest.mark.parametrize(
    ("failure", "status", "error"),
    [
        (refused("invalid_client"), 401, "invalid_client"),
        (refused("invalid_grant"), 400, "invalid_grant"),
        (refused("invalid_scope"), 400, "invalid_scope"),
        (refused("invalid_target"), 400, "invalid_target"),
        (refused("unauthorized_client"), 400, "unauthorized_client"),
        (refused("unsupported_grant_type"), 400, "unsupported_grant_type"),
        (Unauthenticated(Reason.PRINCIPAL_SUSPENDED), 400, "invalid_grant"),
        (RateLimited(2.0), 429, "slow_down"),
        (Unavailable("later"), 503, "temporarily_unavailable"),
    ],
)
async def test_refusals_of_the_core_are_told_in_the_protocols_words(
    shim: Shim, failure: ConcordError, status: int, error: str
) -> None:
    shim.core.answers["ExchangeToken"] = failure

    answer = await post(shim, "/oauth2/token", GOOD)

    assert (answer.status, answer.json()["error"]) == (status, error)
    assert answer.json()["error_description"].isascii()
    assert '"' not in answer.json()["error_description"]


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/oauth2/token", "POST"),
        ("DELETE", "/oauth2/authorize", "GET, POST"),
        ("POST", "/oauth2/jwks", "GET"),
        ("PUT", "/.well-known/openid-configuration", "GET"),
    ],
)
async def test_other_methods_are_refused_with_those_that_are_served(
    shim: Shim, method: str, path: str, allowed: str
) -> None:
    answer = await shim.send(method, path, token=None)

    assert (answer.status, answer.header("allow")) == (405, allowed)


async def test_metadata_promises_what_is_served(shim: Shim) -> None:
    told = (await shim.send("GET", "/.well-known/openid-configuration", token=None)).json()
    same = (await shim.send("GET", "/.well-known/oauth-authorization-server", token=None)).json()

    assert told == same
    assert told["issuer"] == ISSUER
    assert told["code_challenge_methods_supported"] == ["S256"]
    assert told["response_types_supported"] == ["code"]
    assert told["authorization_response_iss_parameter_supported"] is True
    for name in ("token", "authorization", "revocation", "introspection", "userinfo"):
        path = urlsplit(told[f"{name}_endpoint"]).path
        assert (await shim.send("PATCH", path, token=None)).status == 405


async def test_keys_are_published_for_others_to_cache_for_less_than_they_are_published_before_signing(
    shim: Shim,
) -> None:
    shim.core.answers["ListSigningKeys"] = oauth_service_pb2.ListSigningKeysResponse(
        signing_keys=[signing_key_pb2.SigningKey(kid="k", public_jwk='{"kid": "k", "kty": "OKP"}')]
    )

    answer = await shim.send("GET", "/oauth2/jwks", token=None)

    assert answer.json() == {"keys": [{"kid": "k", "kty": "OKP"}]}
    assert answer.header("cache-control") == "public, max-age=300"


async def test_user_info_takes_a_bearer_header_and_nothing_else(shim: Shim) -> None:
    shim.core.answers["GetUserInfo"] = oauth_service_pb2.GetUserInfoResponse(subject="o:user:u", organization_id="o")

    good = await shim.send("GET", "/oauth2/userinfo", token=None, headers={"authorization": "Bearer cct_x"})
    bare = await shim.send("GET", "/oauth2/userinfo?access_token=cct_x", token=None)
    shim.core.answers["GetUserInfo"] = Unauthenticated(Reason.CREDENTIAL_EXPIRED)
    dead = await shim.send("GET", "/oauth2/userinfo", token=None, headers={"authorization": "Bearer cct_x"})
    shim.core.answers["GetUserInfo"] = ConcordError(
        Reason.PERMISSION_DENIED, "no", {"oauth_error": "insufficient_scope"}
    )
    narrow = await shim.send("GET", "/oauth2/userinfo", token=None, headers={"authorization": "Bearer cct_x"})

    assert good.json()["sub"] == "o:user:u"
    assert (bare.status, bare.header("www-authenticate")) == (401, 'Bearer realm="concord"')
    assert (dead.status, dead.json()["error"]) == (401, "invalid_token")
    assert (narrow.status, narrow.json()["error"]) == (403, "insufficient_scope")


async def test_an_inactive_token_is_told_as_that_and_nothing_else(shim: Shim) -> None:
    shim.core.answers["IntrospectToken"] = oauth_service_pb2.IntrospectTokenResponse(active=False)

    answer = await post(shim, "/oauth2/introspect", {"token": "x"}, basic())

    assert answer.content == b'{"active":false}'
    assert answer.header("cache-control") == "no-store"


async def test_an_active_token_is_told_with_its_issuer_and_audience(shim: Shim) -> None:
    found = oauth_service_pb2.IntrospectTokenResponse(
        active=True, subject="o:user:u", client_id="robot", scope="a b", token_type="Bearer", session_id="s"
    )
    found.expire_time.FromDatetime(instant(60).replace(tzinfo=None))
    shim.core.answers["IntrospectToken"] = found

    answer = await post(shim, "/oauth2/introspect", {"token": "x"}, {"authorization": "Bearer cct_asker"})

    told = answer.json()
    assert (told["iss"], told["aud"], told["sub"]) == (ISSUER, ISSUER, "o:user:u")
    assert (told["exp"], told["scope"], told["client_id"]) == (1_800_000_060, "a b", "robot")


async def test_introspection_without_a_right_to_it_is_refused(shim: Shim) -> None:
    shim.core.answers["IntrospectToken"] = Denied("credentials.tokens.introspect")

    answer = await post(shim, "/oauth2/introspect", {"token": "x"}, basic())
    bare = await post(shim, "/oauth2/introspect", {"token": "x"})

    assert (answer.status, answer.json()["error"]) == (403, "access_denied")
    assert (bare.status, bare.json()["error"]) == (401, "invalid_client")


async def test_revoking_answers_nothing_whether_or_not_there_was_a_token(shim: Shim) -> None:
    from google.protobuf.empty_pb2 import Empty

    shim.core.answers["RevokeToken"] = Empty()

    answer = await post(shim, "/oauth2/revoke", {"token": "x", "token_type_hint": "anything"}, basic())

    assert (answer.status, answer.content) == (200, b"")


LOGIN = {"authorization": f"Bearer {SESSION_TOKEN}"}
ASKED = {
    "response_type": "code",
    "client_id": "robot",
    "redirect_uri": "https://app.example/cb?x=1",
    "scope": "openid",
    "state": "a b&c",
    "code_challenge": "c" * 43,
    "code_challenge_method": "S256",
}


async def authorize(shim: Shim, changes: dict[str, str] | None = None, headers: dict[str, str] | None = None) -> Any:
    query = urlencode({**ASKED, **(changes or {})})
    return await shim.send("GET", f"/oauth2/authorize?{query}", token=None, headers=headers or LOGIN)


async def test_a_code_goes_back_with_state_and_issuer(shim: Shim) -> None:
    shim.core.answers["Authorize"] = oauth_service_pb2.AuthorizeResponse(
        redirect_uri="https://app.example/cb?x=1", code="c0de", state="a b&c", issuer=ISSUER
    )

    answer = await authorize(shim)

    assert answer.status == 303
    place = answer.header("location") or ""
    assert place.startswith("https://app.example/cb?x=1&code=")
    assert parse_qs(urlsplit(place).query) == {"x": ["1"], "code": ["c0de"], "state": ["a b&c"], "iss": [ISSUER]}
    assert answer.header("cache-control") == "no-store"
    assert answer.header("referrer-policy") == "no-referrer"


async def test_a_refusal_goes_back_with_state_and_issuer_and_without_a_code(shim: Shim) -> None:
    shim.core.answers["Authorize"] = oauth_service_pb2.AuthorizeResponse(
        redirect_uri="https://app.example/cb", error="access_denied", error_description="no", state="s", issuer=ISSUER
    )

    answer = await authorize(shim)

    query = parse_qs(urlsplit(answer.header("location") or "").query)
    assert query == {"error": ["access_denied"], "error_description": ["no"], "state": ["s"], "iss": [ISSUER]}


async def test_a_wrong_redirect_address_is_never_gone_to(shim: Shim) -> None:
    shim.core.answers["Authorize"] = refused("invalid_request")

    answer = await authorize(shim, {"redirect_uri": "https://evil.example"})

    assert (answer.status, answer.header("location")) == (400, None)


@pytest.mark.parametrize(
    "changes", [{"request": "x.y.z"}, {"request_uri": "https://a"}, {"response_mode": "fragment"}, {"max_age": "-1"}]
)
async def test_what_is_not_supported_is_refused_rather_than_passed_over(shim: Shim, changes: dict[str, str]) -> None:
    answer = await authorize(shim, changes)

    assert (answer.status, answer.json()["error"]) == (400, "invalid_request")
    assert not shim.core.calls("Authorize")


async def test_kb22_a_repeated_parameter_is_refused(shim: Shim) -> None:
    query = urlencode(ASKED) + "&client_id=other"

    answer = await shim.send("GET", f"/oauth2/authorize?{query}", token=None, headers=LOGIN)

    assert (answer.status, answer.json()["error"]) == (400, "invalid_request")


async def test_without_a_login_nobody_is_let_in(shim: Shim) -> None:
    answer = await authorize(shim, headers={"accept": "text/html"})

    assert (answer.status, answer.json()["error"]) == (401, "login_required")
    assert answer.header("www-authenticate") == 'Bearer realm="concord"'


def question() -> oauth_service_pb2.AuthorizeResponse:
    return oauth_service_pb2.AuthorizeResponse(
        consent_question=oauth_consent_pb2.ConsentQuestion(
            client_id="robot", client_name="<b>Robot</b>", scopes=["openid"], consent_proof="pr00f"
        )
    )


async def test_a_browser_is_asked_on_a_page_that_nobody_can_frame_or_inject_into(shim: Shim) -> None:
    shim.core.answers["Authorize"] = question()

    answer = await authorize(shim, {"state": '"><script>'}, {**LOGIN, "accept": "text/html"})

    page = answer.content.decode()
    assert answer.status == 200
    assert "&lt;b&gt;Robot" in page
    assert "<script>" not in page
    assert 'value="pr00f"' in page
    assert "frame-ancestors 'none'" in (answer.header("content-security-policy") or "")
    assert answer.header("x-frame-options") == "DENY"


async def test_a_program_is_asked_in_json(shim: Shim) -> None:
    shim.core.answers["Authorize"] = question()

    answer = await authorize(shim)

    assert (answer.status, answer.json()["error"]) == (403, "consent_required")
    assert answer.json()["consent_proof"] == "pr00f"


async def test_a_consent_is_given_by_post_alone(shim: Shim) -> None:
    shim.core.answers["Authorize"] = question()
    said = {"consent": "granted", "consent_proof": "pr00f"}

    await authorize(shim, said)
    await post(shim, "/oauth2/authorize", {**ASKED, **said}, LOGIN)

    by_get, by_post = (each.message for each in shim.core.calls("Authorize"))
    assert by_get.consent_decision == oauth_service_pb2.CONSENT_DECISION_UNSPECIFIED
    assert by_post.consent_decision == oauth_service_pb2.CONSENT_DECISION_GRANTED
    assert by_post.consent_proof == "pr00f"


async def test_a_login_is_kept_in_a_cookie_that_scripts_and_other_sites_do_not_get(shim: Shim) -> None:
    shim.core.answers["Authorize"] = question()

    kept = await shim.send("POST", "/oauth2/session", token=None, headers=LOGIN)
    cookie = kept.header("set-cookie") or ""
    pair = cookie.partition(";")[0]
    with_cookie = await authorize(shim, headers={"cookie": f"a=b; {pair}"})
    twice = await authorize(shim, headers={"cookie": f"{pair}x; {pair}"})
    dropped = await shim.send("DELETE", "/oauth2/session", token=None)

    assert kept.status == 204
    assert pair == f"__Host-concord_session={SESSION_TOKEN}"
    assert {"HttpOnly", "SameSite=Lax", "Secure", "Path=/"} <= set(cookie.split("; "))
    assert with_cookie.status == 403
    assert twice.status == 401
    assert "Max-Age=0" in (dropped.header("set-cookie") or "")


async def test_a_cookie_in_several_lines_is_one_cookie(shim: Shim) -> None:
    shim.core.answers["Authorize"] = question()
    pair = f"__Host-concord_session={SESSION_TOKEN}"

    # As HTTP/2 lets browsers send them.
    found, doubled = [
        await authorize_in_lines(shim, [("cookie", "a=b"), ("cookie", each)]) for each in (pair, f"{pair}; {pair}x")
    ]
    apart = await authorize_in_lines(shim, [("cookie", pair), ("cookie", f"{pair}x")])

    assert [found.status, doubled.status, apart.status] == [403, 401, 401]


async def test_a_second_line_of_a_credential_is_refused_whichever_is_good(shim: Shim) -> None:
    shim.core.answers["Authorize"] = question()
    good, bad = LOGIN["authorization"], "Bearer somebody"

    answers = [
        await authorize_in_lines(shim, [("authorization", first), ("authorization", second)])
        for first, second in ((good, bad), (bad, good), (good, good))
    ]

    assert [(each.status, each.json()["error"]) for each in answers] == [(401, "invalid_token")] * 3


async def authorize_in_lines(shim: Shim, lines: list[tuple[str, str]]) -> Protocol:
    """Ask with headers that come more than once."""
    protocol = Protocol([])
    await shim.app.__rsgi__(Scope("GET", "/oauth2/authorize", urlencode(ASKED), lines), protocol)
    return protocol


async def test_no_cookie_is_made_of_a_login_that_was_good_a_moment_ago(shim: Shim) -> None:
    shim.core.answers["Authorize"] = question()
    await authorize(shim)
    shim.core.answers["concord.credentials.v1.AuthenticationService/Authenticate"] = Unauthenticated(
        Reason.CREDENTIAL_REVOKED
    )

    kept = await shim.send("POST", "/oauth2/session", token=None, headers=LOGIN)

    assert (kept.status, kept.header("set-cookie")) == (401, None)


async def test_a_name_on_the_consent_page_does_not_turn_the_page_around(shim: Shim) -> None:
    asked = question()
    asked.consent_question.client_name = "Robot\u202e\u2066 let in already"
    shim.core.answers["Authorize"] = asked

    answer = await authorize(shim, headers={**LOGIN, "accept": "text/html"})

    page = answer.content.decode()
    assert not {"\u202e", "\u2066"} & set(page)
    # Any name may be any client's; the id is one client's alone.
    assert "<code>robot</code>" in page


async def test_a_cookie_is_made_of_a_good_login_only(shim: Shim) -> None:
    bare = await shim.send("POST", "/oauth2/session", token=None)
    shim.core.answers["concord.credentials.v1.AuthenticationService/Authenticate"] = Unauthenticated(
        Reason.CREDENTIAL_INVALID
    )
    bad = await shim.send("POST", "/oauth2/session", token=None, headers=LOGIN)

    assert (bare.status, bad.status) == (401, 401)
    assert bare.header("set-cookie") is bad.header("set-cookie") is None


@pytest.mark.parametrize(
    ("peer", "header", "found"),
    [
        ("10.0.0.1:4", ":AQID:", b"\x01\x02\x03"),
        ("192.0.2.9:4", ":AQID:", b""),
        ("10.0.0.1:4", ":???:", b""),
        ("10.0.0.1:4", "", b""),
    ],
)
def test_a_certificate_is_read_from_a_trusted_proxys_header_only(peer: str, header: str, found: bytes) -> None:
    assert caller_certificate(TrustedProxies(["10.0.0.0/8"]), peer, {"client-cert": header}) == found
