"""Who holds what, from documents as they were written, to a decision."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from concord.policy.engine.model import WHOLE_ORGANIZATION, Boundary, BoundaryKind, Request
from policy.spec.acts import operation_matches, permission_matches
from policy.spec.deciding import AllOf, Answer, AnyOf, Line, Tree, answer
from policy.spec.documents import (
    ALL_MUST_ALLOW,
    PLACES,
    Entry,
    Supplied,
    SuppliedRoles,
    denied_on,
    entries_of,
    lines_of,
    listed,
    narrowed,
)

__all__ = ["Document", "Grant", "Role", "Supplied", "World", "ceiling", "decide", "holders", "rights"]

EVERYONE, NOBODY = "everyone", "nobody"


@dataclass(frozen=True)
class Document:
    """A policy as its author wrote it, and who holds it: a principal, a group, everyone or nobody."""

    id: str
    holder: str
    language: str
    text: str


@dataclass(frozen=True)
class Role:
    """A role that people made: a document, a list of permissions, or other roles, perhaps on one type of resource."""

    id: str
    language: str
    text: str = ""
    permissions: tuple[str, ...] = ()
    includes: tuple[str, ...] = ()
    resource_type: str = ""
    boundary_kind: BoundaryKind = BoundaryKind.PROJECTS


@dataclass(frozen=True)
class Grant:
    """A holder has a role, one that is there no more perhaps, within a boundary."""

    id: str
    holder: str
    role: str
    language: str
    boundary: Boundary = WHOLE_ORGANIZATION


@dataclass(frozen=True)
class World:
    """One organization."""

    owner: str = ""
    parents: Mapping[str, str] = field(default_factory=dict)
    """Each group and the one above it; empty for none."""
    members: Mapping[str, frozenset[str]] = field(default_factory=dict)
    documents: tuple[Document, ...] = ()
    roles: Mapping[str, Role] = field(default_factory=dict)
    grants: tuple[Grant, ...] = ()
    supplied: SuppliedRoles = field(default_factory=dict)
    baseline: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """What everybody may do through a dialect; under "" on every way."""


def decide(
    world: World, principal: str, request: Request, projects: Iterable[str] = (), scopes: tuple[str, ...] = ()
) -> Answer:
    """Decide whether a principal may do what is asked; its credential may be lowered to some scopes."""
    limit = ceiling(scopes, world.supplied) if scopes else None
    return answer(rights(world, principal), request, projects, limit)


def rights(world: World, principal: str) -> Tree:
    """Return all that a principal holds, as one tree."""
    if principal == world.owner:
        # The owner may do everything, and nobody's deny locks it out.
        return Line("owner", False, lambda request, place: True)
    alternatives: list[Tree] = [_baseline(*each) for each in world.baseline.items()]
    for holder in sorted(holders(world, principal)):
        held = [(each.language, _of_document(each, world)) for each in world.documents if each.holder == holder]
        held += [(each.language, _of_grant(each, world)) for each in world.grants if each.holder == holder]
        for language in sorted({language for language, _ in held}):
            parts = tuple(tree for its, tree in held if its == language)
            alternatives.append(AllOf(parts) if language in ALL_MUST_ALLOW else AnyOf(parts))
    return AnyOf(tuple(alternatives))


def holders(world: World, principal: str) -> frozenset[str]:
    """Return whose sources count for a principal: its own, those of its groups and of all above, and everyone's."""
    found = {group for group, members in world.members.items() if principal in members}
    while True:
        above = {world.parents.get(group, "") for group in found} - found - {""}
        if not above:
            return frozenset({principal, EVERYONE, *found})
        found |= above


def _of_document(document: Document, world: World) -> Tree:
    entries = entries_of(document.language, json.loads(document.text))
    lines = [
        line
        for at, entry in enumerate(entries)
        for line in lines_of(document.language, f"{document.id}#{at}", entry, None, world.supplied)
    ]
    return AnyOf(tuple(lines))


def _of_grant(grant: Grant, world: World) -> Tree:
    """Return what a granted role says there. One that is gone, or may not be held there, allows nothing."""
    role = world.roles.get(grant.role)
    if role is None:
        return AnyOf(())
    lines: list[Line] = []
    for kind, said in _said(role, world):
        if kind == "listed" and role.language != "resource_roles":
            lines.append(listed(grant.id, said["permissions"], grant.boundary))
        else:
            lines.extend(lines_of(role.language, grant.id, said, grant.boundary, world.supplied))
    if not _may_be_held(role.boundary_kind, grant.boundary.kind) or grant.boundary.kind not in PLACES[role.language]:
        lines = [line for line in lines if line.deny]
    return AnyOf(tuple(lines))


def _may_be_held(wanted: BoundaryKind, given: BoundaryKind) -> bool:
    """A role for projects may be held more widely or by other parts; one for an owner's account nowhere else."""
    if wanted is given:
        return True
    if BoundaryKind.OWNER_ACCOUNT in (wanted, given):
        return False
    return given is BoundaryKind.ORGANIZATION or (wanted is BoundaryKind.PROJECTS)


def _said(role: Role, world: World) -> list[tuple[str, Entry]]:
    """Return what a role says, and the roles that it includes; on a type of resource what is left there."""
    found: list[tuple[str, Entry]] = []
    if role.text:
        found += [("entry", each) for each in entries_of(role.language, json.loads(role.text))]
    if role.permissions:
        found.append(("listed", {"permissions": role.permissions}))
    for each in role.includes:
        if each in world.roles:
            found += _said(world.roles[each], world)
    if not role.resource_type:
        return found
    kept = [(kind, _kept(entry, role.resource_type)) for kind, entry in found]
    return [(kind, entry) for kind, entry in kept if entry is not None]


def _kept(entry: Entry, resource_type: str) -> dict[str, Any] | None:
    """Return what is left of an entry on one type of resource; what is no permission has none."""
    kept = dict(entry)
    if "verb" in entry and "basePath" not in entry:
        permissions = [f"{kind}.{entry['verb']}" for kind in entry.get("resource_types", ["*.*"])]
        return {"permissions": left} if (left := narrowed(permissions, resource_type)) else None
    if "resource_type" in entry:
        return kept if entry["resource_type"] == resource_type else None
    what_is_left = denied_on if entry.get("effect") == "deny" else narrowed
    left = what_is_left(entry.get("permissions", ()), resource_type)
    if not left:
        return None
    kept["permissions"] = left
    kept.pop("operations", None)
    return kept


def _baseline(dialect: str, permissions: tuple[str, ...]) -> Line:
    return Line(
        f"baseline:{dialect or 'own'}",
        False,
        lambda request, place: (
            (dialect == "" or request.operation.startswith(dialect + "/"))
            and any(permission_matches(each, request.permission, False) for each in permissions)
        ),
    )


def ceiling(scopes: tuple[str, ...], supplied: SuppliedRoles) -> Line:
    """What a credential is lowered to: roles by name, permissions, operations. Anything else lets nothing through."""
    names = [name for scope in scopes for name in (supplied[scope].permissions if scope in supplied else (scope,))]
    operations = [name for name in names if "/" in name]
    permissions = [name for name in names if "/" not in name and ("." in name or name == "*")]

    def speaks(request: Request, place: str) -> bool:
        named = any(permission_matches(each, request.permission, "*" in permissions) for each in permissions)
        return named or operation_matches(operations, request, False)

    return Line("ceiling", False, speaks)


def without(world: World, *, document: str = "", grant: str = "") -> World:
    """Return the world without one document or grant."""
    return replace(
        world,
        documents=tuple(each for each in world.documents if each.id != document),
        grants=tuple(each for each in world.grants if each.id != grant),
    )
