"""Setting and judging passwords. Hashing is slow and happens before: operations see encoded hashes only."""

import secrets
from dataclasses import dataclass
from typing import Final

from concord.credentials.model.logins import GracePeriod, GraceType
from concord.credentials.model.passwords import MAX_PASSWORD, Password, PasswordForm, PasswordViolation, judge_password
from concord.credentials.operations.attempts import Standing, give_back, login_rules
from concord.credentials.operations.attempts import unlock as give_all_back
from concord.credentials.operations.logins import fold
from concord.credentials.operations.principals import target_user
from concord.credentials.operations.sessions import raise_epoch
from concord.credentials.secrets.common_passwords import is_common
from concord.credentials.store import CredentialStore
from concord.kernel import ids
from concord.kernel.errors import AlreadyExists, Invalid, NotFound, Reason, Unauthenticated, Violation
from concord.kernel.ids import OrganizationId, UserId
from concord.kernel.principal import PrincipalRef
from concord.kernel.secret import Secret
from concord.kernel.units import Change, Unit

_GENERATED: Final = 20
_KINDS: Final = ("abcdefghjkmnpqrstuvwxyz", "ABCDEFGHJKMNPQRSTUVWXYZ", "23456789", "-_.:+=")
# A username of fewer characters occurs in words by chance.
_SPEAKING_NAME: Final = 4

PREVIOUS: Final = PasswordViolation("previous", "", "must not be the password before it")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a candidate is judged by: the organization's form, the user's name, the hashes it must not match."""

    form: PasswordForm
    username: str = ""
    encoded: str | None = None
    previous: str | None = None


def surroundings(store: CredentialStore, organization_id: OrganizationId, user_id: UserId | None) -> Surroundings:
    """Read what a candidate for a user, or for nobody yet, is judged by."""
    form = login_rules(store, organization_id).form
    if user_id is None:
        return Surroundings(form)
    person = store.find_person(organization_id, user_id)
    return Surroundings(
        form,
        "" if person is None else person.username,
        store.find_encoded(organization_id, user_id),
        store.find_previous(organization_id, user_id),
    )


def judge(candidate: str, around: Surroundings) -> tuple[PasswordViolation, ...]:
    """Return the rules that a candidate breaks, but for the one about passwords before. Never repeats the candidate."""
    broken = list(judge_password(candidate))
    form = around.form
    if broken and len(candidate) > MAX_PASSWORD:
        return tuple(broken)
    counts = (
        ("min_length", "characters", form.min_length, len(candidate)),
        ("min_lower", "lower case letters", form.min_lower, sum(each.islower() for each in candidate)),
        ("min_upper", "upper case letters", form.min_upper, sum(each.isupper() for each in candidate)),
        ("min_digits", "digits", form.min_digits, sum(each.isdigit() for each in candidate)),
        ("min_symbols", "other characters", form.min_symbols, sum(not each.isalnum() for each in candidate)),
    )
    for rule, what, least, found in counts:
        if found < least and rule not in {each.rule for each in broken}:
            broken.append(PasswordViolation(rule, str(least), f"must have at least {least} {what}"))
    if len(candidate) > form.max_length:
        text = f"must have at most {form.max_length} characters"
        broken.append(PasswordViolation("max_length", str(form.max_length), text))
    if not form.username_allowed and _tells(candidate, around.username):
        broken.append(PasswordViolation("username", "", "must not hold the username"))
    if candidate and is_common(candidate):
        broken.append(PasswordViolation("common", "", "must not be one that everybody guesses first"))
    return tuple(broken)


def require_good(candidate: Secret, around: Surroundings) -> None:
    """Raise Invalid naming the rules that a candidate breaks."""
    refuse(judge(candidate.reveal(), around))


def refuse(broken: tuple[PasswordViolation, ...]) -> None:
    """Raise Invalid where a rule is broken."""
    if broken:
        raise Invalid(*(Violation("password", each.message, rule=each.rule) for each in broken))


def draw_password(around: Surroundings) -> Secret:
    """Draw a password of the organization's form."""
    form = around.form
    needed = (form.min_lower, form.min_upper, form.min_digits, form.min_symbols)
    while True:
        drawn = [secrets.choice(kind) for kind, count in zip(_KINDS, needed, strict=True) for _ in range(count)]
        length = min(max(form.min_length, _GENERATED, len(drawn)), form.max_length)
        drawn += [secrets.choice("".join(_KINDS[:3])) for _ in range(length - len(drawn))]
        secrets.SystemRandom().shuffle(drawn)
        text = "".join(drawn)
        if not judge(text, around) or length < _GENERATED:
            return Secret(text)


def get_password(store: CredentialStore, organization_id: OrganizationId, user_id: str) -> Password:
    """Return what is known of a user's password."""
    found = store.find_password(organization_id, ids.parse(UserId, user_id, "user_id"))
    if found is None:
        raise NotFound("password", user_id)
    return found


def set_password(
    unit: Unit[CredentialStore],
    user_id: str,
    encoded: str,
    *,
    temporary: bool,
    must_not_exist: bool,
    repeats: bool = False,
) -> Password:
    """Give a user a password and end the user's sessions; refuse one that repeats what the user had."""
    user = target_user(unit, user_id)
    if must_not_exist and unit.store.find_password(unit.organization_id, UserId(user.id)) is not None:
        raise AlreadyExists("password", user.id, "user_id")
    if repeats:
        refuse((PREVIOUS,))
    fresh = _put(unit, user, encoded, temporary=temporary)
    if unit.author.principal == user:
        unit.store.remove_grace_period(unit.organization_id, UserId(user.id), GraceType.UPDATE_PASSWORD)
    elif login_rules(unit.store, unit.organization_id).enforce_renewal:
        # The next login begins the time in which it must be replaced.
        period = GracePeriod(unit.organization_id, UserId(user.id), GraceType.UPDATE_PASSWORD)
        unit.store.put_grace_period(period)
    return fresh


def change_password(unit: Unit[CredentialStore], standing: Standing, encoded: str) -> Password:
    """Put the password that a user has chosen in place of the one that was proved."""
    unit.require_target(standing.user)
    before = unit.store.find_password(unit.organization_id, standing.user_id)
    if unit.store.find_encoded(unit.organization_id, standing.user_id) != standing.encoded or before is None:
        raise Unauthenticated(Reason.CREDENTIAL_INVALID)
    if before.is_expired(unit.now):
        raise Unauthenticated(Reason.CREDENTIAL_EXPIRED, "the temporary password has expired")
    # A part of what a login asks for: earlier failures stay.
    give_back(unit, standing.knock)
    return choose(unit, standing.user, encoded)


def choose(unit: Unit[CredentialStore], user: PrincipalRef, encoded: str) -> Password:
    """Store a password that its user has chosen: whatever asked for a new one is done with."""
    fresh = _put(unit, user, encoded, temporary=False)
    unit.store.remove_grace_period(unit.organization_id, UserId(user.id), GraceType.UPDATE_PASSWORD)
    return fresh


def delete_password(unit: Unit[CredentialStore], user_id: str) -> None:
    """Take a user's password away and end the user's sessions."""
    user = target_user(unit, user_id)
    before = get_password(unit.store, unit.organization_id, user.id)
    unit.store.remove_password(unit.organization_id, UserId(user.id))
    unit.store.void_one_time_tokens(unit.organization_id, UserId(user.id))
    unit.store.remove_grace_period(unit.organization_id, UserId(user.id), GraceType.UPDATE_PASSWORD)
    unit.record(Change("password.deleted", "password", user.id, before=before, security_relevant=True))
    raise_epoch(unit, user)


def unlock_password(unit: Unit[CredentialStore], user_id: str) -> Password:
    """Give a user's attempts back."""
    user = target_user(unit, user_id)
    get_password(unit.store, unit.organization_id, user.id)
    give_all_back(unit, UserId(user.id))
    return get_password(unit.store, unit.organization_id, user.id)


def _put(unit: Unit[CredentialStore], user: PrincipalRef, encoded: str, *, temporary: bool) -> Password:
    user_id = UserId(user.id)
    before = unit.store.find_password(unit.organization_id, user_id)
    rules = unit.store.find_organization(unit.organization_id)
    lasting = rules.temporary_password_ttl if temporary and rules is not None else None
    # Attempts are the user's: they count on, whatever becomes of the password.
    budget = unit.store.find_attempts(unit.organization_id, user_id)
    fresh = Password(
        user_id=user_id,
        organization_id=unit.organization_id,
        version=1 if before is None else before.version + 1,
        create_time=unit.now if before is None else before.create_time,
        update_time=unit.now,
        temporary=temporary,
        expire_time=unit.now + lasting if lasting else None,
        failed_attempts=budget.failures,
        last_attempt_time=budget.last_attempt_time,
        lock_time=budget.lock_time,
    )
    unit.store.put_password(fresh, encoded)
    # What was mailed before was about the password before.
    unit.store.void_one_time_tokens(unit.organization_id, user_id)
    unit.record(Change("password.set", "password", user.id, before=before, after=fresh, security_relevant=True))
    raise_epoch(unit, user)
    return fresh


def _tells(candidate: str, username: str) -> bool:
    """Tell whether a candidate is the username, or holds it, or its part before the @."""
    folded = fold(candidate)
    for name in {fold(username), fold(username).partition("@")[0]}:
        if name and (folded == name or (len(name) >= _SPEAKING_NAME and name in folded)):
            return True
    return False
