"""Frozen rights, and sessions that name them."""

from concord.credentials.v1.session_pb2 import Session
from concord.kernel.ids import ApiKeyId, OrganizationId, SessionId
from concord.kernel.rpc.wire import instant_from_wire, instant_to_wire, principal_from_wire
from concord.policy.model import FrozenSession, RightsSnapshot, RightsSnapshotId
from concord.policy.v1 import rights_snapshot_pb2


def rights_to_wire(snapshot: RightsSnapshot) -> rights_snapshot_pb2.RightsSnapshot:
    """Return the message for a snapshot. What it holds stays here."""
    return rights_snapshot_pb2.RightsSnapshot(
        id=snapshot.id,
        organization_id=snapshot.organization_id,
        content_hash=snapshot.content_hash,
        capture_time=instant_to_wire(snapshot.capture_time),
    )


def frozen_session_from_wire(session: Session, organization_id: OrganizationId) -> FrozenSession | None:
    """Return what keeps a snapshot; None for a session that names none."""
    principal = principal_from_wire(session.principal)
    if principal is None or not session.rights_snapshot_id:
        return None
    return FrozenSession(
        id=SessionId(session.id),
        organization_id=organization_id,
        snapshot_id=RightsSnapshotId(session.rights_snapshot_id),
        principal=principal,
        api_key_id=ApiKeyId(session.api_key_id) if session.api_key_id else None,
        expire_time=instant_from_wire(session.expire_time),
    )
