"""Rights that were frozen, and the sessions that live by them."""

from dataclasses import dataclass
from datetime import datetime
from typing import NewType

from concord.kernel.ids import ApiKeyId, OrganizationId, SessionId
from concord.kernel.principal import PrincipalRef
from concord.policy.model.roles import Sources

RightsSnapshotId = NewType("RightsSnapshotId", str)


@dataclass(frozen=True, slots=True)
class RightsSnapshot:
    """What a program is made of, as it stood at one instant. The same content has the same id in an organization."""

    id: RightsSnapshotId
    organization_id: OrganizationId
    content_hash: str
    capture_time: datetime
    sources: Sources


@dataclass(frozen=True, slots=True)
class FrozenSession:
    """A session that names a snapshot, with all that may end it."""

    id: SessionId
    organization_id: OrganizationId
    snapshot_id: RightsSnapshotId
    principal: PrincipalRef
    api_key_id: ApiKeyId | None
    expire_time: datetime
