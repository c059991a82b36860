"""Serves sessions."""

from typing import Any

from google.protobuf.empty_pb2 import Empty

from concord.credentials.background.usage import Usage
from concord.credentials.handlers.access import AWAITS, require_everything, sight
from concord.credentials.handlers.logins import Logins
from concord.credentials.handlers.minting import Minting
from concord.credentials.handlers.session_tokens import SessionTokenHandlers
from concord.credentials.model.sessions import SessionAt
from concord.credentials.operations import sessions
from concord.credentials.operations.authentication import examine_key, prove_key
from concord.credentials.rights_freezing import RightsFreezer
from concord.credentials.secrets.vault import Vault
from concord.credentials.store import CredentialStore
from concord.credentials.store.sessions import SESSION_ORDERS
from concord.credentials.v1 import session_pb2, session_service_pb2
from concord.credentials.wire import sessions as wire
from concord.credentials.wire.common import duration, principal
from concord.kernel.clock import Clock
from concord.kernel.rpc.call import Call
from concord.kernel.units import Units


class SessionHandlers(SessionTokenHandlers):
    """Opens, shows and ends sessions."""

    def __init__(
        self,
        units: Units[CredentialStore],
        clock: Clock,
        vault: Vault,
        usage: Usage,
        minting: Minting,
        logins: Logins,
        freezer: RightsFreezer,
    ) -> None:
        self._units = units
        self._clock = clock
        self._vault = vault
        self._usage = usage
        self._minting = minting
        self._logins = logins
        self._freezer = freezer

    async def CreateSession(
        self, request: session_service_pb2.CreateSessionRequest, context: Any
    ) -> session_service_pb2.CreateSessionResponse:
        ttl = duration(request.ttl, "ttl") if request.HasField("ttl") else None
        if request.HasField("password"):
            return await self._logins.by_password(request, ttl)
        if request.HasField("mailed_code"):
            return await self._logins.by_code(request, ttl)
        shown = wire.proof_from_wire(request)
        now = self._clock.now()
        # Nobody calls yet: the proof tells the organization in which to write. It is examined
        # before a remembered answer is given, too.
        found = await self._units.read(lambda store: examine_key(store, self._vault, shown, now))
        frozen = ""
        if request.freeze_rights:
            key, rehearsal = found.key, request.validate_only
            frozen = await self._freezer.freeze(key.organization_id, key.bearer, rehearsal=rehearsal)
        answer = await self._units.write(
            request,
            lambda unit: sessions.open_session(unit, shown, ttl, self._vault, frozen),
            wire.tried_to_wire if request.validate_only else wire.opened_to_wire,
            secret=True,
            organization_id=found.key.organization_id,
        )
        self._usage.note(prove_key(found), now)
        return answer

    async def StartLogin(
        self, request: session_service_pb2.StartLoginRequest, context: Any
    ) -> session_service_pb2.StartLoginResponse:
        return self._logins.start(request)

    async def GetSession(self, request: session_service_pb2.GetSessionRequest, context: Any) -> session_pb2.Session:
        require_everything()
        call = Call.current()
        organization_id = call.organization_id
        session = await self._units.look(lambda store: sessions.get_session(store, organization_id, request.id))
        call.require_target(session.principal)
        return wire.session_to_wire(SessionAt(session, self._clock.now()))

    async def ListSessions(
        self, request: session_service_pb2.ListSessionsRequest, context: Any
    ) -> session_service_pb2.ListSessionsResponse:
        organization_id = Call.current().own_organization(request.organization_id)
        now = self._clock.now()
        wanted = wire.filter_from_wire(request, now, sight())
        page = self._units.page_request(
            request, orders=SESSION_ORDERS, default_order="create_time", organization_id=organization_id
        )
        found = await self._units.read(lambda store: store.list_sessions(organization_id, wanted, page))
        return session_service_pb2.ListSessionsResponse(
            sessions=[wire.session_to_wire(SessionAt(each, now)) for each in found.items],
            next_page_token=found.next_page_token,
            total_size=found.total_size,
        )

    async def RevokeSession(self, request: session_service_pb2.RevokeSessionRequest, context: Any) -> Empty:
        require_everything()
        return await self._units.write(
            request, lambda unit: sessions.revoke_session(unit, request.id), lambda _: Empty()
        )

    async def RevokeAllSessions(self, request: session_service_pb2.RevokeAllSessionsRequest, context: Any) -> Empty:
        require_everything()
        whose = principal(request.principal, "principal")
        return await self._units.write(
            request, lambda unit: sessions.revoke_all_sessions(unit, whose), lambda _: Empty(), awaits=AWAITS
        )
