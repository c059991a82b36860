"""Limits: the defaults, and what was set for an organization."""

from collections.abc import Sequence
from dataclasses import replace

from concord.kernel.errors import Conflict, Invalid, NotFound, Violation
from concord.kernel.ids import OrganizationId
from concord.kernel.paging import Page, PageRequest
from concord.kernel.quotas import DEFAULT_LIMITS
from concord.kernel.units import Change, Unit
from concord.policy.model import Quota
from concord.policy.operations.listing import listed
from concord.policy.store import PolicyStore

_UNITS = {
    "api_keys": ("API keys", "api keys", "API keys of all principals together"),
    "applications": ("Applications", "applications", "programs with an identity of their own"),
    "groups": ("Groups", "groups", "groups, empty ones included"),
    "policies": ("Policies", "policies", "policies, those without a subject included"),
    "users": ("Users", "users", "people, the owner included"),
    "projects": ("Projects", "projects", "projects, the default one included"),
    "ssh_keys": ("SSH keys", "ssh keys", "SSH keys of all projects together"),
    "roles": ("Roles", "roles", "roles that people made"),
    "grants": ("Grants", "grants", "roles given to principals and groups, each in each place"),
}


def limit_of(store: PolicyStore, organization_id: OrganizationId, name: str) -> int | None:
    """Return how many of something an organization may have; None is any number."""
    quota = store.find_quota(organization_id, name)
    if quota is None:
        return DEFAULT_LIMITS[name]
    return None if quota.unlimited else quota.limit


def get_quota(store: PolicyStore, organization_id: OrganizationId, name: str) -> Quota:
    """Return a limit, the default where none was set."""
    if name not in DEFAULT_LIMITS:
        raise NotFound("quota", name)
    return _described(store.find_quota(organization_id, name) or _default(organization_id, name))


def list_quotas(
    store: PolicyStore, organization_id: OrganizationId, names: Sequence[str] | None, page: PageRequest
) -> Page[Quota]:
    """Return a page of all limits, defaults included."""
    there = {quota.name: quota for quota in store.list_quotas(organization_id)}
    wanted = [
        _described(there.get(name) or _default(organization_id, name))
        for name in DEFAULT_LIMITS
        if names is None or name in names
    ]
    return listed(wanted, page, {"name": lambda quota: quota.name}, lambda quota: quota.name)


def set_quota(unit: Unit[PolicyStore], name: str, *, limit: int, unlimited: bool = False, etag: str = "") -> Quota:
    """Set a limit of the unit's organization."""
    if unit.store.find_organization(unit.organization_id) is None:
        raise NotFound("organization", unit.organization_id)
    before = get_quota(unit.store, unit.organization_id, name)
    if etag and etag != before.etag:
        raise Conflict("quota", name)
    if limit < 0:
        raise Invalid(Violation("limit", "must be 0 or more", rule="range"))
    after = replace(
        before,
        limit=0 if unlimited else limit,
        unlimited=unlimited,
        version=before.version + 1,
        create_time=before.create_time or unit.now,
        update_time=unit.now,
    )
    unit.store.put_quota(after)
    # Awaited: whoever counts follows the feed, and a lower limit should hold once the answer is there.
    unit.record(Change("quota.set", "quota", name, name, before=before, after=after, awaited=True))
    return after


def _default(organization_id: OrganizationId, name: str) -> Quota:
    return Quota(name=name, organization_id=organization_id, limit=DEFAULT_LIMITS[name])


def _described(quota: Quota) -> Quota:
    display_name, unit, description = _UNITS.get(quota.name, (quota.name, quota.name, ""))
    return replace(quota, display_name=display_name, unit=unit, description=description)
