"""Connections between a person's users."""

from typing import Final

from concord.gateway.dialects.scaleway import connections
from concord.gateway.dialects.scaleway.fields import UUID_PATH
from concord.gateway.dialects.scaleway.routes.common import BASE, READ, WRITE, one
from concord.gateway.dialects.scaleway.users import EmptyRequest
from concord.gateway.route import Route
from concord.gateway.shapes import Body

_CONNECTIONS = "concord.identity.v1.ConnectionService/"

CONNECTION_ROUTES: Final = (
    Route(
        method="GET",
        path=f"{BASE}/users/{{user_id}}/connections",
        operation="GetUserConnections",
        summary="List whom a user is connected to",
        tag="Users",
        permission="identity.connections.list",
        covers=one(f"{_CONNECTIONS}ListConnections"),
        handler=connections.get_connections,
        path_shapes={"user_id": UUID_PATH},
        answer=connections.GetUserConnectionsResponse,
        refusals=READ,
    ),
    Route(
        method="POST",
        path=f"{BASE}/users/{{user_id}}/initiate-connection",
        operation="InitiateUserConnection",
        summary="Let another user of the same person join this one",
        tag="Users",
        permission="identity.connections.initiate",
        covers=one(f"{_CONNECTIONS}InitiateConnection"),
        handler=connections.initiate_connection,
        path_shapes={"user_id": UUID_PATH},
        body=Body(EmptyRequest),
        answer=connections.InitiateUserConnectionResponse,
        refusals=WRITE,
    ),
    Route(
        method="POST",
        path=f"{BASE}/users/{{user_id}}/join-connection",
        operation="JoinUserConnection",
        summary="Join another user of the same person",
        tag="Users",
        permission="identity.connections.join",
        covers=one(f"{_CONNECTIONS}JoinConnection"),
        handler=connections.join_connection,
        path_shapes={"user_id": UUID_PATH},
        body=Body(connections.JoinUserConnectionRequest),
        status=204,
        refusals=WRITE,
    ),
    Route(
        method="POST",
        path=f"{BASE}/users/{{user_id}}/remove-connection",
        operation="RemoveUserConnection",
        summary="End a connection",
        tag="Users",
        permission="identity.connections.remove",
        covers=one(f"{_CONNECTIONS}RemoveConnection"),
        handler=connections.remove_connection,
        path_shapes={"user_id": UUID_PATH},
        body=Body(connections.RemoveUserConnectionRequest),
        status=204,
        refusals=WRITE,
    ),
)
