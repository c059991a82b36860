"""Scopes are lists of endpoints; roles are lists of scopes; a role counts in the place where it is held.

A role's document is one scope, and a holder's names roles and where they are held:

{"allowed_endpoints": [{"path": "/auth/users/**", "method": "GET"}],
 "denied_endpoints": [{"path": "/auth/users/*/tokens", "method": "*"}], "allowed_iscp_messages": ["…"]}
{"roles": [{"role_names": ["…"], "boundary": {"kind": "group_subtree", "group_id": "…"}}]}
"""

import re
from collections.abc import Iterable, Sequence
from typing import Any

from concord.kernel.errors import Violation
from concord.policy.catalogues.language_data import PathDialect, dialects_of
from concord.policy.engine.match import permission_pattern_fault
from concord.policy.engine.model import (
    WHOLE_ORGANIZATION,
    Boundary,
    BoundaryKind,
    Combine,
    Effect,
    Endpoint,
    Policy,
    Statement,
)
from concord.policy.languages.base import (
    FindRole,
    SourceStatement,
    boundary_faults,
    printable,
    read_json,
    read_statements,
    refuse,
)
from concord.policy.languages.path_classes import PathClass

MAX_ENDPOINTS = 500
MAX_GLOB = 512
MAX_STARS = 16
MESSAGES = "iscp.messages."
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "CONNECT", "OPTIONS", "TRACE")

_ROLE_FIELDS = frozenset({"role_names", "boundary"})
_ENDPOINT_LISTS = ("allowed_endpoints", "denied_endpoints")
_MESSAGE_LIST = "allowed_iscp_messages"
_METHOD = re.compile(r"[A-Za-z*]{1,16}")
_MESSAGE = re.compile(r"\*|[A-Za-z0-9_\-]{1,128}")
# What is held for the organization counts where no project or group has a say.
_CLASSES = {
    BoundaryKind.ORGANIZATION: PathClass.OTHER,
    BoundaryKind.PROJECTS: PathClass.PROJECT,
    BoundaryKind.GROUP_SUBTREE: PathClass.GROUP,
}


class EndpointScopes:
    """The language `endpoint_scopes`."""

    name = "endpoint_scopes"
    combine = Combine.ANY_OF

    def parse(self, document: str) -> tuple[SourceStatement, ...]:
        """Return the scope or the held roles of a document, or raise Invalid that names places in it."""
        content = read_json(document)
        if isinstance(content, dict) and "roles" in content:
            statements = read_statements(document, "roles", _ROLE_FIELDS)
            refuse([fault for i, s in enumerate(statements) for fault in self._role_form_faults(f"roles[{i}]", s)])
            return statements
        statement = _read_scope(content)
        refuse(_scope_faults("", statement, _ENDPOINT_LISTS, _MESSAGE_LIST))
        return (statement,)

    def faults(self, statements: Sequence[SourceStatement], find_role: FindRole) -> list[Violation]:
        """Return what forbids storing these statements."""
        found: list[Violation] = []
        for number, statement in enumerate(statements):
            place = f"statements[{number}]"
            found.extend(_foreign_faults(place, statement))
            if not statement.role_names:
                names = ("endpoints", "denied_endpoints")
                found.extend(_scope_faults(f"{place}.", statement, names, "permissions"))
                found.extend(_place_faults(place, statement.boundary))
                continue
            found.extend(self._role_form_faults(place, statement))
            found.extend(
                Violation(f"{place}.role_names[{i}]", f"no role `{printable(name)}`", rule="unknown")
                for i, name in enumerate(statement.role_names)
                if find_role(name) is None
            )
        return found

    def _role_form_faults(self, place: str, statement: SourceStatement) -> list[Violation]:
        found = _place_faults(place, statement.boundary)
        if not statement.role_names:
            found.append(Violation(f"{place}.role_names", "must name at least one role", rule="required"))
        if statement.permissions or statement.endpoints or statement.denied_endpoints:
            told = "a statement either names roles or is a scope itself"
            found.append(Violation(f"{place}.role_names", told, rule="constraint"))
        return found

    def compile(self, policy_id: str, statements: Sequence[SourceStatement], find_role: FindRole) -> Policy:
        """Return the engine's form: each scope counts for the paths of the place in which it is held."""
        compiled: list[Statement] = []
        for number, source in enumerate(statements):
            path_class = _CLASSES.get(source.boundary.kind)
            if path_class is not None:
                compiled.extend(_compiled(f"{policy_id}#{number}", source, find_role, path_class.value))
        return Policy(policy_id, tuple(compiled))

    def compile_asked(self, policy_id: str, statements: Sequence[SourceStatement], find_role: FindRole) -> Policy:
        """Return the scopes that a question brings along, which count for paths of any place.

        What is held in projects or groups is nothing that a question can bring elsewhere, and is left out.
        Whether asked scopes count at all is for `path_classes.counting` to say.
        """
        compiled: list[Statement] = []
        for number, source in enumerate(statements):
            if source.boundary.kind is BoundaryKind.ORGANIZATION:
                compiled.extend(_compiled(f"{policy_id}#{number}", source, find_role, ""))
        return Policy(policy_id, tuple(compiled))


def _scopes(source: SourceStatement, find_role: FindRole) -> Iterable[SourceStatement]:
    """Return what a statement stands for: itself, or what its roles say. Roles that are gone say nothing."""
    if not source.role_names:
        yield source
        return
    for role in map(find_role, source.role_names):
        if role is not None:
            yield SourceStatement(permissions=role.permissions)
            yield from (scope for scope in role.statements if scope.boundary == WHOLE_ORGANIZATION)


def _compiled(fallback_id: str, source: SourceStatement, find_role: FindRole, path_class: str) -> Iterable[Statement]:
    # What this language could not have said grants nothing: to overlook a part of it would widen it.
    if _foreign_faults("", source):
        return
    name = source.id or fallback_id
    permissions: dict[str, None] = {}
    for scope in _scopes(source, find_role):
        if _foreign_faults("", scope):
            continue
        permissions.update(dict.fromkeys(scope.permissions))
        if scope.endpoints:
            # One statement for each scope: what one denies, another may still allow.
            yield Statement(
                id=name,
                endpoints=_spelled_out(scope.endpoints),
                denied_endpoints=_spelled_out(scope.denied_endpoints),
                boundary=source.boundary,
                path_class=path_class,
            )
    if permissions:
        # Messages have no path, so neither denied endpoints nor the path's place narrow them.
        yield Statement(id=name, permissions=tuple(permissions), boundary=source.boundary)


def _spelled_out(endpoints: Iterable[Endpoint]) -> tuple[Endpoint, ...]:
    """Return endpoints with each method named, with and without the prefix that callers may leave out."""
    found: dict[Endpoint, None] = {}
    for endpoint in endpoints:
        for method in _methods(endpoint.method):
            for dialect in dialects_of(PathDialect):
                for path in _spellings(endpoint.path, dialect.prefix):
                    found[Endpoint(path, method)] = None
    return tuple(found)


def _methods(glob: str) -> tuple[str, ...]:
    if glob in ("", "*", "**"):
        return ("*",)
    if "*" not in glob:
        return (glob.upper(),)
    pattern = re.compile(".*".join(re.escape(part) for part in re.split(r"\*+", glob.upper())))
    return tuple(method for method in _METHODS if pattern.fullmatch(method))


def _spellings(glob: str, prefix: str) -> tuple[str, ...]:
    if glob.startswith(f"{prefix}/"):
        return (glob, glob.removeprefix(prefix))
    # Two stars in front stand for the prefix as well.
    return (glob,) if glob.startswith(("/**", "*")) else (glob, prefix + glob)


def _read_scope(content: Any) -> SourceStatement:
    if not isinstance(content, dict):
        refuse([Violation("document", "must be an object: a scope, or a list of `roles`", rule="format")])
    known = (*_ENDPOINT_LISTS, _MESSAGE_LIST)
    found = [
        Violation(printable(name) or "document", "is no field of a scope in this language", rule="unknown")
        for name in content
        if name not in known
    ]
    allowed, denied = (_read_endpoints(name, content.get(name, []), found) for name in _ENDPOINT_LISTS)
    messages = _read_texts(_MESSAGE_LIST, content.get(_MESSAGE_LIST, []), found)
    if not found and not allowed and not messages:
        found.append(Violation(_ENDPOINT_LISTS[0], "must name at least one endpoint, or a message", rule="required"))
    refuse(found)
    return SourceStatement(
        permissions=tuple(MESSAGES + message for message in messages), endpoints=allowed, denied_endpoints=denied
    )


def _read_endpoints(name: str, rows: Any, found: list[Violation]) -> tuple[Endpoint, ...]:
    if not isinstance(rows, list):
        found.append(Violation(name, "must be a list of endpoints", rule="format"))
        return ()
    endpoints = []
    for number, row in enumerate(rows[: MAX_ENDPOINTS + 1]):
        place = f"{name}[{number}]"
        if not isinstance(row, dict) or not all(isinstance(value, str) for value in row.values()):
            found.append(Violation(place, "must be an object of a `path` and a `method`, both texts", rule="format"))
        elif set(row) != {"path", "method"}:
            told = "must have a `path`, a `method` and nothing else"
            found.append(Violation(place, told, rule="required" if len(row) < 2 else "unknown"))
        else:
            endpoints.append(Endpoint(row["path"], row["method"]))
    return tuple(endpoints)


def _read_texts(name: str, rows: Any, found: list[Violation]) -> tuple[str, ...]:
    if not isinstance(rows, list) or not all(isinstance(row, str) for row in rows):
        found.append(Violation(name, "must be a list of texts", rule="format"))
        return ()
    return tuple(rows)


def _place_faults(place: str, boundary: Boundary) -> list[Violation]:
    found = boundary_faults(place, boundary)
    if boundary.kind not in _CLASSES:
        told = "must be `organization`, `projects` or `group_subtree`"
        found.append(Violation(f"{place}.boundary.kind", told, rule="constraint"))
    return found


def _foreign_faults(place: str, statement: SourceStatement) -> list[Violation]:
    foreign = {
        "effect": statement.effect is not Effect.ALLOW,
        "operations": bool(statement.operations),
        "condition": bool(statement.condition),
        "source_network": bool(statement.source_network),
        "parameters": bool(statement.parameters),
    }
    told = "is not part of this language"
    return [Violation(f"{place}.{name}", told, rule="constraint") for name, there in foreign.items() if there]


def _scope_faults(prefix: str, statement: SourceStatement, lists: tuple[str, str], permissions: str) -> list[Violation]:
    found: list[Violation] = []
    if not statement.endpoints and not statement.permissions:
        found.append(Violation(prefix + lists[0], "must name at least one endpoint, or a message", rule="required"))
    for name, endpoints in zip(lists, (statement.endpoints, statement.denied_endpoints), strict=True):
        if len(endpoints) > MAX_ENDPOINTS:
            found.append(Violation(prefix + name, f"must be at most {MAX_ENDPOINTS}", rule="length"))
            continue
        for number, endpoint in enumerate(endpoints):
            found.extend(_endpoint_faults(f"{prefix}{name}[{number}]", endpoint))
    for number, permission in enumerate(statement.permissions):
        fault = permission_pattern_fault(permission)
        if permission.startswith(MESSAGES) and not _MESSAGE.fullmatch(permission.removeprefix(MESSAGES)):
            fault = "must be the name of a message, of letters, digits, `-` and `_`, or `*`"
        if fault:
            found.append(Violation(f"{prefix}{permissions}[{number}]", fault, rule="pattern"))
    return found


def _endpoint_faults(place: str, endpoint: Endpoint) -> list[Violation]:
    found: list[Violation] = []
    path, method = endpoint.path, endpoint.method
    if endpoint.base_path:
        found.append(Violation(f"{place}.base_path", "paths of this language are written whole", rule="constraint"))
    if not 1 <= len(path) <= MAX_GLOB:
        found.append(Violation(f"{place}.path", f"must have 1 to {MAX_GLOB} characters", rule="length"))
    elif not path.startswith(("/", "**")) or not (path.isascii() and path.isprintable()) or " " in path:
        told = "must begin with `/` or `**` and be written in visible ASCII, anything else escaped"
        found.append(Violation(f"{place}.path", told, rule="pattern"))
    elif len(re.findall(r"\*+", path)) > MAX_STARS or "***" in path:
        told = f"must have at most {MAX_STARS} stars, single or in pairs"
        found.append(Violation(f"{place}.path", told, rule="pattern"))
    if method and not _METHOD.fullmatch(method):
        found.append(Violation(f"{place}.method", "must be a method, or a pattern with `*`", rule="pattern"))
    elif not _methods(method):
        found.append(Violation(f"{place}.method", "fits no method", rule="pattern"))
    return found
