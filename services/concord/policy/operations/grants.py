"""Giving roles and taking them back."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from concord.kernel import ids
from concord.kernel.errors import Conflict, Invalid, NotFound, QuotaExceeded, Violation
from concord.kernel.ids import GroupId, OrganizationId, ProjectId
from concord.kernel.paging import MAX_SIZE, Page, PageRequest
from concord.kernel.units import Change, Unit
from concord.policy.holding import misplaced
from concord.policy.model import (
    EVERYONE,
    Boundary,
    BoundaryKind,
    Grant,
    GrantFilter,
    GrantId,
    Role,
    Subject,
    SubjectKind,
)
from concord.policy.operations.documents import require_places, whole
from concord.policy.operations.policies import require_subject
from concord.policy.operations.quotas import limit_of
from concord.policy.operations.role_names import find_role, get_role
from concord.policy.store import PolicyStore

QUOTA = "grants"
MAX_PROJECTS = 1000

_MEMBERS = {
    BoundaryKind.ORGANIZATION: "organization_id",
    BoundaryKind.PROJECTS: "project_ids",
    BoundaryKind.GROUP_SUBTREE: "group_id",
    BoundaryKind.OWNER_ACCOUNT: "owner_user_id",
}


@dataclass(frozen=True, slots=True)
class GrantKey:
    """What there is one grant for. The role is named by id or handle; no boundary is the whole organization."""

    subject: Subject
    role: str
    boundary: Boundary | None = None


@dataclass(frozen=True, slots=True)
class GrantsSet:
    """What a replacement came to."""

    grants: Sequence[Grant]
    created: Sequence[Grant]
    ended: Sequence[Grant]


def create_grant(unit: Unit[PolicyStore], key: GrantKey) -> tuple[Grant, bool]:
    """Give a role; return the grant, and whether it is new."""
    store, organization_id = unit.store, unit.organization_id
    boundary = _place(store, organization_id, key.boundary, "grant.boundary")
    _require_holder(store, organization_id, key.subject, "grant.subject")
    role = get_role(store, organization_id, key.role)
    _require_fitting(store, organization_id, role, boundary, "grant.boundary.kind")
    there = store.find_grant_by_key(organization_id, key.subject, role.id, boundary.key)
    if there is not None:
        return there, False
    _require_room(store, organization_id, 1)
    return _add(unit, key.subject, role, boundary), True


def get_grant(store: PolicyStore, organization_id: OrganizationId, locator: GrantId | GrantKey) -> Grant:
    """Return the grant with this id, or for these three."""
    if isinstance(locator, GrantKey):
        role = get_role(store, organization_id, locator.role)
        if locator.boundary is not None and locator.boundary.organization_id not in ("", organization_id):
            raise NotFound("organization", locator.boundary.organization_id)
        boundary_key = whole(locator.boundary, organization_id).key
        found = store.find_grant_by_key(organization_id, locator.subject, role.id, boundary_key)
        named = f"{locator.subject.id}: {locator.role}"
    else:
        found, named = store.find_grant(organization_id, locator), locator
    if found is None:
        raise NotFound("grant", named)
    return found


def list_grants(
    store: PolicyStore,
    organization_id: OrganizationId,
    wanted: GrantFilter,
    page: PageRequest,
    *,
    effective: bool = False,
) -> Page[Grant]:
    """Return a page of grants; with `effective` also those that the one subject has through groups."""
    if not effective:
        return store.list_grants(organization_id, _of_roles(store, organization_id, wanted), page)
    subjects = wanted.subjects or ()
    principal = subjects[0].principal if len(subjects) == 1 else None
    if principal is None:
        raise Invalid(Violation("subjects", "must be one principal where effective grants are asked", rule="required"))
    standing = store.standing(organization_id, principal)
    if standing is None:
        raise NotFound(principal.kind.value, principal.id)
    holders = tuple(each for each in standing.subjects if each != EVERYONE)
    if len(holders) > MAX_SIZE:
        raise Invalid(Violation("effective", f"must not be asked of a member of {MAX_SIZE} groups", rule="length"))
    wanted = replace(_of_roles(store, organization_id, wanted), subjects=holders)
    found = store.list_grants(organization_id, wanted, page)
    return found.map(lambda each: replace(each, inherited=each.subject != subjects[0]))


def set_grants(
    unit: Unit[PolicyStore],
    subject: Subject,
    boundary: Boundary | None,
    roles: Sequence[str],
    *,
    language: str,
    catalogues: Collection[str] = (),
) -> GrantsSet:
    """Give a holder exactly these roles in one place, among those of a language and some catalogues."""
    store, organization_id = unit.store, unit.organization_id
    place = _place(store, organization_id, boundary, "boundary")
    _require_holder(store, organization_id, subject, "subject")

    def is_replaced(role_language: str, role_catalogue: str) -> bool:
        return role_language == language and (not catalogues or role_catalogue in catalogues)

    wanted: dict[str, Role] = {}
    for at, locator in enumerate(roles):
        role = get_role(store, organization_id, locator)
        if not is_replaced(role.language, role.catalogue):
            raise Invalid(Violation(f"role_ids[{at}]", "is not of the class that is replaced", rule="constraint"))
        _require_fitting(store, organization_id, role, place, f"role_ids[{at}]")
        wanted[role.id] = role
    there = {
        each.role_id: each
        for each in store.grants_of(organization_id, [subject])
        if each.boundary.key == place.key and is_replaced(each.role_language, each.role_catalogue)
    }
    ended = [each for each in there.values() if each.role_id not in wanted]
    end_grants(unit, ended)
    missing = [role for role in wanted.values() if role.id not in there]
    _require_room(store, organization_id, len(missing))
    created = {role.id: _add(unit, subject, role, place) for role in missing}
    now = {**there, **created}
    return GrantsSet([now[role.id] for role in wanted.values()], list(created.values()), ended)


def delete_grant(unit: Unit[PolicyStore], locator: GrantId | GrantKey, etag: str = "") -> Grant:
    """Take a role back; return the grant as it was."""
    grant = get_grant(unit.store, unit.organization_id, locator)
    if etag and etag != grant.etag:
        raise Conflict("grant", grant.id)
    end_grants(unit, [grant])
    return grant


def end_grants(unit: Unit[PolicyStore], grants: Iterable[Grant]) -> None:
    """Remove and announce grants that have been looked at."""
    for grant in grants:
        unit.store.delete_grant(grant)
        unit.record(_change("grant.deleted", grant, None))


def end_grants_of(unit: Unit[PolicyStore], subject: Subject) -> None:
    """End what a holder has that is gone."""
    end_grants(unit, unit.store.grants_of(unit.organization_id, [subject]))


def end_grants_in_group(unit: Unit[PolicyStore], group_id: GroupId) -> None:
    """End what is held by a group that is gone, and what is held within it."""
    end_grants_of(unit, Subject(SubjectKind.GROUP, group_id))
    end_grants(unit, unit.store.grants_in_group(unit.organization_id, group_id))


def end_grants_in_project(unit: Unit[PolicyStore], project_id: ProjectId) -> None:
    """Take a project out of every grant. One that is left with none ends, and so does one that becomes a second."""
    store, organization_id = unit.store, unit.organization_id
    for grant in store.grants_in_project(organization_id, project_id):
        left = tuple(each for each in grant.boundary.project_ids if each != project_id)
        boundary = replace(grant.boundary, project_ids=left)
        if not left or store.find_grant_by_key(organization_id, grant.subject, grant.role_id, boundary.key):
            end_grants(unit, [grant])
            continue
        moved = replace(grant, boundary=boundary, version=grant.version + 1, update_time=unit.now)
        store.move_grant(moved)
        unit.record(_change("grant.updated", grant, moved))


def _add(unit: Unit[PolicyStore], subject: Subject, role: Role, boundary: Boundary) -> Grant:
    grant = Grant(
        id=ids.new(GrantId),
        organization_id=unit.organization_id,
        create_time=unit.now,
        update_time=unit.now,
        subject=subject,
        role_id=role.id,
        boundary=boundary,
        role_language=role.language,
        role_catalogue=role.catalogue,
    )
    unit.store.add_grant(grant)
    unit.record(_change("grant.created", None, grant))
    return grant


def _of_roles(store: PolicyStore, organization_id: OrganizationId, wanted: GrantFilter) -> GrantFilter:
    """Return the filter with roles by id where they are named by handle."""
    if wanted.role_ids is None:
        return wanted
    found = (find_role(store, organization_id, each) for each in wanted.role_ids)
    return replace(wanted, role_ids=tuple(role.id for role in found if role is not None))


def _place(store: PolicyStore, organization_id: OrganizationId, boundary: Boundary | None, field: str) -> Boundary:
    """Return a boundary as it is stored, or raise for what is wrong with it or unknown in it."""
    if boundary is None:
        return whole(None, organization_id)
    if boundary.kind is BoundaryKind.OWNER_ACCOUNT and not boundary.owner_user_id:
        known = store.find_organization(organization_id)
        boundary = replace(boundary, owner_user_id="" if known is None else known.owner_user_id or "")
    own = _MEMBERS.get(boundary.kind, "")
    found = [
        Violation(f"{field}.{name}", f"does not belong to `{boundary.kind.value}`", rule="constraint")
        for name in _MEMBERS.values()
        if name != own and getattr(boundary, name)
    ]
    if own not in ("", "organization_id") and not getattr(boundary, own):
        found.append(Violation(f"{field}.{own}", "must be given", rule="required"))
    if len(boundary.project_ids) > MAX_PROJECTS:
        found.append(Violation(f"{field}.project_ids", f"must be at most {MAX_PROJECTS}", rule="length"))
    if found:
        raise Invalid(*found)
    require_places(store, organization_id, [boundary])
    return whole(boundary, organization_id)


def _require_holder(store: PolicyStore, organization_id: OrganizationId, subject: Subject, field: str) -> None:
    if subject.kind in (SubjectKind.NONE, SubjectKind.EVERYONE):
        raise Invalid(Violation(field, "must be a principal or a group", rule="required"))
    require_subject(store, organization_id, subject)


def _require_fitting(
    store: PolicyStore, organization_id: OrganizationId, role: Role, boundary: Boundary, field: str
) -> None:
    roles = {} if role.managed else store.roles_within(organization_id, [role.id])
    if misplaced(role, roles, boundary):
        told = f"role `{role.handle or role.id}` cannot be held within `{boundary.kind.value}`"
        raise Invalid(Violation(field, told, rule="constraint"))


def _require_room(store: PolicyStore, organization_id: OrganizationId, more: int) -> None:
    limit = limit_of(store, organization_id, QUOTA)
    if limit is None or not more:
        return
    current = store.count_grants(organization_id)
    if current + more > limit:
        raise QuotaExceeded(QUOTA, limit, current)


def _change(type_: str, before: Grant | None, after: Grant | None) -> Change:
    shown = after or before
    assert shown is not None
    return Change(
        type=type_,
        resource_type="grant",
        resource_id=shown.id,
        # Ids, because names say nothing once they are used again.
        resource_name=f"{shown.subject.kind.value} {shown.subject.id}: role {shown.role_id}",
        before=before,
        after=after,
        # A new one may take rights away too: a role that denies, or one that is joined by AND.
        security_relevant=True,
    )
