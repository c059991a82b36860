"""What other services' changes mean here: who may hold credentials, and whose must end."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final, cast

from concord.common.v1.change_pb2 import ChangeEvent
from concord.credentials.model import LifeState, OrganizationRules
from concord.credentials.operations.endings import end_principal, leave_project, suspend_principal
from concord.credentials.store import CredentialStore
from concord.identity.v1.application_pb2 import APPLICATION_STATE_SUSPENDED, Application
from concord.identity.v1.organization_pb2 import ORGANIZATION_STATE_SUSPENDED, Organization
from concord.identity.v1.security_settings_pb2 import SecuritySettings
from concord.identity.v1.user_pb2 import USER_STATE_SUSPENDED, User
from concord.kernel.principal import PrincipalRef
from concord.kernel.rpc.wire import principal_of_change
from concord.kernel.units import Unit
from concord.policy.v1.quota_pb2 import Quota

Credentials = Unit[CredentialStore]

_USER: Final[Any] = User.DESCRIPTOR
_APPLICATION: Final[Any] = Application.DESCRIPTOR


def apply_identity(unit: Credentials, event: ChangeEvent) -> None:
    """Follow principals, projects, organizations and their settings."""
    if (principal := principal_of_change(event)) is not None:
        _follow_principal(unit, event, principal)
    elif event.resource_type in _OTHERS:
        _OTHERS[event.resource_type](unit, event)


def apply_policy(unit: Credentials, event: ChangeEvent) -> None:
    """Follow quotas."""
    quota = Quota()
    if event.type == "quota.set" and event.after.Unpack(quota):
        unit.store.put_limit(unit.organization_id, quota.name, None if quota.unlimited else quota.limit)


def _follow_principal(unit: Credentials, event: ChangeEvent, principal: PrincipalRef) -> None:
    if event.type.endswith(".deleted"):
        end_principal(unit, principal)
        return
    state = _state_of(event)
    if event.type.endswith(".created"):
        unit.store.put_principal(unit.organization_id, principal, state)
        return
    known = unit.store.find_principal(unit.organization_id, principal)
    if state is LifeState.SUSPENDED and known is LifeState.ACTIVE:
        suspend_principal(unit, principal)
    elif state is not known:
        unit.store.put_principal(unit.organization_id, principal, state)


def _state_of(event: ChangeEvent) -> LifeState:
    """Read the principal's state; one whose message says nothing about it goes by the event's name."""
    if event.after.Is(_USER):
        suspended = User.FromString(event.after.value).state == USER_STATE_SUSPENDED
    elif event.after.Is(_APPLICATION):
        suspended = Application.FromString(event.after.value).state == APPLICATION_STATE_SUSPENDED
    else:
        suspended = event.type.endswith(".suspended")
    return LifeState.SUSPENDED if suspended else LifeState.ACTIVE


def _follow_organization(unit: Credentials, event: ChangeEvent) -> None:
    if event.type == "organization.deleted":
        unit.store.end_organization(unit.organization_id, unit.now)
        return
    organization = Organization()
    if not event.after.Unpack(organization):
        return
    suspended = organization.state == ORGANIZATION_STATE_SUSPENDED
    state = LifeState.SUSPENDED if suspended else LifeState.ACTIVE
    unit.store.put_organization(replace(_rules(unit), state=state))
    # The default project has the organization's id.
    unit.store.put_project(unit.organization_id, unit.organization_id)


def _follow_settings(unit: Credentials, event: ChangeEvent) -> None:
    settings = SecuritySettings()
    if not event.after.Unpack(settings):
        return
    rules = replace(
        _rules(unit),
        max_session_ttl=settings.max_session_ttl.ToTimedelta(),
        max_api_key_ttl=settings.max_api_key_ttl.ToTimedelta(),
        temporary_password_ttl=settings.temporary_password_ttl.ToTimedelta(),
    )
    unit.store.put_organization(rules)


def _follow_project(unit: Credentials, event: ChangeEvent) -> None:
    if event.type == "project.deleted":
        unit.store.remove_project(unit.organization_id, event.resource_id)
        leave_project(unit, event.resource_id)
    else:
        unit.store.put_project(unit.organization_id, event.resource_id)


def _rules(unit: Credentials) -> OrganizationRules:
    return unit.store.find_organization(unit.organization_id) or OrganizationRules(unit.organization_id)


_OTHERS: Final = cast(
    dict[str, Callable[[Credentials, ChangeEvent], None]],
    {
        "organization": _follow_organization,
        "security_settings": _follow_settings,
        "project": _follow_project,
    },
)
