"""Messages and values of identity, both ways side by side, a module for each family of resources."""

from google.protobuf.message import Message

from concord.identity.connections import Connection
from concord.identity.model import Application, Organization, Project, SecuritySettings, User
from concord.identity.wire.connections import connection_to_wire, peer_to_wire
from concord.identity.wire.organizations import (
    login_methods_draft,
    organization_draft,
    organization_from_wire,
    organization_to_wire,
    project_draft,
    project_from_wire,
    project_to_wire,
)
from concord.identity.wire.principals import (
    APPLICATION_STATES,
    USER_KINDS,
    USER_STATES,
    application_draft,
    application_from_wire,
    application_to_wire,
    user_draft,
    user_from_wire,
    user_to_wire,
)
from concord.identity.wire.security_settings import (
    chosen_settings,
    security_settings_draft,
    security_settings_from_wire,
    security_settings_to_wire,
)
from concord.identity.wire.shared import chosen_fields

__all__ = [
    "APPLICATION_STATES",
    "USER_KINDS",
    "USER_STATES",
    "application_draft",
    "application_from_wire",
    "application_to_wire",
    "chosen_fields",
    "chosen_settings",
    "connection_to_wire",
    "login_methods_draft",
    "organization_draft",
    "organization_from_wire",
    "organization_to_wire",
    "peer_to_wire",
    "project_draft",
    "project_from_wire",
    "project_to_wire",
    "security_settings_draft",
    "security_settings_from_wire",
    "security_settings_to_wire",
    "snapshot",
    "user_draft",
    "user_from_wire",
    "user_to_wire",
]


def snapshot(value: object) -> Message:
    """Return the message that tells others about a value, in change events."""
    match value:
        case Application():
            return application_to_wire(value)
        case Connection():
            return connection_to_wire(value)
        case Organization():
            return organization_to_wire(value)
        case SecuritySettings():
            return security_settings_to_wire(value)
        case Project():
            return project_to_wire(value)
        case User():
            return user_to_wire(value)
    raise TypeError(f"identity tells nothing about {type(value).__name__}")
