"""Serves logins: sessions for people who type who they are."""

from datetime import timedelta
from typing import Any

from concord.credentials.background.letters import Letters
from concord.credentials.handlers.door import Door
from concord.credentials.model.logins import Purpose
from concord.credentials.operations.attempts import Standing
from concord.credentials.operations.logins import log_in, log_in_by_code
from concord.credentials.operations.sessions import begin_frozen
from concord.credentials.rights_freezing import RightsFreezer
from concord.credentials.secrets.vault import Vault
from concord.credentials.v1 import session_service_pb2
from concord.credentials.wire import sessions as wire
from concord.credentials.wire.mfa import factors_from_wire, login_from_wire
from concord.kernel.errors import Invalid, Violation
from concord.kernel.rpc.call import Call
from concord.kernel.secret import Secret


class Logins:
    """Opens sessions by password and by mailed code."""

    def __init__(self, door: Door, vault: Vault, letters: Letters, freezer: RightsFreezer) -> None:
        self._door = door
        self._vault = vault
        self._letters = letters
        self._freezer = freezer

    def start(self, request: session_service_pb2.StartLoginRequest) -> session_service_pb2.StartLoginResponse:
        """Order the mail with the code; the answer is the same whoever is meant."""
        known = (session_service_pb2.LOGIN_METHOD_UNSPECIFIED, session_service_pb2.LOGIN_METHOD_MAILED_CODE)
        if request.method not in known:
            raise Invalid(Violation("method", "is not a way to log in", rule="enum"))
        self._letters.order(login_from_wire(request.login), Purpose.LOGIN, Call.current().author)
        return session_service_pb2.StartLoginResponse()

    async def by_password(
        self, request: session_service_pb2.CreateSessionRequest, ttl: timedelta | None
    ) -> session_service_pb2.CreateSessionResponse:
        """Open a session for the right password."""
        shown = request.password
        knock = await self._door.knock(login_from_wire(shown.login))
        async with self._door.attempt(knock, Purpose.LOGIN) as standing:
            standing.require_open()
            rehashed = await self._door.examine_password(standing, Secret(shown.password))
            factors = factors_from_wire(shown)
            begin = begin_frozen(await self._freeze(standing, request))
            return await self._open(
                standing, request, lambda unit: log_in(unit, standing, factors, self._vault, ttl, rehashed, begin)
            )

    async def by_code(
        self, request: session_service_pb2.CreateSessionRequest, ttl: timedelta | None
    ) -> session_service_pb2.CreateSessionResponse:
        """Open a session for the right mailed code."""
        shown = request.mailed_code
        knock = await self._door.knock(login_from_wire(shown.login))
        async with self._door.attempt(knock, Purpose.LOGIN) as standing:
            standing.require_open()
            code = self._door.examine_mailed(standing, Purpose.LOGIN, Secret(shown.mailed_code.strip()))
            factors = factors_from_wire(shown)
            begin = begin_frozen(await self._freeze(standing, request))
            return await self._open(
                standing, request, lambda unit: log_in_by_code(unit, standing, code, factors, self._vault, ttl, begin)
            )

    async def _freeze(self, standing: Standing, request: session_service_pb2.CreateSessionRequest) -> str:
        """Freeze the rights of whoever has shown the right secret, if that is asked for."""
        if not request.freeze_rights:
            return ""
        return await self._freezer.freeze(standing.organization_id, standing.user, rehearsal=request.validate_only)

    async def _open(
        self, standing: Standing, request: session_service_pb2.CreateSessionRequest, operation: Any
    ) -> session_service_pb2.CreateSessionResponse:
        pack = wire.tried_to_wire if request.validate_only else wire.opened_to_wire
        answer: session_service_pb2.CreateSessionResponse = await self._door.write(
            standing, request, operation, pack, secret=True
        )
        return answer
