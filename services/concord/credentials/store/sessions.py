"""What is asked of the storage of sessions and their tokens."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from concord.credentials.model.holders import EVERYTHING, Sight
from concord.credentials.model.sessions import Session
from concord.kernel.ids import ApiKeyId, OAuthClientId, OrganizationId, SessionId
from concord.kernel.paging import Page, PageRequest
from concord.kernel.principal import PrincipalRef
from concord.kernel.secret import SecretHash

SESSION_ORDERS = ("create_time", "update_time", "expire_time")


@dataclass(frozen=True, slots=True)
class SessionFilter:
    """Which sessions a list keeps; None keeps all."""

    now: datetime
    sight: Sight = EVERYTHING
    ids: frozenset[str] | None = None
    principals: frozenset[PrincipalRef] | None = None
    live_only: bool = False
    expired: bool | None = None
    ended: bool | None = None


class Sessions(Protocol):
    """The sessions of organizations and their tokens."""

    def add_session(self, session: Session) -> None:
        """Store a new session."""

    def add_token(
        self,
        session: Session,
        token_hash: SecretHash,
        issue_time: datetime,
        expire_time: datetime,
        audience: str = "",
        scopes: tuple[str, ...] | None = None,
    ) -> None:
        """Store a token of a session by its hash; without scopes it carries all that its session does."""

    def find_session(self, organization_id: OrganizationId, session_id: SessionId) -> Session | None:
        """Return the session, expired and ended ones included, until it is trimmed."""

    def end_session(self, organization_id: OrganizationId, session_id: SessionId, now: datetime) -> None:
        """End a session. One that has ended keeps its end time."""

    def end_sessions_of(self, organization_id: OrganizationId, principal: PrincipalRef, now: datetime) -> int:
        """End all sessions of a principal that had not ended; return how many."""

    def live_sessions_of_key(
        self, organization_id: OrganizationId, key_id: ApiKeyId, now: datetime, most: int
    ) -> Sequence[Session]:
        """Return sessions that a key opened and that are still good, at most so many."""

    def end_sessions_of_key(self, organization_id: OrganizationId, key_id: ApiKeyId, now: datetime) -> int:
        """End all sessions that a key opened and that had not ended; return how many."""

    def shorten_sessions_of_key(
        self, organization_id: OrganizationId, key_id: ApiKeyId, expire_time: datetime, now: datetime
    ) -> None:
        """Let no session that a key opened outlast an instant."""

    def list_sessions(self, organization_id: OrganizationId, wanted: SessionFilter, page: PageRequest) -> Page[Session]:
        """Return one page of sessions."""

    def trim_sessions(self, before: datetime) -> int:
        """Forget tokens and sessions of all organizations that expired before an instant; return how many sessions."""

    def live_sessions_of_client(
        self, organization_id: OrganizationId, client_id: OAuthClientId, now: datetime, most: int
    ) -> Sequence[Session]:
        """Return sessions opened through a client that are still good, at most so many."""

    def live_sessions_between(
        self,
        organization_id: OrganizationId,
        principal: PrincipalRef,
        client_id: OAuthClientId,
        now: datetime,
        most: int,
    ) -> Sequence[Session]:
        """Return sessions of a principal opened through a client that are still good, at most so many."""

    def live_children(
        self, organization_id: OrganizationId, session_id: SessionId, now: datetime, most: int
    ) -> Sequence[Session]:
        """Return sessions that hang on a session and are still good, at most so many."""

    def live_foreign_children(
        self, organization_id: OrganizationId, principal: PrincipalRef, now: datetime, most: int
    ) -> Sequence[Session]:
        """Return good sessions of others that hang on live sessions of a principal, at most so many."""

    def live_principals(self, organization_id: OrganizationId, now: datetime) -> Sequence[tuple[PrincipalRef, int]]:
        """Return everybody who has a session that is still good, and how many."""

    def live_logins_without_factor(
        self,
        organization_id: OrganizationId,
        principal: PrincipalRef,
        after: SessionId | None,
        now: datetime,
        most: int,
    ) -> Sequence[Session]:
        """Return good sessions of a principal, by id after one, that no second factor, key or trust policy opened."""

    def mark_factor(self, session: Session) -> None:
        """Store a session's methods, second factor, update time and version."""

    def prolong_session(self, session: Session) -> None:
        """Store the new expire time, update time and version of a session."""
