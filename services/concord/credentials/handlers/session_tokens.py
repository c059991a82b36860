"""Serves further tokens of sessions, and the end of all of an organization's sessions."""

from typing import Any

from concord.credentials.handlers.access import require_everything
from concord.credentials.handlers.minting import Minting
from concord.credentials.operations import sessions, tokens
from concord.credentials.operations.tokens import IssuedToken
from concord.credentials.store import CredentialStore
from concord.credentials.v1 import session_service_pb2
from concord.credentials.v1.session_service_pb2_grpc import SessionServiceServicer
from concord.credentials.wire import oauth as wire
from concord.credentials.wire.common import duration
from concord.kernel.rpc.call import Call
from concord.kernel.units import Units


class SessionTokenHandlers(SessionServiceServicer):
    """The part of the service of sessions that makes tokens."""

    _units: Units[CredentialStore]
    _minting: Minting

    async def RenewSession(
        self, request: session_service_pb2.RenewSessionRequest, context: Any
    ) -> session_service_pb2.RenewSessionResponse:
        require_everything()
        session_id = Call.current().require_passport().session_id
        ttl = duration(request.ttl, "ttl") if request.HasField("ttl") else None
        mint = await self._minting.mint()
        return await self._units.write(
            request,
            lambda unit: tokens.renew_session(unit, mint, session_id, ttl),
            lambda renewed: wire.renewed_to_wire(renewed, tried=request.validate_only),
            secret=True,
        )

    async def IssueAudienceToken(
        self, request: session_service_pb2.IssueAudienceTokenRequest, context: Any
    ) -> session_service_pb2.IssueAudienceTokenResponse:
        require_everything()
        session_id = Call.current().require_passport().session_id
        mint = await self._minting.mint()

        def pack(issued: IssuedToken) -> session_service_pb2.IssueAudienceTokenResponse:
            answer = session_service_pb2.IssueAudienceTokenResponse()
            if not request.validate_only:
                answer.access_token.CopyFrom(wire.access_token_to_wire(issued))
            return answer

        return await self._units.write(
            request,
            lambda unit: tokens.issue_audience_token(unit, mint, session_id, request.audience),
            pack,
            secret=True,
        )

    async def RevokeOrganizationSessions(
        self, request: session_service_pb2.RevokeOrganizationSessionsRequest, context: Any
    ) -> session_service_pb2.RevokeOrganizationSessionsResponse:
        Call.current().own_organization(request.organization_id)
        require_everything()
        return await self._units.write(
            request,
            sessions.revoke_organization_sessions,
            lambda total: session_service_pb2.RevokeOrganizationSessionsResponse(ended_sessions=total),
        )
