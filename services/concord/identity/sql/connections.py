"""Connections of users and offers of them. These statements span organizations: both sides have agreed to it."""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import and_, bindparam, delete, insert, or_, select

from concord.identity.connections import MOST, Connection, Offer, Peer
from concord.identity.model import OrganizationState, UserKind
from concord.identity.sql.tables import connection, connection_offer, organization, user
from concord.kernel import database
from concord.kernel.ids import OrganizationId, UserId

_MINE: Final = and_(
    connection.c.organization_id == bindparam("in_organization"), connection.c.user_id == bindparam("of_user")
)
_PEERS: Final = (
    select(
        connection,
        user.c.username,
        user.c.kind,
        organization.c.name.label("organization_name"),
        organization.c.state.label("organization_state"),
    )
    .join(
        user,
        and_(
            user.c.organization_id == connection.c.peer_organization_id,
            user.c.id == connection.c.peer_user_id,
        ),
    )
    .join(organization, organization.c.id == connection.c.peer_organization_id)
    .where(_MINE)
    .order_by(connection.c.create_time, connection.c.peer_user_id)
    .limit(MOST)
)
_FIND: Final = select(connection).where(_MINE)
_FIND_ONE: Final = _FIND.where(connection.c.peer_user_id == bindparam("with_peer"))
_ADD: Final = insert(connection)
_REMOVE: Final = delete(connection).where(
    or_(
        and_(_MINE, connection.c.peer_user_id == bindparam("with_peer")),
        and_(
            connection.c.peer_organization_id == bindparam("in_organization"),
            connection.c.peer_user_id == bindparam("of_user"),
            connection.c.user_id == bindparam("with_peer"),
        ),
    )
)
_ADD_OFFER: Final = insert(connection_offer)
_DROP_OFFER: Final = delete(connection_offer).where(
    connection_offer.c.organization_id == bindparam("in_organization"),
    connection_offer.c.user_id == bindparam("of_user"),
)
_FIND_OFFER: Final = select(connection_offer).where(connection_offer.c.token_hash == bindparam("hash"))
_TAKE_OFFER: Final = delete(connection_offer).where(connection_offer.c.token_hash == bindparam("hash"))


class SqlConnectionStore:
    """Connections of one unit of work."""

    def __init__(self, connection: database.Connection) -> None:
        self._connection = connection

    def peers(self, organization_id: OrganizationId, user_id: UserId) -> Sequence[Peer]:
        """Return whom a user is connected to, the oldest connection first."""
        rows = self._connection.execute(_PEERS, _side(organization_id, user_id))
        return [
            Peer(
                _connection(row),
                row.username,
                UserKind(row.kind),
                row.organization_name,
                row.organization_state != OrganizationState.ACTIVE,
            )
            for row in rows
        ]

    def add(self, made: Connection) -> bool:
        """Keep a connection, both sides of it."""
        at = {**_side(made.organization_id, made.user_id), "with_peer": made.peer_user_id}
        if self._connection.execute(_FIND_ONE, at).first() is not None:
            return False
        try:
            self._connection.execute(_ADD, [_columns(side) for side in (made, made.mirrored())])
        except database.UniqueViolation:
            return False
        return True

    def remove(
        self, organization_id: OrganizationId, user_id: UserId, peer_user_id: UserId | None = None
    ) -> Sequence[Connection]:
        """Forget one connection of a user; all of them and its offer where no peer is named."""
        at = _side(organization_id, user_id)
        if peer_user_id is None:
            self._connection.execute(_DROP_OFFER, at)
            rows = self._connection.execute(_FIND, at)
        else:
            rows = self._connection.execute(_FIND_ONE, {**at, "with_peer": peer_user_id})
        found = [_connection(row) for row in rows]
        for each in found:
            self._connection.execute(_REMOVE, {**at, "with_peer": each.peer_user_id})
        return found

    def put_offer(self, offer: Offer) -> None:
        """Keep an offer in place of the user's former one."""
        self._connection.execute(_DROP_OFFER, _side(offer.organization_id, offer.user_id))
        self._connection.execute(
            _ADD_OFFER,
            {
                "organization_id": offer.organization_id,
                "user_id": offer.user_id,
                "token_hash": offer.token_hash,
                "expire_time": offer.expire_time,
            },
        )

    def take_offer(self, token_hash: str) -> Offer | None:
        """Return the offer of a token and forget it. Of two units that take it at once, one gets it."""
        row = self._connection.execute(_FIND_OFFER, {"hash": token_hash}).first()
        if row is None or not self._connection.execute(_TAKE_OFFER, {"hash": token_hash}).rowcount:
            return None
        return Offer(OrganizationId(row.organization_id), UserId(row.user_id), row.token_hash, row.expire_time)


def _side(organization_id: OrganizationId, user_id: UserId) -> dict[str, Any]:
    return {"in_organization": organization_id, "of_user": user_id}


def _columns(value: Connection) -> dict[str, Any]:
    return {
        "organization_id": value.organization_id,
        "user_id": value.user_id,
        "peer_organization_id": value.peer_organization_id,
        "peer_user_id": value.peer_user_id,
        "create_time": value.create_time,
    }


def _connection(row: Any) -> Connection:
    return Connection(
        OrganizationId(row.organization_id),
        UserId(row.user_id),
        OrganizationId(row.peer_organization_id),
        UserId(row.peer_user_id),
        row.create_time,
    )
