"""Second factors: none, then unconfirmed, then active, and how one is proved, replaced and taken away."""

import secrets
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from concord.credentials.model.logins import (
    MAX_ISSUER,
    MAX_RECOVERY_CODES,
    MAX_RECOVERY_LENGTH,
    MIN_RECOVERY_LENGTH,
    RECOVERY_LENGTH,
    GracePeriod,
    GraceType,
    MfaDevice,
    MfaDeviceId,
    MfaState,
    Purpose,
)
from concord.credentials.operations.attempts import Standing, forget_failures, give_back, login_rules
from concord.credentials.operations.factor_sessions import end_logins_without_factor
from concord.credentials.operations.principals import target_user
from concord.credentials.operations.sessions import raise_epoch
from concord.credentials.secrets import totp
from concord.credentials.secrets.vault import Vault
from concord.credentials.store import CredentialStore
from concord.kernel import ids
from concord.kernel.errors import AlreadyExists, Invalid, NotFound, Reason, Unauthenticated, Violation
from concord.kernel.ids import OrganizationId, UserId
from concord.kernel.principal import PrincipalKind, PrincipalRef
from concord.kernel.secret import Secret, SecretHash
from concord.kernel.units import Change, Unit

Mfa = Unit[CredentialStore]

TOTP: Final = "totp"
RECOVERY_CODE: Final = "recovery_code"
ISSUER: Final = "concord"
# No letter or digit that is easily taken for another one.
_ALPHABET: Final = "abcdefghjkmnpqrstuvwxyz23456789"


@dataclass(frozen=True, slots=True)
class ShownFactors:
    """What was shown for the second factor; empty texts are nothing."""

    code: str = ""
    recovery_code: str = ""


@dataclass(frozen=True, slots=True)
class NewDevice:
    """A device with its seed, this once."""

    device: MfaDevice
    seed: Secret
    uri: Secret


@dataclass(frozen=True, slots=True)
class WithCodes:
    """A device with its recovery codes, this once."""

    device: MfaDevice
    codes: tuple[Secret, ...]


def draw_recovery_codes(count: int, length: int) -> tuple[Secret, ...]:
    """Draw different codes, or raise Invalid for a number or length out of range."""
    length = length or RECOVERY_LENGTH
    if not 0 <= count <= MAX_RECOVERY_CODES:
        text = f"must lie between 0 and {MAX_RECOVERY_CODES}"
        raise Invalid(Violation("recovery_code_count", text, rule="range"))
    if not MIN_RECOVERY_LENGTH <= length <= MAX_RECOVERY_LENGTH:
        text = f"must lie between {MIN_RECOVERY_LENGTH} and {MAX_RECOVERY_LENGTH}"
        raise Invalid(Violation("recovery_code_length", text, rule="range"))
    drawn: set[str] = set()
    while len(drawn) < count:
        drawn.add("".join(secrets.choice(_ALPHABET) for _ in range(length)))
    return tuple(Secret(each) for each in drawn)


def hash_recovery_code(vault: Vault, organization_id: OrganizationId, user_id: str, code: str) -> SecretHash:
    """Return the hash of a recovery code; capitals, blanks and hyphens of whoever typed it make no difference."""
    plain = code.replace("-", "").replace(" ", "").lower()
    return vault.hash(Secret("\x1f".join((RECOVERY_CODE, organization_id, user_id, plain))))


def prove_second_factor(unit: Mfa, vault: Vault, user_id: UserId, shown: ShownFactors) -> str:
    """Return how the second factor was proved, empty where none is active; raise Unauthenticated where it was not.

    What proves it is used up in the same transaction.
    """
    device = unit.store.find_mfa_device(unit.organization_id, user_id)
    if device is None or device.state is not MfaState.ACTIVE:
        return ""
    if shown.code:
        if not _use_code(unit, vault, device, shown.code):
            raise Unauthenticated(Reason.CREDENTIAL_INVALID)
        return TOTP
    if shown.recovery_code:
        code = hash_recovery_code(vault, unit.organization_id, user_id, shown.recovery_code)
        if not unit.store.use_recovery_code(unit.organization_id, user_id, code):
            raise Unauthenticated(Reason.CREDENTIAL_INVALID)
        return RECOVERY_CODE
    raise Unauthenticated(Reason.SECOND_FACTOR_REQUIRED, "the code of the second factor is missing")


def create_device(unit: Mfa, vault: Vault, user_id: str, issuer: str, seed: Secret) -> NewDevice:
    """Make a device that waits for its first code, in place of one that waits already."""
    user = target_user(unit, user_id)
    if len(issuer) > MAX_ISSUER or not issuer.isprintable():
        text = f"must have at most {MAX_ISSUER} characters, all printable"
        raise Invalid(Violation("issuer", text, rule="length"))
    before = unit.store.find_mfa_device(unit.organization_id, UserId(user.id))
    if before is not None and before.state is MfaState.ACTIVE:
        raise AlreadyExists("mfa_device", user.id, "user_id")
    device = MfaDevice(
        id=ids.new(MfaDeviceId),
        organization_id=unit.organization_id,
        user_id=UserId(user.id),
        state=MfaState.UNCONFIRMED,
        version=1,
        create_time=unit.now,
        update_time=unit.now,
    )
    person = unit.store.find_person(unit.organization_id, device.user_id)
    uri = totp.seed_uri(seed, user.id if person is None else person.username, issuer or ISSUER)
    unit.store.put_mfa_device(device, vault.seal_seed(unit.organization_id, device.id, seed))
    unit.store.put_recovery_codes(unit.organization_id, device.user_id, ())
    unit.record(Change("mfa_device.created", "mfa_device", device.id, after=device))
    return NewDevice(device, seed, uri)


def confirm_device(
    unit: Mfa, vault: Vault, standing: Standing, device_id: str, code: str, codes: tuple[Secret, ...]
) -> WithCodes:
    """Make the waiting device active by its first code, which is used up with it."""
    user_id = standing.user_id
    device = get_device(unit.store, unit.organization_id, user_id, device_id)
    if device.state is not MfaState.UNCONFIRMED:
        raise NotFound("mfa_device", device_id or user_id)
    if not _use_code(unit, vault, device, code):
        raise Invalid(Violation("code", "is not what the device shows now", rule="mismatch"))
    active = replace(
        device,
        state=MfaState.ACTIVE,
        version=device.version + 1,
        update_time=unit.now,
        recovery_code_count=len(codes),
        owed_time=_owed_time(unit, user_id),
    )
    unit.store.replace_mfa_device(active)
    _store_codes(unit, vault, user_id, codes)
    unit.store.remove_grace_period(unit.organization_id, user_id, GraceType.SET_MFA)
    give_back(unit, standing.knock)
    unit.record(
        Change("mfa_device.activated", "mfa_device", device.id, before=device, after=active, security_relevant=True)
    )
    end_logins_without_factor(unit, standing.user, TOTP)
    return WithCodes(active, codes)


def delete_device(unit: Mfa, user_id: UserId, device_id: str) -> None:
    """Take a device away; where it was active the sessions end, too, and the grace period begins anew.

    Whoever takes the own one away sooner than a grace period after it became active has what was left before: else
    setting one up now and then would be a way to live without.
    """
    device = get_device(unit.store, unit.organization_id, user_id, device_id)
    unit.store.remove_mfa_device(unit.organization_id, user_id)
    unit.record(Change("mfa_device.deleted", "mfa_device", device.id, before=device, security_relevant=True))
    if device.state is not MfaState.ACTIVE:
        return
    user = PrincipalRef(PrincipalKind.USER, user_id)
    rules = login_rules(unit.store, unit.organization_id)
    if rules.enforce_mfa:
        end = unit.now + rules.grace_period
        is_own = unit.author.principal == user
        if is_own and device.owed_time is not None and unit.now < device.update_time + rules.grace_period:
            end = min(end, device.owed_time)
        unit.store.put_grace_period(GracePeriod(unit.organization_id, user_id, GraceType.SET_MFA, end))
    raise_epoch(unit, user)


def require_factor(unit: Mfa, user_id: UserId, shown: ShownFactors, *, password: bool) -> None:
    """Refuse to act on an active device of oneself without it; tell what is missing."""
    device = unit.store.find_mfa_device(unit.organization_id, user_id)
    if device is None or device.state is not MfaState.ACTIVE or shown.code or shown.recovery_code:
        return
    if password:
        raise Unauthenticated(Reason.SECOND_FACTOR_REQUIRED, "the code of the second factor is missing")
    raise Invalid(Violation("proof", "is required of whoever acts on themselves", rule="required"))


def replace_recovery_codes(unit: Mfa, vault: Vault, user_id: UserId, codes: tuple[Secret, ...]) -> WithCodes:
    """Store new codes in place of the old ones."""
    device = get_device(unit.store, unit.organization_id, user_id, "")
    if device.state is not MfaState.ACTIVE:
        raise NotFound("mfa_device", user_id)
    _store_codes(unit, vault, user_id, codes)
    after = replace(device, recovery_code_count=len(codes))
    unit.record(
        Change("recovery_codes.replaced", "recovery_codes", user_id, before=device, after=after, security_relevant=True)
    )
    return WithCodes(after, codes)


def recover(unit: Mfa, vault: Vault, standing: Standing, recovery_code: str, token_id: str, token: SecretHash) -> None:
    """Take the device away from whoever has shown password, recovery code and mailed token."""
    user_id = standing.user_id
    mailed = unit.store.find_one_time_token(unit.organization_id, user_id, Purpose.MFA_RECOVERY)
    is_right = (
        mailed is not None
        and mailed.id == token_id
        and unit.store.find_encoded(unit.organization_id, user_id) == standing.encoded
        and unit.store.use_one_time_token(unit.organization_id, user_id, Purpose.MFA_RECOVERY, token, unit.now)
    )
    shown = ShownFactors(recovery_code=recovery_code)
    # Nothing but a device that is active can be recovered from.
    if not is_right or prove_second_factor(unit, vault, user_id, shown) != RECOVERY_CODE:
        raise Unauthenticated(Reason.CREDENTIAL_INVALID)
    unit.author = replace(unit.author, principal=standing.user)
    delete_device(unit, user_id, "")
    forget_failures(unit, standing.knock)


def get_device(store: CredentialStore, organization_id: OrganizationId, user_id: UserId, device_id: str) -> MfaDevice:
    """Return a user's device, the one with this id where one is asked for."""
    wanted = ids.parse(MfaDeviceId, device_id, "device_id") if device_id else ""
    device = store.find_mfa_device(organization_id, user_id)
    if device is None or (wanted and device.id != wanted):
        raise NotFound("mfa_device", device_id or user_id)
    return device


def _use_code(unit: Mfa, vault: Vault, device: MfaDevice, code: str) -> bool:
    """Tell whether a code is right and was not used before; from now on it is."""
    sealed = unit.store.find_mfa_seed(unit.organization_id, device.user_id)
    if sealed is None:
        return False
    step = totp.matching_step(vault.open_seed(unit.organization_id, device.id, sealed), code.strip(), unit.now)
    return step is not None and unit.store.claim_step(unit.organization_id, device.user_id, step)


def _store_codes(unit: Mfa, vault: Vault, user_id: UserId, codes: tuple[Secret, ...]) -> None:
    hashes = [hash_recovery_code(vault, unit.organization_id, user_id, each.reveal()) for each in codes]
    unit.store.put_recovery_codes(unit.organization_id, user_id, hashes)


def _owed_time(unit: Mfa, user_id: UserId) -> datetime | None:
    periods = unit.store.grace_periods(unit.organization_id, user_id)
    return next((each.expire_time for each in periods if each.type is GraceType.SET_MFA), None)
