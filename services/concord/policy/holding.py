"""From a role that somebody holds within a boundary to a policy that decides.

A role's own statements say nothing of places: they hold where the role is held.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from concord.kernel.ids import RoleId
from concord.policy import engine
from concord.policy.languages import SourceStatement, get_language
from concord.policy.languages.resource_roles import denied_on, narrowed
from concord.policy.model import Boundary, BoundaryKind, Grant, Role, RoleKind
from concord.policy.reading import find_role, place_of, source_of, supplied_roles

Roles = Mapping[RoleId, Role]


def compile_grant(grant: Grant, roles: Roles) -> engine.Policy:
    """Return what a grant says. `roles` are those that people made: the granted one and all it includes.

    A role that is gone, or may not be held in this place, grants nothing; it still counts where all
    roles of a holder must allow.
    """
    role = supplied_roles().get(grant.role_id) or roles.get(grant.role_id)
    if role is None:
        return engine.Policy(grant.id, ())
    sources = role_sources(role, roles)
    if not role.fits(grant.boundary):
        sources = _denies(sources)
    language, place = get_language(grant.role_language), place_of(grant.boundary)
    named: list[SourceStatement] = []
    direct: list[SourceStatement] = []
    for source in sources:
        there = replace(source, boundary=place)
        if source.effect is engine.Effect.ALLOW and _is_out_of_place(grant.role_language, source, grant.boundary):
            continue
        (direct if _is_direct(grant.role_language, source) else named).append(there)
    compiled = language.compile(grant.id, named, find_role).statements
    listed = (engine.Statement(id=each.id, permissions=each.permissions) for each in direct)
    statements = (*compiled, *listed)
    if place != engine.WHOLE_ORGANIZATION:
        # Whatever the language makes of a boundary, nothing holds beyond it. What holds everywhere it may narrow.
        statements = tuple(replace(each, boundary=place) for each in statements)
    return engine.Policy(grant.id, statements)


def role_sources(role: Role, roles: Roles) -> tuple[SourceStatement, ...]:
    """Return all that a role says, what it includes with it. Nothing is said twice, and a circle ends."""
    found: dict[SourceStatement, None] = {}
    _collect(role, roles, "", set(), found)
    return tuple(found)


def misplaced(role: Role, roles: Roles, boundary: Boundary) -> bool:
    """Tell whether a role may not be held within a boundary: by its own word, or by its language."""
    if not role.fits(boundary):
        return True
    return any(_is_out_of_place(role.language, each, boundary) for each in role_sources(role, roles))


def _collect(
    role: Role, roles: Roles, resource_type: str, seen: set[tuple[RoleId, str]], found: dict[SourceStatement, None]
) -> None:
    # There may be very many ways down to one role; one of them is enough.
    if (role.id, resource_type) in seen:
        return
    seen.add((role.id, resource_type))
    sources = [source_of(each) for each in role.statements]
    if role.permissions:
        sources.append(SourceStatement(id=role.id, permissions=role.permissions))
    for source in sources:
        kept = _held_to(source, resource_type) if resource_type else source
        if kept is not None:
            found[kept] = None
    if role.kind is RoleKind.NARROWED:
        if resource_type not in ("", role.resource_type_id):
            # Two types of resource have nothing in common.
            return
        resource_type = role.resource_type_id
    for each in role.included_role_ids:
        included = supplied_roles().get(each) or roles.get(each)
        if included is not None:
            _collect(included, roles, resource_type, seen, found)


def _held_to(source: SourceStatement, resource_type: str) -> SourceStatement | None:
    """Return what is left of a statement on one type of resource. What is no permission has none."""
    if source.effect is engine.Effect.DENY and (source.operations or source.endpoints):
        # Nothing here could tell what to leave of it, and a deny must not get lost.
        return source
    left = denied_on if source.effect is engine.Effect.DENY else narrowed
    permissions = left(source.permissions, resource_type)
    return replace(source, permissions=permissions, operations=(), endpoints=()) if permissions else None


def _is_direct(language: str, source: SourceStatement) -> bool:
    """Tell whether a list of permissions means only itself, because the language knows of none."""
    plain = SourceStatement(id=source.id, permissions=source.permissions)
    return source.permissions != () and source == plain and bool(get_language(language).faults([source], find_role))


def _is_out_of_place(language: str, source: SourceStatement, boundary: Boundary) -> bool:
    """Tell whether the language would not let this be said of that place."""
    if boundary.kind is BoundaryKind.ORGANIZATION:
        return False
    faults = get_language(language).faults
    there = replace(source, boundary=place_of(boundary))
    return len(faults([there], find_role)) > len(faults([source], find_role))


def _denies(sources: Iterable[SourceStatement]) -> tuple[SourceStatement, ...]:
    return tuple(each for each in sources if each.effect is engine.Effect.DENY)
