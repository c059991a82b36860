"""What every policy language brings, and the form in which statements are written before they are compiled."""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from concord.kernel.errors import Invalid, Reason, Violation
from concord.policy.engine.condition import syntax_fault
from concord.policy.engine.model import WHOLE_ORGANIZATION, Boundary, BoundaryKind, Combine, Effect, Endpoint, Policy

MAX_DOCUMENT = 64 * 1024
MAX_STATEMENTS = 1000


@dataclass(frozen=True, slots=True)
class SourceStatement:
    """A statement as its author wrote it; roles are still names."""

    id: str = ""
    effect: Effect = Effect.ALLOW
    permissions: tuple[str, ...] = ()
    operations: tuple[str, ...] = ()
    role_names: tuple[str, ...] = ()
    boundary: Boundary = WHOLE_ORGANIZATION
    condition: str = ""
    endpoints: tuple[Endpoint, ...] = ()
    denied_endpoints: tuple[Endpoint, ...] = ()
    source_network: str = ""
    parameters: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class RoleView:
    """What a language has to know of a role."""

    name: str
    permissions: tuple[str, ...]
    boundary_kind: BoundaryKind
    statements: tuple[SourceStatement, ...] = ()
    """What its document says, that of the roles it includes with it."""


FindRole = Callable[[str], RoleView | None]


class Language(Protocol):
    """One way of writing policies."""

    @property
    def name(self) -> str:
        """The language's name in data."""

    @property
    def combine(self) -> Combine:
        """How the sources that one holder has in this language become one answer."""

    def parse(self, document: str) -> tuple[SourceStatement, ...]:
        """Return the statements of a document, or raise Invalid that names places in it.

        The document itself is kept by the caller as it came; nothing is ever written anew.
        """

    def faults(self, statements: Sequence[SourceStatement], find_role: FindRole) -> list[Violation]:
        """Return what forbids storing these statements; the fields are `statements[0].condition` and the like."""

    def compile(self, policy_id: str, statements: Sequence[SourceStatement], find_role: FindRole) -> Policy:
        """Return the engine's form. Roles that are gone grant nothing."""


def refuse(violations: Sequence[Violation]) -> None:
    """Raise Invalid if there is anything to complain about."""
    if violations:
        raise Invalid(*violations, reason=Reason.INVALID_DOCUMENT)


def condition_faults(place: str, condition: str) -> list[Violation]:
    """Return the fault of a condition's text: length or syntax, never types."""
    fault = syntax_fault(condition) if condition else ""
    return [Violation(f"{place}.condition", fault, rule="condition")] if fault else []


def boundary_faults(place: str, boundary: Boundary) -> list[Violation]:
    """Return what is missing from a boundary, or too much in it."""
    field = f"{place}.boundary"
    if boundary.kind is BoundaryKind.PROJECTS and not boundary.project_ids:
        return [Violation(f"{field}.project_ids", "must name at least one project", rule="required")]
    if boundary.kind is not BoundaryKind.PROJECTS and boundary.project_ids:
        return [Violation(f"{field}.project_ids", "belong to a boundary of kind `projects`", rule="constraint")]
    if boundary.kind is BoundaryKind.GROUP_SUBTREE and not boundary.group_id:
        return [Violation(f"{field}.group_id", "must name a group", rule="required")]
    return []


def foreign_faults(place: str, statement: SourceStatement, names: Sequence[str]) -> list[Violation]:
    """Return a fault for each of these members that a statement has although its language gives them no meaning."""
    told = "is not part of this language"
    return [Violation(f"{place}.{name}", told, rule="constraint") for name in names if getattr(statement, name)]


def read_statements(document: str, top: str, fields: frozenset[str]) -> tuple[SourceStatement, ...]:
    """Read a JSON document `{top: [statement, …]}` whose statements have these fields."""
    rows = read_rows(document, top)
    violations: list[Violation] = []
    statements = tuple(_statement(f"{top}[{i}]", row, fields, violations) for i, row in enumerate(rows))
    refuse(violations)
    return statements


def read_json(document: str) -> Any:
    """Read a JSON document, or raise Invalid: bounded, no field twice, no number that is none, no half characters."""
    if len(document.encode("utf-8", "surrogatepass")) > MAX_DOCUMENT:
        refuse([Violation("document", f"must have at most {MAX_DOCUMENT} bytes", rule="length")])
    try:
        content = json.loads(document, object_pairs_hook=_without_repeats, parse_constant=_no_number)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise Invalid(
            Violation("document", f"{place}: {error.msg.lower()}", rule="json"), reason=Reason.INVALID_DOCUMENT
        ) from error
    except (ValueError, RecursionError) as error:
        told = str(error) if isinstance(error, _Refused) else "is nested too deeply or holds an unreadable number"
        raise Invalid(Violation("document", told, rule="json"), reason=Reason.INVALID_DOCUMENT) from error
    if "\\u" in document or not document.isascii():
        _refuse_half_characters(content)
    return content


def read_rows(document: str, top: str) -> list[Any]:
    """Return the entries of a JSON document `{top: [entry, …]}`, whatever they are, or raise Invalid."""
    content = read_json(document)
    if not isinstance(content, dict) or set(content) != {top} or not isinstance(content[top], list):
        refuse([Violation("document", f"must be an object with one field `{top}`, a list", rule="format")])
    rows: list[Any] = content[top]
    if len(rows) > MAX_STATEMENTS:
        refuse([Violation(top, f"must have at most {MAX_STATEMENTS} entries", rule="length")])
    return rows


class _Refused(ValueError):
    """JSON that readers disagree about, or that is none although the library takes it."""


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) != len(pairs):
        repeated = Counter(name for name, _ in pairs).most_common(1)[0][0]
        raise _Refused(f"field `{printable(repeated)}` stands twice in one object")
    return content


def _no_number(name: str) -> Any:
    raise _Refused(f"`{name}` is no number")


def _refuse_half_characters(content: Any) -> None:
    """Refuse surrogates: text with them cannot be stored, compared or sent back."""
    below: list[tuple[str, Any]] = [("", content)]
    while below:
        place, value = below.pop()
        if isinstance(value, list):
            below.extend((f"{place}[{i}]", entry) for i, entry in enumerate(value))
        elif isinstance(value, dict):
            below.extend((place or "document", name) for name in value)
            below.extend((f"{place}.{printable(name)}".removeprefix("."), entry) for name, entry in value.items())
        elif isinstance(value, str) and any("\ud800" <= c <= "\udfff" for c in value):
            told = "holds half of a character, written as a surrogate"
            refuse([Violation(place or "document", told, rule="json")])


def printable(text: str) -> str:
    """Return a caller's text fit for an error: short, and without what cannot be seen or sent."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text[:64])


def _statement(place: str, row: Any, fields: frozenset[str], violations: list[Violation]) -> SourceStatement:
    if not isinstance(row, dict):
        violations.append(Violation(place, "must be an object", rule="format"))
        return SourceStatement()
    violations.extend(
        Violation(f"{place}.{printable(name)}", "is no field of a statement in this language", rule="unknown")
        for name in row
        if name not in fields
    )
    return SourceStatement(
        effect=_effect(place, row, fields, violations),
        permissions=_texts(f"{place}.permissions", row.get("permissions", []), violations),
        operations=_texts(f"{place}.operations", row.get("operations", []), violations),
        role_names=_texts(f"{place}.role_names", row.get("role_names", []), violations),
        boundary=read_boundary(f"{place}.boundary", row.get("boundary"), violations),
        condition=_text(f"{place}.condition", row.get("condition", ""), violations),
    )


def _effect(place: str, row: Mapping[str, Any], fields: frozenset[str], violations: list[Violation]) -> Effect:
    if "effect" not in fields:
        return Effect.ALLOW
    value = row.get("effect")
    if value not in ("allow", "deny"):
        rule = "required" if value is None else "unknown"
        violations.append(Violation(f"{place}.effect", "must be `allow` or `deny`", rule=rule))
        return Effect.DENY
    return Effect(value)


def read_boundary(place: str, value: Any, violations: list[Violation]) -> Boundary:
    """Read a boundary; none given is the whole organization. Whatever is wrong is added to the violations."""
    if value is None:
        return Boundary()
    if not isinstance(value, dict):
        violations.append(Violation(place, "must be an object", rule="format"))
        return Boundary()
    violations.extend(
        Violation(f"{place}.{printable(name)}", "is no field of a boundary", rule="unknown")
        for name in value
        if name not in ("kind", "project_ids", "group_id")
    )
    kind = value.get("kind", BoundaryKind.ORGANIZATION.value)
    if kind not in tuple(known.value for known in BoundaryKind):
        known_kinds = ", ".join(f"`{known.value}`" for known in BoundaryKind)
        violations.append(Violation(f"{place}.kind", f"must be one of {known_kinds}", rule="unknown"))
        kind = BoundaryKind.PROJECTS.value
    return Boundary(
        kind=BoundaryKind(kind),
        project_ids=frozenset(_texts(f"{place}.project_ids", value.get("project_ids", []), violations)),
        group_id=_text(f"{place}.group_id", value.get("group_id", ""), violations),
    )


def _texts(place: str, value: Any, violations: list[Violation]) -> tuple[str, ...]:
    if not isinstance(value, list):
        violations.append(Violation(place, "must be a list of texts", rule="format"))
        return ()
    return tuple(_text(f"{place}[{i}]", entry, violations) for i, entry in enumerate(value))


def _text(place: str, value: Any, violations: list[Violation]) -> str:
    if not isinstance(value, str):
        violations.append(Violation(place, "must be a text", rule="format"))
        return ""
    return value
