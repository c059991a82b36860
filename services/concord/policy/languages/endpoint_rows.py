"""Roles as white lists of rows: an interface, a path below it, a verb, and where the caller is. Nothing denies.

{"resources": [{"basePath": "/business-process", "path": "/contracts", "verb": "GET", "ipAddress": "10.0.0.5/24"}]}

A row allows what fits all its columns; any row of a role will do; but all roles that one holder has must allow.
So a role of `*`, `*`, `*` and a network says from where, and one without rows blocks its holder. Further keys of a
row have to equal what the call says under the same name. Calls of this platform are judged by operation: a row is
about those whose path it covers.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any, Final

from concord.kernel.errors import Violation
from concord.policy.catalogues.language_data import RowDialect, dialects_of
from concord.policy.engine.condition import MAX_LENGTH
from concord.policy.engine.model import WHOLE_ORGANIZATION, Combine, Effect, Endpoint, Policy, Statement
from concord.policy.engine.networks import parse_network
from concord.policy.languages.base import FindRole, SourceStatement, printable, read_rows, refuse
from concord.policy.languages.call_conditions import quote
from concord.policy.languages.row_operations import operations_within

VERBS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE")
MAX_PARAMETERS: Final = 16
"""How many further keys a row may have."""

_ANY = "*"
_COLUMNS = ("basePath", "path", "verb", "ipAddress")
# Escapes, empty segments and dots would let two spellings of one path disagree.
_PATH = re.compile(r"(/[A-Za-z0-9_.~!$&'()+,;=:@-]+)+/?|/")
_DOTS = re.compile(r"/\.{1,2}(/|$)")
_MAX_PATH = 512
_KEY = re.compile(r"[A-Za-z0-9@'._-]{1,128}")
_VALUE = re.compile(r"[A-Za-z0-9@'._/ -]{0,128}")
_FOREIGN: Final = ("permissions", "operations", "role_names", "denied_endpoints", "condition")


class EndpointRows:
    """The language `endpoint_rows`."""

    name = "endpoint_rows"
    combine = Combine.ALL_OF

    def parse(self, document: str) -> tuple[SourceStatement, ...]:
        """Return the rows of a document, or raise Invalid that names places in it."""
        violations: list[Violation] = []
        rows = read_rows(document, "resources")
        statements = tuple(_read(f"resources[{i}]", row, violations) for i, row in enumerate(rows))
        refuse(violations)
        return statements

    def faults(self, statements: Sequence[SourceStatement], find_role: FindRole) -> list[Violation]:
        """Return what forbids storing these rows."""
        return [fault for i, s in enumerate(statements) for fault in _faults(f"statements[{i}]", s)]

    def compile(self, policy_id: str, statements: Sequence[SourceStatement], find_role: FindRole) -> Policy:
        """Return the engine's form."""
        return Policy(policy_id, tuple(_compile(f"{policy_id}#{i}", source) for i, source in enumerate(statements)))


def known_base_paths() -> tuple[str, ...]:
    """Return where the interfaces lie that rows are about; a called path is parted behind the longest that fits."""
    return _joined(tuple(dialect.interfaces for dialect in dialects_of(RowDialect)))


@lru_cache(maxsize=8)
def _joined(paths: tuple[tuple[str, ...], ...]) -> tuple[str, ...]:
    # One value for all statements, of which there may be many.
    return tuple(dict.fromkeys(chain.from_iterable(paths)))


def _compile(fallback_id: str, source: SourceStatement) -> Statement:
    network = source.source_network
    operations: list[str] = []
    endpoints: list[Endpoint] = []
    for written in source.endpoints:
        base, paths, verb = _base(written.base_path), _paths(written.path), written.method.upper()
        operations.extend(operations_within(base, paths, verb))
        endpoints.extend(_endpoints(base, paths, verb))
    return Statement(
        id=source.id or fallback_id,
        operations=tuple(operations),
        endpoints=tuple(endpoints),
        source_networks=(network,) if network not in ("", _ANY) else (),
        parameters=tuple((key, value) for key, value in source.parameters if not value.endswith(_ANY)),
        condition=_condition(source.parameters),
        base_paths=known_base_paths(),
    )


def _condition(parameters: Sequence[tuple[str, str]]) -> str:
    """Return the test of the parameters of which only a beginning is given; others are compared without one."""
    return " && ".join(
        f"request.attributes[{quote(key)}].startsWith({quote(value[:-1])})"
        for key, value in parameters
        if value.endswith(_ANY) and value != _ANY
    )


def _endpoints(base: str, paths: Sequence[str], verb: str) -> list[Endpoint]:
    if base == _ANY and "**" in paths:
        # Any path, but a path: what says none is no call of an interface, and a row is not about it.
        return [Endpoint("/**", verb)]
    return [Endpoint(path, verb, base) for path in paths]


def _base(written: str) -> str:
    """Return a base path without version, its star one that crosses segments."""
    if written == _ANY:
        return _ANY
    version = next((version for version in _versions() if written.startswith(version + "/")), "")
    base = written.removeprefix(version)
    return base[:-1] + "**" if base.endswith(_ANY) else base.rstrip("/")


def _versions() -> tuple[str, ...]:
    return tuple(dialect.version for dialect in dialects_of(RowDialect))


def _paths(written: str) -> list[str]:
    """Return the globs of a path: itself and what lies below it; behind a star, whatever follows."""
    if written.endswith(_ANY):
        return [written[:-1] + "**"]
    path = written.rstrip("/")
    return [path, path + "/**"] if path else ["/"]


def _read(place: str, row: Any, violations: list[Violation]) -> SourceStatement:
    if not isinstance(row, dict):
        violations.append(Violation(place, "must be an object", rule="format"))
        return SourceStatement()
    base = _column(place, row, "basePath", _base_path_fault, violations)
    path = _column(place, row, "path", _path_fault, violations)
    verb = _column(place, row, "verb", _verb_fault, violations)
    network = _column(place, row, "ipAddress", _network_fault, violations)
    return SourceStatement(
        endpoints=(Endpoint(path, verb.upper(), base),),
        source_network="" if network == _ANY else network,
        parameters=_parameters(place, row, violations),
    )


def _column(
    place: str,
    row: Mapping[str, Any],
    name: str,
    fault_of: Callable[[str], str],
    violations: list[Violation],
) -> str:
    value = row.get(name)
    if not isinstance(value, str):
        told, rule = ("must be a text", "format") if name in row else ("is missing; `*` stands for any", "required")
    else:
        told, rule = fault_of(value), "pattern"
    if told:
        violations.append(Violation(f"{place}.{name}", told, rule=rule))
    return value if isinstance(value, str) else ""


def _parameters(place: str, row: Mapping[str, Any], violations: list[Violation]) -> tuple[tuple[str, str], ...]:
    further = [(key, value) for key, value in row.items() if key not in _COLUMNS]
    for key, value in further[:MAX_PARAMETERS]:
        told = _parameter_fault(key, value) if isinstance(value, str) else "must be a text"
        if told:
            violations.append(Violation(f"{place}.{printable(key)}", told, rule="pattern"))
    parameters = tuple((key, value) for key, value in further if isinstance(value, str))
    violations.extend(_size_faults(place, "further keys", parameters))
    return parameters


def _faults(place: str, statement: SourceStatement) -> list[Violation]:
    found = [
        Violation(f"{place}.{name}", "is not part of this language", rule="constraint")
        for name in _FOREIGN
        if getattr(statement, name)
    ]
    if statement.effect is not Effect.ALLOW:
        found.append(Violation(f"{place}.effect", "rows of this language only allow", rule="constraint"))
    if statement.boundary != WHOLE_ORGANIZATION:
        found.append(Violation(f"{place}.boundary", "rows hold for the whole organization", rule="constraint"))
    if len(statement.endpoints) != 1:
        found.append(Violation(f"{place}.endpoints", "a row has exactly one", rule="constraint"))
    found.extend(_size_faults(f"{place}.parameters", "entries", statement.parameters))
    told = {f"endpoints[{i}].{name}": fault for i, e in enumerate(statement.endpoints) for name, fault in _told(e)}
    if statement.source_network:
        told["source_network"] = _network_fault(statement.source_network)
    for number, (key, value) in enumerate(statement.parameters[:MAX_PARAMETERS]):
        told[f"parameters[{number}]"] = _parameter_fault(key, value)
    return [*found, *(Violation(f"{place}.{spot}", fault, rule="pattern") for spot, fault in told.items() if fault)]


def _told(endpoint: Endpoint) -> list[tuple[str, str]]:
    return [
        ("base_path", _base_path_fault(endpoint.base_path)),
        ("path", _path_fault(endpoint.path)),
        ("method", _verb_fault(endpoint.method)),
    ]


def _base_path_fault(value: str) -> str:
    if value == "/" or value.removesuffix("/") in _versions():
        return "must name an interface, or be `*`"
    return _path_fault(value)


def _path_fault(value: str) -> str:
    if value == _ANY:
        return ""
    if len(value) > _MAX_PATH:
        return f"must have at most {_MAX_PATH} characters"
    if _ANY in value[:-1]:
        return "a star stands at the end or alone"
    literal = value.removesuffix(_ANY)
    if not _PATH.fullmatch(literal) or _DOTS.search(literal):
        return "must be a path such as `/contracts`, with at most a star at its end, or `*`"
    return ""


def _verb_fault(value: str) -> str:
    known = ", ".join(f"`{verb}`" for verb in VERBS)
    # Letters beyond ASCII can turn into these when they are raised.
    fits = value == _ANY or (value.isascii() and value.upper() in VERBS)
    return "" if fits else f"must be {known} or `*`"


def _network_fault(value: str) -> str:
    if value == _ANY:
        return ""
    try:
        parse_network(value)
    except ValueError:
        fits = False
    else:
        fits = ":" not in value
    return "" if fits else "must be an IPv4 address, a network such as `192.0.2.0/24`, or `*`"


def _size_faults(place: str, what: str, parameters: Sequence[tuple[str, str]]) -> list[Violation]:
    if len(parameters) > MAX_PARAMETERS:
        return [Violation(place, f"must have at most {MAX_PARAMETERS} {what}", rule="length")]
    if len(_condition(parameters)) > MAX_LENGTH:
        return [Violation(place, f"has too many long {what} that end with a star", rule="length")]
    return []


def _parameter_fault(key: str, value: str) -> str:
    if key in _COLUMNS or not _KEY.fullmatch(key):
        return "a key has 1 to 128 letters, digits and `@ - ' . _`"
    if not _VALUE.fullmatch(value.removesuffix(_ANY)) or len(value) > 128:
        return "must have at most 128 letters, digits, spaces and `@ - ' . _ /`, and a star at most at the end"
    return ""
