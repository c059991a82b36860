"""Second factors and grace periods."""

from typing import Final

from concord.credentials.model.logins import GracePeriod, GraceType, MfaDevice
from concord.credentials.operations.logins import LoginName
from concord.credentials.operations.mfa import NewDevice, ShownFactors, WithCodes
from concord.credentials.v1 import mfa_pb2, mfa_service_pb2, password_pb2
from concord.credentials.wire.common import optional_instant_to_wire
from concord.credentials.wire.passwords import MFA_STATES
from concord.kernel.errors import Invalid, Violation
from concord.kernel.rpc.wire import instant_to_wire

_DUTIES: Final = {
    GraceType.UPDATE_PASSWORD: mfa_pb2.GRACE_PERIOD_TYPE_UPDATE_PASSWORD,
    GraceType.SET_MFA: mfa_pb2.GRACE_PERIOD_TYPE_SET_MFA,
}


def device_to_wire(device: MfaDevice) -> mfa_pb2.MfaDevice:
    """Return the message for a device; it tells nothing of its seed."""
    return mfa_pb2.MfaDevice(
        id=device.id,
        organization_id=device.organization_id,
        user_id=device.user_id,
        type=mfa_pb2.MFA_DEVICE_TYPE_TOTP,
        state=MFA_STATES[device.state],
        version=device.version,
        etag=device.etag,
        create_time=instant_to_wire(device.create_time),
        update_time=instant_to_wire(device.update_time),
        recovery_code_count=device.recovery_code_count,
    )


def new_device_to_wire(made: NewDevice) -> mfa_service_pb2.CreateMfaDeviceResponse:
    """Return the one answer that holds the seed of a device."""
    return mfa_service_pb2.CreateMfaDeviceResponse(
        device=device_to_wire(made.device), seed=made.seed.reveal(), seed_uri=made.uri.reveal()
    )


def tried_device_to_wire(made: NewDevice) -> mfa_service_pb2.CreateMfaDeviceResponse:
    """Return the answer of a check only: nothing was made, so there is no seed."""
    return mfa_service_pb2.CreateMfaDeviceResponse(device=device_to_wire(made.device))


def confirmed_to_wire(made: WithCodes) -> mfa_service_pb2.ConfirmMfaDeviceResponse:
    """Return the one answer that holds a device's recovery codes."""
    return mfa_service_pb2.ConfirmMfaDeviceResponse(
        device=device_to_wire(made.device), recovery_codes=[each.reveal() for each in made.codes]
    )


def tried_confirmation_to_wire(made: WithCodes) -> mfa_service_pb2.ConfirmMfaDeviceResponse:
    """Return the answer of a check only."""
    return mfa_service_pb2.ConfirmMfaDeviceResponse(device=device_to_wire(made.device))


def codes_to_wire(made: WithCodes) -> mfa_service_pb2.ReplaceRecoveryCodesResponse:
    """Return the one answer that holds new recovery codes."""
    return mfa_service_pb2.ReplaceRecoveryCodesResponse(recovery_codes=[each.reveal() for each in made.codes])


def grace_period_to_wire(period: GracePeriod) -> mfa_pb2.GracePeriod:
    """Return the message for a grace period."""
    return mfa_pb2.GracePeriod(
        user_id=period.user_id,
        type=_DUTIES[period.type],
        expire_time=optional_instant_to_wire(period.expire_time),
    )


def login_from_wire(message: password_pb2.Login) -> LoginName:
    """Return who somebody says to be."""
    return LoginName(message.organization, message.name)


def factors_from_wire(
    message: password_pb2.PasswordCredential | password_pb2.MailedCodeCredential | password_pb2.UserProof,
) -> ShownFactors:
    """Return what was shown for the second factor."""
    return ShownFactors(message.code, message.recovery_code)


def require_known_type(kind: int) -> None:
    """Refuse a type of device that nobody makes."""
    if kind not in (mfa_pb2.MFA_DEVICE_TYPE_UNSPECIFIED, mfa_pb2.MFA_DEVICE_TYPE_TOTP):
        raise Invalid(Violation("type", "is not a type of device", rule="enum"))
