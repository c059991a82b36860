"""Getting back in by mail: a new password for whoever has read what was sent to the user's address."""

from dataclasses import replace

from concord.credentials.model.holders import LifeState
from concord.credentials.model.logins import GracePeriod, GraceType, MfaState, Purpose
from concord.credentials.operations.attempts import Knock, Standing, give_back, is_demanded, login_rules, unlock
from concord.credentials.operations.passwords import choose
from concord.credentials.store import CredentialStore
from concord.kernel.errors import Reason, Unauthenticated
from concord.kernel.secret import SecretHash
from concord.kernel.units import Unit

Recovery = Unit[CredentialStore]


def find_recovery(store: CredentialStore, token_id: str) -> Knock | None:
    """Return whose password a mailed token is about, whatever has become of it."""
    token = store.find_token_by_id(token_id) if token_id else None
    if token is None or token.purpose is not Purpose.PASSWORD_RECOVERY:
        return None
    return Knock.of_user(token.organization_id, token.user_id)


def require_recoverable(store: CredentialStore, standing: Standing) -> None:
    """Refuse a locked user to whom a new password must not give back what the lock took.

    One who has a second factor would buy new guesses at its codes, and one who has let the time for setting up one
    pass would buy new time.
    """
    if not standing.locked:
        return
    # One without an end waits for somebody to unlock: it has run out before.
    if _has_factor(store, standing) or any(each.expire_time is None for each in _factor_owed(store, standing)):
        standing.require_open()


def complete_recovery(unit: Recovery, standing: Standing, token: SecretHash, encoded: str) -> None:
    """Use the token up and store the password."""
    user_id = standing.user_id
    if not unit.store.use_one_time_token(unit.organization_id, user_id, Purpose.PASSWORD_RECOVERY, token, unit.now):
        raise Unauthenticated(Reason.CREDENTIAL_INVALID)
    if unit.store.find_principal(unit.organization_id, standing.user) in (None, LifeState.DELETED):
        raise Unauthenticated(Reason.CREDENTIAL_INVALID)
    if unit.store.find_encoded(unit.organization_id, user_id) != standing.encoded:
        raise Unauthenticated(Reason.CREDENTIAL_INVALID)
    require_recoverable(unit.store, standing)
    if any(
        each.expire_time is not None and each.expire_time <= unit.now for each in _factor_owed(unit.store, standing)
    ):
        raise Unauthenticated(Reason.CREDENTIAL_LOCKED, "a grace period has run out")
    # The caller had no passport; what it read in the mail makes it the author.
    unit.author = replace(unit.author, principal=standing.user)
    choose(unit, standing.user, encoded)
    if _has_factor(unit.store, standing):
        give_back(unit, standing.knock)
    else:
        unlock(unit, user_id)


def _factor_owed(store: CredentialStore, standing: Standing) -> list[GracePeriod]:
    """Return the time in which a second factor is to be set up, where one is demanded."""
    if not is_demanded(login_rules(store, standing.organization_id), GraceType.SET_MFA):
        return []
    periods = store.grace_periods(standing.organization_id, standing.user_id)
    return [each for each in periods if each.type is GraceType.SET_MFA]


def _has_factor(store: CredentialStore, standing: Standing) -> bool:
    device = store.find_mfa_device(standing.organization_id, standing.user_id)
    return device is not None and device.state is MfaState.ACTIVE
