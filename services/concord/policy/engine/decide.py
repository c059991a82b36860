"""The decision: a pure function of a program and a request."""

from collections.abc import Iterable, Sequence
from enum import Enum
from functools import reduce
from heapq import heapify, heappop, heappush
from time import perf_counter, thread_time
from typing import Final

from concord.policy.engine.combine import Compiled, Program
from concord.policy.engine.condition import Condition, Outcome, Seen, facts, see
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
from concord.policy.engine.networks import Networks, find_address

# All conditions of one decision together. What comes later is an error: it never allows and never lifts a deny.
CONDITIONS_SECONDS: Final = 0.05


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


def decide(program: Program, request: Request, ceiling: Program | None = None) -> Decision:
    """Decide a request. A ceiling can only take away from what the program allows."""
    decision = Run(program, request).decision()
    if ceiling is None or not decision.allowed:
        return decision
    return _lowered(decision, Run(ceiling, request).decision(), request)


def _lowered(decision: Decision, limit: Decision, request: Request) -> Decision:
    reach = decision.reach.intersection(limit.reach)
    failed = (*decision.failed_conditions, *limit.failed_conditions)
    if not limit.allowed or (request.anywhere and reach.is_empty):
        return Decision(False, NOWHERE, limit.statement_ids, failed, decision.revision)
    statement_ids = (*decision.statement_ids, *limit.statement_ids)
    return Decision(True, reach, statement_ids, failed, decision.revision)


class Run:
    """One pass over one program; holds what is worked out at most once for a request."""

    __slots__ = ("_began", "_outcomes", "_seen", "_spent", "failed", "program", "request")

    def __init__(self, program: Program, request: Request) -> None:
        self.program = program
        self.request = request
        self.failed: list[FailedCondition] = []
        self._seen: Seen | None = None
        self._spent = 0.0
        self._began = 0.0
        self._outcomes: dict[int, tuple[Outcome, str]] | None = None

    def decision(self) -> Decision:
        """Denies first, over the whole program; then the allows, as the sources combine them."""
        program, request = self.program, self.request
        statements, flat, suffices, anywhere = program.statements, program.is_flat, program.suffices, request.anywhere
        denied: list[Reach] = []
        denying: list[str] = []
        matched: list[Compiled] = []
        # Policies below an all_of of which one statement holds everywhere: more of theirs add nothing.
        settled: set[int] = set()
        for number in program.relevant(request):
            compiled = statements[number]
            if settled and compiled.node in settled and not compiled.deny:
                continue
            if not compiled.certain and self.step(compiled) is not Step.MATCHED:
                continue
            extent = compiled.extent if anywhere else EVERYWHERE
            if compiled.deny:
                denying.append(compiled.id)
                if extent is EVERYWHERE:
                    return self._refused(denying)
                denied.append(extent)
                continue
            matched.append(compiled)
            if extent is EVERYWHERE:
                if flat:
                    break
                if suffices[compiled.node]:
                    matched = [each for each in matched if suffices[each.node]]
                    break
                settled.add(compiled.node)
        if not matched:
            return self._refused(())
        apart = flat or all(suffices[each.node] for each in matched)
        reach, allowing = self._flat(matched) if apart else self._combined(matched)
        reach = reach.minus(_union(denied)) if denied else reach
        if reach.is_empty:
            return self._refused(denying if allowing else ())
        if request.project_id and not anywhere:
            reach = Reach(project_ids=frozenset({request.project_id}))
        return Decision(True, reach, allowing, tuple(self.failed), program.revision)

    def _refused(self, statement_ids: Iterable[str]) -> Decision:
        return Decision(False, NOWHERE, tuple(statement_ids), tuple(self.failed), self.program.revision)

    def _flat(self, matched: list[Compiled]) -> tuple[Reach, tuple[str, ...]]:
        if len(matched) == 1:
            compiled = matched[0]
            return (compiled.extent if self.request.anywhere else EVERYWHERE), (compiled.id,)
        reach = _union([compiled.extent if self.request.anywhere else EVERYWHERE for compiled in matched])
        return reach, tuple(compiled.id for compiled in matched)

    def _combined(self, matched: list[Compiled]) -> tuple[Reach, tuple[str, ...]]:
        """Carry the matches up the tree; only nodes above a match are ever visited."""
        nodes = self.program.nodes
        answers: dict[int, list[tuple[Reach, tuple[str, ...]]]] = {}
        for compiled in matched:
            extent = compiled.extent if self.request.anywhere else EVERYWHERE
            answers.setdefault(compiled.node, []).append((extent, (compiled.id,)))
        # Children are numbered above their parents, so the highest number is always ready.
        ready = [-number for number in answers]
        heapify(ready)
        while ready:
            number = -heappop(ready)
            node, below = nodes[number], answers.pop(number)
            if node.combine is Combine.ALL_OF and len(below) < node.arity:
                continue
            reaches = [reach for reach, _ in below]
            reach = reduce(Reach.intersection, reaches) if node.combine is Combine.ALL_OF else _union(reaches)
            answer = reach, tuple(statement_id for _, ids in below for statement_id in ids)
            if number == 0:
                return answer
            if not reach.is_empty:
                if node.parent not in answers:
                    heappush(ready, -node.parent)
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
        if statement.path_class and not _on_path_of(statement.path_class, request, unknown):
            return Step.BOUNDARY
        if not _within(statement.boundary, request, unknown):
            return Step.BOUNDARY
        if compiled.networks is not None and not _from_network(compiled.networks, request, unknown):
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
        condition = compiled.condition
        if condition is None:
            return True
        if self._outcomes is None:
            self._outcomes = {}
        answer = self._outcomes.get(id(condition))
        if answer is None:
            answer = self._outcomes[id(condition)] = self._evaluate(condition)
        outcome, error = answer
        if outcome is not Outcome.TRUE:
            self.failed.append(FailedCondition(compiled.statement.id, error))
        # An error is no reason to allow and none to lift a deny.
        return outcome is Outcome.TRUE or (outcome is Outcome.ERROR and compiled.deny)

    def _evaluate(self, condition: Condition) -> tuple[Outcome, str]:
        """Evaluate a condition, which sees the same whichever statement has it."""
        # The clock on the wall is cheap to read. Only the work done counts: a busy machine must not change an answer.
        if self._spent > CONDITIONS_SECONDS and thread_time() - self._began > CONDITIONS_SECONDS:
            return Outcome.ERROR, "the conditions before it took too long"
        began = perf_counter()
        if self._seen is None:
            self._began = thread_time()
            self._seen = see(facts(self.request))
        answer = condition.evaluate(self._seen)
        self._spent += perf_counter() - began
        return answer


def _union(reaches: Sequence[Reach]) -> Reach:
    """Return what lies in any of them. Here none leaves anything out: that is done to the whole, at the end."""
    if EVERYWHERE in reaches:
        return EVERYWHERE
    return Reach(project_ids=frozenset().union(*(reach.project_ids for reach in reaches)))


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


def _on_path_of(path_class: str, request: Request, unknown: bool) -> bool:
    asked = request.context.path_class
    return asked == path_class if asked else unknown


def _from_network(networks: Networks, request: Request, unknown: bool) -> bool:
    address = find_address(request.context.ip)
    if address is None:
        return unknown
    return networks.hold(address) or (unknown and networks.faulty)


def _has_parameters(parameters: tuple[tuple[str, str], ...], request: Request, unknown: bool) -> bool:
    attributes = request.context.attributes
    for name, value in parameters:
        if name not in attributes:
            if not unknown:
                return False
        elif attributes[name] != value:
            return False
    return True
