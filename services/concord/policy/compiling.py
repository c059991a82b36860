"""From what a subject holds to its program, and what may be stored at all."""

from collections.abc import Generator, Iterable, Sequence
from typing import Final

from concord.kernel.errors import Invalid, Reason, Violation
from concord.policy.catalogues.loader import baselines
from concord.policy.engine import Program, ceiling_program, compile_steps, run_steps
from concord.policy.engine.combine import CEILING_STATEMENT_ID
from concord.policy.holding import compile_grant
from concord.policy.languages import FindRole, Held, SourceStatement, assemble, get_language
from concord.policy.languages.endpoint_scopes import EndpointScopes
from concord.policy.model import (
    MAX_STATEMENT_ITEMS,
    MAX_STATEMENTS,
    Sources,
    Statement,
)
from concord.policy.reading import find_role, source_of

# Of all conditions of one policy together.
MAX_CONDITIONS: Final = 64 * 1024


def check_statements(language: str, statements: Sequence[Statement]) -> None:
    """Raise Invalid with everything that forbids storing these statements in this language."""
    if len(statements) > MAX_STATEMENTS:
        raise Invalid(Violation("statements", f"must be at most {MAX_STATEMENTS}", rule="length"))
    found: list[Violation] = []
    for position, statement in enumerate(statements):
        found.extend(_form_violations(f"statements[{position}]", statement))
    # Each takes a moment to be checked and compiled, the longer the more.
    if sum(len(each.condition) for each in statements) > MAX_CONDITIONS:
        told = f"conditions must have at most {MAX_CONDITIONS} characters in all"
        raise Invalid(Violation("statements", told, rule="length"))
    chosen = get_language(language, "policy.language")
    found.extend(chosen.faults([source_of(each) for each in statements], find_role))
    if found:
        conditions_only = all(each.rule == "condition" for each in found)
        raise Invalid(*found, reason=Reason.INVALID_DOCUMENT if conditions_only else Reason.INVALID_FIELDS)


def compile_sources(sources: Sources) -> Program:
    """Compile what one principal holds, together with what every dialect lets everybody do."""
    return run_steps(source_steps(sources))


def source_steps(sources: Sources) -> Generator[None, None, Program]:
    """Do the same in steps of a few milliseconds at most."""
    held = yield from held_steps(sources)
    program: Program = yield from compile_steps(assemble(held, baselines()))
    return program


def held_steps(sources: Sources) -> Generator[None, None, list[Held]]:
    """Compile each policy and grant for itself, in steps; return them, policies first, as they came."""
    held: list[Held] = []
    for policy in sources.policies:
        held.append(
            Held(
                holder=f"{policy.subject.kind.value}:{policy.subject.id}",
                language=policy.language,
                policy=get_language(policy.language).compile(
                    policy.id, [source_of(each) for each in policy.statements or ()], find_role
                ),
            )
        )
        yield
    for grant in sources.grants:
        held.append(
            Held(
                holder=f"{grant.subject.kind.value}:{grant.subject.id}",
                language=grant.role_language,
                policy=compile_grant(grant, sources.roles),
            )
        )
        yield
    return held


def compile_ceiling(scopes: Iterable[str], find_role: FindRole = find_role) -> Program:
    """Compile what a credential is lowered to: names of roles, or permissions and operations themselves.

    A role whose document lists endpoints lets their paths through, wherever they lead: its bearer's rights say where
    they count. A scope that is none of these, an OpenID one for example, lets nothing through.
    """
    patterns: list[str] = []
    asked: list[str] = []
    for scope in scopes:
        role = find_role(scope)
        if role is not None:
            patterns.extend(role.permissions)
            if role.statements:
                asked.append(scope)
        elif "." in scope or "/" in scope or scope == "*":
            patterns.append(scope)
    scopes_asked = SourceStatement(id=CEILING_STATEMENT_ID, role_names=tuple(asked))
    policy = EndpointScopes().compile_asked(CEILING_STATEMENT_ID, [scopes_asked] if asked else (), find_role)
    return ceiling_program(dict.fromkeys(patterns), policy.statements)


def _form_violations(place: str, statement: Statement) -> Iterable[Violation]:
    for name, value in statement.parameters.items():
        if not isinstance(value, str):
            yield Violation(f"{place}.parameters.{name[:64]}", "must be a text", rule="format")
    projects = () if statement.boundary is None else statement.boundary.project_ids
    lists = {
        "permissions": statement.permissions,
        "operations": statement.operations,
        "endpoints": statement.endpoints,
        "denied_endpoints": statement.denied_endpoints,
        "role_names": statement.role_names,
        "boundary.project_ids": projects,
    }
    for name, items in lists.items():
        if len(items) > MAX_STATEMENT_ITEMS:
            yield Violation(f"{place}.{name}", f"must be at most {MAX_STATEMENT_ITEMS}", rule="length")
