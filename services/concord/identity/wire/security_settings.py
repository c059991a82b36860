"""Security settings."""

from datetime import timedelta

from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask

from concord.identity.drafts import ALL_PASSWORD_RULES, ALL_SECURITY_SETTINGS, PASSWORD_RULES, SecuritySettingsDraft
from concord.identity.model import PasswordRules, SecuritySettings
from concord.identity.v1 import security_settings_pb2
from concord.identity.wire.shared import chosen_fields
from concord.kernel.errors import Invalid, Violation
from concord.kernel.ids import OrganizationId
from concord.kernel.rpc.wire import instant_from_wire, instant_to_wire


def security_settings_to_wire(value: SecuritySettings) -> security_settings_pb2.SecuritySettings:
    """Return the message for security settings."""
    rules = value.password_rules
    return security_settings_pb2.SecuritySettings(
        id=value.organization_id,
        organization_id=value.organization_id,
        enforce_password_renewal=value.enforce_password_renewal,
        grace_period=_duration(value.grace_period),
        max_login_attempts=value.max_login_attempts,
        max_session_ttl=_duration(value.max_session_ttl),
        max_api_key_ttl=_duration(value.max_api_key_ttl),
        password_rules=security_settings_pb2.PasswordRules(
            min_length=rules.min_length,
            max_length=rules.max_length,
            min_lower=rules.min_lower,
            min_upper=rules.min_upper,
            min_digits=rules.min_digits,
            min_symbols=rules.min_symbols,
            username_allowed=rules.username_allowed,
            previous_allowed=rules.previous_allowed,
        ),
        temporary_password_ttl=_duration(value.temporary_password_ttl),
        enforce_mfa=value.enforce_mfa,
        version=value.version,
        etag=value.etag,
        create_time=instant_to_wire(value.create_time),
        update_time=instant_to_wire(value.update_time),
    )


def security_settings_from_wire(message: security_settings_pb2.SecuritySettings) -> SecuritySettings:
    """Return the security settings of a message that a server made."""
    return SecuritySettings(
        organization_id=OrganizationId(message.organization_id),
        enforce_password_renewal=message.enforce_password_renewal,
        grace_period=message.grace_period.ToTimedelta(),
        max_login_attempts=message.max_login_attempts,
        max_session_ttl=message.max_session_ttl.ToTimedelta(),
        max_api_key_ttl=message.max_api_key_ttl.ToTimedelta(),
        password_rules=_password_rules(message.password_rules),
        temporary_password_ttl=message.temporary_password_ttl.ToTimedelta(),
        enforce_mfa=message.enforce_mfa,
        version=message.version,
        create_time=instant_from_wire(message.create_time),
        update_time=instant_from_wire(message.update_time),
    )


def security_settings_draft(message: security_settings_pb2.SecuritySettings) -> SecuritySettingsDraft:
    """Return what a caller says about security settings."""
    return SecuritySettingsDraft(
        enforce_password_renewal=message.enforce_password_renewal,
        grace_period=_asked_duration(message, "grace_period"),
        max_login_attempts=message.max_login_attempts,
        max_session_ttl=_asked_duration(message, "max_session_ttl"),
        max_api_key_ttl=_asked_duration(message, "max_api_key_ttl"),
        password_rules=_password_rules(message.password_rules),
        temporary_password_ttl=_asked_duration(message, "temporary_password_ttl"),
        enforce_mfa=message.enforce_mfa,
    )


def chosen_settings(message: security_settings_pb2.SecuritySettings, mask: FieldMask) -> frozenset[str]:
    """Return the settings that an update changes; each rule for passwords is one of its own."""
    if mask.paths:
        chosen = chosen_fields(message, mask, ALL_SECURITY_SETTINGS | {PASSWORD_RULES})
        return chosen - {PASSWORD_RULES} | (ALL_PASSWORD_RULES if PASSWORD_RULES in chosen else frozenset())
    rules = {f"{PASSWORD_RULES}.{field.name}" for field, _ in message.password_rules.ListFields()}
    return chosen_fields(message, mask, ALL_SECURITY_SETTINGS) | rules


def _duration(value: timedelta) -> Duration:
    message = Duration()
    message.FromTimedelta(value)
    return message


def _asked_duration(message: security_settings_pb2.SecuritySettings, name: str) -> timedelta:
    asked: Duration = getattr(message, name)
    try:
        return asked.ToTimedelta()
    except (OverflowError, ValueError):
        # Seconds and nanoseconds of two signs, or more of them than the type allows.
        raise Invalid(Violation(f"security_settings.{name}", "must be a duration", rule="range")) from None


def _password_rules(rules: security_settings_pb2.PasswordRules) -> PasswordRules:
    return PasswordRules(
        min_length=rules.min_length,
        max_length=rules.max_length,
        min_lower=rules.min_lower,
        min_upper=rules.min_upper,
        min_digits=rules.min_digits,
        min_symbols=rules.min_symbols,
        username_allowed=rules.username_allowed,
        previous_allowed=rules.previous_allowed,
    )
