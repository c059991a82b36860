"""A client and a user who logs in, for tests of the authorization server."""

import base64
import hashlib
import secrets
from dataclasses import dataclass
from typing import Any

from concord.credentials.v1 import (
    authentication_service_pb2,
    oauth_client_pb2,
    oauth_client_service_pb2,
    oauth_service_pb2,
    oauth_service_pb2_grpc,
)
from concord.kernel.principal import PrincipalRef
from credentials.making import USER, World, principal_message, shown

CALLBACK = "https://app.example/callback"
BASIC = oauth_client_pb2.CLIENT_AUTH_METHOD_BASIC
POST = oauth_client_pb2.CLIENT_AUTH_METHOD_POST
NONE = oauth_client_pb2.CLIENT_AUTH_METHOD_NONE
TLS = oauth_client_pb2.CLIENT_AUTH_METHOD_TLS
JWT = oauth_client_pb2.TOKEN_FORMAT_JWT
ALL_GRANTS = ("authorization_code", "refresh_token", "client_credentials", "password")
SCOPES = ("openid", "offline_access", "identity.users.list")


@dataclass
class Party:
    """A client as its program holds it."""

    message: Any
    secret: str
    method: int

    @property
    def proof(self) -> oauth_service_pb2.ClientProof:
        return oauth_service_pb2.ClientProof(
            client_id=self.message.client_id, client_secret=self.secret, auth_method=self.method
        )


def pkce() -> tuple[str, str]:
    """Draw a verifier and its challenge."""
    verifier = secrets.token_urlsafe(40)
    digest = hashlib.sha256(verifier.encode()).digest()
    return verifier, base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


class OAuth:
    """The authorization server of a world, with shorthands for its flows."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.stub: Any = oauth_service_pb2_grpc.OAuthServiceStub(world.channel)

    async def client(self, bearer: PrincipalRef | None = None, method: int = BASIC, **fields: Any) -> Party:
        """Register a client that may do everything a client can."""
        grants = [each for each in ALL_GRANTS if not (method == NONE and each == "client_credentials")]
        values: dict[str, Any] = {
            "auth_method": method,
            "grant_types": grants,
            "redirect_uris": [CALLBACK],
            "scopes": SCOPES,
            **fields,
        }
        if bearer is not None:
            values["bearer"] = principal_message(bearer)
        made = await self.world.clients.CreateOAuthClient(
            oauth_client_service_pb2.CreateOAuthClientRequest(oauth_client=oauth_client_pb2.OAuthClient(**values)),
            metadata=self.world.system,
        )
        return Party(made.oauth_client, made.secret, method)

    async def login(self, user: PrincipalRef = USER) -> tuple[tuple[str, str], ...]:
        """Log a user in and return what its calls carry."""
        key = await self.world.create_key(user)
        opened = await self.world.create_session(key.secret)
        return shown(opened.access_token.token)

    def request(self, party: Party, challenge: str, **changes: Any) -> oauth_service_pb2.AuthorizeRequest:
        """A good authorization request, but for the changes."""
        values: dict[str, Any] = {
            "response_type": "code",
            "client_id": party.message.client_id,
            "redirect_uri": CALLBACK,
            "scope": "openid identity.users.list",
            "state": "state-1",
            "code_challenge": challenge,
            "code_challenge_method": "S256",
            "nonce": "nonce-1",
            **changes,
        }
        return oauth_service_pb2.AuthorizeRequest(**values)

    async def authorize(self, party: Party, login: Any, challenge: str, **changes: Any) -> Any:
        """Ask, allow what is asked back, and return the answer."""
        request = self.request(party, challenge, **changes)
        answer = await self.stub.Authorize(request, metadata=login)
        if answer.HasField("consent_question"):
            request.consent_decision = oauth_service_pb2.CONSENT_DECISION_GRANTED
            request.consent_proof = answer.consent_question.consent_proof
            answer = await self.stub.Authorize(request, metadata=login)
        return answer

    async def code(self, party: Party, login: Any, **changes: Any) -> tuple[str, str]:
        """Get a code and the verifier that goes with it."""
        verifier, challenge = pkce()
        answer = await self.authorize(party, login, challenge, **changes)
        assert answer.code, answer
        return answer.code, verifier

    async def exchange(self, party: Party, grant_type: str, **fields: Any) -> Any:
        """Ask for tokens."""
        return await self.stub.ExchangeToken(
            oauth_service_pb2.ExchangeTokenRequest(client=party.proof, grant_type=grant_type, **fields)
        )

    async def exchange_code(self, party: Party, code: str, verifier: str, **changes: Any) -> Any:
        """Exchange a code as it should be done, but for the changes."""
        values = {"code": code, "code_verifier": verifier, "redirect_uri": CALLBACK, **changes}
        return await self.exchange(party, "authorization_code", **values)

    async def refresh(self, party: Party, token: str, **fields: Any) -> Any:
        """Exchange a refresh token."""
        return await self.exchange(party, "refresh_token", refresh_token=token, **fields)

    async def tokens(self, party: Party, login: Any = None, **changes: Any) -> Any:
        """Go the whole way of a code."""
        code, verifier = await self.code(party, login or await self.login(), **changes)
        return await self.exchange_code(party, code, verifier)

    async def introspect(self, token: str) -> Any:
        """Ask what a token is worth."""
        return await self.stub.IntrospectToken(
            oauth_service_pb2.IntrospectTokenRequest(token=token), metadata=self.world.system
        )

    async def authenticates(self, token: str) -> bool:
        """Tell whether a token opens the suite."""
        try:
            await self.world.authentication.Authenticate(
                authentication_service_pb2.AuthenticateRequest(bearer_token=token)
            )
        except Exception:
            return False
        return True

    async def error(self, awaitable: Any) -> str:
        """Return the protocol's error code that a call fails with."""
        failure = await self.world.refusal(awaitable)
        return failure.metadata.get("oauth_error", failure.reason.value)
