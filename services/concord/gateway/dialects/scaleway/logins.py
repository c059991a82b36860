"""What a user logs in with: the password, the second factor, and the time there is left to see to them."""

from typing import Annotated, Literal

import msgspec

from concord.common.v1.principal_pb2 import PRINCIPAL_KIND_USER
from concord.credentials.v1 import mfa_pb2, mfa_service_pb2, password_service_pb2
from concord.gateway.call import Call
from concord.gateway.dialects.scaleway.fields import Instant, Uuid, canonical, instant
from concord.gateway.dialects.scaleway.users import User, get_user
from concord.gateway.shapes import text_rule
from concord.kernel.errors import Denied, Invalid, Precondition, Reason, Violation

UNSUPPORTED = {"GracePeriod.created_at": "always null: only the end of a grace period is kept"}

# Each opens one login in place of a code.
RECOVERY_CODES = 10

GraceType = Literal["unknown_grace_period_type", "update_password", "set_mfa"]
_GRACE_TYPES: dict[int, GraceType] = {
    mfa_pb2.GRACE_PERIOD_TYPE_UPDATE_PASSWORD: "update_password",
    mfa_pb2.GRACE_PERIOD_TYPE_SET_MFA: "set_mfa",
}

NewPassword = Annotated[str, text_rule(at_least=1, at_most=512).meta()]
OneTimePassword = Annotated[
    str, text_rule(at_least=6, at_most=6, pattern=r"[0-9]{6}", help_message="must hold six digits").meta()
]


class UpdateUserPasswordRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A new password."""

    password: NewPassword


class MFAOTP(msgspec.Struct, frozen=True):
    """The seed of a second factor, shown this once."""

    secret: str


class ValidateUserMFAOTPRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The first code of a second factor."""

    one_time_password: OneTimePassword


class ValidateUserMFAOTPResponse(msgspec.Struct, frozen=True):
    """Codes for the day on which the second factor is lost, shown this once."""

    recovery_codes: list[str]


class GracePeriod(msgspec.Struct, frozen=True):
    """Until when a user may put something off. Without an end it begins with the next login."""

    type: GraceType
    created_at: Instant | None
    expires_at: Instant | None


class ListGracePeriodsResponse(msgspec.Struct, frozen=True):
    """All grace periods of a user."""

    grace_periods: list[GracePeriod]


class ListGracePeriodsQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Whose grace periods: the caller's own when nobody is named."""

    user_id: Uuid | None = None


def to_grace_period(source: mfa_pb2.GracePeriod) -> GracePeriod:
    """Translate an answer."""
    return GracePeriod(
        type=_GRACE_TYPES.get(source.type, "unknown_grace_period_type"),
        created_at=None,
        expires_at=instant(source.expire_time) if source.HasField("expire_time") else None,
    )


async def update_password(call: Call) -> User:
    """POST /users/{user_id}/update-password. Ends the user's sessions."""
    # Read before: the caller's own session may be one of those that end.
    try:
        user = await get_user(call)
    except Denied:
        # Whoever may set passwords may look along the way, so it is that right which is missing.
        raise Denied(call.route.permission) from None
    request = password_service_pb2.SetPasswordRequest(
        user_id=canonical(call.path["user_id"]), password=call.body.password
    )
    await call.ask(call.core.passwords.SetPassword, request)
    return user


async def create_mfa_otp(call: Call) -> MFAOTP:
    """POST /users/{user_id}/mfa-otp. Logins ask for it once it is validated."""
    request = mfa_service_pb2.CreateMfaDeviceRequest(
        user_id=canonical(call.path["user_id"]), type=mfa_pb2.MFA_DEVICE_TYPE_TOTP
    )
    answer = await call.ask(call.core.mfa.CreateMfaDevice, request)
    return MFAOTP(secret=answer.seed)


async def validate_mfa_otp(call: Call) -> ValidateUserMFAOTPResponse:
    """POST /users/{user_id}/validate-mfa-otp."""
    request = mfa_service_pb2.ConfirmMfaDeviceRequest(
        user_id=canonical(call.path["user_id"]),
        code=call.body.one_time_password,
        recovery_code_count=RECOVERY_CODES,
    )
    answer = await call.ask(call.core.mfa.ConfirmMfaDevice, request)
    return ValidateUserMFAOTPResponse(recovery_codes=list(answer.recovery_codes))


async def delete_mfa_otp(call: Call) -> None:
    """DELETE /users/{user_id}/mfa-otp."""
    request = mfa_service_pb2.DeleteMfaDeviceRequest(user_id=canonical(call.path["user_id"]))
    try:
        await call.ask(call.core.mfa.DeleteMfaDevice, request)
    except Invalid as error:
        if any(violation.field == "proof" for violation in error.violations):
            # This API has no place to show one.
            message = "one's own second factor is taken away in a session opened with it, or by somebody else"
            raise Precondition(Reason.INVALID_STATE, message) from None
        raise


async def list_grace_periods(call: Call) -> ListGracePeriodsResponse:
    """GET /grace-periods."""
    user_id = canonical(call.query.user_id)
    if not user_id:
        if call.principal.kind != PRINCIPAL_KIND_USER:
            raise Invalid(Violation("user_id", "value is required of a caller that is no user", rule="required"))
        user_id = call.principal.id
    answer = await call.ask(call.core.mfa.ListGracePeriods, mfa_service_pb2.ListGracePeriodsRequest(user_id=user_id))
    return ListGracePeriodsResponse([to_grace_period(period) for period in answer.grace_periods])
