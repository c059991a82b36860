"""Serves sessions."""

from typing import Any

from google.protobuf.empty_pb2 import Empty

from concord.credentials.handlers.access import AWAITS, require_everything, sight
from concord.credentials.model import SessionAt
from concord.credentials.operations import sessions
from concord.credentials.operations.authentication import examine_key, prove_key
from concord.credentials.store import SESSION_ORDERS, CredentialStore
from concord.credentials.usage import Usage
from concord.credentials.v1 import session_pb2, session_service_pb2
from concord.credentials.v1.session_service_pb2_grpc import SessionServiceServicer
from concord.credentials.vault import Vault
from concord.credentials.wire import sessions as wire
from concord.credentials.wire.common import duration, principal
from concord.kernel.clock import Clock
from concord.kernel.rpc.call import Call
from concord.kernel.units import Units


class SessionHandlers(SessionServiceServicer):
    """Opens, shows and ends sessions."""

    def __init__(self, units: Units[CredentialStore], clock: Clock, vault: Vault, usage: Usage) -> None:
        self._units = units
        self._clock = clock
        self._vault = vault
        self._usage = usage

    async def CreateSession(
        self, request: session_service_pb2.CreateSessionRequest, context: Any
    ) -> session_service_pb2.CreateSessionResponse:
        shown = wire.proof_from_wire(request)
        ttl = duration(request.ttl, "ttl") if request.HasField("ttl") else None
        now = self._clock.now()
        # Nobody calls yet: the proof tells the organization in which to write. It is examined
        # before a remembered answer is given, too.
        found = await self._units.look(lambda store: examine_key(store, self._vault, shown, now))
        answer = await self._units.write(
            request,
            lambda unit: sessions.open_session(unit, shown, ttl, self._vault),
            wire.tried_to_wire if request.validate_only else wire.opened_to_wire,
            secret=True,
            organization_id=found.key.organization_id,
        )
        self._usage.note(prove_key(found), now)
        return answer

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
