"""Organizations, their login methods and their projects."""

from typing import Final

from concord.identity.drafts import ALL_LOGIN_METHODS, LoginMethodsDraft, OrganizationDraft, ProjectDraft
from concord.identity.model import Organization, OrganizationState, Project
from concord.identity.v1 import organization_pb2, organization_service_pb2, project_pb2
from concord.identity.wire.shared import entity_from_wire, entity_to_wire
from concord.kernel.ids import OrganizationId, ProjectId, UserId
from concord.kernel.rpc.wire import instant_from_wire, instant_to_wire

_ORGANIZATION_STATES: Final = {
    OrganizationState.ACTIVE: organization_pb2.ORGANIZATION_STATE_ACTIVE,
    OrganizationState.SUSPENDED: organization_pb2.ORGANIZATION_STATE_SUSPENDED,
    OrganizationState.DELETED: organization_pb2.ORGANIZATION_STATE_DELETED,
}
_ORGANIZATION_STATES_BACK: Final = {number: state for state, number in _ORGANIZATION_STATES.items()}


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


def login_methods_draft(request: organization_service_pb2.UpdateLoginMethodsRequest) -> LoginMethodsDraft:
    """Return which ways to log in a caller wants open."""
    return LoginMethodsDraft(**{name: getattr(request, name) for name in ALL_LOGIN_METHODS})


def project_to_wire(value: Project) -> project_pb2.Project:
    """Return the message for a project."""
    return project_pb2.Project(
        id=value.id,
        name=value.name,
        description=value.description,
        is_default=value.is_default,
        group_id=value.group_id,
        **entity_to_wire(value),
    )


def project_from_wire(message: project_pb2.Project) -> Project:
    """Return the project of a message that a server made."""
    return Project(
        id=ProjectId(message.id),
        name=message.name,
        description=message.description,
        group_id=message.group_id,
        **entity_from_wire(message),
    )


def project_draft(message: project_pb2.Project) -> ProjectDraft:
    """Return what a caller says about a project."""
    return ProjectDraft(name=message.name, description=message.description, attributes=dict(message.attributes))
