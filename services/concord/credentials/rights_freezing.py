"""Has the policy service keep somebody's rights as they stand, for a session that is about to be opened."""

from collections.abc import Callable
from typing import Any, Final, Protocol

import grpc.aio

from concord.kernel.errors import NotFound, Reason, Unauthenticated, Unavailable
from concord.kernel.ids import OrganizationId
from concord.kernel.principal import PrincipalRef
from concord.kernel.rpc import metadata
from concord.kernel.rpc.call import Call
from concord.kernel.rpc.status import from_rpc_error
from concord.kernel.rpc.wire import principal_to_wire
from concord.policy.v1.rights_snapshot_service_pb2 import CaptureRightsRequest
from concord.policy.v1.rights_snapshot_service_pb2_grpc import RightsSnapshotServiceStub

_SECONDS: Final = 5.0


class RightsFreezer(Protocol):
    """Freezes rights."""

    async def freeze(self, organization_id: OrganizationId, principal: PrincipalRef, *, rehearsal: bool) -> str:
        """Return the id of a snapshot that stays for as long as a session names it, if one does within minutes.

        A rehearsal keeps nothing, and is refused where the real thing would be.
        Raises Unauthenticated for a principal that does not exist any more, Unavailable where nobody can tell.
        """


class PolicyRightsFreezer:
    """Freezes rights over the policy service's stub, as the process that it runs in."""

    def __init__(self, channel: grpc.aio.Channel, token: Callable[[], str]) -> None:
        self._stub: Any = RightsSnapshotServiceStub(channel)
        self._token = token

    async def freeze(self, organization_id: OrganizationId, principal: PrincipalRef, *, rehearsal: bool) -> str:
        """See the promise."""
        request = CaptureRightsRequest(
            organization_id=organization_id, subject=principal_to_wire(principal), validate_only=rehearsal
        )
        pairs = metadata.as_service(self._token(), Call.current().call_id)
        try:
            answer = await self._stub.CaptureRights(request, metadata=pairs, timeout=_SECONDS)
        except grpc.aio.AioRpcError as error:
            failure = from_rpc_error(error)
            if isinstance(failure, NotFound):
                raise Unauthenticated(Reason.PRINCIPAL_DELETED, "the principal does not exist any more") from None
            # Never a session with live rights instead.
            raise Unavailable("the service that freezes rights does not answer") from None
        return str(answer.id)
