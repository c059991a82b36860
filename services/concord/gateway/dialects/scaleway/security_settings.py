"""Security settings: what an organization demands of its people's credentials."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated

import msgspec
from google.protobuf.duration_pb2 import Duration

from concord.gateway.call import Call
from concord.gateway.dialects.scaleway.fields import Count, canonical
from concord.gateway.shapes import number_rule, text_rule
from concord.identity.v1 import organization_service_pb2, security_settings_pb2

# No field of this resource is unsupported.
UNSUPPORTED: dict[str, str] = {}

_NANOS = 9
_DURATIONS: Mapping[str, str] = {
    "grace_period_duration": "grace_period",
    "max_login_session_duration": "max_session_ttl",
    "max_api_key_expiration_duration": "max_api_key_ttl",
}
_ATTEMPTS = number_rule(at_least=1, at_most=50)
Attempts = Annotated[int, replace(_ATTEMPTS, schema={**_ATTEMPTS.schema, "format": "uint32"}).meta()]
Seconds = Annotated[
    str,
    text_rule(
        at_most=32, pattern=r"[0-9]{1,12}(\.[0-9]{1,9})?s", help_message="must be a number of seconds such as 3600s"
    ).meta(),
]


class OrganizationSecuritySettings(msgspec.Struct, frozen=True):
    """The settings as they are answered. No maximum for API keys is `0s`."""

    enforce_password_renewal: bool
    grace_period_duration: str | None
    login_attempts_before_locked: Count
    max_login_session_duration: str | None
    max_api_key_expiration_duration: str | None


class UpdateOrganizationSecuritySettingsRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Changes of the settings; null is no change."""

    enforce_password_renewal: bool | None = None
    grace_period_duration: Seconds | None = None
    login_attempts_before_locked: Attempts | None = None
    max_login_session_duration: Seconds | None = None
    max_api_key_expiration_duration: Seconds | None = None


def to_settings(source: security_settings_pb2.SecuritySettings) -> OrganizationSecuritySettings:
    """Translate an answer."""
    return OrganizationSecuritySettings(
        enforce_password_renewal=source.enforce_password_renewal,
        grace_period_duration=to_seconds(source.grace_period),
        login_attempts_before_locked=source.max_login_attempts,
        max_login_session_duration=to_seconds(source.max_session_ttl),
        max_api_key_expiration_duration=to_seconds(source.max_api_key_ttl),
    )


def to_seconds(duration: Duration) -> str:
    """Write a duration as seconds with an `s`, and no more fraction digits than it needs."""
    fraction = f".{duration.nanos:09d}".rstrip("0") if duration.nanos else ""
    return f"{duration.seconds}{fraction}s"


def from_seconds(text: str) -> Duration:
    """Read a duration that has the form of one."""
    seconds, _, fraction = text.removesuffix("s").partition(".")
    return Duration(seconds=int(seconds), nanos=int(fraction.ljust(_NANOS, "0")))


def from_update(
    organization_id: str, body: UpdateOrganizationSecuritySettingsRequest
) -> organization_service_pb2.UpdateSecuritySettingsRequest:
    """Translate a change."""
    settings = security_settings_pb2.SecuritySettings(id=canonical(organization_id))
    request = organization_service_pb2.UpdateSecuritySettingsRequest(security_settings=settings)
    if body.enforce_password_renewal is not None:
        request.security_settings.enforce_password_renewal = body.enforce_password_renewal
        request.update_mask.paths.append("enforce_password_renewal")
    if body.login_attempts_before_locked is not None:
        request.security_settings.max_login_attempts = body.login_attempts_before_locked
        request.update_mask.paths.append("max_login_attempts")
    for name, field in _DURATIONS.items():
        if (text := getattr(body, name)) is not None:
            getattr(request.security_settings, field).CopyFrom(from_seconds(text))
            request.update_mask.paths.append(field)
    return request


async def get_security_settings(call: Call) -> OrganizationSecuritySettings:
    """GET /organizations/{organization_id}/security-settings."""
    request = organization_service_pb2.GetSecuritySettingsRequest(
        organization_id=canonical(call.path["organization_id"])
    )
    return to_settings(await call.ask(call.core.organizations.GetSecuritySettings, request))


async def update_security_settings(call: Call) -> OrganizationSecuritySettings:
    """PATCH /organizations/{organization_id}/security-settings. A change of nothing is a reading."""
    request = from_update(call.path["organization_id"], call.body)
    if not request.update_mask.paths:
        return await get_security_settings(call)
    return to_settings(await call.ask(call.core.organizations.UpdateSecuritySettings, request))
