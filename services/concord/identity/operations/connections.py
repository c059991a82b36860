"""Connecting users of one person. Both sides agree for themselves; neither gains a right of the other."""

from collections.abc import Sequence

from concord.identity.connections import OFFERED_FOR, Connection, Offer, Peer
from concord.identity.model import User
from concord.identity.operations.access import Sight, require_everything
from concord.identity.store import IdentityStore
from concord.kernel.errors import AlreadyExists, Invalid, NotFound, Violation
from concord.kernel.ids import OrganizationId, UserId
from concord.kernel.principal import PrincipalKind, PrincipalRef
from concord.kernel.units import Change, Unit


def list_connections(
    store: IdentityStore, organization_id: OrganizationId, user_id: UserId, sight: Sight
) -> Sequence[Peer]:
    """Return whom a user is connected to."""
    sight.require_principal(PrincipalRef(PrincipalKind.USER, user_id), "identity.connections.list")
    if store.users.find(organization_id, user_id) is None:
        raise NotFound("user", user_id)
    return store.connections.peers(organization_id, user_id)


def initiate_connection(unit: Unit[IdentityStore], user_id: UserId, token_hash: str) -> Offer:
    """Let whoever has the token join another user to this one, in place of what was offered before."""
    user = _get_user(unit, user_id, "identity.connections.initiate")
    offer = Offer(unit.organization_id, UserId(user.id), token_hash, unit.now + OFFERED_FOR)
    unit.store.connections.put_offer(offer)
    return offer


def join_connection(unit: Unit[IdentityStore], user_id: UserId, token_hash: str) -> None:
    """Connect a user with the one that has offered the token."""
    user = _get_user(unit, user_id, "identity.connections.join")
    offer = unit.store.connections.take_offer(token_hash)
    if offer is None or offer.expire_time <= unit.now:
        raise Invalid(Violation("token", "is unknown, used or expired", rule="unknown"))
    if offer.user_id == user.id:
        raise Invalid(Violation("token", "was offered by this very user", rule="constraint"))
    made = Connection(unit.organization_id, UserId(user.id), offer.organization_id, offer.user_id, unit.now)
    if not unit.store.connections.add(made):
        raise AlreadyExists("connection", made.peer_user_id)
    _record_both(unit, "connection.created", made)


def remove_connection(unit: Unit[IdentityStore], user_id: UserId, peer_user_id: UserId) -> None:
    """End the connection of two users."""
    _get_user(unit, user_id, "identity.connections.remove")
    removed = unit.store.connections.remove(unit.organization_id, user_id, peer_user_id)
    if not removed:
        raise NotFound("connection", peer_user_id)
    for connection in removed:
        _record_both(unit, "connection.removed", connection)


def end_connections(unit: Unit[IdentityStore], user_id: UserId) -> None:
    """Disconnect a user that goes away from everybody, and take its offer back."""
    for connection in unit.store.connections.remove(unit.organization_id, user_id):
        _record_both(unit, "connection.removed", connection)


def _get_user(unit: Unit[IdentityStore], user_id: UserId, permission: str) -> User:
    require_everything(unit.reach, permission)
    unit.require_target(PrincipalRef(PrincipalKind.USER, user_id))
    user = unit.store.users.find(unit.organization_id, user_id)
    if user is None:
        raise NotFound("user", user_id)
    return user


def _record_both(unit: Unit[IdentityStore], event: str, connection: Connection) -> None:
    """Tell both organizations, each from its own side."""
    for side in (connection, connection.mirrored()):
        created = event == "connection.created"
        unit.record(
            Change(
                event,
                "connection",
                side.user_id,
                before=None if created else side,
                after=side if created else None,
                organization_id=side.organization_id,
                # The other side learns of the connection, not from where and with what the person acted here.
                unattributed=side.organization_id != unit.organization_id,
            )
        )
