"""Setting passwords. Hashing is slow and happens before: operations see encoded hashes only."""

from dataclasses import replace

from concord.credentials.model import Password, judge_password
from concord.credentials.operations.api_keys import require_principal
from concord.credentials.operations.sessions import raise_epoch
from concord.credentials.store import CredentialStore
from concord.kernel import ids
from concord.kernel.errors import AlreadyExists, Invalid, Violation
from concord.kernel.ids import UserId
from concord.kernel.principal import PrincipalKind, PrincipalRef
from concord.kernel.secret import Secret
from concord.kernel.units import Change, Unit


def require_good_password(candidate: Secret) -> None:
    """Raise Invalid naming the rules that a candidate breaks."""
    broken = judge_password(candidate.reveal())
    if broken:
        raise Invalid(*(Violation("password", each.message, rule=each.rule) for each in broken))


def set_password(
    unit: Unit[CredentialStore], user_id: str, encoded: str, *, temporary: bool, must_not_exist: bool
) -> Password:
    """Give a user a password and end the user's sessions."""
    user = PrincipalRef(PrincipalKind.USER, ids.parse(UserId, user_id, "user_id"))
    require_principal(unit, user)
    unit.require_target(user)
    before = unit.store.find_password(unit.organization_id, UserId(user.id))
    if before is not None and must_not_exist:
        raise AlreadyExists("password", user.id, "user_id")
    rules = unit.store.find_organization(unit.organization_id)
    lasting = rules.temporary_password_ttl if temporary and rules is not None else None
    fresh = Password(
        user_id=UserId(user.id),
        organization_id=unit.organization_id,
        version=1,
        create_time=unit.now,
        update_time=unit.now,
        temporary=temporary,
        expire_time=unit.now + lasting if lasting else None,
    )
    if before is not None:
        fresh = replace(fresh, version=before.version + 1, create_time=before.create_time)
    unit.store.put_password(fresh, encoded)
    unit.record(Change("password.set", "password", user.id, before=before, after=fresh, security_relevant=True))
    raise_epoch(unit, user)
    return fresh
