"""Turns sources into a program: indexed once when policies change, so that asking is cheap."""

from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from heapq import merge
from typing import Final, cast

from concord.policy.engine.condition import Condition, compile_condition
from concord.policy.engine.endpoints import Endpoints
from concord.policy.engine.index import ActionIndex, Narrowed, merged
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
from concord.policy.engine.networks import Networks

OWNER_STATEMENT_ID = "owner"
CEILING_STATEMENT_ID = "ceiling"
# Sorted at once, and compiled between two chances to let others have their turn.
_RUN: Final = 2048
_STRIDE: Final = 64


@dataclass(frozen=True, slots=True)
class Node:
    """One policy or set in the tree; `parent` is -1 for the root. A child's number is above its parent's."""

    parent: int
    combine: Combine
    arity: int


@dataclass(frozen=True, slots=True)
class Compiled:
    """A statement made ready: what is asked of it does not have to be parsed again."""

    id: str
    statement: Statement
    node: int
    deny: bool
    condition: Condition | None
    extent: Reach
    networks: Networks | None
    denied_endpoints: Endpoints | None
    plain: bool
    """Whether nothing but the action and the organization or projects narrows it."""
    certain: bool
    """Whether nothing but the action narrows it."""


class Program:
    """What one subject may do, compiled. Immutable; subjects with the same sources share it."""

    __slots__ = (
        "_index",
        "_names",
        "is_flat",
        "looks_at_context",
        "looks_at_names",
        "looks_at_operations",
        "nodes",
        "revision",
        "statements",
        "suffices",
        "weight",
    )

    def __init__(
        self, statements: Sequence[Compiled], nodes: Sequence[Node], revision: str, index: ActionIndex, looks: "Looks"
    ) -> None:
        self.statements = tuple(statements)
        self.nodes = tuple(nodes)
        self.revision = revision
        self._index = index
        self._names = index.names
        # Without an all_of above it an allow stands for itself, and the tree need not be walked.
        suffices: list[bool] = []
        for node in self.nodes:
            suffices.append(node.combine is not Combine.ALL_OF and (node.parent < 0 or suffices[node.parent]))
        self.suffices = tuple(suffices)
        self.is_flat = all(suffices)
        self.looks_at_operations = looks.operations
        self.looks_at_context = looks.context
        self.looks_at_names = looks.names
        self.weight = looks.weight

    def candidates(self, request: Request) -> Iterable[int]:
        """Return the numbers of the statements whose actions fit: denies first, unconditional ones before others."""
        buckets = self._index.find(request)
        return merged([bucket.all if isinstance(bucket, Narrowed) else bucket for bucket in buckets])

    def relevant(self, request: Request) -> Iterable[int]:
        """Return the candidates, less some that cannot match for their place or the caller's address."""
        if self._names is not None:
            return self._names(request.permission, ())
        buckets = self._index.find(request)
        if not self._index.is_narrowed:
            return merged(cast("list[tuple[int, ...]]", buckets))
        found: list[Sequence[int]] = []
        for bucket in buckets:
            found.extend(bucket.buckets(request) if isinstance(bucket, Narrowed) else (bucket,))
        return merged(found)


@dataclass(slots=True)
class Looks:
    """What a program's statements may look at, beside permission and boundary, and what keeping them takes."""

    operations: bool = False
    context: bool = False
    names: bool = False
    weight: int = 0
    """In plain statements, each of less than a kilobyte."""

    def note(self, statement: Statement) -> None:
        """Add what one statement looks at."""
        lists = (statement.permissions, statement.operations, statement.endpoints, statement.denied_endpoints)
        further = sum(map(len, (*lists, statement.source_networks, statement.boundary.project_ids)))
        self.weight += 1 + further // 4 + len(statement.condition) // 16
        self.operations = self.operations or bool(statement.operations)
        self.names = self.names or "name" in statement.condition
        self.context = self.context or bool(
            statement.condition
            or statement.source_networks
            or statement.parameters
            or statement.endpoints
            or statement.denied_endpoints
            or statement.path_class
            or statement.boundary.kind not in (BoundaryKind.ORGANIZATION, BoundaryKind.PROJECTS)
        )


def compile_program(sources: PolicySet, revision: str = "") -> Program:
    """Compile the sources of one subject."""
    return run_steps(compile_steps(sources, revision))


def run_steps(steps: Generator[None, None, Program]) -> Program:
    """Take all steps at once and return what comes of them."""
    while True:
        try:
            next(steps)
        except StopIteration as done:
            return cast(Program, done.value)


def compile_steps(sources: PolicySet, revision: str = "") -> Generator[None, None, Program]:
    """Compile the sources of one subject in steps of a few milliseconds at most; the last returns the program."""
    nodes: list[Node] = []
    runs: list[list[Compiled]] = [[]]
    looks = Looks()
    for statement, node in _walk(sources, -1, nodes):
        if len(runs[-1]) >= _RUN:
            runs[-1].sort(key=_order)
            runs.append([])
        runs[-1].append(_compile(statement, node))
        looks.note(statement)
        if statement.condition or len(runs[-1]) % _STRIDE == 0:
            yield
    runs[-1].sort(key=_order)
    compiled: list[Compiled] = []
    for each in merge(*runs, key=_order):
        compiled.append(each)
        if len(compiled) % _STRIDE == 0:
            yield
    index = ActionIndex()
    yield from index.steps([each.statement for each in compiled])
    return Program(compiled, nodes, revision, index, looks)


def _order(compiled: Compiled) -> tuple[bool, bool, str]:
    # By name in the end, so that the order in which sources come changes nothing.
    return not compiled.deny, compiled.condition is not None, compiled.statement.id


def owner_program(revision: str = "") -> Program:
    """Return the program of an organization's owner: one statement and nothing else.

    No other source is mixed in, so that no deny of somebody else locks the owner out.
    """
    statement = Statement(OWNER_STATEMENT_ID, permissions=("*",), every_class=True)
    return compile_program(PolicySet(Combine.ANY_OF, (Policy(OWNER_STATEMENT_ID, (statement,)),)), revision)


def ceiling_program(patterns: Iterable[str], further: Iterable[Statement] = ()) -> Program:
    """Return the program of a credential's limit: permission patterns, or with a slash operation patterns.

    A limit of nothing allows nothing; callers leave the ceiling out where a credential has none. `further` lets
    through what no pattern can say: the paths of scopes.
    """
    texts = tuple(patterns)
    statement = Statement(
        CEILING_STATEMENT_ID,
        permissions=tuple(text for text in texts if "/" not in text),
        operations=tuple(text for text in texts if "/" in text),
        every_class="*" in texts,
    )
    return compile_program(PolicySet(Combine.ANY_OF, (Policy(CEILING_STATEMENT_ID, (statement, *further)),)))


def _walk(source: PolicySet | Policy, parent: int, nodes: list[Node]) -> Iterator[tuple[Statement, int]]:
    number = len(nodes)
    if isinstance(source, Policy):
        nodes.append(Node(parent, Combine.ANY_OF, len(source.statements)))
        for statement in source.statements:
            yield statement, number
        return
    nodes.append(Node(parent, source.combine, len(source.children)))
    for child in source.children:
        yield from _walk(child, number, nodes)


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
        statement.path_class,
        boundary.organization_id,
    )
    simple_boundary = by_projects or boundary.kind is BoundaryKind.ORGANIZATION
    plain = simple_boundary and not any(narrowing)
    return Compiled(
        id=statement.id,
        statement=statement,
        node=node,
        deny=statement.effect is Effect.DENY,
        condition=condition,
        extent=Reach(project_ids=boundary.project_ids) if by_projects else EVERYWHERE,
        networks=Networks(statement.source_networks) if statement.source_networks else None,
        denied_endpoints=(
            Endpoints(statement.denied_endpoints, statement.base_paths) if statement.denied_endpoints else None
        ),
        plain=plain,
        certain=plain and not by_projects,
    )
