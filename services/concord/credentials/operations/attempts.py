"""The budget of attempts: taken, in a committed unit of its own, before anything is examined.

All that examines a user's proofs shares one budget. Names that nobody answers to have one as well, by the same rules,
so that neither a lock nor its absence tells who exists.
"""

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from concord.credentials.model.logins import AttemptBudget, GraceType, LoginRules, Purpose
from concord.credentials.model.passwords import Password
from concord.credentials.operations.sessions import raise_epoch
from concord.credentials.store import CredentialStore
from concord.kernel.errors import Reason, Unauthenticated
from concord.kernel.ids import OrganizationId, UserId
from concord.kernel.principal import PrincipalKind, PrincipalRef
from concord.kernel.secret import SecretHash
from concord.kernel.units import Change, Unit

Attempts = Unit[CredentialStore]

# Failures are forgotten once nothing was tried for so long, those of users and of names that nobody answers to alike.
# A lock stays until somebody lifts it, which for a name that nobody answers to is nobody.
FAILURES_KEPT: Final = timedelta(days=1)
# How many such names are remembered at most. To have a locked one forgotten takes as many locked ones.
MAX_STRANGERS: Final = 100_000
TOKENS_KEPT: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Knock:
    """Who is meant at the door: a user, or somebody that nobody knows."""

    organization_id: OrganizationId
    """Empty where the organization is unknown, too."""
    holder: str
    """Whose attempts count: a user's id, or the hash of an unknown name."""
    user_id: UserId | None = None

    @classmethod
    def of_user(cls, organization_id: OrganizationId, user_id: UserId) -> "Knock":
        """Return that a known user is meant."""
        return cls(organization_id, user_id, user_id)

    def require_user(self) -> UserId:
        """Return the user who is meant, or refuse as a wrong proof is refused."""
        if self.user_id is None:
            raise Unauthenticated(Reason.CREDENTIAL_INVALID)
        return self.user_id


@dataclass(frozen=True, slots=True)
class Standing:
    """One attempt that was taken, and what may be examined with it."""

    knock: Knock
    locked: bool
    taken: bool = True
    """False where nothing was to be examined, so that there is nothing to give back."""
    encoded: str | None = None
    mailed: SecretHash | None = None

    @property
    def organization_id(self) -> OrganizationId:
        """In whose budget it was taken."""
        return self.knock.organization_id

    @property
    def user_id(self) -> UserId:
        """Who is meant; asked only after something of that user was right."""
        return self.knock.require_user()

    @property
    def user(self) -> PrincipalRef:
        """The same as a principal."""
        return PrincipalRef(PrincipalKind.USER, self.user_id)

    def require_open(self) -> None:
        """Refuse where the budget is used up."""
        if self.locked:
            raise Unauthenticated(Reason.CREDENTIAL_LOCKED, "too many attempts have failed")


def login_rules(store: CredentialStore, organization_id: OrganizationId) -> LoginRules:
    """Return what an organization demands; the demands of its birth while nothing was heard of it."""
    return store.find_login_rules(organization_id) or LoginRules(organization_id)


def take_attempt(unit: Attempts, knock: Knock, purpose: Purpose) -> Standing:
    """Count an attempt, lock the holder with the last one allowed, and return what it may be compared with.

    A known and an unknown name take the same statements.
    """
    store, organization_id = unit.store, unit.organization_id
    most = login_rules(store, organization_id).max_attempts
    budget = store.take_attempt(organization_id, knock.holder, unit.now, unit.now - FAILURES_KEPT)
    locked = budget.lock_time is not None
    if not locked and budget.failures >= most:
        # The last attempt is still examined; whatever comes meanwhile is not.
        store.lock_holder(organization_id, knock.holder, unit.now)
        locked = budget.failures > most
        if knock.user_id is not None:
            _record_lock(unit, knock.user_id, budget)
    key = UserId(knock.holder)
    return Standing(
        knock,
        locked,
        encoded=store.find_encoded(organization_id, key),
        mailed=store.find_one_time_hash(organization_id, key, purpose, unit.now),
    )


def give_back(unit: Attempts, knock: Knock) -> None:
    """Take back an attempt that was no failure. Earlier failures stay: this one has proved a part only."""
    most = login_rules(unit.store, unit.organization_id).max_attempts
    before = _locked_password(unit, knock.user_id)
    unit.store.give_back_attempt(unit.organization_id, knock.holder, most)
    _record_unlock(unit, before)


def forget_failures(unit: Attempts, knock: Knock) -> None:
    """Begin the budget anew: everything was proved. A lock that came with this very attempt goes with the rest."""
    before = _locked_password(unit, knock.user_id)
    unit.store.clear_attempts(unit.organization_id, knock.holder)
    _record_unlock(unit, before)


def unlock(unit: Attempts, user_id: UserId) -> None:
    """Give all attempts back and let grace periods that have run out begin anew at the next login."""
    before = _locked_password(unit, user_id)
    unit.store.clear_attempts(unit.organization_id, user_id)
    for period in unit.store.grace_periods(unit.organization_id, user_id):
        if period.expire_time is not None and period.expire_time <= unit.now:
            unit.store.put_grace_period(replace(period, expire_time=None))
    _record_unlock(unit, before)


def lock_overdue(unit: Attempts, user_id: UserId) -> None:
    """Lock a user whose grace period has run out, and end the sessions. After an unlock it begins anew."""
    overdue = False
    for period in unit.store.grace_periods(unit.organization_id, user_id):
        if period.expire_time is None or period.expire_time > unit.now:
            continue
        if not is_demanded(login_rules(unit.store, unit.organization_id), period.type):
            unit.store.remove_grace_period(unit.organization_id, user_id, period.type)
            continue
        unit.store.put_grace_period(replace(period, expire_time=None))
        overdue = True
    if not overdue:
        return
    budget = unit.store.find_attempts(unit.organization_id, user_id)
    if budget.lock_time is None:
        unit.store.lock_holder(unit.organization_id, user_id, unit.now)
        _record_lock(unit, user_id, budget)
    raise_epoch(unit, PrincipalRef(PrincipalKind.USER, user_id))


def is_demanded(rules: LoginRules, duty: GraceType) -> bool:
    """Tell whether an organization still asks for this."""
    return rules.enforce_mfa if duty is GraceType.SET_MFA else rules.enforce_renewal


def trim(unit: Attempts) -> None:
    """Forget unknown names and mailed secrets of long ago."""
    unit.store.trim_strangers(unit.now - FAILURES_KEPT, MAX_STRANGERS)
    unit.store.trim_one_time_tokens(unit.now - TOKENS_KEPT)


def _locked_password(unit: Attempts, user_id: UserId | None) -> Password | None:
    found = None if user_id is None else unit.store.find_password(unit.organization_id, user_id)
    return found if found is not None and found.lock_time is not None else None


def _record_unlock(unit: Attempts, before: Password | None) -> None:
    after = None if before is None else unit.store.find_password(unit.organization_id, before.user_id)
    if after is not None and after.lock_time is None:
        unit.record(Change("password.unlocked", "password", after.user_id, before=before, after=after))


def _record_lock(unit: Attempts, user_id: UserId, budget: AttemptBudget) -> None:
    password = unit.store.find_password(unit.organization_id, user_id)
    if password is not None:
        before = replace(password, failed_attempts=budget.failures, lock_time=None)
        after = replace(before, lock_time=unit.now)
        unit.record(Change("password.locked", "password", user_id, before=before, after=after))
