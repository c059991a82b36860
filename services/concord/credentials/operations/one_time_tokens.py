"""Secrets that are mailed: drawn, bound to user and purpose, used once. They are in the mail and nowhere else."""

import secrets
from dataclasses import dataclass
from typing import Final

from concord.credentials.model.holders import LifeState
from concord.credentials.model.logins import MAIL_WINDOW, MAILS, Mail, MfaState, OneTimeToken, Person, Purpose
from concord.credentials.operations.attempts import Knock, login_rules
from concord.credentials.secrets.vault import Vault
from concord.credentials.store import CredentialStore
from concord.kernel import ids
from concord.kernel.ids import OrganizationId, UserId
from concord.kernel.principal import PrincipalKind, PrincipalRef
from concord.kernel.secret import Secret, SecretHash
from concord.kernel.units import Unit

_CODE_DIGITS: Final = 8
_TEXTS: Final = {
    Purpose.PASSWORD_RECOVERY: (
        "Choose a new password",
        "Somebody, most likely you, has asked for a new password for `{username}`.\n\n"
        "With this token it can be set within an hour, once:\n\n    {secret}\n\n"
        "If it was not you, there is nothing to do: the password stays as it is.\n",
    ),
    Purpose.MFA_RECOVERY: (
        "Remove your second factor",
        "Somebody who knows the password of `{username}` has asked to remove the second factor.\n\n"
        "With this token, the password and a recovery code it can be removed within an hour, once:\n\n    {secret}\n\n"
        "If it was not you, change the password.\n",
    ),
    Purpose.LOGIN: (
        "Your login code",
        "With this code `{username}` can log in within ten minutes, once:\n\n    {secret}\n\n"
        "If it was not you, there is nothing to do. Nobody who asks for this code is to be told.\n",
    ),
}


@dataclass(frozen=True, slots=True)
class Drawn:
    """A fresh secret and the id under which it is found; drawn before the unit, which may run twice."""

    id: str
    secret: Secret

    def text(self, purpose: Purpose) -> str:
        """Return what stands in the mail. A code is typed by hand beside a name, a token stands alone."""
        return self.secret.reveal() if purpose is Purpose.LOGIN else f"{self.id}.{self.secret.reveal()}"


def draw(purpose: Purpose) -> Drawn:
    """Draw a secret: eight digits for a login, 256 bits for all else."""
    if purpose is Purpose.LOGIN:
        text = f"{secrets.randbelow(10**_CODE_DIGITS):0{_CODE_DIGITS}d}"
    else:
        text = secrets.token_urlsafe(32)
    return Drawn(ids.new(str), Secret(text))


def split(token: str) -> tuple[str, Secret]:
    """Return the id and the secret of a token as it was mailed; what is no token has an empty id."""
    id, _, secret = token.strip().partition(".")
    return (id, Secret(secret)) if ids.is_canonical(id) else ("", Secret(""))


def hash_secret(
    vault: Vault, organization_id: OrganizationId, user_id: str, purpose: Purpose, secret: Secret
) -> SecretHash:
    """Return the hash of a mailed secret; that of another user or purpose differs."""
    return vault.hash(Secret("\x1f".join((purpose.value, organization_id, user_id, secret.reveal()))))


def start_mail(unit: Unit[CredentialStore], vault: Vault, knock: Knock, purpose: Purpose, drawn: Drawn) -> Mail | None:
    """Store a secret in place of the one before and return the mail that carries it; None where none is due."""
    if knock.user_id is None:
        return None
    person = unit.store.find_person(unit.organization_id, knock.user_id)
    if person is None or not person.email or not _is_due(unit, person, purpose):
        return None
    last = unit.store.find_one_time_token(unit.organization_id, person.user_id, purpose)
    sent, window = 1, unit.now
    if last is not None and last.window_time is not None and unit.now < last.window_time + MAIL_WINDOW:
        if last.sent >= MAILS:
            return None
        sent, window = last.sent + 1, last.window_time
    token = OneTimeToken(
        drawn.id, unit.organization_id, person.user_id, purpose, unit.now + purpose.lifetime, sent, window
    )
    stored = hash_secret(vault, unit.organization_id, person.user_id, purpose, drawn.secret)
    unit.store.put_one_time_token(token, stored)
    subject, text = _TEXTS[purpose]
    return Mail(person.email, subject, text.format(username=person.username, secret=drawn.text(purpose)))


def _is_due(unit: Unit[CredentialStore], person: Person, purpose: Purpose) -> bool:
    store, organization_id, user_id = unit.store, unit.organization_id, UserId(person.user_id)
    if store.find_principal(organization_id, PrincipalRef(PrincipalKind.USER, user_id)) is not LifeState.ACTIVE:
        return False
    rules = login_rules(store, organization_id)
    match purpose:
        case Purpose.PASSWORD_RECOVERY:
            # Who never had a password gets none by mail: that would be a way around how they log in.
            has_password = store.find_password(organization_id, user_id) is not None
            return has_password and rules.password_enabled and person.interactive
        case Purpose.LOGIN:
            return rules.code_enabled and person.interactive
        case Purpose.MFA_RECOVERY:
            device = store.find_mfa_device(organization_id, user_id)
            return device is not None and device.state is MfaState.ACTIVE
