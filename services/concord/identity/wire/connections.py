"""Connections of users."""

from concord.identity.connections import Connection, Peer
from concord.identity.v1 import connection_pb2
from concord.identity.wire.principals import user_kind_to_wire
from concord.kernel.rpc.wire import instant_to_wire


def connection_to_wire(value: Connection) -> connection_pb2.Connection:
    """Return the message for a connection, without who is on the other side now."""
    return connection_pb2.Connection(
        organization_id=value.organization_id,
        user_id=value.user_id,
        peer_user_id=value.peer_user_id,
        peer_organization_id=value.peer_organization_id,
        create_time=instant_to_wire(value.create_time),
    )


def peer_to_wire(peer: Peer) -> connection_pb2.Connection:
    """Return the message for a connection with who is on the other side now."""
    message = connection_to_wire(peer.connection)
    message.peer_username = peer.username
    message.peer_kind = user_kind_to_wire(peer.kind)
    message.peer_organization_name = peer.organization_name
    message.peer_locked = peer.locked
    return message
