"""Serves passwords and credential statuses."""

from typing import Any

from concord.credentials.handlers.access import AWAITS, require_everything, sight
from concord.credentials.hashing import PasswordHasher
from concord.credentials.model import judge_password
from concord.credentials.operations.passwords import require_good_password, set_password
from concord.credentials.store import CredentialStore
from concord.credentials.v1 import password_pb2, password_service_pb2, status_service_pb2
from concord.credentials.v1.password_service_pb2_grpc import PasswordServiceServicer
from concord.credentials.v1.status_service_pb2_grpc import StatusServiceServicer
from concord.credentials.wire import passwords as wire
from concord.credentials.wire.common import principal
from concord.kernel import ids
from concord.kernel.ids import UserId
from concord.kernel.rpc.call import Call
from concord.kernel.secret import Secret
from concord.kernel.units import Units


class PasswordHandlers(PasswordServiceServicer):
    """Sets and judges passwords."""

    def __init__(self, units: Units[CredentialStore], hasher: PasswordHasher) -> None:
        self._units = units
        self._hasher = hasher

    async def SetPassword(
        self, request: password_service_pb2.SetPasswordRequest, context: Any
    ) -> password_pb2.Password:
        require_everything()
        password = Secret(request.password)
        require_good_password(password)
        # Slow on purpose, so it is done before the unit, and not at all for a check.
        encoded = "" if request.validate_only else await self._hasher.hash(password)
        return await self._units.write(
            request,
            lambda unit: set_password(
                unit,
                request.user_id,
                encoded,
                temporary=request.temporary,
                must_not_exist=request.must_not_exist,
            ),
            wire.password_to_wire,
            awaits=AWAITS,
        )

    async def CheckPassword(
        self, request: password_service_pb2.CheckPasswordRequest, context: Any
    ) -> password_service_pb2.CheckPasswordResponse:
        if request.user_id:
            ids.parse(UserId, request.user_id, "user_id")
        broken = judge_password(request.password)
        return password_service_pb2.CheckPasswordResponse(
            valid=not broken, violations=[wire.violation_to_wire(each) for each in broken]
        )


class StatusHandlers(StatusServiceServicer):
    """Tells what lists of principals show about credentials."""

    def __init__(self, units: Units[CredentialStore]) -> None:
        self._units = units

    async def ListCredentialStatuses(
        self, request: status_service_pb2.ListCredentialStatusesRequest, context: Any
    ) -> status_service_pb2.ListCredentialStatusesResponse:
        organization_id = Call.current().own_organization(request.organization_id)
        seen = sight()
        asked = [principal(each, f"principals[{at}]") for at, each in enumerate(request.principals)]
        wanted = dict.fromkeys(each for each in asked if seen.admits(each))
        found = await self._units.read(lambda store: store.statuses(organization_id, wanted))
        return status_service_pb2.ListCredentialStatusesResponse(
            statuses=[wire.status_to_wire(found[each]) for each in wanted if each in found]
        )
