"""The endpoints that programs talk to: token, revocation, introspection, user info, keys, metadata."""

import json
from dataclasses import dataclass
from typing import Any, Final

from concord.credentials.v1 import authentication_service_pb2, oauth_client_pb2, oauth_service_pb2
from concord.gateway.http import Answer, Headers, Request, encode
from concord.gateway.oauth import metadata
from concord.gateway.oauth.caller import Caller
from concord.gateway.oauth.forms import (
    Parameters,
    ShownClient,
    bearer_token,
    form_parameters,
    required,
    shown_client,
)
from concord.gateway.oauth.problems import JSON, NO_STORE, Problem, problem_of
from concord.kernel.errors import ConcordError
from concord.kernel.rpc.wire import instant_from_wire

# Shorter by far than a key is published before it signs.
_CACHED: Final[Headers] = [
    ("content-type", "application/json"),
    ("cache-control", "public, max-age=300"),
    ("access-control-allow-origin", "*"),
]
_METHODS: Final = {
    "none": oauth_client_pb2.CLIENT_AUTH_METHOD_NONE,
    "basic": oauth_client_pb2.CLIENT_AUTH_METHOD_BASIC,
    "post": oauth_client_pb2.CLIENT_AUTH_METHOD_POST,
    "tls": oauth_client_pb2.CLIENT_AUTH_METHOD_TLS,
}


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request of a program: what was sent, the certificate of its connection, the way to the core."""

    request: Request
    certificate: bytes
    caller: Caller
    issuer: str


async def token(exchange: Exchange) -> Answer:
    """RFC 6749, 3.2."""
    parameters = form_parameters(exchange.request)
    message = oauth_service_pb2.ExchangeTokenRequest(
        client=_proof(exchange, parameters),
        grant_type=required(parameters, "grant_type"),
        issuer=exchange.issuer,
    )
    for name in _PARAMETERS:
        setattr(message, name, parameters.get(name, ""))
    for name in _NEEDED.get(message.grant_type, ()):
        required(parameters, name)
    try:
        answer = await exchange.caller.ask(exchange.caller.core.oauth.ExchangeToken, message)
    except ConcordError as error:
        raise problem_of(error, unidentified="invalid_grant") from None
    access = answer.access_token
    lasts = instant_from_wire(access.expire_time) - instant_from_wire(access.issue_time)
    body: dict[str, Any] = {
        "access_token": access.token,
        "token_type": "Bearer",
        "expires_in": int(lasts.total_seconds()),
    }
    if access.scope:
        body["scope"] = access.scope
    if answer.HasField("refresh_token"):
        body["refresh_token"] = answer.refresh_token.token
    if answer.id_token:
        body["id_token"] = answer.id_token
    return Answer(200, JSON, encode(body))


async def revoke(exchange: Exchange) -> Answer:
    """RFC 7009."""
    parameters = form_parameters(exchange.request)
    message = oauth_service_pb2.RevokeTokenRequest(
        client=_proof(exchange, parameters), token=required(parameters, "token")
    )
    try:
        await exchange.caller.ask(exchange.caller.core.oauth.RevokeToken, message)
    except ConcordError as error:
        raise problem_of(error, unidentified="invalid_client") from None
    return Answer(200, NO_STORE)


async def introspect(exchange: Exchange) -> Answer:
    """RFC 7662. Whoever asks shows a token with the right to, or is a client whose bearer has it."""
    parameters = form_parameters(exchange.request)
    credential, shown, unidentified = _asker(exchange, parameters)
    message = oauth_service_pb2.IntrospectTokenRequest(token=required(parameters, "token"))
    try:
        found = await exchange.caller.ask_as(credential, shown, exchange.caller.core.oauth.IntrospectToken, message)
    except ConcordError as error:
        raise problem_of(error, unidentified=unidentified) from None
    if not found.active:
        return Answer(200, JSON, b'{"active":false}')
    body: dict[str, Any] = {
        "active": True,
        "iss": exchange.issuer,
        "sub": found.subject,
        "aud": found.audience or exchange.issuer,
        "exp": int(instant_from_wire(found.expire_time).timestamp()),
        "token_type": found.token_type,
        "sid": found.session_id,
        "org": found.organization_id,
    }
    if found.HasField("issue_time"):
        body["iat"] = int(instant_from_wire(found.issue_time).timestamp())
    for name in ("scope", "client_id"):
        if getattr(found, name):
            body[name] = getattr(found, name)
    return Answer(200, JSON, encode(body))


async def user_info(exchange: Exchange) -> Answer:
    """OpenID Connect Core, 5.3."""
    shown = bearer_token(exchange.request)
    if not shown:
        raise Problem("login_required", "an access token is needed", status=401)
    message = oauth_service_pb2.GetUserInfoRequest(access_token=shown)
    try:
        found = await exchange.caller.ask(exchange.caller.core.oauth.GetUserInfo, message)
    except ConcordError as error:
        raise problem_of(error, unidentified="invalid_token") from None
    return Answer(200, JSON, encode({"sub": found.subject, "org": found.organization_id}))


async def keys(exchange: Exchange) -> Answer:
    """RFC 7517: the keys that tokens are, were or will be signed with."""
    try:
        found = await exchange.caller.ask(
            exchange.caller.core.oauth.ListSigningKeys, oauth_service_pb2.ListSigningKeysRequest()
        )
    except ConcordError as error:
        raise problem_of(error, unidentified="temporarily_unavailable") from None
    body = {"keys": [json.loads(each.public_jwk) for each in found.signing_keys]}
    return Answer(200, _CACHED, encode(body))


async def describe(exchange: Exchange) -> Answer:
    """RFC 8414 and OpenID Connect discovery."""
    return Answer(200, _CACHED, encode(metadata.document(exchange.issuer)))


_PARAMETERS: Final = (
    "code",
    "redirect_uri",
    "code_verifier",
    "refresh_token",
    "scope",
    "username",
    "password",
    "resource",
)
_NEEDED: Final = {
    "authorization_code": ("code",),
    "refresh_token": ("refresh_token",),
    "password": ("username", "password"),
}


def _proof(exchange: Exchange, parameters: Parameters) -> oauth_service_pb2.ClientProof:
    shown = shown_client(exchange.request, parameters, exchange.certificate)
    return oauth_service_pb2.ClientProof(
        client_id=shown.client_id,
        client_secret=shown.secret,
        auth_method=_METHODS[shown.method],
        client_certificate=shown.certificate,
    )


def _asker(
    exchange: Exchange, parameters: Parameters
) -> tuple[authentication_service_pb2.AuthenticateRequest, tuple[str, ...], str]:
    scheme = exchange.request.headers.get("authorization", "").partition(" ")[0].lower()
    if scheme == "bearer":
        text = bearer_token(exchange.request)
        return authentication_service_pb2.AuthenticateRequest(bearer_token=text), ("bearer", text), "invalid_token"
    shown: ShownClient = shown_client(exchange.request, parameters, b"")
    if not shown.secret:
        raise Problem("invalid_client", "the client shows no secret")
    proof = authentication_service_pb2.ClientCredential(client_id=shown.client_id, client_secret=shown.secret)
    request = authentication_service_pb2.AuthenticateRequest(client=proof)
    return request, ("client", shown.client_id, shown.secret), "invalid_client"
