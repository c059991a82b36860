"""Trust documents: who may act as the user that carries one. They only allow, and name every trusted one in full.

{"statements": [{"effect": "allow", "condition": "ipAddress('10.0.0.0/24')", "principal": {
    "…": ["a resource name"], "service": ["a service"]}}]}

How resource names are written, the member that lists them, and which services there are is the catalogue's to say.
The names are bound to principals by whoever stores the document; a document whose names mean nobody trusts nobody.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from concord.kernel.errors import Violation
from concord.policy.catalogues.language_data import TrustDialect, dialects_of
from concord.policy.engine.condition import Outcome, compile_condition, facts
from concord.policy.engine.model import Request
from concord.policy.languages.base import printable, read_rows, refuse
from concord.policy.languages.call_conditions import (
    DEFAULT_ZONE,
    condition_fault,
    to_cel,
)
from concord.policy.languages.call_tokens import hidden_character

MAX_TRUSTED: Final = 500
"""How many principals, and how many services, one statement may name."""

_MAX_NAME = 256
_FIELDS = frozenset({"effect", "principal", "condition"})


@dataclass(frozen=True, slots=True)
class TrustedUser:
    """A trusted principal by the number of its organization and its name; without a name it is the owner."""

    organization_number: int
    user_name: str = ""


@dataclass(frozen=True, slots=True)
class TrustStatement:
    """Who is trusted under which condition, which is CEL; an empty one always holds."""

    users: tuple[TrustedUser, ...] = ()
    services: tuple[str, ...] = ()
    condition: str = ""


def parse_trust(document: str, zone: str = DEFAULT_ZONE) -> tuple[TrustStatement, ...]:
    """Return what a trust document says, or raise Invalid that names places in it."""
    violations: list[Violation] = []
    rows = read_rows(document, "statements")
    statements = tuple(_read(f"statements[{i}]", row, zone, violations) for i, row in enumerate(rows))
    refuse(violations)
    return statements


def trusts_user(statements: Sequence[TrustStatement], caller: TrustedUser, request: Request) -> bool:
    """Tell whether the caller may switch, in the circumstances of this request, whose subject it is."""
    return any(caller in each.users and condition_holds(each.condition, request) for each in statements)


def trusts_service(statements: Sequence[TrustStatement], service: str, request: Request) -> bool:
    """Tell whether a service of the platform may act, in the circumstances of this request."""
    return any(service in each.services and condition_holds(each.condition, request) for each in statements)


def condition_holds(condition: str, request: Request) -> bool:
    """Tell whether a condition is plainly true: an error trusts nobody."""
    return not condition or compile_condition(condition).evaluate(facts(request))[0] is Outcome.TRUE


def _read(place: str, row: Any, zone: str, violations: list[Violation]) -> TrustStatement:
    if not isinstance(row, dict):
        violations.append(Violation(place, "must be an object", rule="format"))
        return TrustStatement()
    violations.extend(_unknown(place, row, _FIELDS))
    if row.get("effect") != "allow":
        rule = "constraint" if "effect" in row else "required"
        violations.append(Violation(f"{place}.effect", "must be `allow`: nothing else can be said here", rule=rule))
    users, services = _principals(f"{place}.principal", row.get("principal"), violations)
    return TrustStatement(users, services, _condition(f"{place}.condition", row.get("condition", ""), zone, violations))


def _principals(place: str, value: Any, violations: list[Violation]) -> tuple[tuple[TrustedUser, ...], tuple[str, ...]]:
    dialects = dialects_of(TrustDialect)
    members = {dialect.principals: dialect for dialect in dialects}
    if not isinstance(value, dict):
        rule = "required" if value is None else "format"
        told = " or ".join(f"`{member}`" for member in (*members, "service"))
        violations.append(Violation(place, f"must be an object with {told}", rule=rule))
        return (), ()
    violations.extend(_unknown(place, value, frozenset({*members, "service"})))
    named = {member: _texts(f"{place}.{member}", value.get(member, []), violations) for member in members}
    services = _texts(f"{place}.service", value.get("service", []), violations)
    if not any(value.get(member) for member in (*members, "service")):
        violations.append(Violation(place, "must name somebody", rule="required"))
    users = [
        _trusted(f"{place}.{member}[{i}]", name, members[member], violations)
        for member, names in named.items()
        for i, name in enumerate(names)
    ]
    known = sorted({service for dialect in dialects for service in dialect.services})
    for number, service in enumerate(services):
        if service not in known:
            told = "must be one of " + ", ".join(f"`{each}`" for each in known)
            violations.append(Violation(f"{place}.service[{number}]", told, rule="unknown"))
    return tuple(user for user in users if user is not None), tuple(services)


def _trusted(place: str, name: str, dialect: TrustDialect, violations: list[Violation]) -> TrustedUser | None:
    """Read one resource name: a user's, or the organization's own, which stands for the owner."""
    user, fault = _split(name, dialect)
    if fault:
        violations.append(Violation(place, fault, rule="pattern"))
    return user


def _split(name: str, dialect: TrustDialect) -> tuple[TrustedUser | None, str]:
    if "*" in name:
        return None, "names one principal in full: stars are not allowed"
    if len(name) > _MAX_NAME + 64 or hidden_character(name):
        return None, "is too long or holds invisible characters"
    written = dialect.compiled_pattern().fullmatch(name)
    if written is None:
        return None, f"must be a resource name as `{dialect.name_example}`"
    number, kind, own = int(written["number"]), written["kind"], written["own"]
    if kind == dialect.user_kind and 0 < len(own) <= _MAX_NAME:
        return TrustedUser(number, own), ""
    if kind == dialect.owner_kind and own == written["organization"]:
        return TrustedUser(number), ""
    return None, f"must name {dialect.kinds}"


def _condition(place: str, value: Any, zone: str, violations: list[Violation]) -> str:
    fault = "must be a text" if not isinstance(value, str) else condition_fault(value, zone) if value else ""
    if fault:
        violations.append(Violation(place, fault, rule="condition" if isinstance(value, str) else "format"))
        return ""
    return to_cel(value, zone) if value else ""


def _texts(place: str, value: Any, violations: list[Violation]) -> list[str]:
    if not isinstance(value, list) or any(not isinstance(entry, str) for entry in value):
        violations.append(Violation(place, "must be a list of texts", rule="format"))
        return []
    if len(value) > MAX_TRUSTED:
        violations.append(Violation(place, f"must be at most {MAX_TRUSTED}", rule="length"))
        return []
    return list(value)


def _unknown(place: str, row: Mapping[str, Any], known: frozenset[str]) -> list[Violation]:
    return [
        Violation(f"{place}.{printable(name)}", "is no field here", rule="unknown") for name in row if name not in known
    ]
