"""Whose credentials an operation is about."""

from concord.credentials.model.holders import LifeState
from concord.credentials.store import CredentialStore
from concord.kernel import ids
from concord.kernel.errors import NotFound
from concord.kernel.ids import UserId
from concord.kernel.principal import PrincipalKind, PrincipalRef
from concord.kernel.units import Unit


def require_principal(unit: Unit[CredentialStore], principal: PrincipalRef) -> None:
    """Raise NotFound for a principal that is unknown or dead. A suspended one may be given credentials."""
    state = unit.store.find_principal(unit.organization_id, principal)
    if state is None or state is LifeState.DELETED:
        raise NotFound(principal.kind.value, principal.id)


def target_user(unit: Unit[CredentialStore], user_id: str, field: str = "user_id") -> PrincipalRef:
    """Return the user that a call is about; raise Invalid, NotFound or Denied where there is none to act on."""
    user = PrincipalRef(PrincipalKind.USER, ids.parse(UserId, user_id, field))
    require_principal(unit, user)
    unit.require_target(user)
    return user
