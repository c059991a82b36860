"""Turns sources into a program: indexed once when policies change, so that asking is cheap."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from concord.policy.engine.condition import Condition, compile_condition
from concord.policy.engine.match import Endpoints, Globs, pattern_keys, permission_keys
from concord.policy.engine.model import (
    EVERYWHERE,
    BoundaryKind,
    Combine,
    Effect,
    Policy,
    PolicySet,
    Reach,
    Request,
    Statement,
)

OWNER_STATEMENT_ID = "owner"
CEILING_STATEMENT_ID = "ceiling"


@dataclass(frozen=True, slots=True)
class Node:
    """One policy or set in the tree; `parent` is -1 for the root. A child's number is above its parent's."""

    parent: int
    combine: Combine
    arity: int


@dataclass(frozen=True, slots=True)
class Compiled:
    """A statement made ready: what is asked of it does not have to be parsed again."""

    statement: Statement
    node: int
    deny: bool
    condition: Condition | None
    extent: Reach
    endpoints: Endpoints | None
    denied_endpoints: Endpoints | None
    plain: bool
    """Whether nothing but the action and the organization or projects narrows it."""


class Program:
    """What one subject may do, compiled. Immutable; subjects with the same sources share it."""

    def __init__(self, statements: Sequence[Compiled], nodes: Sequence[Node], revision: str) -> None:
        self.statements = tuple(statements)
        self.nodes = tuple(nodes)
        self.revision = revision
        # Without an all_of every allow stands for itself and the tree need not be walked.
        self.is_flat = not any(node.combine is Combine.ALL_OF for node in nodes)
        self._by_permission: dict[str, tuple[int, ...]] = _index(
            (key, number)
            for number, compiled in enumerate(self.statements)
            for pattern in compiled.statement.permissions
            for key in pattern_keys(pattern, deny=compiled.deny, every_class=compiled.statement.every_class)
        )
        operations = [(o, number) for number, c in enumerate(self.statements) for o in c.statement.operations]
        self._by_operation = _index((name, number) for name, number in operations if "*" not in name)
        self._operation_globs = Globs([(name, number) for name, number in operations if "*" in name])
        self._with_operations = bool(operations)
        self._with_endpoints = tuple(n for n, c in enumerate(self.statements) if c.endpoints is not None)

    def candidates(self, request: Request) -> Sequence[int]:
        """Return the numbers of the statements whose actions fit: denies first, unconditional ones before others."""
        by_permission = self._by_permission
        found: set[int] = set()
        for key in permission_keys(request.permission):
            numbers = by_permission.get(key)
            if numbers is not None:
                found.update(numbers)
        if self._with_operations:
            self._add_by_operation(request, found)
        for number in self._with_endpoints:
            if number not in found and self._endpoint_fits(number, request):
                found.add(number)
        return sorted(found) if len(found) > 1 else tuple(found)

    def _add_by_operation(self, request: Request, found: set[int]) -> None:
        # An allow needs an operation that covers the whole call; a deny needs only to touch it.
        claimed = (request.operation,) if request.operation else ()
        covering = (*claimed, *request.covering) if request.operation_stands else request.covering
        for name in covering:
            found.update(self._by_operation.get(name, ()))
            found.update(self._operation_globs.owners(name))
        for name in (*claimed, *request.touching):
            touched = (*self._by_operation.get(name, ()), *self._operation_globs.owners(name))
            found.update(number for number in touched if self.statements[number].deny)

    def _endpoint_fits(self, number: int, request: Request) -> bool:
        compiled = self.statements[number]
        context = request.context
        return compiled.endpoints is not None and compiled.endpoints.match(
            context.method, context.path, unknown=compiled.deny
        )


def compile_program(sources: PolicySet, revision: str = "") -> Program:
    """Compile the sources of one subject."""
    nodes: list[Node] = []
    compiled: list[Compiled] = []
    _walk(sources, -1, nodes, compiled)
    compiled.sort(key=lambda c: (not c.deny, c.condition is not None, c.statement.id))
    return Program(compiled, nodes, revision)


def owner_program(revision: str = "") -> Program:
    """Return the program of an organization's owner: one statement and nothing else.

    No other source is mixed in, so that no deny of somebody else locks the owner out.
    """
    statement = Statement(OWNER_STATEMENT_ID, permissions=("*",), every_class=True)
    return compile_program(PolicySet(Combine.ANY_OF, (Policy(OWNER_STATEMENT_ID, (statement,)),)), revision)


def ceiling_program(patterns: Iterable[str]) -> Program:
    """Return the program of a credential's limit: permission patterns, or with a slash operation patterns.

    A limit of nothing allows nothing; callers leave the ceiling out where a credential has none.
    """
    texts = tuple(patterns)
    statement = Statement(
        CEILING_STATEMENT_ID,
        permissions=tuple(text for text in texts if "/" not in text),
        operations=tuple(text for text in texts if "/" in text),
        every_class="*" in texts,
    )
    return compile_program(PolicySet(Combine.ANY_OF, (Policy(CEILING_STATEMENT_ID, (statement,)),)))


def _walk(source: PolicySet | Policy, parent: int, nodes: list[Node], compiled: list[Compiled]) -> None:
    number = len(nodes)
    if isinstance(source, Policy):
        nodes.append(Node(parent, Combine.ANY_OF, len(source.statements)))
        compiled.extend(_compile(statement, number) for statement in source.statements)
        return
    nodes.append(Node(parent, source.combine, len(source.children)))
    for child in source.children:
        _walk(child, number, nodes, compiled)


def _compile(statement: Statement, node: int) -> Compiled:
    boundary = statement.boundary
    by_projects = boundary.kind is BoundaryKind.PROJECTS
    condition = compile_condition(statement.condition) if statement.condition else None
    narrowing = (
        condition,
        statement.denied_endpoints,
        statement.source_networks,
        statement.parameters,
        statement.dialect,
        boundary.organization_id,
    )
    simple_boundary = by_projects or boundary.kind is BoundaryKind.ORGANIZATION
    return Compiled(
        statement=statement,
        node=node,
        deny=statement.effect is Effect.DENY,
        condition=condition,
        extent=Reach(project_ids=boundary.project_ids) if by_projects else EVERYWHERE,
        endpoints=Endpoints(statement.endpoints) if statement.endpoints else None,
        denied_endpoints=Endpoints(statement.denied_endpoints) if statement.denied_endpoints else None,
        plain=simple_boundary and not any(narrowing),
    )


def _index(pairs: Iterable[tuple[str, int]]) -> dict[str, tuple[int, ...]]:
    collected: dict[str, set[int]] = {}
    for key, number in pairs:
        collected.setdefault(key, set()).add(number)
    return {key: tuple(sorted(numbers)) for key, numbers in collected.items()}
