"""What an organization demands of its people's credentials, and by which ways they may log in."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Final

from concord.identity import rules
from concord.identity.drafts import PASSWORD_RULES, LoginMethodsDraft, SecuritySettingsDraft
from concord.identity.model import Organization, PasswordRules, SecuritySettings, check_etag
from concord.identity.operations.access import require_everything
from concord.identity.store import IdentityStore
from concord.kernel.errors import Invalid, NotFound, Violation
from concord.kernel.ids import OrganizationId
from concord.kernel.principal import Reach
from concord.kernel.units import Change, Unit

MAX_ATTEMPTS: Final = 50
# Below this nobody could do in time what is demanded, or stay long enough to take the setting back.
SHORTEST: Final = timedelta(minutes=5)
LONGEST: Final[Mapping[str, timedelta]] = {
    "grace_period": timedelta(days=365),
    "max_session_ttl": timedelta(days=30),
    "max_api_key_ttl": timedelta(days=3650),
    "temporary_password_ttl": timedelta(days=30),
}
# The lowest minimum is the strength that passwords have everywhere, the lowest maximum leaves room for
# what password managers draw and for all minima together.
PASSWORD_RANGES: Final[Mapping[str, tuple[int, int]]] = {
    "min_length": (8, 128),
    "max_length": (64, 512),
    "min_lower": (0, 16),
    "min_upper": (0, 16),
    "min_digits": (0, 16),
    "min_symbols": (0, 16),
}


def get_security_settings(store: IdentityStore, organization_id: OrganizationId, reach: Reach) -> SecuritySettings:
    """Return what the organization demands."""
    require_everything(reach, "identity.security_settings.get")
    return _get_settings(store, organization_id)


def update_security_settings(
    unit: Unit[IdentityStore], draft: SecuritySettingsDraft, fields: frozenset[str], etag: str
) -> SecuritySettings:
    """Change the named settings. A change that changes nothing leaves no trace."""
    require_everything(unit.reach, "identity.security_settings.update")
    settings = _get_settings(unit.store, unit.organization_id)
    check_etag(etag, settings.version, "security_settings", settings.organization_id)
    changed = apply_settings_draft(settings, draft, fields)
    if changed == settings:
        return settings
    tightens = changed.is_tighter_than(settings)
    changed = replace(changed, version=settings.version + 1, update_time=unit.now)
    unit.store.organizations.replace_security_settings(changed)
    unit.record(
        Change(
            "security_settings.updated",
            "security_settings",
            settings.organization_id,
            before=settings,
            after=changed,
            security_relevant=tightens,
            # What is allowed again is expected to work at once, too.
            awaited=not tightens,
        )
    )
    return changed


def update_login_methods(
    unit: Unit[IdentityStore], draft: LoginMethodsDraft, fields: frozenset[str], etag: str
) -> Organization:
    """Open and close the named ways to log in. A change that changes nothing leaves no trace."""
    require_everything(unit.reach, "identity.login_methods.update")
    organization = unit.store.organizations.find(unit.organization_id)
    if organization is None:
        raise NotFound("organization", unit.organization_id)
    check_etag(etag, organization.version, "organization", organization.id)
    changed = replace(organization, **{name: getattr(draft, name) for name in fields})
    if changed == organization:
        return organization
    changed = replace(changed, version=organization.version + 1, update_time=unit.now)
    unit.store.organizations.replace(changed)
    unit.record(
        Change(
            "organization.updated",
            "organization",
            organization.id,
            changed.name,
            before=organization,
            after=changed,
            security_relevant=True,
        )
    )
    return changed


def apply_settings_draft(
    settings: SecuritySettings, draft: SecuritySettingsDraft, fields: frozenset[str]
) -> SecuritySettings:
    """Return the settings with the named fields taken from the draft, checked."""
    changes: dict[str, object] = {}
    for name in fields & {"enforce_password_renewal", "enforce_mfa"}:
        changes[name] = getattr(draft, name)
    if "max_login_attempts" in fields:
        field = "security_settings.max_login_attempts"
        changes["max_login_attempts"] = rules.number(draft.max_login_attempts, field, 1, MAX_ATTEMPTS)
    for name, longest in LONGEST.items():
        if name in fields:
            given, field = getattr(draft, name), f"security_settings.{name}"
            changes[name] = rules.duration(given, field, SHORTEST, longest, or_none=name == "max_api_key_ttl")
    changes[PASSWORD_RULES] = _laid_rules(settings.password_rules, draft.password_rules, fields)
    return replace(settings, **changes)  # type: ignore[arg-type]  # each value was made by the rule of its field


def _laid_rules(before: PasswordRules, asked: PasswordRules, fields: frozenset[str]) -> PasswordRules:
    changes: dict[str, int | bool] = {}
    for name in PasswordRules.__slots__:
        field = f"{PASSWORD_RULES}.{name}"
        if field not in fields:
            continue
        given: int = getattr(asked, name)
        if name in PASSWORD_RANGES:
            given = rules.number(given, f"security_settings.{field}", *PASSWORD_RANGES[name])
        changes[name] = given
    laid = replace(before, **changes)  # type: ignore[arg-type]  # each value has the type of its field
    if laid.min_length > laid.max_length:
        field = f"security_settings.{PASSWORD_RULES}.min_length"
        raise Invalid(Violation(field, f"must not exceed max_length, which is {laid.max_length}", rule="range"))
    return laid


def _get_settings(store: IdentityStore, organization_id: OrganizationId) -> SecuritySettings:
    settings = store.organizations.find_security_settings(organization_id)
    if settings is None:
        raise NotFound("organization", organization_id)
    return settings
