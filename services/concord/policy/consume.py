"""Applies what identity, groups and credentials committed: replicas first, then what follows from them."""

from datetime import datetime, timedelta
from typing import Any

from concord.common.v1.change_pb2 import ChangeEvent
from concord.credentials.v1.api_key_pb2 import ApiKey, ApiKeyState
from concord.credentials.v1.oauth_client_pb2 import OAuthClient
from concord.credentials.v1.session_pb2 import Session, SessionEpoch
from concord.groups.v1.group_pb2 import Group
from concord.groups.v1.membership_pb2 import Membership
from concord.identity.v1.application_pb2 import APPLICATION_STATE_SUSPENDED, Application
from concord.identity.v1.organization_pb2 import Organization
from concord.identity.v1.organization_pb2 import OrganizationState as WireOrganizationState
from concord.identity.v1.project_pb2 import Project
from concord.identity.v1.user_pb2 import User, UserKind, UserState
from concord.kernel.ids import ApiKeyId, GroupId, OrganizationId, ProjectId, SessionId, UserId
from concord.kernel.principal import PrincipalKind, PrincipalRef
from concord.kernel.rpc.wire import instant_from_wire, principal_from_wire, principal_of_change
from concord.kernel.units import Unit
from concord.policy.model import (
    EndedCredential,
    EndedKind,
    KnownOrganization,
    KnownPrincipal,
    OrganizationState,
    PrincipalState,
    Subject,
    SubjectKind,
)
from concord.policy.operations.births import give_birth
from concord.policy.operations.grants import end_grants_in_group, end_grants_in_project, end_grants_of
from concord.policy.operations.policies import leave_project, orphan_policies
from concord.policy.store import PolicyStore
from concord.policy.wire.rights import frozen_session_from_wire

# Twice the longest life of a passport: what ended longer ago cannot come back with one.
REMEMBER_ENDED = timedelta(minutes=10)
LONGEST_PASSPORT = timedelta(minutes=5)
# No call is served for longer, so no change is committed later than this after its instant.
LONGEST_CALL = timedelta(minutes=1)

_ORGANIZATION_STATES = {
    WireOrganizationState.ORGANIZATION_STATE_SUSPENDED: OrganizationState.SUSPENDED,
    WireOrganizationState.ORGANIZATION_STATE_DELETED: OrganizationState.DELETED,
}


def apply_identity(unit: Unit[PolicyStore], event: ChangeEvent) -> None:
    """Keep organizations, projects and principals, and let go of what ended."""
    match event.resource_type:
        case "organization":
            _apply_organization(unit, event)
        case "project":
            _apply_project(unit, event)
        case _:
            if (principal := principal_of_change(event)) is not None:
                _apply_principal(unit, event, principal)


def apply_groups(unit: Unit[PolicyStore], event: ChangeEvent) -> None:
    """Keep the tree of groups and who is in them."""
    if event.resource_type == "group":
        group = _unpack(event, Group)
        if event.type == "group.deleted":
            unit.store.delete_group(unit.organization_id, GroupId(event.resource_id))
            orphan_policies(unit, Subject(SubjectKind.GROUP, event.resource_id))
            end_grants_in_group(unit, GroupId(event.resource_id))
        elif group is not None:
            parent = GroupId(group.parent_group_id) if group.parent_group_id else None
            unit.store.put_group(unit.organization_id, GroupId(group.id), parent, group.name.text)
    elif event.resource_type == "membership":
        membership = _unpack(event, Membership)
        if membership is not None and membership.container.group_id:
            _apply_membership(unit, event.type, membership)


def apply_credentials(unit: Unit[PolicyStore], event: ChangeEvent) -> None:
    """Remember what ended as long as a passport made from it may be around."""
    if event.type == "api_key.updated":
        _apply_changed_key(unit, event)
        return
    if event.type in ("session.created", "session.renewed"):
        _keep_frozen(unit, event)
        return
    ended = _ended(unit, event)
    if ended is not None:
        _remember(unit, ended)
        _release_frozen(unit, ended)


def _remember(unit: Unit[PolicyStore], ended: EndedCredential) -> None:
    unit.store.purge_ended(unit.now - REMEMBER_ENDED)
    unit.store.put_ended(unit.organization_id, ended)


def _keep_frozen(unit: Unit[PolicyStore], event: ChangeEvent) -> None:
    session = _unpack(event, Session)
    frozen = None if session is None else frozen_session_from_wire(session, unit.organization_id)
    if frozen is not None:
        unit.store.put_frozen_session(frozen)


def _release_frozen(unit: Unit[PolicyStore], ended: EndedCredential) -> None:
    """Let go of the sessions that ended. Changes come in order, so what an epoch ends was told of before it."""
    match ended.kind:
        case EndedKind.SESSION:
            unit.store.end_frozen_session(unit.organization_id, SessionId(ended.id))
        case EndedKind.SESSION_EPOCH:
            unit.store.end_frozen_sessions_of(unit.organization_id, ended.principal)
        case EndedKind.API_KEY:
            unit.store.end_frozen_sessions_of_key(unit.organization_id, ApiKeyId(ended.id))


def _apply_changed_key(unit: Unit[PolicyStore], event: ChangeEvent) -> None:
    key = _unpack(event, ApiKey)
    bearer = None if key is None else principal_from_wire(key.bearer)
    if bearer is None:
        return
    time = instant_from_wire(event.time)
    suspended = EndedCredential(EndedKind.API_KEY, event.resource_id, bearer, time)
    if key.state == ApiKeyState.API_KEY_STATE_SUSPENDED:
        _remember(unit, suspended)
    else:
        unit.store.delete_ended(unit.organization_id, suspended)
    if _may_be_outlived(event, key):
        # Those made up to now do not know the end; one that is made again does.
        _remember(unit, EndedCredential(EndedKind.API_KEY_EPOCH, event.resource_id, bearer, _settled(unit, time)))


def _may_be_outlived(event: ChangeEvent, key: ApiKey) -> bool:
    """Tell whether a passport made before this change may be good for longer than the key is now."""
    if not key.HasField("expire_time"):
        return False
    before = ApiKey()
    known = event.before.Unpack(before) and before.HasField("expire_time")
    if known and instant_from_wire(before.expire_time) <= instant_from_wire(key.expire_time):
        return False
    # Later than any of them ends, however late this change was settled.
    return instant_from_wire(key.expire_time) < instant_from_wire(event.time) + LONGEST_PASSPORT + LONGEST_CALL


def _settled(unit: Unit[PolicyStore], time: datetime) -> datetime:
    """Return an instant by which a change of that time was surely there to be read.

    A change bears the instant at which its call began. Until it was committed, credentials were
    still examined as if it had not been made, so passports that are a little younger are void too.
    """
    return max(time, min(unit.now, time + LONGEST_CALL))


def _apply_organization(unit: Unit[PolicyStore], event: ChangeEvent) -> None:
    organization = _unpack(event, Organization)
    organization_id = OrganizationId(event.resource_id)
    if event.type == "organization.deleted":
        known = unit.store.find_organization(organization_id)
        owner = None if known is None else known.owner_user_id
        unit.store.put_organization(KnownOrganization(organization_id, owner, OrganizationState.DELETED))
        unit.store.forget_organization(organization_id)
        return
    if organization is None:
        return
    owner = UserId(organization.owner_user_id) if organization.owner_user_id else None
    state = _ORGANIZATION_STATES.get(organization.state, OrganizationState.ACTIVE)
    unit.store.put_organization(KnownOrganization(organization_id, owner, state))
    if event.type == "organization.created":
        # The default project is born with the organization and shares its id.
        unit.store.put_project(organization_id, ProjectId(organization_id), "default")
        give_birth(unit, organization.catalogues)


def _apply_project(unit: Unit[PolicyStore], event: ChangeEvent) -> None:
    project_id = ProjectId(event.resource_id)
    if event.type == "project.deleted":
        unit.store.delete_project(unit.organization_id, project_id)
        leave_project(unit, project_id)
        end_grants_in_project(unit, project_id)
        return
    project = _unpack(event, Project)
    if project is not None:
        unit.store.put_project(unit.organization_id, project_id, project.name)


def _apply_principal(unit: Unit[PolicyStore], event: ChangeEvent, ref: PrincipalRef) -> None:
    if event.type.endswith(".deleted"):
        unit.store.delete_principal(unit.organization_id, ref)
        orphan_policies(unit, Subject.of(ref))
        end_grants_of(unit, Subject.of(ref))
        return
    principal = _known_user(event, ref) if ref.kind is PrincipalKind.USER else _known_program(event, ref)
    if principal is not None:
        unit.store.put_principal(unit.organization_id, principal)


def _known_user(event: ChangeEvent, ref: PrincipalRef) -> KnownPrincipal | None:
    user = _unpack(event, User)
    if user is None:
        return None
    suspended = user.state == UserState.USER_STATE_SUSPENDED
    return KnownPrincipal(
        ref,
        PrincipalState.SUSPENDED if suspended else PrincipalState.ACTIVE,
        is_owner=user.kind == UserKind.USER_KIND_OWNER,
        name=user.username,
    )


def _known_program(event: ChangeEvent, ref: PrincipalRef) -> KnownPrincipal | None:
    application = _unpack(event, Application)
    if application is None:
        return None
    suspended = application.state == APPLICATION_STATE_SUSPENDED
    return KnownPrincipal(ref, PrincipalState.SUSPENDED if suspended else PrincipalState.ACTIVE, name=application.name)


def _apply_membership(unit: Unit[PolicyStore], event_type: str, membership: Membership) -> None:
    member = principal_from_wire(membership.principal)
    if member is None:
        return
    group_id = GroupId(membership.container.group_id)
    if event_type == "membership.deleted":
        unit.store.delete_membership(unit.organization_id, group_id, member)
    else:
        unit.store.put_membership(unit.organization_id, group_id, member)


def _ended(unit: Unit[PolicyStore], event: ChangeEvent) -> EndedCredential | None:
    """Return what an event of credentials is about, if a passport can depend on it."""
    time = instant_from_wire(event.time)
    if event.type in ("api_key.deleted", "api_key.rotated"):
        key = _unpack(event, ApiKey)
        bearer = None if key is None else principal_from_wire(key.bearer)
        if bearer is None:
            return None
        if event.type == "api_key.rotated":
            if _overlaps(key, time):
                return None
            return EndedCredential(EndedKind.API_KEY_EPOCH, event.resource_id, bearer, _settled(unit, time))
        return EndedCredential(EndedKind.API_KEY, event.resource_id, bearer, time)
    if event.type == "oauth_client.deleted":
        # A client's passports name it where others name their key. One without a bearer has none.
        client = _unpack(event, OAuthClient)
        bearer = None if client is None else principal_from_wire(client.bearer)
        return None if bearer is None else EndedCredential(EndedKind.API_KEY, event.resource_id, bearer, time)
    if event.type in ("oauth_client.updated", "client_secret.deleted"):
        # Passports made with what was taken away are void; one made with what is left comes again.
        client = _unpack(event, OAuthClient)
        bearer = None if client is None else principal_from_wire(client.bearer)
        changed = _settled(unit, time)
        return None if bearer is None else EndedCredential(EndedKind.API_KEY_EPOCH, event.resource_id, bearer, changed)
    if event.type == "session.ended":
        session = _unpack(event, Session)
        principal = None if session is None else principal_from_wire(session.principal)
        return None if principal is None else EndedCredential(EndedKind.SESSION, event.resource_id, principal, time)
    if event.type == "session.epoch_raised":
        epoch = _unpack(event, SessionEpoch)
        principal = None if epoch is None else principal_from_wire(epoch.principal)
        if epoch is None or principal is None:
            return None
        raised = _settled(unit, instant_from_wire(epoch.epoch_time))
        return EndedCredential(EndedKind.SESSION_EPOCH, principal.id, principal, raised)
    return None


def _overlaps(key: ApiKey, time: datetime) -> bool:
    """Tell whether what the key was before a rotation stays good until all passports made from it have ended."""
    if not key.HasField("former_expire_time"):
        return False
    return instant_from_wire(key.former_expire_time) >= time + LONGEST_PASSPORT + LONGEST_CALL


def _unpack(event: ChangeEvent, kind: type[Any]) -> Any:
    """Return the resource as it is now, or as it was where it is gone; None where the event holds another kind."""
    for packed in (event.after, event.before):
        if packed.type_url:
            message = kind()
            return message if packed.Unpack(message) else None
    return None
