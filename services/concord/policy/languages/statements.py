"""The core's own language: JSON statements that allow or deny, of which any deny wins.

{"statements": [{"effect": "allow", "permissions": ["identity.users.get"],
                 "boundary": {"kind": "organization"}, "condition": ""}]}
"""

from collections.abc import Sequence

from concord.kernel.errors import Violation
from concord.policy.engine.match import operation_pattern_fault, permission_pattern_fault
from concord.policy.engine.model import Combine, Policy, Statement
from concord.policy.languages.base import (
    FindRole,
    SourceStatement,
    boundary_faults,
    condition_faults,
    foreign_faults,
    read_statements,
    refuse,
)

_FIELDS = frozenset({"effect", "permissions", "operations", "boundary", "condition"})

_FOREIGN = ("endpoints", "denied_endpoints", "source_network", "parameters")


class Statements:
    """The language `statements`."""

    name = "statements"
    combine = Combine.DENY_OVERRIDES

    def parse(self, document: str) -> tuple[SourceStatement, ...]:
        """Return the statements of a document, or raise Invalid that names places in it."""
        statements = read_statements(document, "statements", _FIELDS)
        refuse(self.faults(statements, lambda name: None))
        return statements

    def faults(self, statements: Sequence[SourceStatement], find_role: FindRole) -> list[Violation]:
        """Return what forbids storing these statements."""
        return [fault for i, s in enumerate(statements) for fault in self._faults(f"statements[{i}]", s)]

    def _faults(self, place: str, statement: SourceStatement) -> list[Violation]:
        found = foreign_faults(place, statement, _FOREIGN)
        if statement.role_names:
            found.append(Violation(f"{place}.role_names", "are not part of this language", rule="constraint"))
        if not statement.permissions and not statement.operations:
            found.append(Violation(f"{place}.permissions", "must name at least one permission", rule="required"))
        for name, patterns, fault_of in (
            ("permissions", statement.permissions, permission_pattern_fault),
            ("operations", statement.operations, operation_pattern_fault),
        ):
            faults = ((i, fault_of(pattern)) for i, pattern in enumerate(patterns))
            found.extend(Violation(f"{place}.{name}[{i}]", fault, rule="pattern") for i, fault in faults if fault)
        return [*found, *boundary_faults(place, statement.boundary), *condition_faults(place, statement.condition)]

    def compile(self, policy_id: str, statements: Sequence[SourceStatement], find_role: FindRole) -> Policy:
        """Return the engine's form."""
        return Policy(
            policy_id,
            tuple(
                Statement(
                    id=source.id or f"{policy_id}#{number}",
                    effect=source.effect,
                    permissions=source.permissions,
                    operations=source.operations,
                    boundary=source.boundary,
                    condition=source.condition,
                )
                for number, source in enumerate(statements)
            ),
        )
