"""Users and applications."""

from typing import Final

from concord.identity.drafts import ApplicationDraft, UserDraft
from concord.identity.model import Application, ApplicationState, User, UserKind, UserState
from concord.identity.v1 import application_pb2, user_pb2
from concord.identity.wire.shared import entity_from_wire, entity_to_wire
from concord.kernel.ids import ApplicationId, UserId
from concord.kernel.rpc.wire import instant_from_wire, instant_to_wire

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
USER_KINDS: Final = {number: kind for kind, number in _USER_KINDS.items()}
USER_STATES: Final = {number: state for state, number in _USER_STATES.items()}
APPLICATION_STATES: Final = {number: state for state, number in _APPLICATION_STATES.items()}


def user_kind_to_wire(kind: UserKind) -> user_pb2.UserKind:
    """Return the number of a kind."""
    return _USER_KINDS[kind]


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
        **entity_to_wire(value),
    )


def user_from_wire(message: user_pb2.User) -> User:
    """Return the user of a message that a server made."""
    has_logged_in = message.HasField("last_login_time")
    state = USER_STATES[message.state]
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
        state=state,
        suspension_reason=message.suspension_reason,
        last_login_time=instant_from_wire(message.last_login_time) if has_logged_in else None,
        mfa_enabled=message.mfa_enabled,
        # Of a suspended user the message does not say why the user is locked.
        password_locked=message.locked and state is not UserState.SUSPENDED,
        **entity_from_wire(message),
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
        **entity_to_wire(value),
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
        **entity_from_wire(message),
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
