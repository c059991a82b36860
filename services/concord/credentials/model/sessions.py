"""Sessions as values, and the limits of their lives."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from concord.credentials.model.holders import Holder
from concord.kernel.ids import ApiKeyId, OrganizationId, SessionId
from concord.kernel.principal import PrincipalRef

PASSPORT_LIFETIME: Final = timedelta(minutes=5)
SESSION_TTL: Final = timedelta(hours=1)
MAX_SESSION_TTL: Final = timedelta(days=30)
# Of one with frozen rights: a right that was taken away lives on in it.
MAX_FROZEN_TTL: Final = timedelta(hours=48)
MIN_SESSION_TTL: Final = timedelta(seconds=1)
MAX_AGENT: Final = 255


class SessionState(StrEnum):
    """Where a session stands at one instant."""

    LIVE = "live"
    EXPIRED = "expired"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Session:
    """One authentication that lasts."""

    id: SessionId
    organization_id: OrganizationId
    version: int
    principal: PrincipalRef
    create_time: datetime
    update_time: datetime
    expire_time: datetime
    end_time: datetime | None = None
    assumed_by: PrincipalRef | None = None
    issuer: PrincipalRef | None = None
    audience: str = ""
    client_id: str = ""
    api_key_id: ApiKeyId | None = None
    methods: tuple[str, ...] = ()
    mfa: bool = False
    scopes: tuple[str, ...] = ()
    ceiling: tuple[str, ...] = ()
    rights_snapshot_id: str = ""
    parent_session_id: SessionId | None = None
    ip: str = ""
    user_agent: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)

    @property
    def etag(self) -> str:
        """The version as text."""
        return str(self.version)

    def is_live(self, now: datetime) -> bool:
        """Tell whether it is good; the instant of its end is already too late."""
        return self.state(now) is SessionState.LIVE

    def state(self, now: datetime) -> SessionState:
        """Tell where it stands."""
        if self.end_time is not None:
            return SessionState.ENDED
        return SessionState.EXPIRED if now >= self.expire_time else SessionState.LIVE


@dataclass(frozen=True, slots=True)
class SessionAt:
    """A session and the instant at which it is looked at, which tells its state."""

    session: Session
    now: datetime


@dataclass(frozen=True, slots=True)
class SessionEpoch:
    """That all sessions a principal opened up to an instant are void."""

    principal: PrincipalRef
    epoch_time: datetime


@dataclass(frozen=True, slots=True)
class FoundToken:
    """An access token as the directory found it."""

    session: Session
    expire_time: datetime
    holder: Holder
    issue_time: datetime | None = None
    audience: str = ""
    """Whom it is for; empty for the suite itself."""
    scopes: tuple[str, ...] | None = None
    """Where it carries less than its session does: what."""
