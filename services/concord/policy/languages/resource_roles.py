"""Roles are lists of verbs; held on a type of resource, each verb is a scope `service.resource_verb`. Nothing denies.

A role's document lists its verbs, each with the types of resource it is meant for; none named is all of them.
A holder's document lists its access controls: a role, and the type of resource it is held on.

{"permissions": [{"verb": "read", "resource_types": ["iam.group"]}, {"verb": "manage"}]}
{"access_controls": [{"role_name": "…", "resource_type": "iam.group", "boundary": {"kind": "organization"}}]}
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from concord.kernel.errors import Violation
from concord.policy.catalogues.language_data import Narrowing
from concord.policy.engine.match import class_of, permission_pattern_fault, star_reaches
from concord.policy.engine.model import WHOLE_ORGANIZATION, Boundary, BoundaryKind, Combine, Effect, Policy, Statement
from concord.policy.languages.base import (
    MAX_STATEMENTS,
    FindRole,
    SourceStatement,
    boundary_faults,
    printable,
    read_boundary,
    read_json,
    refuse,
)
from concord.policy.languages.scope_operations import meaning_of, plain_verb

MAX_RESOURCE_TYPES = 1000

_VERB = re.compile(r"[A-Za-z0-9][A-Za-z0-9_\-]{0,63}")
_RESOURCE_TYPE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_\-]{0,63}\.[A-Za-z0-9][A-Za-z0-9_\-]{0,63}")
_SCOPE = re.compile(r"([^.*]+\.[^._*]+)_([^.*]+)")
_EVERY_TYPE = "*.*"
_BOUNDARIES = frozenset({BoundaryKind.ORGANIZATION, BoundaryKind.OWN_DIVISIONS})
_OWN = Boundary(BoundaryKind.OWN_DIVISIONS)
_OF_CUSTOMERS = 'resource.member_kind == "customer"'


class ResourceRoles:
    """The language `resource_roles`."""

    name = "resource_roles"
    combine = Combine.ANY_OF

    def parse(self, document: str) -> tuple[SourceStatement, ...]:
        """Return a role's verbs or a holder's access controls, or raise Invalid that names places in the document.

        An access control names its type of resource by the pattern of all permissions on it.
        """
        content = read_json(document)
        if not isinstance(content, dict) or len(content) != 1 or not content.keys() <= _READERS.keys():
            told = "must be an object with one field, `permissions` or `access_controls`"
            refuse([Violation("document", told, rule="format")])
        top, rows = next(iter(content.items()))
        if not isinstance(rows, list):
            refuse([Violation(top, "must be a list of objects", rule="format")])
        if len(rows) > MAX_STATEMENTS:
            refuse([Violation(top, f"must have at most {MAX_STATEMENTS} entries", rule="length")])
        found: list[Violation] = []
        statements = tuple(_READERS[top](f"{top}[{i}]", row, found) for i, row in enumerate(rows))
        refuse(found)
        return statements

    def faults(self, statements: Sequence[SourceStatement], find_role: FindRole) -> list[Violation]:
        """Return what forbids storing these statements."""
        found: list[Violation] = []
        for number, statement in enumerate(statements):
            place = f"statements[{number}]"
            found.extend(_foreign_faults(place, statement))
            found.extend(_boundary_faults(place, statement.boundary))
            found.extend(_permission_faults(place, statement))
            found.extend(
                Violation(f"{place}.role_names[{i}]", f"no role `{printable(name)}`", rule="unknown")
                for i, name in enumerate(statement.role_names)
                if find_role(name) is None
            )
        return found

    def compile(self, policy_id: str, statements: Sequence[SourceStatement], find_role: FindRole) -> Policy:
        """Return the engine's form: the scopes by name, and what they mean here, narrowed where they narrow."""
        compiled: list[Statement] = []
        for number, source in enumerate(statements):
            # What this language could not have said grants nothing: to overlook a part of it would widen it.
            if not _foreign_faults("", source) and source.boundary.kind in _BOUNDARIES:
                compiled.extend(_compiled(source.id or f"{policy_id}#{number}", source, find_role))
        return Policy(policy_id, tuple(compiled))


def narrowed(permissions: Iterable[str], resource_type: str) -> tuple[str, ...]:
    """Return what is left of a role's permissions on one type of resource."""
    kept: dict[str, None] = {}
    for of_type, verb in map(_parted, permissions):
        if of_type.count(".") == 1 and _covers(of_type, resource_type):
            kept[f"{resource_type}.{verb}"] = None
    return tuple(kept)


def denied_on(permissions: Iterable[str], resource_type: str) -> tuple[str, ...]:
    """Return what is left of denied permissions on one type of resource: a deny is about all classes of a type."""
    service, _, resource = resource_type.partition(".")
    its_class, its_plain = class_of(service, resource)
    kept: dict[str, None] = {}
    for of_type, verb in map(_parted, permissions):
        named, _, denied = of_type.partition(".")
        if named not in ("*", service):
            continue
        of_class, plain = class_of(service, denied)
        if denied == "*" or denied == resource or (plain == its_plain and not of_class):
            kept[f"{resource_type}.{verb}"] = None
        elif plain == its_plain and not its_class:
            kept[f"{service}.{denied}.{verb}"] = None
    return tuple(kept)


def _parted(permission: str) -> tuple[str, str]:
    """Return the type of resource and the verb of a permission."""
    if permission == "*":
        return _EVERY_TYPE, "*"
    of_type, _, verb = _in_three(permission).rpartition(".")
    return of_type, verb


def held_scopes(policies: Iterable[Policy]) -> tuple[str, ...]:
    """Return the scopes, sorted, that somebody holds through compiled policies of this language."""
    return tuple(sorted({name for name in _held_names(policies) if _SCOPE.fullmatch(name)}))


def held_verbs(policies: Iterable[Policy], resource_type: str) -> tuple[str, ...]:
    """Return the verbs, sorted, that somebody holds on a type of resource."""
    found = (_SCOPE.fullmatch(name) for name in _held_names(policies))
    return tuple(sorted({match[2] for match in found if match is not None and match[1] == resource_type}))


def _held_names(policies: Iterable[Policy]) -> Iterable[str]:
    return (name for policy in policies for statement in policy.statements for name in statement.permissions)


def _covers(pattern: str, resource_type: str) -> bool:
    if pattern.endswith(".*") and not star_reaches(*resource_type.split(".")):
        return False
    return all(part in ("*", wanted) for part, wanted in zip(pattern.split("."), resource_type.split("."), strict=True))


@dataclass(slots=True)
class _Meant:
    """What scopes mean that narrow in the same way."""

    permissions: dict[str, None] = field(default_factory=dict)
    operations: dict[str, None] = field(default_factory=dict)


def _compiled(name: str, source: SourceStatement, find_role: FindRole) -> Iterable[Statement]:
    meant = {narrowing: _Meant() for narrowing in Narrowing}
    for permission in _resolved(source, find_role):
        resource_type, _, verb = permission.rpartition(".")
        scope = _scope_name(resource_type, verb)
        meaning = meaning_of(scope or f"_{verb}")
        if scope:
            # By its name a scope is held as it is: to ask for the name is to ask for the narrowed right.
            meant[Narrowing.NONE].permissions[scope] = None
        here = meant[meaning.narrowing]
        here.permissions[f"{resource_type}.{plain_verb(verb)}"] = None
        here.operations.update(dict.fromkeys(meaning.operations))
    for narrowing, rights in meant.items():
        if rights.permissions or rights.operations:
            own = narrowing is Narrowing.OWN_DIVISIONS
            yield Statement(
                id=name,
                permissions=tuple(rights.permissions),
                operations=tuple(rights.operations),
                boundary=_OWN if own else source.boundary,
                condition=_OF_CUSTOMERS if narrowing is Narrowing.CUSTOMERS else "",
            )


def _resolved(source: SourceStatement, find_role: FindRole) -> Iterable[str]:
    """Return permissions on named types of resource. A role that is held on no type is no right."""
    listed: dict[str, None] = dict.fromkeys(source.permissions)
    if source.role_names:
        roles = [role for role in map(find_role, source.role_names) if role is not None]
        listed = dict.fromkeys(
            permission for role in roles for permission in _of_role(role.permissions, role.statements)
        )
        if source.permissions:
            types = dict.fromkeys(pattern.rpartition(".")[0] for pattern in source.permissions)
            listed = dict.fromkeys(kept for each in types for kept in narrowed(listed, each))
    return (
        permission for permission in map(_in_three, listed) if _RESOURCE_TYPE.fullmatch(permission.rpartition(".")[0])
    )


def _of_role(permissions: Iterable[str], statements: Iterable[SourceStatement]) -> Iterable[str]:
    yield from permissions
    for statement in statements:
        if not statement.role_names and not _foreign_faults("", statement) and statement.boundary == WHOLE_ORGANIZATION:
            yield from statement.permissions


def _in_three(permission: str) -> str:
    """Return a permission that is written as a scope as one of three parts."""
    scope = _SCOPE.fullmatch(permission)
    return f"{scope[1]}.{scope[2]}" if scope is not None else permission


def _scope_name(resource_type: str, verb: str) -> str:
    # `a.b_c` and `d` would be written as `a.b` and `c_d` are: one of the two has no scope.
    unclear = "_" in resource_type.partition(".")[2]
    return "" if unclear or verb == "*" else f"{resource_type}_{verb}"


def _read_permission(place: str, row: Any, found: list[Violation]) -> SourceStatement:
    if not _is_row(place, row, ("verb", "resource_types"), found):
        return SourceStatement()
    verb = _text(f"{place}.verb", row.get("verb"), _VERB, "letters, digits, `_` and `-`", found)
    types = row.get("resource_types", [_EVERY_TYPE])
    if not isinstance(types, list) or not types:
        told = "must be a list of at least one type of resource; left out, it is all of them"
        found.append(Violation(f"{place}.resource_types", told, rule="format"))
        return SourceStatement()
    if len(types) > MAX_RESOURCE_TYPES:
        told = f"must be at most {MAX_RESOURCE_TYPES}"
        found.append(Violation(f"{place}.resource_types", told, rule="length"))
        return SourceStatement()
    if "resource_types" in row:
        types = [
            _text(f"{place}.resource_types[{i}]", each, _RESOURCE_TYPE, "`service.resource`", found)
            for i, each in enumerate(types)
        ]
    return SourceStatement(permissions=tuple(f"{each}.{verb}" for each in dict.fromkeys(types)))


def _read_access_control(place: str, row: Any, found: list[Violation]) -> SourceStatement:
    if not _is_row(place, row, ("role_name", "resource_type", "boundary"), found):
        return SourceStatement()
    role_name = row.get("role_name")
    if not isinstance(role_name, str) or not 1 <= len(role_name) <= 256:
        rule = "required" if role_name in (None, "") else "format"
        found.append(Violation(f"{place}.role_name", "must be the name of a role", rule=rule))
        role_name = ""
    of_type = row.get("resource_type")
    resource_type = _text(f"{place}.resource_type", of_type, _RESOURCE_TYPE, "`service.resource`", found)
    boundary = read_boundary(f"{place}.boundary", row.get("boundary"), found)
    found.extend(_boundary_faults(place, boundary))
    return SourceStatement(permissions=(f"{resource_type}.*",), role_names=(role_name,), boundary=boundary)


_READERS = {"permissions": _read_permission, "access_controls": _read_access_control}


def _is_row(place: str, row: Any, fields: tuple[str, ...], found: list[Violation]) -> bool:
    if not isinstance(row, dict):
        found.append(Violation(place, "must be an object", rule="format"))
        return False
    found.extend(
        Violation(f"{place}.{printable(name)}", "is no field here in this language", rule="unknown")
        for name in row
        if name not in fields
    )
    return True


def _text(place: str, value: Any, form: re.Pattern[str], told: str, found: list[Violation]) -> str:
    if isinstance(value, str) and form.fullmatch(value):
        return value
    rule = "required" if value is None else "pattern" if isinstance(value, str) else "format"
    found.append(Violation(place, f"must be written {told}", rule=rule))
    return ""


def _foreign_faults(place: str, statement: SourceStatement) -> list[Violation]:
    foreign = {
        "effect": statement.effect is not Effect.ALLOW,
        "operations": bool(statement.operations),
        "condition": bool(statement.condition),
        "endpoints": bool(statement.endpoints),
        "denied_endpoints": bool(statement.denied_endpoints),
        "source_network": bool(statement.source_network),
        "parameters": bool(statement.parameters),
    }
    told = "is not part of this language"
    return [Violation(f"{place}.{name}", told, rule="constraint") for name, there in foreign.items() if there]


def _boundary_faults(place: str, boundary: Boundary) -> list[Violation]:
    found = list(boundary_faults(place, boundary))
    if boundary.kind not in _BOUNDARIES:
        told = "must be `organization` or `own_divisions`"
        found.append(Violation(f"{place}.boundary.kind", told, rule="constraint"))
    return found


def _permission_faults(place: str, statement: SourceStatement) -> list[Violation]:
    if not statement.permissions:
        told = "must name the type of resource, as `service.resource.*`" if statement.role_names else "must be named"
        return [] if statement.role_names else [Violation(f"{place}.permissions", told, rule="required")]
    found: list[Violation] = []
    for number, permission in enumerate(statement.permissions):
        fault = permission_pattern_fault(permission)
        resource_type, _, verb = _in_three(permission).rpartition(".")
        if statement.role_names and not (verb == "*" and _RESOURCE_TYPE.fullmatch(resource_type)):
            fault = "must be `service.resource.*`: the type of resource that the roles are held on"
        elif resource_type.count(".") != 1:
            fault = fault or "must be `service.resource.verb`"
        if fault:
            found.append(Violation(f"{place}.permissions[{number}]", fault, rule="pattern"))
    return found
