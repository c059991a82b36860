"""Serves passwords and credential statuses."""

from typing import Any

from google.protobuf.empty_pb2 import Empty

from concord.credentials.background.letters import Letters
from concord.credentials.handlers.access import AWAITS, require_everything, require_no_ceiling, require_oneself, sight
from concord.credentials.handlers.door import Door, known_user
from concord.credentials.model.logins import Purpose
from concord.credentials.operations.one_time_tokens import split
from concord.credentials.operations.passwords import (
    PREVIOUS,
    Surroundings,
    change_password,
    delete_password,
    draw_password,
    get_password,
    judge,
    refuse,
    require_good,
    set_password,
    surroundings,
    unlock_password,
)
from concord.credentials.operations.recovery import complete_recovery, find_recovery, require_recoverable
from concord.credentials.secrets.hashing import PasswordHasher
from concord.credentials.secrets.vault import Vault
from concord.credentials.store import CredentialStore
from concord.credentials.v1 import password_pb2, password_service_pb2, status_service_pb2
from concord.credentials.v1.password_service_pb2_grpc import PasswordServiceServicer
from concord.credentials.v1.status_service_pb2_grpc import StatusServiceServicer
from concord.credentials.wire import passwords as wire
from concord.credentials.wire.common import principal
from concord.credentials.wire.mfa import login_from_wire
from concord.kernel import ids
from concord.kernel.errors import Reason, Unauthenticated
from concord.kernel.ids import OrganizationId, UserId
from concord.kernel.rpc.call import Call
from concord.kernel.secret import Secret
from concord.kernel.units import Units


class PasswordHandlers(PasswordServiceServicer):
    """Sets, changes, judges and recovers passwords."""

    def __init__(
        self, units: Units[CredentialStore], hasher: PasswordHasher, vault: Vault, door: Door, letters: Letters
    ) -> None:
        self._units = units
        self._hasher = hasher
        self._vault = vault
        self._door = door
        self._letters = letters

    async def GetPassword(
        self, request: password_service_pb2.GetPasswordRequest, context: Any
    ) -> password_pb2.Password:
        require_everything()
        knock = await known_user(self._units, request.user_id)
        found = await self._units.look(lambda store: get_password(store, knock.organization_id, request.user_id))
        return wire.password_to_wire(found)

    async def SetPassword(
        self, request: password_service_pb2.SetPasswordRequest, context: Any
    ) -> password_pb2.Password:
        require_everything()
        require_oneself()
        require_no_ceiling()
        around = await self._around(Call.current().organization_id, ids.parse(UserId, request.user_id, "user_id"))
        password = Secret(request.password)
        require_good(password, around)
        # A check alone must not tell what the password is now. What is told of it is for the unit to say,
        # where nothing else is left to refuse: else whoever makes the call fail could guess without end.
        repeats = not request.validate_only and await self._repeats(password, around)
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
                repeats=repeats,
            ),
            wire.password_to_wire,
            awaits=AWAITS,
        )

    async def GeneratePassword(
        self, request: password_service_pb2.GeneratePasswordRequest, context: Any
    ) -> password_service_pb2.GeneratePasswordResponse:
        require_everything()
        require_oneself()
        require_no_ceiling()
        user_id = ids.parse(UserId, request.user_id, "user_id")
        password = draw_password(await self._around(Call.current().organization_id, user_id))
        encoded = "" if request.validate_only else await self._hasher.hash(password)
        return await self._units.write(
            request,
            lambda unit: set_password(unit, user_id, encoded, temporary=True, must_not_exist=request.must_not_exist),
            lambda stored: wire.drawn_to_wire(stored, None if request.validate_only else password),
            secret=True,
            awaits=AWAITS,
        )

    async def ChangePassword(
        self, request: password_service_pb2.ChangePasswordRequest, context: Any
    ) -> password_pb2.Password:
        require_everything()
        require_oneself()
        knock = await known_user(self._units, request.user_id)
        password = Secret(request.password)
        async with self._door.attempt(knock) as standing:
            standing.require_open()
            await self._door.examine_password(standing, Secret(request.current_password))
            around = await self._around(knock.organization_id, standing.user_id)
            await self._require_fresh(password, around)
            encoded = "" if request.validate_only else await self._hasher.hash(password)
            return await self._door.write(
                standing, request, lambda unit: change_password(unit, standing, encoded), wire.password_to_wire
            )

    async def DeletePassword(self, request: password_service_pb2.DeletePasswordRequest, context: Any) -> Empty:
        require_everything()
        require_oneself()
        return await self._units.write(
            request, lambda unit: delete_password(unit, request.user_id), lambda _: Empty(), awaits=AWAITS
        )

    async def CheckPassword(
        self, request: password_service_pb2.CheckPasswordRequest, context: Any
    ) -> password_service_pb2.CheckPasswordResponse:
        user_id = ids.parse(UserId, request.user_id, "user_id") if request.user_id else None
        broken = judge(request.password, await self._around(Call.current().organization_id, user_id))
        return password_service_pb2.CheckPasswordResponse(
            valid=not broken, violations=[wire.violation_to_wire(each) for each in broken]
        )

    async def UnlockPassword(
        self, request: password_service_pb2.UnlockPasswordRequest, context: Any
    ) -> password_pb2.Password:
        require_everything()
        return await self._units.write(
            request, lambda unit: unlock_password(unit, request.user_id), wire.password_to_wire, awaits=AWAITS
        )

    async def StartPasswordRecovery(
        self, request: password_service_pb2.StartPasswordRecoveryRequest, context: Any
    ) -> Empty:
        self._letters.order(login_from_wire(request.login), Purpose.PASSWORD_RECOVERY, Call.current().author)
        return Empty()

    async def CompletePasswordRecovery(
        self, request: password_service_pb2.CompletePasswordRecoveryRequest, context: Any
    ) -> Empty:
        token_id, secret = split(request.token)
        knock = await self._units.read(lambda store: find_recovery(store, token_id))
        if knock is None:
            raise Unauthenticated(Reason.CREDENTIAL_INVALID)
        password = Secret(request.password)
        async with self._door.attempt(knock) as standing:
            token = self._door.examine_mailed(standing, Purpose.PASSWORD_RECOVERY, secret)
            await self._units.read(lambda store: require_recoverable(store, standing))
            around = await self._around(knock.organization_id, standing.user_id)
            await self._require_fresh(password, around)
            encoded = await self._hasher.hash(password)
            return await self._door.write(
                standing, request, lambda unit: complete_recovery(unit, standing, token, encoded), lambda _: Empty()
            )

    async def _around(self, organization_id: OrganizationId, user_id: UserId | None) -> Surroundings:
        return await self._units.read(lambda store: surroundings(store, organization_id, user_id))

    async def _require_fresh(self, password: Secret, around: Surroundings) -> None:
        require_good(password, around)
        if await self._repeats(password, around):
            refuse((PREVIOUS,))

    async def _repeats(self, password: Secret, around: Surroundings) -> bool:
        if around.form.previous_allowed:
            return False
        for encoded in (around.encoded, around.previous):
            if encoded is not None and await self._hasher.verify(password, encoded):
                return True
        return False


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
