"""The door: who is meant by what somebody types, and what a login must prove."""

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final, TypeVar

from concord.credentials.model.holders import LifeState
from concord.credentials.model.logins import GracePeriod, GraceType, LoginRules, MfaState, Purpose
from concord.credentials.model.organizations import NOWHERE
from concord.credentials.operations.attempts import Knock, Standing, forget_failures, is_demanded, login_rules
from concord.credentials.operations.authentication import Proof
from concord.credentials.operations.mfa import ShownFactors, prove_second_factor
from concord.credentials.operations.session_changes import OpenedSession
from concord.credentials.operations.sessions import begin_session
from concord.credentials.secrets.vault import Vault
from concord.credentials.store import CredentialStore
from concord.kernel.errors import Reason, Unauthenticated
from concord.kernel.ids import UserId
from concord.kernel.secret import Secret, SecretHash
from concord.kernel.units import Unit

Logins = Unit[CredentialStore]
O = TypeVar("O")  # noqa: E741 - what a way in opens
# What comes of a good login: a session, or a client's tokens.
Begin = Callable[[Unit[CredentialStore], Proof, timedelta | None, Vault], O]

PASSWORD: Final = "password"  # noqa: S105 - a method, no secret
MAILED_CODE: Final = "mailed_code"
_MAX_NAME: Final = 320

# All that a session opened with a temporary password may do: read its user and get rid of the password.
TEMPORARY_CEILING: Final = (
    "identity.own_users.get",
    "credentials.own_passwords.get",
    "credentials.own_passwords.check",
    "credentials.own_passwords.change",
)


@dataclass(frozen=True, slots=True)
class LoginName:
    """What somebody types to say who they are."""

    organization: str
    name: str


def fold(text: str) -> str:
    """Return the form under which two spellings of an address are one."""
    if text.isascii():
        return text.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())


def find_knock(store: CredentialStore, vault: Vault, login: LoginName) -> Knock:
    """Return who is meant. Names are the user's own, addresses are found in any case.

    Attempts at a user count for the user, whichever spelling was typed. For a name that nobody answers to
    they count for the name, all spellings of it alike.
    """
    name = unicodedata.normalize("NFC", login.name) if _is_storable(login.name) else ""
    address = fold(name.strip())
    place = fold(login.organization.strip()) if _is_storable(login.organization) else ""
    if login.organization:
        organization_id = store.find_login_organization(place) or NOWHERE
        person = store.find_person_named(organization_id, name, address)
    else:
        person = store.find_owner(address)
        organization_id = NOWHERE if person is None else person.organization_id
    if person is not None:
        return Knock.of_user(organization_id, person.user_id)
    stranger = "\x1f".join(("stranger", organization_id or place, " ".join(fold(login.name).split())))
    return Knock(organization_id, vault.hash(Secret(stranger)).value.hex())


def log_in(
    unit: Logins,
    standing: Standing,
    shown: ShownFactors,
    vault: Vault,
    ttl: timedelta | None,
    rehashed: str | None,
    begin: Begin[O] = begin_session,  # type: ignore[assignment]  # the one default, whose type callers see
) -> O:
    """Open a session for whoever has typed the right password; what may have changed since is examined here."""
    user_id = standing.user_id
    if standing.encoded is None or unit.store.find_encoded(unit.organization_id, user_id) != standing.encoded:
        raise Unauthenticated(Reason.CREDENTIAL_INVALID)
    password = unit.store.find_password(unit.organization_id, user_id)
    if password is not None and password.is_expired(unit.now):
        raise Unauthenticated(Reason.CREDENTIAL_EXPIRED, "the temporary password has expired")
    if rehashed is not None:
        unit.store.rehash_password(unit.organization_id, user_id, standing.encoded, rehashed)
    temporary = password is not None and password.temporary
    proof = Proof(
        standing.organization_id,
        standing.user,
        methods=(PASSWORD,),
        expire_time=password.expire_time if password is not None and temporary else None,
        ceiling=TEMPORARY_CEILING if temporary else (),
    )
    rules = login_rules(unit.store, unit.organization_id)
    return _enter(unit, standing, proof, shown, vault, ttl, begin, enabled=rules.password_enabled)


def log_in_by_code(
    unit: Logins,
    standing: Standing,
    code: SecretHash,
    shown: ShownFactors,
    vault: Vault,
    ttl: timedelta | None,
    begin: Begin[OpenedSession] = begin_session,
) -> OpenedSession:
    """Open a session for whoever has typed the mailed code, which is used up."""
    user_id = standing.user_id
    if not unit.store.use_one_time_token(unit.organization_id, user_id, Purpose.LOGIN, code, unit.now):
        raise Unauthenticated(Reason.CREDENTIAL_INVALID)
    proof = Proof(standing.organization_id, standing.user, methods=(MAILED_CODE,))
    rules = login_rules(unit.store, unit.organization_id)
    return _enter(unit, standing, proof, shown, vault, ttl, begin, enabled=rules.code_enabled)


def _enter(
    unit: Logins,
    standing: Standing,
    proof: Proof,
    shown: ShownFactors,
    vault: Vault,
    ttl: timedelta | None,
    begin: Begin[O],
    *,
    enabled: bool,
) -> O:
    """Do what all ways in have in common: nobody passes here without the second factor that is active."""
    _require_welcome(unit, standing, enabled=enabled)
    rules = login_rules(unit.store, unit.organization_id)
    _require_in_time(unit, standing.user_id, rules)
    method = prove_second_factor(unit, vault, standing.user_id, shown)
    if method:
        proof = replace(proof, methods=(*proof.methods, method), mfa=True)
    _begin_duties(unit, standing.user_id, rules)
    forget_failures(unit, standing.knock)
    return begin(unit, proof, ttl, vault)


def _require_welcome(unit: Logins, standing: Standing, *, enabled: bool) -> None:
    store = unit.store
    state = store.find_principal(unit.organization_id, standing.user)
    organization = store.find_organization(unit.organization_id)
    person = store.find_person(unit.organization_id, standing.user_id)
    if state is None or state is LifeState.DELETED or person is None:
        raise Unauthenticated(Reason.CREDENTIAL_INVALID)
    if state is not LifeState.ACTIVE or (organization is not None and organization.state is not LifeState.ACTIVE):
        raise Unauthenticated(Reason.PRINCIPAL_SUSPENDED, "the principal is suspended")
    if not enabled or not person.interactive:
        raise Unauthenticated(Reason.LOGIN_DISABLED, "this way to log in is switched off")


def _require_in_time(unit: Logins, user_id: UserId, rules: LoginRules) -> None:
    for period in unit.store.grace_periods(unit.organization_id, user_id):
        is_over = period.expire_time is not None and period.expire_time <= unit.now
        if is_over and is_demanded(rules, period.type):
            raise Unauthenticated(Reason.CREDENTIAL_LOCKED, "a grace period has run out")


def _begin_duties(unit: Logins, user_id: UserId, rules: LoginRules) -> None:
    """Let the time run that is left for what the organization demands and the user has not done."""
    store, organization_id = unit.store, unit.organization_id
    known = {each.type: each for each in store.grace_periods(organization_id, user_id)}
    if rules.enforce_mfa and GraceType.SET_MFA not in known:
        device = store.find_mfa_device(organization_id, user_id)
        if device is None or device.state is not MfaState.ACTIVE:
            known[GraceType.SET_MFA] = GracePeriod(organization_id, user_id, GraceType.SET_MFA)
    for duty, period in known.items():
        if not is_demanded(rules, duty):
            store.remove_grace_period(organization_id, user_id, duty)
        elif period.expire_time is None:
            store.put_grace_period(replace(period, expire_time=unit.now + rules.grace_period))


def _is_storable(text: str) -> bool:
    return len(text) <= _MAX_NAME and "\x00" not in text
