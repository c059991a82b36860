"""Rules that grant roles within a boundary, under a condition. Rules add up; nothing denies.

{"rules": [{"role_names": ["…"], "boundary": {"kind": "projects", "project_ids": ["…"]}, "condition": ""}]}
"""

from collections.abc import Sequence

from concord.kernel.errors import Violation
from concord.policy.engine.model import BoundaryKind, Combine, Effect, Policy, Statement
from concord.policy.languages.base import (
    FindRole,
    RoleView,
    SourceStatement,
    boundary_faults,
    condition_faults,
    foreign_faults,
    read_statements,
    refuse,
)

_FIELDS = frozenset({"role_names", "boundary", "condition"})
_BOUNDARIES = frozenset({BoundaryKind.ORGANIZATION, BoundaryKind.PROJECTS, BoundaryKind.OWNER_ACCOUNT})

_FOREIGN = ("endpoints", "denied_endpoints", "source_network", "parameters")


class RoleRules:
    """The language `role_rules`."""

    name = "role_rules"
    combine = Combine.ANY_OF

    def parse(self, document: str) -> tuple[SourceStatement, ...]:
        """Return the rules of a document, or raise Invalid that names places in it.

        Whether the roles exist is asked by `faults`, which knows where to find them.
        """
        statements = read_statements(document, "rules", _FIELDS)
        refuse([fault for i, s in enumerate(statements) for fault in self._form_faults(f"rules[{i}]", s)])
        return statements

    def faults(self, statements: Sequence[SourceStatement], find_role: FindRole) -> list[Violation]:
        """Return what forbids storing these rules."""
        found: list[Violation] = []
        for number, statement in enumerate(statements):
            place = f"statements[{number}]"
            found.extend(self._form_faults(place, statement))
            found.extend(self._role_faults(place, statement, find_role))
        return found

    def _form_faults(self, place: str, statement: SourceStatement) -> list[Violation]:
        found = foreign_faults(place, statement, _FOREIGN)
        if statement.effect is not Effect.ALLOW:
            found.append(Violation(f"{place}.effect", "rules of this language only allow", rule="constraint"))
        if statement.permissions or statement.operations:
            told = "rules of this language grant roles, not single permissions"
            found.append(Violation(f"{place}.permissions", told, rule="constraint"))
        if not statement.role_names:
            found.append(Violation(f"{place}.role_names", "must name at least one role", rule="required"))
        if statement.boundary.kind not in _BOUNDARIES:
            told = "must be `organization`, `projects` or `owner_account`"
            found.append(Violation(f"{place}.boundary.kind", told, rule="constraint"))
        return [*found, *boundary_faults(place, statement.boundary), *condition_faults(place, statement.condition)]

    def _role_faults(self, place: str, statement: SourceStatement, find_role: FindRole) -> list[Violation]:
        found: list[Violation] = []
        roles: list[RoleView] = []
        for number, name in enumerate(statement.role_names):
            role = find_role(name)
            if role is None:
                found.append(Violation(f"{place}.role_names[{number}]", f"no role `{name}`", rule="unknown"))
            else:
                roles.append(role)
        kinds = {role.boundary_kind for role in roles}
        if len(kinds) > 1:
            told = "roles for the organization and roles for projects need rules of their own"
            found.append(Violation(f"{place}.role_names", told, rule="constraint"))
        elif kinds and not _fits(kinds.pop(), statement.boundary.kind):
            told = f"`{roles[0].name}` cannot be granted within `{statement.boundary.kind.value}`"
            found.append(Violation(f"{place}.boundary.kind", told, rule="constraint"))
        return found

    def compile(self, policy_id: str, statements: Sequence[SourceStatement], find_role: FindRole) -> Policy:
        """Return the engine's form: a rule is one statement with the permissions of all its roles."""
        return Policy(
            policy_id,
            tuple(self._compile(f"{policy_id}#{i}", source, find_role) for i, source in enumerate(statements)),
        )

    def _compile(self, fallback_id: str, source: SourceStatement, find_role: FindRole) -> Statement:
        roles = [role for role in map(find_role, source.role_names) if role is not None]
        permissions = dict.fromkeys(permission for role in roles for permission in role.permissions)
        return Statement(
            id=source.id or fallback_id,
            permissions=tuple(permissions),
            boundary=source.boundary,
            condition=source.condition,
        )


def _fits(role: BoundaryKind, boundary: BoundaryKind) -> bool:
    # A role for projects may be given for the organization: all its projects, future ones too.
    return boundary is role or (role is BoundaryKind.PROJECTS and boundary is BoundaryKind.ORGANIZATION)
