"""The policy languages by name, and how sources of several languages become one subject's program."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from concord.kernel.errors import Invalid, Violation
from concord.policy.engine.model import Combine, Policy, PolicySet, Statement
from concord.policy.languages.base import FindRole, Language, RoleView, SourceStatement, refuse
from concord.policy.languages.call_statements import CallStatements
from concord.policy.languages.endpoint_rows import EndpointRows
from concord.policy.languages.endpoint_scopes import EndpointScopes
from concord.policy.languages.resource_roles import ResourceRoles
from concord.policy.languages.role_rules import RoleRules
from concord.policy.languages.statements import Statements

__all__ = [
    "LANGUAGES",
    "FindRole",
    "Held",
    "Language",
    "RoleView",
    "SourceStatement",
    "assemble",
    "baseline",
    "find_language",
    "get_language",
    "refuse",
]

LANGUAGES: Mapping[str, Language] = {
    language.name: language
    for language in (
        Statements(),
        RoleRules(),
        CallStatements(),
        EndpointRows(),
        ResourceRoles(),
        EndpointScopes(),
    )
}


@dataclass(frozen=True, slots=True)
class Held:
    """A compiled policy, in which language it is written, and who holds it: the subject, a group, or everyone."""

    holder: str
    language: str
    policy: Policy


def find_language(name: str) -> Language | None:
    """Return the language of this name, if there is one."""
    return LANGUAGES.get(name)


def get_language(name: str, field: str = "language") -> Language:
    """Return the language of this name, or raise Invalid naming the field."""
    language = LANGUAGES.get(name)
    if language is None:
        known = ", ".join(f"`{known}`" for known in sorted(LANGUAGES))
        raise Invalid(Violation(field, f"must be one of {known}", rule="unknown"))
    return language


def assemble(sources: Iterable[Held], baselines: Iterable[Policy] = ()) -> PolicySet:
    """Combine what a subject holds.

    A language combines its sources for each holder apart; holders and languages are
    alternatives. A deny wins over all of it, which the engine sees to.
    """
    by_holder: dict[tuple[str, str], list[Policy]] = {}
    for held in sources:
        by_holder.setdefault((held.holder, held.language), []).append(held.policy)
    sets = [
        PolicySet(LANGUAGES[language].combine, tuple(policies), f"{holder} {language}")
        for (holder, language), policies in by_holder.items()
    ]
    return PolicySet(Combine.ANY_OF, (*sets, *baselines))


def baseline(dialect: str, permissions: Iterable[str]) -> Policy:
    """Return what any principal may do through a dialect, or with "" on every way, without having been granted it."""
    name = f"baseline:{dialect or 'own'}"
    return Policy(name, (Statement(id=name, permissions=tuple(permissions), dialect=dialect),))
