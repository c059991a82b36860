"""What storage promises about frozen rights. It is a part of the whole store; see `store.py`."""

from datetime import datetime
from typing import Protocol

from concord.kernel.ids import ApiKeyId, OrganizationId, SessionId
from concord.kernel.principal import PrincipalRef
from concord.policy.model import FrozenSession, RightsSnapshot, RightsSnapshotId, Sources


class RightsStore(Protocol):
    """Snapshots of rights, and the sessions that keep them.

    None of its writes moves a stamp: what a snapshot says never changes, and only the sessions named here live by it.
    """

    def keep_rights(self, organization_id: OrganizationId, sources: Sources, capture_time: datetime) -> RightsSnapshot:
        """Keep sources under the id that belongs to their content.

        The same content is kept once; its capture time only ever moves forward.
        """

    def find_rights(self, organization_id: OrganizationId, snapshot_id: RightsSnapshotId) -> RightsSnapshot | None:
        """Return a snapshot whose sources are those that were kept, or None."""

    def put_frozen_session(self, session: FrozenSession) -> None:
        """Add or overwrite a session that names a snapshot, whether or not there is one."""

    def end_frozen_session(self, organization_id: OrganizationId, session_id: SessionId) -> None:
        """Forget a session; an unknown one is ignored."""

    def end_frozen_sessions_of(self, organization_id: OrganizationId, principal: PrincipalRef) -> None:
        """Forget all sessions of a principal."""

    def end_frozen_sessions_of_key(self, organization_id: OrganizationId, key_id: ApiKeyId) -> None:
        """Forget all sessions that an API key opened."""

    def sweep_rights(self, before: datetime) -> int:
        """Forget, in every organization, what nobody can need any more; return how many snapshots went.

        These are sessions that expired before the instant, then snapshots captured before it that no session names.
        """
