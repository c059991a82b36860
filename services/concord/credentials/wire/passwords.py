"""Passwords and statuses."""

from typing import Final

from concord.credentials.model.holders import CredentialStatus
from concord.credentials.model.logins import MfaState
from concord.credentials.model.passwords import Password, PasswordViolation
from concord.credentials.v1 import credential_status_pb2, password_pb2, password_service_pb2
from concord.credentials.wire.common import optional_instant, optional_instant_to_wire
from concord.kernel.ids import OrganizationId, UserId
from concord.kernel.rpc.wire import instant_from_wire, instant_to_wire, principal_to_wire
from concord.kernel.secret import Secret

MFA_STATES: Final = {
    MfaState.INACTIVE: credential_status_pb2.MFA_STATE_INACTIVE,
    MfaState.UNCONFIRMED: credential_status_pb2.MFA_STATE_UNCONFIRMED,
    MfaState.ACTIVE: credential_status_pb2.MFA_STATE_ACTIVE,
}


def password_to_wire(password: Password) -> password_pb2.Password:
    """Return the message for a password; it tells nothing of the password itself."""
    return password_pb2.Password(
        user_id=password.user_id,
        organization_id=password.organization_id,
        version=password.version,
        etag=password.etag,
        create_time=instant_to_wire(password.create_time),
        update_time=instant_to_wire(password.update_time),
        temporary=password.temporary,
        expire_time=optional_instant_to_wire(password.expire_time),
        failed_attempts=password.failed_attempts,
        last_attempt_time=optional_instant_to_wire(password.last_attempt_time),
        lock_time=optional_instant_to_wire(password.lock_time),
    )


def drawn_to_wire(password: Password, drawn: Secret | None) -> password_service_pb2.GeneratePasswordResponse:
    """Return the one answer that holds a password that was drawn; None where it was a check only."""
    return password_service_pb2.GeneratePasswordResponse(
        password=password_to_wire(password), temporary_password="" if drawn is None else drawn.reveal()
    )


def password_from_wire(message: password_pb2.Password) -> Password:
    """Return the password of a message that `password_to_wire` made."""
    return Password(
        user_id=UserId(message.user_id),
        organization_id=OrganizationId(message.organization_id),
        version=message.version,
        create_time=instant_from_wire(message.create_time),
        update_time=instant_from_wire(message.update_time),
        temporary=message.temporary,
        expire_time=optional_instant(message, "expire_time", "expire_time"),
        failed_attempts=message.failed_attempts,
        last_attempt_time=optional_instant(message, "last_attempt_time", "last_attempt_time"),
        lock_time=optional_instant(message, "lock_time", "lock_time"),
    )


def violation_to_wire(violation: PasswordViolation) -> password_pb2.PasswordViolation:
    """Return the message for a broken rule."""
    return password_pb2.PasswordViolation(rule=violation.rule, value=violation.value, message=violation.message)


def status_to_wire(status: CredentialStatus) -> credential_status_pb2.CredentialStatus:
    """Return the message for a principal's status."""
    return credential_status_pb2.CredentialStatus(
        principal=principal_to_wire(status.principal),
        has_password=status.has_password,
        password_temporary=status.password_temporary,
        mfa_enabled=status.mfa is MfaState.ACTIVE,
        mfa_state=MFA_STATES[status.mfa],
        api_key_count=status.api_key_count,
        failed_attempts=status.failed_attempts,
    )
