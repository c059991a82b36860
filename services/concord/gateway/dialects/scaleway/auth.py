"""Scaleway's one way to authenticate: the secret key, or a JWT, in a header of its own."""

import re

from concord.credentials.v1.authentication_service_pb2 import ApiKeyCredential, AuthenticateRequest
from concord.gateway.http import Request
from concord.gateway.shapes import is_uuid
from concord.kernel.errors import Reason, Unauthenticated

HEADER = "x-auth-token"
SECURITY_SCHEMES = {"scaleway": {"in": "header", "name": "X-Auth-Token", "type": "apiKey"}}

# Sessions are shown by a signed token or by an opaque one.
_SESSION = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+|cct_[A-Za-z0-9_-]{43}")
_LONGEST = 8192


def is_session_token(token: str) -> bool:
    """Tell by its look whether a token stands for a session; keys never look so."""
    return _SESSION.fullmatch(token) is not None


def credential(request: Request) -> AuthenticateRequest:
    """Return what the caller shows; a text that can be neither kind is refused without asking the core."""
    token = request.headers.get(HEADER, "")
    if not token:
        raise Unauthenticated(Reason.CREDENTIAL_MISSING, "the header X-Auth-Token is missing")
    if is_uuid(token):
        # A UUID is the same in either case.
        return AuthenticateRequest(api_key=ApiKeyCredential(secret=token.lower()))
    if len(token) <= _LONGEST and is_session_token(token):
        return AuthenticateRequest(bearer_token=token)
    raise Unauthenticated(Reason.CREDENTIAL_INVALID)
