"""What other services' changes mean here: who may hold credentials, and whose must end."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final, cast

from concord.common.v1.change_pb2 import ChangeEvent
from concord.credentials.model.holders import LifeState
from concord.credentials.model.logins import MAX_ATTEMPTS, Person
from concord.credentials.model.organizations import OrganizationRules
from concord.credentials.model.passwords import MAX_PASSWORD, PasswordForm
from concord.credentials.operations.assumptions import end_assumed_from, end_assuming
from concord.credentials.operations.attempts import login_rules
from concord.credentials.operations.endings import end_principal, leave_project, suspend_principal
from concord.credentials.operations.logins import fold
from concord.credentials.store import CredentialStore
from concord.identity.v1.application_pb2 import APPLICATION_STATE_SUSPENDED, Application
from concord.identity.v1.organization_pb2 import ORGANIZATION_STATE_SUSPENDED, Organization
from concord.identity.v1.security_settings_pb2 import SecuritySettings
from concord.identity.v1.user_pb2 import USER_KIND_CUSTOMER, USER_KIND_OWNER, USER_STATE_SUSPENDED, User
from concord.kernel.ids import UserId
from concord.kernel.principal import PrincipalKind, PrincipalRef
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
    if event.after.Is(_USER):
        _follow_person(unit, User.FromString(event.after.value), is_new=event.type.endswith(".created"))
    state = _state_of(event)
    if event.type.endswith(".created"):
        unit.store.put_principal(unit.organization_id, principal, state)
        return
    known = unit.store.find_principal(unit.organization_id, principal)
    if state is LifeState.SUSPENDED and known is LifeState.ACTIVE:
        suspend_principal(unit, principal)
    elif state is not known:
        unit.store.put_principal(unit.organization_id, principal, state)


def _follow_person(unit: Credentials, user: User, *, is_new: bool) -> None:
    before = None if is_new else unit.store.find_person(unit.organization_id, UserId(user.id))
    person = Person(
        organization_id=unit.organization_id,
        user_id=UserId(user.id),
        username=user.username,
        email=user.primary_email,
        is_owner=user.kind == USER_KIND_OWNER,
        is_customer=user.kind == USER_KIND_CUSTOMER,
        interactive=user.interactive_login if user.HasField("interactive_login") else True,
    )
    unit.store.put_person(person, fold(user.primary_email))
    if before is None:
        return
    if before.email != person.email:
        # What was mailed proves that somebody reads an address which is no more the user's.
        unit.store.void_one_time_tokens(unit.organization_id, person.user_id)
    if person.is_owner and not before.is_owner:
        end_assuming(unit, PrincipalRef(PrincipalKind.USER, person.user_id))


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
        end_assumed_from(unit)
        unit.store.end_organization(unit.organization_id, unit.now)
        return
    organization = Organization()
    if not event.after.Unpack(organization):
        return
    suspended = organization.state == ORGANIZATION_STATE_SUSPENDED
    state = LifeState.SUSPENDED if suspended else LifeState.ACTIVE
    if suspended:
        end_assumed_from(unit)
    unit.store.put_organization(replace(_rules(unit), state=state))
    rules = replace(
        login_rules(unit.store, unit.organization_id),
        slug=organization.slug,
        alias=organization.alias,
        number=organization.number,
        password_enabled=organization.login_password_enabled,
        code_enabled=organization.login_magic_code_enabled,
    )
    unit.store.put_login_rules(rules)
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
    form = settings.password_rules
    demands = replace(
        login_rules(unit.store, unit.organization_id),
        enforce_renewal=settings.enforce_password_renewal,
        enforce_mfa=settings.enforce_mfa,
        grace_period=settings.grace_period.ToTimedelta(),
        max_attempts=settings.max_login_attempts or MAX_ATTEMPTS,
        form=PasswordForm(
            min_length=max(form.min_length, 1),
            max_length=form.max_length or MAX_PASSWORD,
            min_lower=form.min_lower,
            min_upper=form.min_upper,
            min_digits=form.min_digits,
            min_symbols=form.min_symbols,
            username_allowed=form.username_allowed,
            previous_allowed=form.previous_allowed,
        ),
    )
    unit.store.put_login_rules(demands)


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
