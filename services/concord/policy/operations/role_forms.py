"""What each kind of role is made of, and how roles may include each other."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from concord.kernel.errors import Invalid, Reason, Violation
from concord.kernel.ids import OrganizationId, RoleId
from concord.policy.engine.match import permission_pattern_fault
from concord.policy.holding import role_sources
from concord.policy.languages import get_language
from concord.policy.model import MAX_ROLE_DEPTH, MAX_ROLE_PARTS, BoundaryKind, Role, RoleKind, Statement
from concord.policy.operations.documents import said
from concord.policy.store import PolicyStore

_RESOURCE_TYPE = re.compile(r"[A-Za-z0-9_\-]{1,64}\.[A-Za-z0-9_\-]{1,64}")


def form_role(
    store: PolicyStore,
    role: Role,
    included: Sequence[Role],
    boundary_kind: BoundaryKind | None,
    before: Role | None = None,
) -> Role:
    """Return the role whole: language, statements, inclusions and boundary kind worked out, or raise Invalid.

    `before` is the role that is changed. A boundary kind of None is the widest there can be.
    """
    found = list(_form_violations(role, included, before))
    if found:
        raise Invalid(*found)
    if role.kind is RoleKind.BASIC:
        role = replace(role, language=role.language or "statements")
        return replace(_saying(store, role, before), boundary_kind=boundary_kind or role.boundary_kind)
    role = replace(role, included_role_ids=tuple(each.id for each in included))
    role = _of_one_language(role, included)
    _require_small(store, role, included)
    return replace(role, boundary_kind=_common_boundary(included, boundary_kind))


def _form_violations(role: Role, included: Sequence[Role], before: Role | None) -> Iterator[Violation]:
    basic = role.kind is RoleKind.BASIC
    for name in ("document", "permissions"):
        if not basic and getattr(role, name):
            yield Violation(f"role.{name}", "is what basic roles have", rule="constraint")
    if basic and bool(role.document) == bool(role.permissions):
        yield Violation("role.permissions", "must be given, or a document, and not both", rule="required")
    if basic and before is not None and bool(before.document) != bool(role.document):
        told = "stays where there is one, and does not come where there is none"
        yield Violation("role.document", told, rule="constraint")
    if basic and included:
        yield Violation("role.included_role_ids", "are what composed and narrowed roles have", rule="constraint")
    if role.kind is RoleKind.COMPOSED and not included:
        yield Violation("role.included_role_ids", "must name at least one role", rule="required")
    if role.kind is RoleKind.NARROWED and len(included) != 1:
        yield Violation("role.included_role_ids", "must name one role", rule="required")
    if role.kind is not RoleKind.NARROWED and role.resource_type_id:
        yield Violation("role.resource_type_id", "is what narrowed roles have", rule="constraint")
    if role.kind is RoleKind.NARROWED and not _RESOURCE_TYPE.fullmatch(role.resource_type_id):
        yield Violation("role.resource_type_id", "must be `service.resource`", rule="pattern")
    for position, permission in enumerate(role.permissions):
        fault = permission_pattern_fault(permission)
        if fault:
            yield Violation(f"role.permissions[{position}]", fault, rule="pattern")


def _saying(store: PolicyStore, role: Role, before: Role | None) -> Role:
    """Return a basic role with the statements of its document."""
    assert role.organization_id is not None
    get_language(role.language, "role.language")
    if not role.document or (before is not None and before.document == role.document):
        return role
    statements = said(store, role.organization_id, role.language, role.document, (), "role.language")
    return replace(role, statements=tuple(_without_place(at, each) for at, each in enumerate(statements)))


def _without_place(position: int, statement: Statement) -> Statement:
    boundary = statement.boundary
    if boundary is not None and boundary.kind is not BoundaryKind.ORGANIZATION:
        fault = Violation(f"statements[{position}].boundary", "a role holds where it is granted", rule="constraint")
        raise Invalid(fault, reason=Reason.INVALID_DOCUMENT)
    return replace(statement, boundary=None)


def _of_one_language(role: Role, included: Sequence[Role]) -> Role:
    languages = {each.language for each in included}
    if len(languages) > 1:
        told = "must all be of one language: how the roles of one holder combine is up to it"
        raise Invalid(Violation("role.included_role_ids", told, rule="constraint"))
    (language,) = languages
    if role.language not in ("", language):
        told = f"must be that of the included roles, `{language}`"
        raise Invalid(Violation("role.language", told, rule="constraint"))
    return replace(role, language=language)


def _common_boundary(included: Sequence[Role], wanted: BoundaryKind | None) -> BoundaryKind:
    """Return a boundary kind that takes nothing that an included role would not."""
    kinds = {each.boundary_kind for each in included}
    narrow = kinds - {BoundaryKind.PROJECTS, BoundaryKind.ORGANIZATION}
    if len(narrow) > 1 or (BoundaryKind.OWNER_ACCOUNT in narrow and len(kinds) > 1):
        told = "must not be held in places of different kinds"
        raise Invalid(Violation("role.included_role_ids", told, rule="constraint"))
    needed = next(iter(narrow), None)
    if BoundaryKind.ORGANIZATION in kinds:
        needed = BoundaryKind.ORGANIZATION
    wider = () if needed is BoundaryKind.OWNER_ACCOUNT else (BoundaryKind.ORGANIZATION,)
    if needed is not None and wanted not in (None, needed, *wider):
        told = f"must be `{needed.value}`, as that of an included role"
        raise Invalid(Violation("role.boundary_kind", told, rule="constraint"))
    if needed is None and wanted is BoundaryKind.OWNER_ACCOUNT:
        raise Invalid(Violation("role.boundary_kind", "no included role is held there", rule="constraint"))
    return wanted or needed or BoundaryKind.PROJECTS


def _require_small(store: PolicyStore, role: Role, included: Sequence[Role]) -> None:
    assert role.organization_id is not None
    parts = store.roles_within(role.organization_id, [each.id for each in included if not each.managed])
    if role.id in parts:
        raise Invalid(Violation("role.included_role_ids", "must not include the role itself", rule="cycle"))
    if len(parts) + 1 > MAX_ROLE_PARTS:
        told = f"must make a role of at most {MAX_ROLE_PARTS} parts"
        raise Invalid(Violation("role.included_role_ids", told, rule="length"))
    known: dict[RoleId, int] = {}
    below = 1 + max(_height(each.id, parts, known) for each in included)
    if below + _levels_above(store, role.organization_id, role.id) > MAX_ROLE_DEPTH:
        told = f"must not nest roles more than {MAX_ROLE_DEPTH} deep"
        raise Invalid(Violation("role.included_role_ids", told, rule="depth"))
    if role.kind is RoleKind.NARROWED and any(
        each.operations or each.endpoints for each in role_sources(included[0], parts)
    ):
        told = "holds more than permissions, and a type of resource narrows nothing else"
        raise Invalid(Violation("role.included_role_ids[0]", told, rule="constraint"))


def _height(role_id: RoleId, parts: Mapping[RoleId, Role], known: dict[RoleId, int]) -> int:
    """Return how many levels there are from a role down. Roles that are not among the parts are supplied: one."""
    if role_id not in known:
        role = parts.get(role_id)
        below = () if role is None else role.included_role_ids
        known[role_id] = 1 + max((_height(each, parts, known) for each in below), default=0)
    return known[role_id]


def _levels_above(store: PolicyStore, organization_id: OrganizationId, role_id: RoleId) -> int:
    levels, row = 0, {role_id}
    # No more than are allowed are ever counted: one too many is all that matters.
    while levels <= MAX_ROLE_DEPTH:
        row = {above for each in row for above in store.including(organization_id, each)}
        if not row:
            break
        levels += 1
    return levels
