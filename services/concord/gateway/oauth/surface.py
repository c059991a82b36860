"""The table of the surface's paths, and the frame of every answer."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from concord.gateway.authentication import Authentication
from concord.gateway.http import Answer, BodyTooLarge, BodyTooSlow, Request
from concord.gateway.oauth import authorize, tokens
from concord.gateway.oauth.caller import Caller
from concord.gateway.oauth.forms import FORM_LIMIT
from concord.gateway.oauth.problems import Problem, problem_of, refuse
from concord.gateway.oauth.tokens import Exchange
from concord.gateway.upstream import Upstream
from concord.kernel.errors import ConcordError

Endpoint = Callable[[Exchange], Awaitable[Answer]]


PATHS: Final[Mapping[str, Mapping[str, Endpoint]]] = {
    "/oauth2/authorize": {"GET": authorize.authorize, "POST": authorize.authorize},
    "/oauth2/session": {"POST": authorize.keep_login, "DELETE": authorize.drop_login},
    "/oauth2/token": {"POST": tokens.token},
    "/oauth2/revoke": {"POST": tokens.revoke},
    "/oauth2/introspect": {"POST": tokens.introspect},
    "/oauth2/userinfo": {"GET": tokens.user_info, "POST": tokens.user_info},
    "/oauth2/jwks": {"GET": tokens.keys},
    "/.well-known/openid-configuration": {"GET": tokens.describe},
    "/.well-known/oauth-authorization-server": {"GET": tokens.describe},
}


class OAuthSurface:
    """Serves the paths of OAuth 2 and OpenID Connect. It holds no power: the core decides everything."""

    limit = FORM_LIMIT

    def __init__(self, upstream: Upstream, authentication: Authentication, service_token: Callable[[], str]) -> None:
        self._upstream = upstream
        self._authentication = authentication
        self._service_token = service_token

    def serves(self, path: str) -> bool:
        """Tell whether a path is one of the surface's."""
        return path in PATHS

    async def answer(self, request: Request, certificate: bytes, issuer: str) -> Answer:
        """Carry out one request."""
        endpoints = PATHS[request.path]
        endpoint = endpoints.get(request.method)
        if endpoint is None:
            allowed = [("allow", ", ".join(sorted(endpoints)))]
            return refuse(Problem("invalid_request", "method not allowed", status=405, headers=allowed))
        caller = Caller(self._upstream, self._authentication, self._service_token, request)
        try:
            return await endpoint(Exchange(request, certificate, caller, issuer))
        except Problem as problem:
            return refuse(problem)

    def fail(self, error: Exception) -> Answer:
        """Answer a request that could not be carried out."""
        if isinstance(error, BodyTooLarge):
            return refuse(Problem("invalid_request", "the body is too large", status=413))
        if isinstance(error, BodyTooSlow):
            return refuse(Problem("invalid_request", "the body did not arrive in time", status=408))
        if isinstance(error, ConcordError):
            return refuse(problem_of(error, unidentified="invalid_token"))
        return refuse(Problem("server_error", "internal error"))
