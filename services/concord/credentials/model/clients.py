"""OAuth clients and their secrets as values."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from concord.credentials.model.holders import Holder
from concord.kernel.ids import OAuthClientId, OrganizationId, UserId
from concord.kernel.principal import PrincipalKind, PrincipalRef

# Printable ASCII without the space and `:`, which ends the id in basic authorization.
_CLIENT_ID: Final = re.compile(r"[!-9;-~]{1,128}")


class TokenFormat(StrEnum):
    """How an access token looks."""

    OPAQUE = "opaque"
    JWT = "jwt"


class SigningAlgorithm(StrEnum):
    """With which algorithm tokens for others are signed, by its name in their header."""

    RS256 = "RS256"
    ED25519 = "Ed25519"


class ClientAuthMethod(StrEnum):
    """How an OAuth client proves itself."""

    NONE = "none"
    POST = "post"
    BASIC = "basic"
    TLS = "tls"

    @property
    def has_secret(self) -> bool:
        """Whether a client of this method is given a secret."""
        return self in (ClientAuthMethod.POST, ClientAuthMethod.BASIC)


@dataclass(frozen=True, slots=True)
class ClientSecret:
    """One of a client's secrets, without its text."""

    number: int
    client_id: OAuthClientId
    name: str
    create_time: datetime
    last_used_time: datetime | None = None


@dataclass(frozen=True, slots=True)
class OAuthClient:
    """A program as OAuth sees it."""

    id: OAuthClientId
    organization_id: OrganizationId
    version: int
    client_id: str
    create_time: datetime
    update_time: datetime
    end_time: datetime | None = None
    name: str = ""
    bearer: PrincipalRef | None = None
    owner_user_id: UserId | None = None
    grant_types: tuple[str, ...] = ()
    auth_method: ClientAuthMethod = ClientAuthMethod.BASIC
    redirect_uris: tuple[str, ...] = ()
    response_types: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
    audiences: tuple[str, ...] = ()
    tls_subject: str = ""
    token_format: TokenFormat = TokenFormat.OPAQUE
    signing_algorithm: SigningAlgorithm = SigningAlgorithm.RS256
    access_token_ttl: timedelta | None = None
    refresh_token_ttl: timedelta | None = None
    secrets: tuple[ClientSecret, ...] = ()
    catalogue: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)

    @property
    def etag(self) -> str:
        """The version as text."""
        return str(self.version)

    @property
    def is_managed(self) -> bool:
        """Whether the platform supplied it."""
        return bool(self.catalogue)

    @property
    def belongs_to(self) -> PrincipalRef | None:
        """Whose thing it is: its bearer's, else its owner's."""
        if self.bearer is None and self.owner_user_id is not None:
            return PrincipalRef(PrincipalKind.USER, self.owner_user_id)
        return self.bearer


@dataclass(frozen=True, slots=True)
class FoundClient:
    """A client whose id and secret the directory found together."""

    client: OAuthClient
    secret_number: int
    holder: Holder | None
    """None where the client has no bearer."""


def is_client_id(text: str) -> bool:
    """Tell whether a client can have this id."""
    return _CLIENT_ID.fullmatch(text) is not None
