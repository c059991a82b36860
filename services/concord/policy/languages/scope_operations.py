"""What each scope of a dialect's own resources lets one do there: operations, and how a suffix narrows them."""

from dataclasses import dataclass

from concord.policy.catalogues.language_data import Narrowing, ScopeDialect, dialects_of


@dataclass(frozen=True, slots=True)
class ScopeMeaning:
    """The operations that a scope is enough for, and how it narrows them."""

    operations: tuple[str, ...] = ()
    narrowing: Narrowing = Narrowing.NONE


def meaning_of(scope: str) -> ScopeMeaning:
    """Return what a scope means. Scopes of other services stand for no operation here, and narrow by their suffix."""
    operations: list[str] = []
    told: Narrowing | None = None
    for dialect in dialects_of(ScopeDialect):
        row = dialect.scopes.get(scope)
        if row is not None:
            operations.extend(dialect.operation_prefix + name for name in row.operations)
            told = told or row.narrowing
    return ScopeMeaning(tuple(operations), told or _by_suffix(scope))


def plain_verb(verb: str) -> str:
    """Return a verb without the suffix that narrows it."""
    for suffix in _suffixes():
        if verb.endswith(suffix) and verb != suffix:
            return verb.removesuffix(suffix)
    return verb


def _by_suffix(scope: str) -> Narrowing:
    return Narrowing.OWN_DIVISIONS if scope.endswith(_suffixes()) else Narrowing.NONE


def _suffixes() -> tuple[str, ...]:
    return tuple(suffix for dialect in dialects_of(ScopeDialect) for suffix in dialect.own_suffixes)
