"""Refresh tokens, authorization codes, consents and signing keys as values, and the limits of their lives."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from concord.credentials.model.clients import SigningAlgorithm
from concord.credentials.model.holders import Holder
from concord.credentials.model.sessions import Session
from concord.kernel.ids import OAuthClientId, OrganizationId, SessionId, UserId
from concord.kernel.principal import PrincipalRef

CODE_TTL: Final = timedelta(seconds=60)
ACCESS_TTL: Final = timedelta(hours=1)
MIN_ACCESS_TTL: Final = timedelta(seconds=1)
# No token that others verify by themselves lives longer, so this long a key must stay published.
MAX_ACCESS_TTL: Final = timedelta(hours=24)
ID_TOKEN_TTL: Final = timedelta(hours=1)
AUDIENCE_TOKEN_TTL: Final = timedelta(minutes=5)
CONSENT_TTL: Final = timedelta(minutes=10)
MAX_CLIENT_SECRETS: Final = 10
MAX_SCOPES: Final = 100
MAX_PARAMETER: Final = 2048
MAX_SCOPE_TEXT: Final = 3000
"""Scopes become the ceiling of a passport, which travels in a header and is read up to 8 KiB."""

OPENID: Final = "openid"
OFFLINE: Final = "offline_access"
# What a client and a user can speak about without the suite's own permissions.
OPENID_SCOPES: Final = (OPENID, OFFLINE)

AUTHORIZATION_CODE: Final = "authorization_code"
CLIENT_CREDENTIALS: Final = "client_credentials"
REFRESH_TOKEN: Final = "refresh_token"  # noqa: S105 - the name of a grant, no secret
PASSWORD: Final = "password"  # noqa: S105 - the name of a grant, no secret
GRANT_TYPES: Final = (AUTHORIZATION_CODE, CLIENT_CREDENTIALS, REFRESH_TOKEN, PASSWORD)

_AUDIENCE: Final = re.compile(r"[!-~]{1,512}")


class SigningKeyState(StrEnum):
    """Where a signing key stands in its life."""

    NEXT = "next"
    ACTIVE = "active"
    RETIRED = "retired"


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key that signs tokens for others, without its private half."""

    kid: str
    algorithm: SigningAlgorithm
    public_jwk: dict[str, Any]
    state: SigningKeyState
    create_time: datetime
    activate_time: datetime | None = None
    retire_time: datetime | None = None


@dataclass(frozen=True, slots=True)
class AuthorizationCode:
    """What a code was given for. Its text is stored as a hash beside it."""

    organization_id: OrganizationId
    client_id: OAuthClientId
    user_id: UserId
    session_id: SessionId
    """The login in which it was given."""
    redirect_uri: str
    redirect_uri_named: bool
    """Whether the request named it; then the exchange must, too."""
    code_challenge: str
    scopes: tuple[str, ...]
    audience: str
    nonce: str
    issue_time: datetime
    expire_time: datetime
    use_time: datetime | None = None
    opened_session_id: SessionId | None = None
    """What the code was exchanged for; a second use ends it."""


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """A refresh token of a session, without its text."""

    organization_id: OrganizationId
    session_id: SessionId
    client_id: OAuthClientId
    scopes: tuple[str, ...]
    audience: str
    issue_time: datetime
    expire_time: datetime
    use_time: datetime | None = None


@dataclass(frozen=True, slots=True)
class FoundRefreshToken:
    """A refresh token as the directory found it, with its session and whether those it stands for live."""

    refresh: RefreshToken
    session: Session
    holder: Holder


@dataclass(frozen=True, slots=True)
class Consent:
    """That a user allowed a client some scopes."""

    organization_id: OrganizationId
    user_id: UserId
    client_id: OAuthClientId
    scopes: tuple[str, ...]
    create_time: datetime
    update_time: datetime


def subject_of(organization_id: str, principal: PrincipalRef) -> str:
    """Return the name of a principal for other parties.

    Ids are unique in an organization and a kind only, and some may be chosen: without both, one
    organization could make a principal that others take for another organization's.
    """
    return f"{organization_id}:{principal.kind.value}:{principal.id}"


def too_much_scope(scopes: Iterable[str]) -> bool:
    """Tell whether the names of scopes are too long together for a passport to carry them."""
    return len(" ".join(scopes).encode("ascii", "backslashreplace")) > MAX_SCOPE_TEXT


def is_audience(text: str) -> bool:
    """Tell whether a text can name the audience of a token."""
    return _AUDIENCE.fullmatch(text) is not None
