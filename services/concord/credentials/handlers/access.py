"""What the decision about a call means for credentials: whose things."""

from typing import Final

from concord.credentials.model.holders import Sight
from concord.credentials.operations.assumed_sessions import METHOD
from concord.kernel.errors import Denied
from concord.kernel.principal import PrincipalKind, PrincipalRef, TargetClass
from concord.kernel.rpc.call import Call

# Principals and projects are identity's: one that is unknown here may be on its way.
AWAITS: Final = ("identity",)


def require_everything() -> None:
    """Refuse a decision that holds in some projects only: credentials lie in none."""
    call = Call.current()
    if not call.reach.everything:
        raise Denied(call.method.permission)


def require_oneself() -> None:
    """Refuse whoever acts as somebody else: what is made here would outlast that, or let them in again."""
    call = Call.current()
    if METHOD in call.require_passport().methods:
        raise Denied(call.method.permission, message="whoever acts as somebody else changes no credential that lasts")


def require_no_ceiling() -> None:
    """Refuse a credential with limits where a call could open a way past them."""
    call = Call.current()
    if call.require_passport().ceiling:
        raise Denied(call.method.permission, message="a credential with limits opens no way in that may do more")


def within_ceiling(wanted: tuple[str, ...]) -> tuple[str, ...]:
    """Return the limit of a credential that the caller makes: never beyond that of the one it calls with.

    Else a credential that was lowered could make one that is not.
    """
    call = Call.current()
    limit = call.require_passport().ceiling
    if not limit:
        return wanted
    if not set(limit).issuperset(wanted):
        raise Denied(call.method.permission, message="a credential with limits makes none that may do more")
    return wanted or limit


def sight() -> Sight:
    """Return whose things the caller may see in a list."""
    call = Call.current()
    reach = call.reach
    if not reach.everything:
        return Sight(others=False)
    included: set[PrincipalRef] = set()
    excluded: set[PrincipalRef] = set()
    own = call.require_passport().principal
    if TargetClass.OWN in reach.classes:
        included.add(own)
    elif TargetClass.OWN in call.method.classes:
        # A right over others does not outweigh what denies one's own things.
        excluded.add(own)
    if reach.owner_user_id is not None and TargetClass.OWNER in call.method.classes:
        owner = PrincipalRef(PrincipalKind.USER, reach.owner_user_id)
        (included if TargetClass.OWNER in reach.classes else excluded).add(owner)
    return Sight(TargetClass.ANY in reach.classes, frozenset(included), frozenset(excluded))
