"""What a decision is, in the plainest words: no index, no cache, nothing clever.

The engine must agree with this file on every world. Where a rule of the decision
changes, it changes here first.
"""

import ipaddress
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from concord.policy.engine.model import (
    BoundaryKind,
    Combine,
    Effect,
    Policy,
    PolicySet,
    Request,
    Statement,
)
from concord.policy.languages import RoleView, SourceStatement

# What a condition says about a request: true, false, or (None) that it cannot be answered.
Conditions = Mapping[str, Callable[[Request], bool | None]]
CORE = ("identity", "credentials", "groups", "policy", "audit")


@dataclass(frozen=True)
class Source:
    """A policy as its author wrote it, and who holds it."""

    holder: str
    language: str
    statements: tuple[SourceStatement, ...]


@dataclass(frozen=True)
class Answer:
    """Whether, and in which of the named projects and in any other one."""

    allowed: bool
    projects: frozenset[str]
    elsewhere: bool


def sources_as_one(sources: Iterable[Source], roles: Mapping[str, RoleView]) -> PolicySet:
    """Both languages are unions, for one holder and over all of them, so one flat list says it all."""
    statements = []
    for number, source in enumerate(sources):
        for position, written in enumerate(source.statements):
            if source.language == "role_rules":
                known = [roles[name] for name in written.role_names if name in roles]
                permissions = tuple(p for role in known for p in role.permissions)
            else:
                permissions = written.permissions
            statements.append(
                Statement(
                    id=f"{number}#{position}",
                    effect=written.effect,
                    permissions=permissions,
                    operations=written.operations,
                    boundary=written.boundary,
                    condition=written.condition,
                )
            )
    return PolicySet(Combine.ANY_OF, (Policy("all", tuple(statements)),))


def answer(
    sources: PolicySet,
    request: Request,
    conditions: Conditions,
    projects: Iterable[str] = (),
    ceiling: PolicySet | None = None,
) -> Answer:
    """Decide a request; for a question of where, try every project that anybody names, and one nobody does."""

    def permitted(place: str) -> bool:
        return allowed_at(sources, request, conditions, place) and (
            ceiling is None or allowed_at(ceiling, request, conditions, place)
        )

    if not request.anywhere:
        allowed = permitted(request.project_id)
        return Answer(allowed, frozenset({request.project_id} - {""}) if allowed else frozenset(), False)
    inside = frozenset(project for project in projects if permitted(project))
    elsewhere = permitted("a project that nobody has named")
    return Answer(bool(inside) or elsewhere, inside, elsewhere)


def allowed_at(sources: PolicySet, request: Request, conditions: Conditions, place: str) -> bool:
    """Any deny refuses; otherwise the allows decide as they are combined. An empty place is the organization."""
    if any(
        matches(statement, request, conditions, place)
        for statement in every_statement(sources)
        if statement.effect is Effect.DENY
    ):
        return False
    return allows(sources, request, conditions, place)


def allows(node: PolicySet | Policy, request: Request, conditions: Conditions, place: str) -> bool:
    """Whether the allows below a node say yes. All of nothing is no."""
    if isinstance(node, Policy):
        return any(
            matches(statement, request, conditions, place)
            for statement in node.statements
            if statement.effect is Effect.ALLOW
        )
    answers = [allows(child, request, conditions, place) for child in node.children]
    if node.combine is Combine.ALL_OF:
        return bool(answers) and all(answers)
    return any(answers)


def every_statement(node: PolicySet | Policy) -> list[Statement]:
    """Return the statements of a tree."""
    if isinstance(node, Policy):
        return list(node.statements)
    return [statement for child in node.children for statement in every_statement(child)]


def matches(statement: Statement, request: Request, conditions: Conditions, place: str) -> bool:
    """Whether a statement speaks about this request. What is unknown speaks for a deny and against an allow."""
    deny = statement.effect is Effect.DENY
    return (
        action_matches(statement, request, deny)
        and (not statement.dialect or request.operation.startswith(statement.dialect + "/"))
        and boundary_holds(statement, request, deny, place)
        and network_holds(statement, request, deny)
        and all(
            request.context.attributes.get(name) == value if name in request.context.attributes else deny
            for name, value in statement.parameters
        )
        and condition_holds(statement, request, conditions, deny)
    )


def action_matches(statement: Statement, request: Request, deny: bool) -> bool:
    """Permissions by name; operations by what covers the call or, for a deny, touches it."""
    every_class = deny or statement.every_class
    if any(permission_matches(pattern, request.permission, every_class) for pattern in statement.permissions):
        return True
    operations = [request.operation] if request.operation else []
    operations += list(request.covering)
    if deny:
        operations += list(request.touching)
    return any(glob_matches(glob, name) for glob in statement.operations for name in operations)


def permission_matches(pattern: str, permission: str, every_class: bool) -> bool:
    """A star stands for one segment, or alone for all; the classes of target follow from the plain permission."""
    if pattern == "*":
        pattern = "*.*.*"
    named = pattern.split(".")
    asked = permission.split(".")
    if len(asked) != 3 or len(named) != 3:
        return pattern in (permission, "*.*.*")
    if named[0] not in ("*", asked[0]) or named[2] not in ("*", asked[2]):
        return False
    if named[1] == asked[1]:
        return True
    classed = asked[0] in CORE
    beyond = classed and asked[1].startswith(("owner_", "default_"))
    if named[1] == "*":
        return every_class or not beyond
    if not classed or named[1].startswith(("own_", "owner_", "default_")):
        return False
    classes = ("own_", "owner_", "default_") if every_class else ("own_",)
    return asked[1] in [prefix + named[1] for prefix in classes]


def glob_matches(glob: str, text: str) -> bool:
    """A star stands for any characters."""
    if not glob:
        return not text
    if glob[0] == "*":
        return any(glob_matches(glob[1:], text[start:]) for start in range(len(text) + 1))
    return bool(text) and text[0] == glob[0] and glob_matches(glob[1:], text[1:])


def boundary_holds(statement: Statement, request: Request, deny: bool, place: str) -> bool:
    """Whether the place asked about, or the resource, lies within the statement's boundary."""
    boundary, resource = statement.boundary, request.resource
    if boundary.organization_id and boundary.organization_id != request.organization_id:
        return deny and not request.organization_id
    if boundary.kind is BoundaryKind.PROJECTS:
        return place in boundary.project_ids
    if boundary.kind is BoundaryKind.GROUP_SUBTREE:
        return deny if resource.group_ids is None else boundary.group_id in resource.group_ids
    if boundary.kind is BoundaryKind.OWN_DIVISIONS:
        if request.subject.division_ids is None or resource.division_ids is None:
            return deny
        return bool(request.subject.division_ids & resource.division_ids)
    if boundary.kind is BoundaryKind.OWNER_ACCOUNT:
        if resource.owner_user_id is None:
            return deny
        return resource.owner_user_id != "" and resource.owner_user_id == boundary.owner_user_id
    return True


def network_holds(statement: Statement, request: Request, deny: bool) -> bool:
    """Whether the caller comes from one of the networks, if there are any."""
    if not statement.source_networks:
        return True
    if not request.context.ip:
        return deny
    address = ipaddress.ip_address(request.context.ip)
    return any(address in ipaddress.ip_network(network, strict=False) for network in statement.source_networks)


def condition_holds(statement: Statement, request: Request, conditions: Conditions, deny: bool) -> bool:
    """A condition that cannot be answered does not allow, and does not lift a deny."""
    if not statement.condition:
        return True
    said = conditions[statement.condition](request)
    return deny if said is None else said
