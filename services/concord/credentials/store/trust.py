"""What is asked of the storage of trust policies."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from concord.credentials.model.sessions import Session
from concord.credentials.model.trust import Assumption, TrustedName, TrustedPrincipal, TrustPolicy
from concord.kernel.ids import ApiKeyId, OrganizationId, SessionId, UserId
from concord.kernel.principal import PrincipalRef


class Trust(Protocol):
    """Trust policies, and who is behind the sessions that were opened by them."""

    def find_trust_policy(self, organization_id: OrganizationId, user_id: UserId) -> TrustPolicy | None:
        """Return a user's trust policy."""

    def put_trust_policy(self, policy: TrustPolicy) -> None:
        """Store a policy in place of the one before."""

    def remove_trust_policy(self, organization_id: OrganizationId, user_id: UserId) -> bool:
        """Forget a user's policy; tell whether there was one."""

    def find_organization_numbered(self, number: int) -> OrganizationId | None:
        """Directory: return the organization with this number."""

    def find_named(self, names: Collection[TrustedName]) -> Mapping[TrustedName, TrustedPrincipal]:
        """Directory: return the living users that these names mean now; a name that nobody has is left out."""

    def add_assumption(self, assumption: Assumption) -> None:
        """Remember who is behind a session."""

    def assumptions_of(self, organization_id: OrganizationId, session_id: SessionId) -> Sequence[Assumption]:
        """Return all who are behind a session; nobody for one that was opened for oneself."""

    def sessions_assumed_by(
        self, organization_id: OrganizationId, caller: PrincipalRef, now: datetime
    ) -> Sequence[Session]:
        """Return the live sessions, of any organization, that a principal of this one is behind."""

    def sessions_assumed_with_key(
        self, organization_id: OrganizationId, key_id: ApiKeyId, now: datetime
    ) -> Sequence[Session]:
        """Return the live sessions, of any organization, that began with a key of this one."""

    def sessions_assumed_in(
        self, organization_id: OrganizationId, session_id: SessionId, now: datetime
    ) -> Sequence[Session]:
        """Return the live sessions, of any organization, that began in a session of this one."""

    def sessions_assumed_from(self, organization_id: OrganizationId, now: datetime) -> Sequence[Session]:
        """Return the live sessions of other organizations that principals of this one are behind."""

    def sessions_assuming(
        self, organization_id: OrganizationId, user: PrincipalRef, now: datetime
    ) -> Sequence[Session]:
        """Return the live sessions in which somebody acts as a user."""

    def trim_assumptions(self) -> int:
        """Forget who is behind sessions that are not kept any more."""
