"""Making, listing, changing and deleting roles. Supplied ones are only read; the store knows nothing of them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from concord.kernel import ids
from concord.kernel.errors import AlreadyExists, Conflict, Precondition, Reason
from concord.kernel.ids import OrganizationId, RoleId
from concord.kernel.paging import Page, PageRequest
from concord.kernel.quotas import require_room
from concord.kernel.units import Change, Unit
from concord.policy.holding import misplaced
from concord.policy.model import (
    NO_TEXT,
    BoundaryKind,
    LocalizedText,
    Role,
    RoleFilter,
    RoleKind,
    RoleRelation,
    check_role_facts,
    normal_handle,
)
from concord.policy.operations.grants import end_grants
from concord.policy.operations.listing import listed
from concord.policy.operations.quotas import limit_of
from concord.policy.operations.role_forms import form_role
from concord.policy.operations.role_names import get_role
from concord.policy.reading import supplied_by_handle, supplied_roles
from concord.policy.store import PolicyStore

QUOTA = "roles"


@dataclass(frozen=True, slots=True)
class RoleDraft:
    """A role as somebody asks for it. Included roles are named by id or handle."""

    handle: str = ""
    name: LocalizedText = NO_TEXT
    description: LocalizedText = NO_TEXT
    attributes: Mapping[str, str] = field(default_factory=dict)
    kind: RoleKind = RoleKind.BASIC
    language: str = ""
    document: str = ""
    included: tuple[str, ...] = ()
    resource_type_id: str = ""
    permissions: tuple[str, ...] = ()
    # None means what follows from the roles that are included, or the widest choice.
    boundary_kind: BoundaryKind | None = None
    categories: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RolePatch:
    """What an update changes: whole fields, and parts of localized texts by (field, part)."""

    fields: Mapping[str, Any] = field(default_factory=dict)
    parts: Mapping[tuple[str, str], Any] = field(default_factory=dict)

    def changes_to(self, role: Role) -> dict[str, Any]:
        """Return the new values of the fields that change."""
        changes = dict(self.fields)
        for (name, part), value in self.parts.items():
            changes[name] = replace(changes.get(name, getattr(role, name)), **{part: value})
        return changes


def list_roles(
    store: PolicyStore, organization_id: OrganizationId, wanted: RoleFilter, page: PageRequest
) -> Page[Role]:
    """Return a page of the roles that pass the filter, supplied ones and others in one order."""
    every = [*supplied_roles().values(), *store.role_heads(organization_id)]
    found = listed(
        [role for role in every if wanted.passes(role)],
        page,
        {"name": lambda role: role.name.text.casefold()},
        lambda role: role.id,
    )
    made = store.find_roles(organization_id, [each.id for each in found.items if not each.managed])
    return found.map(lambda each: made.get(each.id, each))


def create_role(unit: Unit[PolicyStore], draft: RoleDraft) -> Role:
    """Make a role of the unit's organization."""
    store, organization_id = unit.store, unit.organization_id
    facts = {name: getattr(draft, name) for name in ("name", "description", "attributes", "categories", "permissions")}
    handle = normal_handle(draft.handle)
    check_role_facts({**facts, "handle": handle, "included_role_ids": draft.included}, creating=True)
    if handle in supplied_by_handle():
        raise AlreadyExists("role", handle, "role.handle")
    require_room(QUOTA, limit_of(store, organization_id, QUOTA), lambda: store.count_roles(organization_id))
    role_id = ids.new(RoleId)
    name = draft.name if draft.name.text else LocalizedText(handle or f"role-{role_id[-8:]}", draft.name.translations)
    role = Role(
        id=role_id,
        handle=handle,
        name=name,
        organization_id=organization_id,
        create_time=unit.now,
        update_time=unit.now,
        description=draft.description,
        attributes=dict(draft.attributes),
        kind=draft.kind,
        language=draft.language,
        document=draft.document,
        resource_type_id=draft.resource_type_id,
        permissions=draft.permissions,
        categories=draft.categories,
    )
    role = form_role(store, role, _included(unit, draft.included), draft.boundary_kind)
    store.add_role(role)
    unit.record(_change("role.created", None, role))
    return role


def update_role(unit: Unit[PolicyStore], locator: str, patch: RolePatch, etag: str = "") -> Role:
    """Change what the patch names. Who holds the role has what it says now."""
    before = _editable(unit, locator, etag)
    changes = patch.changes_to(before)
    check_role_facts(changes, creating=False)
    included = _included(unit, changes.get("included_role_ids", before.included_role_ids))
    changes["included_role_ids"] = tuple(each.id for each in included)
    after = before.changed(changes, unit.now)
    if after is before:
        return before
    after = form_role(unit.store, after, included, after.boundary_kind, before)
    _require_holders_fit(unit.store, unit.organization_id, before, after)
    unit.store.save_role(after)
    unit.record(_change("role.updated", before, after, security_relevant=True))
    return after


def delete_role(
    unit: Unit[PolicyStore], locator: str, refuse_if: Collection[RoleRelation] = (), etag: str = ""
) -> Role:
    """Delete a role and end its grants; return it as it was."""
    store, organization_id = unit.store, unit.organization_id
    role = _editable(unit, locator, etag)
    if store.including(organization_id, role.id):
        raise _in_use(role, "is included by another role")
    grants = store.grants_of_role(organization_id, role.id)
    if RoleRelation.GRANTS in refuse_if and grants:
        raise _in_use(role, "is granted")
    end_grants(unit, grants)
    store.delete_role(organization_id, role.id)
    unit.record(_change("role.deleted", role, None, security_relevant=True))
    return role


def _included(unit: Unit[PolicyStore], locators: Sequence[str]) -> list[Role]:
    # One that is named in two ways is still included once.
    found = [get_role(unit.store, unit.organization_id, each) for each in locators]
    return list({role.id: role for role in found}.values())


def _require_holders_fit(store: PolicyStore, organization_id: OrganizationId, before: Role, after: Role) -> None:
    if after.boundary_kind is not before.boundary_kind and store.including(organization_id, after.id):
        raise _in_use(after, "is included by another role, which relies on its boundary kind")
    boundaries = {each.boundary.key: each.boundary for each in store.grants_of_role(organization_id, after.id)}
    if not boundaries:
        return
    roles = store.roles_within(organization_id, [after.id, *after.included_role_ids])
    for boundary in boundaries.values():
        if misplaced(after, roles, boundary) and not misplaced(before, roles, boundary):
            message = f"role `{after.id}` is held within a boundary that it could not have any more"
            raise Precondition(Reason.INVALID_STATE, message, "role", after.id)


def _editable(unit: Unit[PolicyStore], locator: str, etag: str) -> Role:
    role = get_role(unit.store, unit.organization_id, locator)
    if role.managed:
        raise Precondition(Reason.RESOURCE_MANAGED, f"role `{role.id}` is kept by the platform", "role", role.id)
    if etag and etag != role.etag:
        raise Conflict("role", role.id)
    return role


def _in_use(role: Role, how: str) -> Precondition:
    return Precondition(Reason.RESOURCE_IN_USE, f"role `{role.id}` {how}", "role", role.id)


def _change(type_: str, before: Role | None, after: Role | None, *, security_relevant: bool = False) -> Change:
    shown = after or before
    assert shown is not None
    return Change(
        type=type_,
        resource_type="role",
        resource_id=shown.id,
        resource_name=shown.name.text,
        before=before,
        after=after,
        security_relevant=security_relevant,
    )
