"""Who may act as whom, as values. What documents look like is the policy service's business."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol

from concord.kernel.ids import ApiKeyId, OrganizationId, SessionId, UserId
from concord.kernel.principal import PrincipalRef

MAX_DOCUMENT: Final = 64 * 1024
ASSUMED_TTL: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class TrustedName:
    """A user as a document names it; without a name it is the organization's owner."""

    organization_number: int
    username: str = ""


@dataclass(frozen=True, slots=True)
class NamedTrust:
    """One statement of a document: these may, while the condition holds."""

    names: tuple[TrustedName, ...] = ()
    services: tuple[str, ...] = ()
    condition: str = ""


@dataclass(frozen=True, slots=True)
class TrustedPrincipal:
    """A principal of some organization."""

    organization_id: OrganizationId
    principal: PrincipalRef


@dataclass(frozen=True, slots=True)
class TrustStatement:
    """One statement whose names are bound to principals."""

    principals: tuple[TrustedPrincipal, ...] = ()
    services: tuple[str, ...] = ()
    condition: str = ""
    unknown_names: int = 0


@dataclass(frozen=True, slots=True)
class TrustPolicy:
    """Who may act as a user."""

    user_id: UserId
    organization_id: OrganizationId
    version: int
    language: str
    document: str
    trusted: tuple[TrustStatement, ...]
    create_time: datetime
    update_time: datetime

    @property
    def etag(self) -> str:
        """The version as text."""
        return str(self.version)

    def conditions_for(self, caller: TrustedPrincipal) -> tuple[str, ...]:
        """Return the conditions of the statements that name a caller; an empty text is none at all."""
        return tuple(each.condition for each in self.trusted if caller in each.principals)


@dataclass(frozen=True, slots=True)
class Assumption:
    """Who is behind a session, with the key or session that it began with: who assumes, or who assumed who assumes."""

    organization_id: OrganizationId
    session_id: SessionId
    caller: TrustedPrincipal
    caller_key_id: ApiKeyId | None = None
    caller_session_id: SessionId | None = None


@dataclass(frozen=True, slots=True)
class Circumstances:
    """How a caller stands there when it asks to act as somebody."""

    caller: TrustedPrincipal
    session_id: SessionId | None
    api_key_id: ApiKeyId | None
    methods: tuple[str, ...]
    mfa: bool
    ceiling: tuple[str, ...]
    address: str
    agent: str
    now: datetime


class TrustReader(Protocol):
    """Knows the languages of trust documents."""

    async def read(self, language: str, document: str) -> tuple[NamedTrust, ...]:
        """Return what a document says, or raise Invalid that names places in it."""

    async def holding(self, conditions: Sequence[str], at: Circumstances, caller_name: str) -> frozenset[str]:
        """Return those conditions that hold in these circumstances."""
