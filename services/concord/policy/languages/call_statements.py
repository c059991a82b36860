"""Statements over calls of an interface, each allowed or denied under a condition. Any deny wins.

{"statements": [{"effect": "allow", "api": ["User:getUser", "Role:*"], "condition": "samUserName == 'alice'"}]}

A call is named `Tag:operation`; a star at the end stands for all that begin so, alone for all there are. Statements
of one principal, of its roles and of everyone's default are one pool.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final
from zoneinfo import ZoneInfo

from concord.kernel.errors import Violation
from concord.policy.catalogues.language_data import CallDialect, dialects_of
from concord.policy.engine.model import WHOLE_ORGANIZATION, Combine, Effect, Policy, Statement
from concord.policy.languages.base import FindRole, SourceStatement, printable, read_rows, refuse
from concord.policy.languages.call_conditions import (
    DEFAULT_ZONE,
    condition_fault,
    mismatch,
    to_cel,
)
from concord.policy.languages.call_tokens import ConditionFault

MAX_CALLS: Final = 500
"""How many calls one statement may name."""

_FIELDS = frozenset({"effect", "api", "condition"})
_CALL = re.compile(r"\*|[A-Za-z0-9_-]{1,64}:[A-Za-z0-9_.-]{0,127}\*|[A-Za-z0-9_-]{1,64}:[A-Za-z0-9_.-]{1,128}")
_FOREIGN: Final = ("permissions", "role_names", "endpoints", "denied_endpoints", "source_network", "parameters")


class CallStatements:
    """The language `call_statements`. Days and times of day are counted in one zone for all its documents."""

    name = "call_statements"
    combine = Combine.DENY_OVERRIDES

    def __init__(self, zone: str = DEFAULT_ZONE) -> None:
        """Take the name of the zone, which must be known."""
        if zone != DEFAULT_ZONE:
            ZoneInfo(zone)
        self._zone = zone

    def parse(self, document: str) -> tuple[SourceStatement, ...]:
        """Return the statements of a document, or raise Invalid that names places in it."""
        violations: list[Violation] = []
        rows = read_rows(document, "statements")
        statements = tuple(_read(f"statements[{i}]", row, self._zone, violations) for i, row in enumerate(rows))
        refuse(violations)
        return statements

    def faults(self, statements: Sequence[SourceStatement], find_role: FindRole) -> list[Violation]:
        """Return what forbids storing these statements."""
        return [fault for i, s in enumerate(statements) for fault in _faults(f"statements[{i}]", s, self._zone)]

    def compile(self, policy_id: str, statements: Sequence[SourceStatement], find_role: FindRole) -> Policy:
        """Return the engine's form."""
        return Policy(
            policy_id,
            tuple(
                Statement(
                    id=source.id or f"{policy_id}#{number}",
                    effect=source.effect,
                    operations=source.operations,
                    condition=self._condition(source.condition),
                )
                for number, source in enumerate(statements)
            ),
        )

    def _condition(self, text: str) -> str:
        if not text:
            return ""
        try:
            return to_cel(text, self._zone)
        except ConditionFault:
            # Stored under other rules than today's: it must go on denying, and never allow.
            return mismatch("the condition cannot be read")


def _faults(place: str, statement: SourceStatement, zone: str) -> list[Violation]:
    found = [
        Violation(f"{place}.{name}", "is not part of this language", rule="constraint")
        for name in _FOREIGN
        if getattr(statement, name)
    ]
    if statement.boundary != WHOLE_ORGANIZATION:
        found.append(Violation(f"{place}.boundary", "calls are granted for the whole organization", rule="constraint"))
    prefixes = _prefixes()
    found.extend(_call_list_faults(f"{place}.operations", statement.operations, MAX_CALLS * len(prefixes)))
    for number, operation in enumerate(statement.operations):
        prefix = next((each for each in prefixes if operation.startswith(each)), "")
        if not prefix:
            told = f"must begin with {' or '.join(f'`{each}`' for each in prefixes)}"
        else:
            told = _call_fault(operation.removeprefix(prefix))
        if told:
            found.append(Violation(f"{place}.operations[{number}]", told, rule="pattern"))
    return [*found, *_condition_faults(place, statement.condition, zone)]


def _read(place: str, row: Any, zone: str, violations: list[Violation]) -> SourceStatement:
    if not isinstance(row, dict):
        violations.append(Violation(place, "must be an object", rule="format"))
        return SourceStatement()
    violations.extend(
        Violation(f"{place}.{printable(name)}", "is no field of a statement in this language", rule="unknown")
        for name in row
        if name not in _FIELDS
    )
    condition = row.get("condition", "")
    if not isinstance(condition, str):
        violations.append(Violation(f"{place}.condition", "must be a text", rule="format"))
        condition = ""
    violations.extend(_condition_faults(place, condition, zone))
    calls, prefixes = _calls(place, row, violations), _prefixes()
    return SourceStatement(
        effect=_effect(place, row, violations),
        operations=tuple(prefix + call for call in calls for prefix in prefixes),
        condition=condition,
    )


def _effect(place: str, row: Mapping[str, Any], violations: list[Violation]) -> Effect:
    value = row.get("effect")
    if value not in ("allow", "deny"):
        rule = "unknown" if "effect" in row else "required"
        violations.append(Violation(f"{place}.effect", "must be `allow` or `deny`", rule=rule))
        return Effect.DENY
    return Effect(value)


def _calls(place: str, row: Mapping[str, Any], violations: list[Violation]) -> list[str]:
    """Return the names under `api`: one text, or a list of them."""
    value = row.get("api")
    field = f"{place}.api"
    if isinstance(value, str):
        named = [(field, value)]
    elif isinstance(value, list):
        violations.extend(_call_list_faults(field, value, MAX_CALLS))
        named = [(f"{field}[{i}]", entry) for i, entry in enumerate(value[:MAX_CALLS])]
    else:
        rule = "format" if "api" in row else "required"
        violations.append(Violation(field, "must be the name of a call, or a list of names", rule=rule))
        return []
    for spot, entry in named:
        fault = _call_fault(entry) if isinstance(entry, str) else "must be a text"
        if fault:
            violations.append(Violation(spot, fault, rule="pattern" if isinstance(entry, str) else "format"))
    return [entry for _, entry in named if isinstance(entry, str)]


def _call_list_faults(field: str, calls: Sequence[Any], most: int) -> list[Violation]:
    if not calls:
        return [Violation(field, "must name at least one call", rule="required")]
    if len(calls) > most:
        return [Violation(field, f"must be at most {most} names", rule="length")]
    return []


def _prefixes() -> tuple[str, ...]:
    """Return what stands before the names of calls where they are operations, for each dialect."""
    return tuple(dialect.operation_prefix for dialect in dialects_of(CallDialect))


def _call_fault(call: str) -> str:
    if _CALL.fullmatch(call):
        return ""
    if "*" in call[:-1]:
        return "a star stands at the end of a name, after the colon, or alone"
    return "must be `Tag:operation`, `Tag:begin*` or `*`, in plain letters, digits, `_` and `-`"


def _condition_faults(place: str, condition: str, zone: str) -> list[Violation]:
    fault = condition_fault(condition, zone) if condition else ""
    return [Violation(f"{place}.condition", fault, rule="condition")] if fault else []
