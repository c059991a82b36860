"""Passwords, second factors and grace periods of users."""

from typing import Final

from concord.gateway.dialects.scaleway import logins, users
from concord.gateway.dialects.scaleway.fields import UUID_PATH
from concord.gateway.dialects.scaleway.routes.common import ANY, BASE, READ, WRITE, one
from concord.gateway.route import Route
from concord.gateway.shapes import Body, Query

_PASSWORDS = "concord.credentials.v1.PasswordService/"
_MFA = "concord.credentials.v1.MfaService/"
# Codes are tried against a budget of attempts.
_TRYING: Final = (*WRITE, 423)

LOGIN_ROUTES: Final = (
    Route(
        method="POST",
        path=f"{BASE}/users/{{user_id}}/update-password",
        operation="UpdateUserPassword",
        summary="Give a user a new password",
        tag="Users",
        permission="credentials.passwords.set",
        covers={f"{_PASSWORDS}SetPassword": ANY, "concord.identity.v1.UserService/GetUser": ANY},
        handler=logins.update_password,
        path_shapes={"user_id": UUID_PATH},
        body=Body(logins.UpdateUserPasswordRequest),
        answer=users.User,
        refusals=WRITE,
    ),
    Route(
        method="POST",
        path=f"{BASE}/users/{{user_id}}/mfa-otp",
        operation="CreateUserMFAOTP",
        summary="Begin to set up a second factor; its secret is shown this once",
        tag="Users",
        permission="credentials.mfa_devices.create",
        covers=one(f"{_MFA}CreateMfaDevice"),
        handler=logins.create_mfa_otp,
        path_shapes={"user_id": UUID_PATH},
        body=Body(users.EmptyRequest),
        answer=logins.MFAOTP,
        refusals=WRITE,
    ),
    Route(
        method="POST",
        path=f"{BASE}/users/{{user_id}}/validate-mfa-otp",
        operation="ValidateUserMFAOTP",
        summary="Turn a second factor on by its first code",
        tag="Users",
        permission="credentials.mfa_devices.confirm",
        covers=one(f"{_MFA}ConfirmMfaDevice"),
        handler=logins.validate_mfa_otp,
        path_shapes={"user_id": UUID_PATH},
        body=Body(logins.ValidateUserMFAOTPRequest),
        answer=logins.ValidateUserMFAOTPResponse,
        refusals=_TRYING,
    ),
    Route(
        method="DELETE",
        path=f"{BASE}/users/{{user_id}}/mfa-otp",
        operation="DeleteUserMFAOTP",
        summary="Take a second factor away",
        tag="Users",
        permission="credentials.mfa_devices.delete",
        covers=one(f"{_MFA}DeleteMfaDevice"),
        handler=logins.delete_mfa_otp,
        path_shapes={"user_id": UUID_PATH},
        body=Body(users.EmptyRequest),
        status=204,
        refusals=WRITE,
    ),
    Route(
        method="GET",
        path=f"{BASE}/grace-periods",
        operation="ListGracePeriods",
        summary="List what a user may still put off, and until when",
        tag="Users",
        permission="credentials.grace_periods.list",
        covers=one(f"{_MFA}ListGracePeriods"),
        handler=logins.list_grace_periods,
        path_shapes={},
        query=Query(logins.ListGracePeriodsQuery),
        answer=logins.ListGracePeriodsResponse,
        refusals=READ,
    ),
)
