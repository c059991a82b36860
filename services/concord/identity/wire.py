"""Messages and values of identity, both ways side by side."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message

from concord.identity.drafts import ApplicationDraft, OrganizationDraft, ProjectDraft, UserDraft
from concord.identity.model import (
    Application,
    ApplicationState,
    Entity,
    Organization,
    OrganizationState,
    PasswordRules,
    Project,
    SecuritySettings,
    User,
    UserKind,
    UserState,
)
from concord.identity.v1 import application_pb2, organization_pb2, project_pb2, security_settings_pb2, user_pb2
from concord.kernel.errors import Invalid, Violation
from concord.kernel.ids import ApplicationId, OrganizationId, ProjectId, UserId
from concord.kernel.rpc.wire import instant_from_wire, instant_to_wire

_ORGANIZATION_STATES: Final = {
    OrganizationState.ACTIVE: organization_pb2.ORGANIZATION_STATE_ACTIVE,
    OrganizationState.SUSPENDED: organization_pb2.ORGANIZATION_STATE_SUSPENDED,
    OrganizationState.DELETED: organization_pb2.ORGANIZATION_STATE_DELETED,
}
_USER_KINDS: Final = {
    UserKind.OWNER: user_pb2.USER_KIND_OWNER,
    UserKind.MEMBER: user_pb2.USER_KIND_MEMBER,
    UserKind.GUEST: user_pb2.USER_KIND_GUEST,
    UserKind.CUSTOMER: user_pb2.USER_KIND_CUSTOMER,
}
_USER_STATES: Final = {
    UserState.INVITED: user_pb2.USER_STATE_INVITED,
    UserState.PROVISIONED: user_pb2.USER_STATE_PROVISIONED,
    UserState.ACTIVE: user_pb2.USER_STATE_ACTIVE,
    UserState.SUSPENDED: user_pb2.USER_STATE_SUSPENDED,
}
_APPLICATION_STATES: Final = {
    ApplicationState.ACTIVE: application_pb2.APPLICATION_STATE_ACTIVE,
    ApplicationState.SUSPENDED: application_pb2.APPLICATION_STATE_SUSPENDED,
}
_ORGANIZATION_STATES_BACK: Final = {number: state for state, number in _ORGANIZATION_STATES.items()}
USER_KINDS: Final = {number: kind for kind, number in _USER_KINDS.items()}
USER_STATES: Final = {number: state for state, number in _USER_STATES.items()}
APPLICATION_STATES: Final = {number: state for state, number in _APPLICATION_STATES.items()}


def snapshot(value: object) -> Message:
    """Return the message that tells others about a value, in change events."""
    match value:
        case Application():
            return application_to_wire(value)
        case Organization():
            return organization_to_wire(value)
        case SecuritySettings():
            return security_settings_to_wire(value)
        case Project():
            return project_to_wire(value)
        case User():
            return user_to_wire(value)
    raise TypeError(f"identity tells nothing about {type(value).__name__}")


def chosen_fields(message: Message, mask: FieldMask, allowed: frozenset[str]) -> frozenset[str]:
    """Return the fields that an update changes: those of the mask, or without one those that are set."""
    if not mask.paths:
        return frozenset(field.name for field, _ in message.ListFields()) & allowed
    for path in mask.paths:
        if path not in allowed:
            raise Invalid(Violation("update_mask", f"`{path}` cannot be changed", rule="mask"))
    return frozenset(mask.paths)


def organization_to_wire(value: Organization) -> organization_pb2.Organization:
    """Return the message for an organization."""
    return organization_pb2.Organization(
        id=value.id,
        number=value.number,
        slug=value.slug,
        alias=value.alias,
        name=value.name,
        description=value.description,
        owner_user_id=value.owner_user_id,
        owner_email=value.owner_email,
        default_language=value.default_language,
        languages=value.languages,
        login_password_enabled=value.login_password_enabled,
        login_oauth_enabled=value.login_oauth_enabled,
        login_magic_code_enabled=value.login_magic_code_enabled,
        login_federation_enabled=value.login_federation_enabled,
        catalogues=value.catalogues,
        state=_ORGANIZATION_STATES[value.state],
        attributes=value.attributes,
        version=value.version,
        etag=value.etag,
        create_time=instant_to_wire(value.create_time),
        update_time=instant_to_wire(value.update_time),
    )


def organization_from_wire(message: organization_pb2.Organization) -> Organization:
    """Return the organization of a message that a server made."""
    return Organization(
        id=OrganizationId(message.id),
        number=message.number,
        slug=message.slug,
        alias=message.alias,
        name=message.name,
        description=message.description,
        owner_user_id=UserId(message.owner_user_id),
        owner_email=message.owner_email,
        default_language=message.default_language,
        languages=tuple(message.languages),
        login_password_enabled=message.login_password_enabled,
        login_oauth_enabled=message.login_oauth_enabled,
        login_magic_code_enabled=message.login_magic_code_enabled,
        login_federation_enabled=message.login_federation_enabled,
        catalogues=tuple(message.catalogues),
        state=_ORGANIZATION_STATES_BACK[message.state],
        attributes=dict(message.attributes),
        version=message.version,
        create_time=instant_from_wire(message.create_time),
        update_time=instant_from_wire(message.update_time),
    )


def organization_draft(message: organization_pb2.Organization) -> OrganizationDraft:
    """Return what a caller says about an organization."""
    return OrganizationDraft(
        name=message.name,
        number=message.number,
        slug=message.slug,
        description=message.description,
        default_language=message.default_language,
        languages=tuple(message.languages),
        attributes=dict(message.attributes),
    )


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
        version=value.version,
        etag=value.etag,
        create_time=instant_to_wire(value.create_time),
        update_time=instant_to_wire(value.update_time),
    )


def security_settings_from_wire(message: security_settings_pb2.SecuritySettings) -> SecuritySettings:
    """Return the security settings of a message that a server made."""
    rules = message.password_rules
    return SecuritySettings(
        organization_id=OrganizationId(message.organization_id),
        enforce_password_renewal=message.enforce_password_renewal,
        grace_period=message.grace_period.ToTimedelta(),
        max_login_attempts=message.max_login_attempts,
        max_session_ttl=message.max_session_ttl.ToTimedelta(),
        max_api_key_ttl=message.max_api_key_ttl.ToTimedelta(),
        password_rules=PasswordRules(
            min_length=rules.min_length,
            max_length=rules.max_length,
            min_lower=rules.min_lower,
            min_upper=rules.min_upper,
            min_digits=rules.min_digits,
            min_symbols=rules.min_symbols,
            username_allowed=rules.username_allowed,
            previous_allowed=rules.previous_allowed,
        ),
        temporary_password_ttl=message.temporary_password_ttl.ToTimedelta(),
        version=message.version,
        create_time=instant_from_wire(message.create_time),
        update_time=instant_from_wire(message.update_time),
    )


def project_to_wire(value: Project) -> project_pb2.Project:
    """Return the message for a project."""
    return project_pb2.Project(
        id=value.id,
        name=value.name,
        description=value.description,
        is_default=value.is_default,
        group_id=value.group_id,
        **_entity_to_wire(value),
    )


def project_from_wire(message: project_pb2.Project) -> Project:
    """Return the project of a message that a server made."""
    return Project(
        id=ProjectId(message.id),
        name=message.name,
        description=message.description,
        group_id=message.group_id,
        **_entity_from_wire(message),
    )


def project_draft(message: project_pb2.Project) -> ProjectDraft:
    """Return what a caller says about a project."""
    return ProjectDraft(name=message.name, description=message.description, attributes=dict(message.attributes))


def user_to_wire(value: User) -> user_pb2.User:
    """Return the message for a user."""
    return user_pb2.User(
        id=value.id,
        kind=_USER_KINDS[value.kind],
        username=value.username,
        nickname=value.nickname,
        given_name=value.given_name,
        family_name=value.family_name,
        phone_number=value.phone_number,
        locale=value.locale,
        description=value.description,
        tags=value.tags,
        primary_email=value.primary_email,
        interactive_login=value.interactive_login,
        division_ids=value.division_ids,
        state=_USER_STATES[value.state],
        suspension_reason=value.suspension_reason,
        locked=value.locked,
        last_login_time=None if value.last_login_time is None else instant_to_wire(value.last_login_time),
        mfa_enabled=value.mfa_enabled,
        **_entity_to_wire(value),
    )


def user_from_wire(message: user_pb2.User) -> User:
    """Return the user of a message that a server made."""
    has_logged_in = message.HasField("last_login_time")
    return User(
        id=UserId(message.id),
        kind=USER_KINDS[message.kind],
        username=message.username,
        nickname=message.nickname,
        given_name=message.given_name,
        family_name=message.family_name,
        phone_number=message.phone_number,
        locale=message.locale,
        description=message.description,
        tags=tuple(message.tags),
        primary_email=message.primary_email,
        interactive_login=message.interactive_login,
        division_ids=tuple(message.division_ids),
        state=USER_STATES[message.state],
        suspension_reason=message.suspension_reason,
        last_login_time=instant_from_wire(message.last_login_time) if has_logged_in else None,
        mfa_enabled=message.mfa_enabled,
        **_entity_from_wire(message),
    )


def user_draft(message: user_pb2.User) -> UserDraft:
    """Return what a caller says about a user."""
    return UserDraft(
        kind=USER_KINDS.get(message.kind),
        username=message.username,
        nickname=message.nickname,
        given_name=message.given_name,
        family_name=message.family_name,
        phone_number=message.phone_number,
        locale=message.locale,
        description=message.description,
        tags=tuple(message.tags),
        primary_email=message.primary_email,
        interactive_login=message.interactive_login if message.HasField("interactive_login") else None,
        division_ids=tuple(message.division_ids),
        attributes=dict(message.attributes),
    )


def application_to_wire(value: Application) -> application_pb2.Application:
    """Return the message for an application."""
    return application_pb2.Application(
        id=value.id,
        name=value.name,
        description=value.description,
        tags=value.tags,
        state=_APPLICATION_STATES[value.state],
        api_key_count=value.api_key_count,
        **_entity_to_wire(value),
    )


def application_from_wire(message: application_pb2.Application) -> Application:
    """Return the application of a message that a server made."""
    return Application(
        id=ApplicationId(message.id),
        name=message.name,
        description=message.description,
        tags=tuple(message.tags),
        state=APPLICATION_STATES[message.state],
        api_key_count=message.api_key_count,
        **_entity_from_wire(message),
    )


def application_draft(message: application_pb2.Application) -> ApplicationDraft:
    """Return what a caller says about an application."""
    return ApplicationDraft(
        name=message.name,
        description=message.description,
        tags=tuple(message.tags),
        state=APPLICATION_STATES.get(message.state),
        attributes=dict(message.attributes),
    )


def _entity_to_wire(value: Entity) -> dict[str, Any]:
    return {
        "organization_id": value.organization_id,
        # Filling a map costs as much as all other fields together, and most are empty.
        "attributes": value.attributes or None,
        "catalogue": value.catalogue,
        "managed": value.managed,
        "editable": value.editable,
        "deletable": value.deletable,
        "version": value.version,
        "etag": value.etag,
        "create_time": instant_to_wire(value.create_time),
        "update_time": instant_to_wire(value.update_time),
    }


def _entity_from_wire(message: Any) -> Mapping[str, Any]:
    return {
        "organization_id": OrganizationId(message.organization_id),
        "attributes": dict(message.attributes),
        "catalogue": message.catalogue,
        "editable": message.editable,
        "deletable": message.deletable,
        "version": message.version,
        "create_time": instant_from_wire(message.create_time),
        "update_time": instant_from_wire(message.update_time),
    }


def _duration(value: timedelta) -> Duration:
    message = Duration()
    message.FromTimedelta(value)
    return message
