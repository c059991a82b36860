"""Connections: users of one person, each in an organization of its own."""

from typing import Annotated

import msgspec

from concord.gateway.call import Call
from concord.gateway.dialects.scaleway.fields import Uuid, canonical
from concord.gateway.dialects.scaleway.users import UserType
from concord.gateway.shapes import text_rule
from concord.identity.v1 import connection_pb2, connection_service_pb2, user_pb2

# No field of this resource is unsupported.
UNSUPPORTED: dict[str, str] = {}

Token = Annotated[str, text_rule(at_least=1, at_most=512).meta()]


class ConnectedOrganization(msgspec.Struct, frozen=True):
    """The organization of a connected user. Of a locked one nobody logs in."""

    id: str
    name: str
    locked: bool


class ConnectedUser(msgspec.Struct, frozen=True):
    """A connected user."""

    id: str
    username: str
    type: UserType


class Connection(msgspec.Struct, frozen=True):
    """A connection as it is answered."""

    organization: ConnectedOrganization
    user: ConnectedUser


class GetUserConnectionsResponse(msgspec.Struct, frozen=True):
    """All connections of a user."""

    connections: list[Connection]


class InitiateUserConnectionResponse(msgspec.Struct, frozen=True):
    """What another user joins with, shown this once."""

    token: str


class JoinUserConnectionRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What another user has initiated."""

    token: Token


class RemoveUserConnectionRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Whom to be connected to no more."""

    target_user_id: Uuid


def to_connection(source: connection_pb2.Connection) -> Connection:
    """Translate an answer."""
    return Connection(
        organization=ConnectedOrganization(
            id=source.peer_organization_id, name=source.peer_organization_name, locked=source.peer_locked
        ),
        user=ConnectedUser(
            id=source.peer_user_id,
            username=source.peer_username,
            type="owner" if source.peer_kind == user_pb2.USER_KIND_OWNER else "member",
        ),
    )


async def get_connections(call: Call) -> GetUserConnectionsResponse:
    """GET /users/{user_id}/connections."""
    request = connection_service_pb2.ListConnectionsRequest(user_id=canonical(call.path["user_id"]))
    answer = await call.ask(call.core.connections.ListConnections, request)
    return GetUserConnectionsResponse([to_connection(each) for each in answer.connections])


async def initiate_connection(call: Call) -> InitiateUserConnectionResponse:
    """POST /users/{user_id}/initiate-connection."""
    request = connection_service_pb2.InitiateConnectionRequest(user_id=canonical(call.path["user_id"]))
    answer = await call.ask(call.core.connections.InitiateConnection, request)
    return InitiateUserConnectionResponse(token=answer.token)


async def join_connection(call: Call) -> None:
    """POST /users/{user_id}/join-connection."""
    request = connection_service_pb2.JoinConnectionRequest(
        user_id=canonical(call.path["user_id"]), token=call.body.token
    )
    await call.ask(call.core.connections.JoinConnection, request)


async def remove_connection(call: Call) -> None:
    """POST /users/{user_id}/remove-connection."""
    request = connection_service_pb2.RemoveConnectionRequest(
        user_id=canonical(call.path["user_id"]), peer_user_id=canonical(call.body.target_user_id)
    )
    await call.ask(call.core.connections.RemoveConnection, request)
