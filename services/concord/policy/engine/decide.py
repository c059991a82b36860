"""The decision: a pure function of a program and a request."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from time import perf_counter
from typing import Any

from concord.policy.engine.combine import Compiled, Program
from concord.policy.engine.condition import Outcome, facts, in_network
from concord.policy.engine.model import (
    EVERYWHERE,
    NOWHERE,
    Boundary,
    BoundaryKind,
    Combine,
    Decision,
    FailedCondition,
    Reach,
    Request,
)

# All conditions of one decision together. What comes later is an error: it never allows and never lifts a deny.
_CONDITION_SECONDS = 0.1


class Step(Enum):
    """How far a statement came: the first thing that did not match, or that it did."""

    ACTION = "action"
    DIALECT = "dialect"
    BOUNDARY = "boundary"
    NETWORK = "network"
    PARAMETERS = "parameters"
    ENDPOINT = "endpoint"
    CONDITION = "condition"
    MATCHED = "matched"


@dataclass(frozen=True, slots=True)
class Looked:
    """One statement as `explain` saw it."""

    statement_id: str
    deny: bool
    step: Step
    condition_error: str = ""


@dataclass(frozen=True, slots=True)
class Explanation:
    """The decision and every statement that was looked at."""

    decision: Decision
    statements: tuple[Looked, ...]


def decide(program: Program, request: Request, ceiling: Program | None = None) -> Decision:
    """Decide a request. A ceiling can only take away from what the program allows."""
    decision = _Run(program, request).decision()
    if ceiling is None or not decision.allowed:
        return decision
    return _lowered(decision, _Run(ceiling, request).decision(), request)


def explain(program: Program, request: Request, ceiling: Program | None = None) -> Explanation:
    """Decide by running the same program, and tell of every statement how far it came."""
    looked = list(_looked_at(program, request))
    if ceiling is not None:
        looked.extend(_looked_at(ceiling, request))
    return Explanation(decide(program, request, ceiling), tuple(looked))


def _lowered(decision: Decision, limit: Decision, request: Request) -> Decision:
    reach = decision.reach.intersection(limit.reach)
    failed = (*decision.failed_conditions, *limit.failed_conditions)
    if not limit.allowed or (request.anywhere and reach.is_empty):
        return Decision(False, NOWHERE, limit.statement_ids, failed, decision.revision)
    statement_ids = (*decision.statement_ids, *limit.statement_ids)
    return Decision(True, reach, statement_ids, failed, decision.revision)


def _looked_at(program: Program, request: Request) -> Iterable[Looked]:
    run = _Run(program, request)
    candidates = set(program.candidates(request))
    for number, compiled in enumerate(program.statements):
        step = run.step(compiled) if number in candidates else Step.ACTION
        error = run.failed[-1].error if step is Step.CONDITION else ""
        yield Looked(compiled.statement.id, compiled.deny, step, error)


class _Run:
    """One pass over one program; holds what is worked out at most once for a request."""

    __slots__ = ("_facts", "_spent", "failed", "program", "request")

    def __init__(self, program: Program, request: Request) -> None:
        self.program = program
        self.request = request
        self.failed: list[FailedCondition] = []
        self._facts: dict[str, Any] | None = None
        self._spent = 0.0

    def decision(self) -> Decision:
        """Denies first, over the whole program; then the allows, as the sources combine them."""
        program, request = self.program, self.request
        statements = program.statements
        denied, denying = NOWHERE, []
        matched: list[Compiled] = []
        for number in program.candidates(request):
            compiled = statements[number]
            if self.step(compiled) is not Step.MATCHED:
                continue
            extent = compiled.extent if request.anywhere else EVERYWHERE
            if compiled.deny:
                denying.append(compiled.statement.id)
                denied = denied.union(extent)
                if denied == EVERYWHERE:
                    return self._refused(denying)
            else:
                matched.append(compiled)
                if program.is_flat and extent is EVERYWHERE:
                    break
        if not matched:
            return self._refused(())
        reach, allowing = self._flat(matched) if program.is_flat else self._combined(matched)
        reach = reach.minus(denied) if denying else reach
        if reach.is_empty:
            return self._refused(denying if allowing else ())
        if request.project_id and not request.anywhere:
            reach = Reach(project_ids=frozenset({request.project_id}))
        return Decision(True, reach, allowing, tuple(self.failed), program.revision)

    def _refused(self, statement_ids: Iterable[str]) -> Decision:
        return Decision(False, NOWHERE, tuple(statement_ids), tuple(self.failed), self.program.revision)

    def _flat(self, matched: list[Compiled]) -> tuple[Reach, tuple[str, ...]]:
        if len(matched) == 1:
            compiled = matched[0]
            return (compiled.extent if self.request.anywhere else EVERYWHERE), (compiled.statement.id,)
        reach = NOWHERE
        for compiled in matched:
            reach = reach.union(compiled.extent if self.request.anywhere else EVERYWHERE)
        return reach, tuple(compiled.statement.id for compiled in matched)

    def _combined(self, matched: list[Compiled]) -> tuple[Reach, tuple[str, ...]]:
        """Carry the matches up the tree; only nodes above a match are ever visited."""
        nodes = self.program.nodes
        answers: dict[int, list[tuple[Reach, tuple[str, ...]]]] = {}
        for compiled in matched:
            extent = compiled.extent if self.request.anywhere else EVERYWHERE
            answers.setdefault(compiled.node, []).append((extent, (compiled.statement.id,)))
        # Children are numbered above their parents, so the highest number is always ready.
        while answers:
            number = max(answers)
            node, below = nodes[number], answers.pop(number)
            if node.combine is Combine.ALL_OF and len(below) < node.arity:
                continue
            reach = below[0][0]
            for other, _ in below[1:]:
                reach = reach.intersection(other) if node.combine is Combine.ALL_OF else reach.union(other)
            answer = reach, tuple(statement_id for _, ids in below for statement_id in ids)
            if number == 0:
                return answer
            if not reach.is_empty:
                answers.setdefault(node.parent, []).append(answer)
        return NOWHERE, ()

    def step(self, compiled: Compiled) -> Step:
        """Return the first thing of a statement that does not match; its actions are known to."""
        request, statement = self.request, compiled.statement
        if compiled.extent is not EVERYWHERE and not self._asked_within(compiled.extent):
            return Step.BOUNDARY
        if compiled.plain:
            return Step.MATCHED
        unknown = compiled.deny
        if statement.dialect and statement.dialect != request.dialect:
            return Step.DIALECT
        if not _within(statement.boundary, request, unknown):
            return Step.BOUNDARY
        if statement.source_networks and not _from_network(statement.source_networks, request, unknown):
            return Step.NETWORK
        if statement.parameters and not _has_parameters(statement.parameters, request, unknown):
            return Step.PARAMETERS
        if compiled.denied_endpoints is not None and compiled.denied_endpoints.match(
            request.context.method, request.context.path, unknown=not unknown
        ):
            return Step.ENDPOINT
        if compiled.condition is not None and not self._holds(compiled):
            return Step.CONDITION
        return Step.MATCHED

    def _asked_within(self, extent: Reach) -> bool:
        if self.request.anywhere:
            return not extent.is_empty
        # A question about the organization as a whole is not answered by rights in some projects.
        return bool(self.request.project_id) and extent.holds_in(self.request.project_id)

    def _holds(self, compiled: Compiled) -> bool:
        if compiled.condition is None:
            return True
        if self._facts is None:
            self._facts = facts(self.request)
        if self._spent > _CONDITION_SECONDS:
            outcome, error = Outcome.ERROR, "the conditions before it took too long"
        else:
            began = perf_counter()
            outcome, error = compiled.condition.evaluate(self._facts)
            self._spent += perf_counter() - began
        if outcome is not Outcome.TRUE:
            self.failed.append(FailedCondition(compiled.statement.id, error))
        # An error is no reason to allow and none to lift a deny.
        return outcome is Outcome.TRUE or (outcome is Outcome.ERROR and compiled.deny)


def _within(boundary: Boundary, request: Request, unknown: bool) -> bool:
    if boundary.organization_id and boundary.organization_id != request.organization_id:
        return unknown and not request.organization_id
    resource = request.resource
    if boundary.kind is BoundaryKind.GROUP_SUBTREE:
        return unknown if resource.group_ids is None else boundary.group_id in resource.group_ids
    if boundary.kind is BoundaryKind.OWN_DIVISIONS:
        mine, its = request.subject.division_ids, resource.division_ids
        return unknown if mine is None or its is None else not mine.isdisjoint(its)
    if boundary.kind is BoundaryKind.OWNER_ACCOUNT:
        owner = resource.owner_user_id
        return unknown if owner is None else bool(owner) and owner == boundary.owner_user_id
    return True


def _from_network(networks: tuple[str, ...], request: Request, unknown: bool) -> bool:
    for network in networks:
        try:
            if in_network(request.context.ip, network):
                return True
        except ValueError:
            if unknown:
                return True
    return False


def _has_parameters(parameters: tuple[tuple[str, str], ...], request: Request, unknown: bool) -> bool:
    attributes = request.context.attributes
    for name, value in parameters:
        if name not in attributes:
            if not unknown:
                return False
        elif attributes[name] != value:
            return False
    return True
