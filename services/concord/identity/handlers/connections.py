"""Serves connections of users."""

from typing import Any

from google.protobuf.empty_pb2 import Empty

from concord.identity import wire
from concord.identity.connections import Offer, draw_token, hash_token
from concord.identity.handlers.unpack import sight
from concord.identity.operations import connections
from concord.identity.store import IdentityStore
from concord.identity.v1.connection_service_pb2 import (
    InitiateConnectionRequest,
    InitiateConnectionResponse,
    JoinConnectionRequest,
    ListConnectionsRequest,
    ListConnectionsResponse,
    RemoveConnectionRequest,
)
from concord.identity.v1.connection_service_pb2_grpc import ConnectionServiceServicer
from concord.kernel import ids
from concord.kernel.errors import Invalid, Violation
from concord.kernel.ids import UserId
from concord.kernel.rpc.call import Call
from concord.kernel.rpc.wire import instant_to_wire
from concord.kernel.secret import Secret
from concord.kernel.units import Units

_LONGEST_TOKEN = 512


class ConnectionServicer(ConnectionServiceServicer):
    """Connections over their units of work."""

    def __init__(self, units: Units[IdentityStore]) -> None:
        self._units = units

    async def ListConnections(self, request: ListConnectionsRequest, context: Any) -> ListConnectionsResponse:
        """Return whom a user is connected to."""
        own, seen = Call.current().organization_id, sight()
        user_id = ids.parse(UserId, request.user_id, "user_id")
        found = await self._units.read(lambda store: connections.list_connections(store, own, user_id, seen))
        return ListConnectionsResponse(connections=map(wire.peer_to_wire, found))

    async def InitiateConnection(self, request: InitiateConnectionRequest, context: Any) -> InitiateConnectionResponse:
        """Offer a connection."""
        user_id = ids.parse(UserId, request.user_id, "user_id")
        token = draw_token()

        def pack(offer: Offer) -> InitiateConnectionResponse:
            shown = "" if request.validate_only else token.reveal()
            return InitiateConnectionResponse(token=shown, expire_time=instant_to_wire(offer.expire_time))

        return await self._units.write(
            request,
            lambda unit: connections.initiate_connection(unit, user_id, hash_token(token)),
            pack,
            secret=True,
        )

    async def JoinConnection(self, request: JoinConnectionRequest, context: Any) -> Empty:
        """Take an offer up."""
        user_id = ids.parse(UserId, request.user_id, "user_id")
        if not 0 < len(request.token) <= _LONGEST_TOKEN:
            raise Invalid(Violation("token", f"must have 1 to {_LONGEST_TOKEN} characters", rule="length"))
        token_hash = hash_token(Secret(request.token))
        return await self._units.write(
            request, lambda unit: connections.join_connection(unit, user_id, token_hash), lambda _: Empty()
        )

    async def RemoveConnection(self, request: RemoveConnectionRequest, context: Any) -> Empty:
        """End a connection."""
        user_id = ids.parse(UserId, request.user_id, "user_id")
        peer_user_id = ids.parse(UserId, request.peer_user_id, "peer_user_id")
        return await self._units.write(
            request, lambda unit: connections.remove_connection(unit, user_id, peer_user_id), lambda _: Empty()
        )
