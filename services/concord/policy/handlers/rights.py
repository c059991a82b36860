"""Serves the freezing of rights, to the service that keeps sessions."""

from typing import Any

from concord.kernel import ids
from concord.kernel.errors import Invalid, Violation
from concord.kernel.ids import OrganizationId
from concord.kernel.principal import PrincipalKind
from concord.kernel.rpc.wire import principal_from_wire
from concord.kernel.units import Units
from concord.policy.operations.rights import capture_rights
from concord.policy.store import PolicyStore
from concord.policy.v1 import rights_snapshot_pb2, rights_snapshot_service_pb2
from concord.policy.v1.rights_snapshot_service_pb2_grpc import RightsSnapshotServiceServicer
from concord.policy.wire.rights import rights_to_wire


class RightsSnapshotHandlers(RightsSnapshotServiceServicer):
    """Captures rights."""

    def __init__(self, units: Units[PolicyStore]) -> None:
        self._units = units

    async def CaptureRights(
        self, request: rights_snapshot_service_pb2.CaptureRightsRequest, context: Any
    ) -> rights_snapshot_pb2.RightsSnapshot:
        organization_id = ids.parse(OrganizationId, request.organization_id, "organization_id")
        subject = principal_from_wire(request.subject)
        if subject is None or subject.kind is PrincipalKind.SERVICE:
            raise Invalid(Violation("subject", "must be a user, an application or a device", rule="required"))
        return await self._units.write(
            request,
            lambda unit: capture_rights(unit, subject),
            rights_to_wire,
            organization_id=organization_id,
            # Whoever logs in may have been made a moment ago.
            awaits=("identity",),
        )
