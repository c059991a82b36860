"""From stored statements to the form that languages read, and from sources to a program."""

from collections.abc import Iterable, Sequence

from concord.kernel.errors import Invalid, Reason, Violation
from concord.policy import engine
from concord.policy.catalogues.loader import CATALOGUES, SuppliedRole, baselines, load_catalogue
from concord.policy.engine import Program, ceiling_program, compile_program
from concord.policy.languages import Held, RoleView, SourceStatement, assemble, get_language
from concord.policy.model import MAX_STATEMENT_ITEMS, MAX_STATEMENTS, Boundary, Policy, Statement

# Members of a statement that no language here gives a meaning to.
_MEANINGLESS = ("endpoints", "denied_endpoints", "source_network", "parameters")


def supplied_roles() -> Iterable[tuple[str, SuppliedRole]]:
    """Return every supplied role with the catalogue it comes from."""
    return ((name, role) for name in CATALOGUES for role in load_catalogue(name).roles())


def find_role(name: str) -> RoleView | None:
    """Return the role that a statement names, in whichever catalogue it is."""
    for catalogue in CATALOGUES:
        found = load_catalogue(catalogue).find_role(name)
        if found is not None:
            return found
    return None


def source_of(statement: Statement) -> SourceStatement:
    """Return a stored statement as languages read it."""
    return SourceStatement(
        id=statement.id,
        effect=engine.Effect(statement.effect.value),
        permissions=statement.permissions,
        operations=statement.operations,
        role_names=statement.role_names,
        boundary=_boundary(statement.boundary),
        condition=statement.condition,
    )


def check_statements(language: str, statements: Sequence[Statement]) -> None:
    """Raise Invalid with everything that forbids storing these statements in this language."""
    if len(statements) > MAX_STATEMENTS:
        raise Invalid(Violation("statements", f"must be at most {MAX_STATEMENTS}", rule="length"))
    found: list[Violation] = []
    for position, statement in enumerate(statements):
        found.extend(_form_violations(f"statements[{position}]", statement))
    chosen = get_language(language, "policy.language")
    found.extend(chosen.faults([source_of(each) for each in statements], find_role))
    if found:
        conditions_only = all(each.rule == "condition" for each in found)
        raise Invalid(*found, reason=Reason.INVALID_DOCUMENT if conditions_only else Reason.INVALID_FIELDS)


def compile_sources(policies: Iterable[Policy]) -> Program:
    """Compile what one principal holds, together with what every dialect lets everybody do."""
    held = [
        Held(
            holder=f"{policy.subject.kind.value}:{policy.subject.id}",
            language=policy.language,
            policy=get_language(policy.language).compile(
                policy.id, [source_of(each) for each in policy.statements or ()], find_role
            ),
        )
        for policy in policies
    ]
    return compile_program(assemble(held, baselines()))


def compile_ceiling(scopes: Iterable[str]) -> Program:
    """Compile what a credential is lowered to: names of roles, or permissions and operations themselves.

    A scope that is none of these, an OpenID one for example, lets nothing through.
    """
    patterns: list[str] = []
    for scope in scopes:
        role = find_role(scope)
        if role is not None:
            patterns.extend(role.permissions)
        elif "." in scope or "/" in scope or scope == "*":
            patterns.append(scope)
    return ceiling_program(dict.fromkeys(patterns))


def _boundary(boundary: Boundary | None) -> engine.Boundary:
    if boundary is None:
        return engine.Boundary()
    # The organization is left out: a program is one organization's, and so are all questions put to it.
    return engine.Boundary(
        kind=engine.BoundaryKind(boundary.kind.value),
        project_ids=frozenset(boundary.project_ids),
        group_id=boundary.group_id,
        owner_user_id=boundary.owner_user_id,
    )


def _form_violations(place: str, statement: Statement) -> Iterable[Violation]:
    for name in _MEANINGLESS:
        if getattr(statement, name):
            yield Violation(f"{place}.{name}", "is not part of this language", rule="constraint")
    projects = () if statement.boundary is None else statement.boundary.project_ids
    lists = {
        "permissions": statement.permissions,
        "operations": statement.operations,
        "role_names": statement.role_names,
        "boundary.project_ids": projects,
    }
    for name, items in lists.items():
        if len(items) > MAX_STATEMENT_ITEMS:
            yield Violation(f"{place}.{name}", f"must be at most {MAX_STATEMENT_ITEMS}", rule="length")
