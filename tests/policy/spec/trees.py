"""The engine's intermediate form as lines. Conditions are given as what they say, whatever they are written in."""

from collections.abc import Callable, Mapping

from concord.policy.engine.model import Combine, Effect, Policy, PolicySet, Request, Statement
from policy.spec.acts import comes_from, holds_within, operation_matches, permission_matches
from policy.spec.deciding import AllOf, AnyOf, Line, Tree

# What a condition says about a request: true, false, or (None) that it cannot be answered.
Conditions = Mapping[str, Callable[[Request], bool | None]]


def as_lines(node: PolicySet | Policy, conditions: Conditions) -> Tree:
    """Return a tree of statements as one of lines. Denies over allows is what any set does, so it is an `AnyOf`."""
    if isinstance(node, Policy):
        return AnyOf(tuple(_line(statement, conditions) for statement in node.statements))
    parts = tuple(as_lines(child, conditions) for child in node.children)
    return AllOf(parts) if node.combine is Combine.ALL_OF else AnyOf(parts)


def _line(statement: Statement, conditions: Conditions) -> Line:
    deny = statement.effect is Effect.DENY

    def speaks(request: Request, place: str) -> bool:
        return (
            _names_act(statement, request, deny)
            and (not statement.dialect or request.operation.startswith(statement.dialect + "/"))
            and holds_within(statement.boundary, request, deny, place)
            and comes_from(statement.source_networks, request, deny)
            and all(
                request.context.attributes[name] == value if name in request.context.attributes else deny
                for name, value in statement.parameters
            )
            and _condition_holds(statement, request, conditions, deny)
        )

    return Line(statement.id, deny, speaks)


def _names_act(statement: Statement, request: Request, deny: bool) -> bool:
    every_class = deny or statement.every_class
    if any(permission_matches(pattern, request.permission, every_class) for pattern in statement.permissions):
        return True
    return operation_matches(statement.operations, request, deny)


def _condition_holds(statement: Statement, request: Request, conditions: Conditions, deny: bool) -> bool:
    """A condition that cannot be answered does not allow, and does not lift a deny."""
    if not statement.condition:
        return True
    said = conditions[statement.condition](request)
    return deny if said is None else said
