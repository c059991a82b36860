"""Questions about rights, as they come.

A batch brings thousands of them, so what one of them says is read field by field from what is set,
and what several say alike is read once.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, Final

from concord.common.v1 import boundary_pb2, principal_pb2
from concord.kernel.addresses import canonical_address
from concord.kernel.errors import Invalid, Violation
from concord.kernel.principal import PrincipalRef
from concord.kernel.rpc.validation import compiled, require_valid_part
from concord.kernel.rpc.wire import instant_from_wire
from concord.policy import engine
from concord.policy.checks import Call, Check, PermissionsWanted, Touched
from concord.policy.model import BoundaryKind
from concord.policy.v1 import decision_pb2, decision_service_pb2
from concord.policy.wire.statements import boundary_from_wire, principal_of

_MAX_ATTRIBUTES: Final = 64
_MAX_ATTRIBUTE_NAME: Final = 128
_MAX_ATTRIBUTE_TEXT: Final = 1024
_MAX_AGENT: Final = 255
_MAX_SCOPES: Final = 100
_MAX_NAME: Final = 256
_MAX_PATH: Final = 2048
_MAX_METHOD: Final = 32
_MAX_PLACES: Final = 1000
# What a batch keeps of parts that its checks have alike; beyond that each is read for itself.
_MAX_PARTS: Final = 10_000

_BOUNDARY: Final = compiled(boundary_pb2.Boundary.DESCRIPTOR)
_CONTEXT: Final = compiled(decision_pb2.CheckContext.DESCRIPTOR)
_PRINCIPAL: Final = compiled(principal_pb2.PrincipalRef.DESCRIPTOR)

# How long the texts of a resource may be.
_RESOURCE_TEXTS: Final = {
    "id": _MAX_PATH,
    "type": _MAX_NAME,
    "name": _MAX_ATTRIBUTE_TEXT,
    "locality": _MAX_NAME,
    "owner_user_id": _MAX_NAME,
}

_NOTHING: Final[Mapping[str, str]] = {}

_Place = tuple[str, tuple[Any, ...]]


def check_from_wire(message: decision_pb2.Check, field: str) -> Check:
    """Return the question of a message, or raise Invalid for what is malformed in it."""
    return _Reader().check(message, field)


def batch_from_wire(request: decision_service_pb2.BatchCheckRequest) -> list[Check]:
    """Return the questions of a batch, in order; those that are the same are one object."""
    reader = _Reader()
    if request.HasField("defaults"):
        reader.defaults = reader.read(request.defaults, "defaults")
    seen: dict[bytes, Check] = {}
    checks: list[Check] = []
    for at, message in enumerate(request.checks):
        # All of the question, context and all: two of the same bytes are one question.
        key = message.SerializeToString()
        check = seen.get(key)
        if check is None:
            check = seen[key] = reader.check(message, f"checks[{at}]")
        checks.append(check)
    return checks


def permissions_from_wire(request: decision_service_pb2.ListPermissionsRequest) -> PermissionsWanted:
    """Return whose permissions are wanted, and where."""
    types = request.resource_types
    if len(types) > _MAX_SCOPES:
        raise Invalid(Violation("resource_types", f"must be at most {_MAX_SCOPES}", rule="length"))
    return PermissionsWanted(
        _Reader().read(request.check, "check"),
        anywhere=not request.check.HasField("boundary"),
        resource_types=frozenset(_text(each, "resource_types", str(at)) for at, each in enumerate(types)),
    )


class _Reader:
    """Reads the checks of one request."""

    def __init__(self) -> None:
        self.defaults = Check()
        self._subjects: dict[tuple[int, str], PrincipalRef] = {}
        self._places: dict[bytes, _Place] = {}

    def check(self, message: decision_pb2.Check, field: str) -> Check:
        """Return a whole question."""
        check = self.read(message, field)
        if check.about_nothing:
            raise Invalid(Violation(f"{field}.permission", "must be given", rule="required"))
        return check

    def read(self, message: decision_pb2.Check, field: str) -> Check:
        """Return what a message says, the rest as the defaults have it."""
        base = self.defaults
        check = Check(
            base.permission,
            base.subject,
            base.operation,
            base.organization_id,
            base.project_ids,
            base.resource,
            base.scopes,
            base.context,
            base.mfa,
            base.call,
        )
        for descriptor, value in message.ListFields():
            number = descriptor.number
            # What nearly every check of a batch says comes first.
            if number == _PERMISSION and len(value) <= _MAX_NAME and "\0" not in value:
                check.permission = value
            else:
                _SETTERS[number](self, check, value, field)
        return check

    def subject(self, check: Check, value: principal_pb2.PrincipalRef, field: str) -> None:
        key = (value.kind, value.id)
        subject = self._subjects.get(key)
        if subject is None:
            require_valid_part(value, _PRINCIPAL, f"{field}.subject")
            subject = self._subjects[key] = principal_of(value, f"{field}.subject")
        check.subject = subject

    def permission(self, check: Check, value: str, field: str) -> None:
        check.permission = _text(value, field, "permission")

    def operation(self, check: Check, value: str, field: str) -> None:
        check.operation = _text(value, field, "operation")

    def path(self, check: Check, value: str, field: str) -> None:
        call = check.call
        check.call = Call(_text(value, field, "endpoint_path", _MAX_PATH), call.method, call.variables)

    def method(self, check: Check, value: str, field: str) -> None:
        call = check.call
        check.call = Call(call.path, _text(value, field, "endpoint_method", _MAX_METHOD), call.variables)

    def variables(self, check: Check, value: Mapping[str, str], field: str) -> None:
        call = check.call
        check.call = Call(call.path, call.method, _texts_by_name(value, f"{field}.path_variables"))

    def resource(self, check: Check, value: decision_pb2.CheckedResource, field: str) -> None:
        check.resource = resource_from_wire(value, f"{field}.resource")

    def boundary(self, check: Check, value: boundary_pb2.Boundary, field: str) -> None:
        key = value.SerializeToString()
        place = self._places.get(key)
        if place is None:
            place = place_from_wire(value, f"{field}.boundary")
            if len(self._places) < _MAX_PARTS:
                self._places[key] = place
        check.organization_id, check.project_ids = place

    def scopes(self, check: Check, value: Any, field: str) -> None:
        check.scopes = scopes_from_wire(value, f"{field}.scopes")

    def context(self, check: Check, value: decision_pb2.CheckContext, field: str) -> None:
        check.context = context_from_wire(value, f"{field}.context")
        check.mfa = value.mfa if value.HasField("mfa") else None


_NUMBERS: Final = {field.name: field.number for field in decision_pb2.Check.DESCRIPTOR.fields}
_PERMISSION: Final = _NUMBERS["permission"]
_SETTERS: Final[dict[int, Callable[[_Reader, Check, Any, str], None]]] = {
    _NUMBERS["subject"]: _Reader.subject,
    _NUMBERS["permission"]: _Reader.permission,
    _NUMBERS["operation"]: _Reader.operation,
    _NUMBERS["endpoint_path"]: _Reader.path,
    _NUMBERS["endpoint_method"]: _Reader.method,
    _NUMBERS["resource"]: _Reader.resource,
    _NUMBERS["boundary"]: _Reader.boundary,
    _NUMBERS["scopes"]: _Reader.scopes,
    _NUMBERS["context"]: _Reader.context,
    _NUMBERS["path_variables"]: _Reader.variables,
}


def resource_from_wire(message: decision_pb2.CheckedResource, field: str) -> Touched:
    """Return the thing that an act is about. Where a thing with an id lies is unknown unless it is said."""
    type_, id_, name, locality = message.type, message.id, message.name, message.locality
    owner: str | None = message.owner_user_id.lower()
    texts = f"{type_}{id_}{name}{locality}{owner}"
    # Together they hardly ever reach what one of them may have.
    if len(texts) > _MAX_NAME or "\0" in texts:
        for each, longest in _RESOURCE_TEXTS.items():
            _text(getattr(message, each), field, each, longest)
    groups: frozenset[str] | None = frozenset()
    divisions: frozenset[str] | None = frozenset()
    if message.group_ids:
        groups = frozenset(each.lower() for each in _ids(message.group_ids, f"{field}.group_ids"))
    if message.division_ids:
        divisions = frozenset(_ids(message.division_ids, f"{field}.division_ids"))
    attributes = message.attributes
    told = _texts_by_name(attributes, f"{field}.attributes") if attributes else _NOTHING
    if id_:
        groups, divisions, owner = groups or None, divisions or None, owner or None
    return Touched(type_, id_, name, locality, groups, divisions, owner, told)


def place_from_wire(message: boundary_pb2.Boundary, field: str) -> _Place:
    """Return the organization and the projects of a boundary: where an act happens."""
    require_valid_part(message, _BOUNDARY, field)
    boundary = boundary_from_wire(message, field)
    if boundary.kind not in (BoundaryKind.ORGANIZATION, BoundaryKind.PROJECTS):
        raise Invalid(Violation(f"{field}.kind", "must be the organization or projects", rule="constraint"))
    if boundary.kind is BoundaryKind.PROJECTS and not boundary.project_ids:
        raise Invalid(Violation(f"{field}.project_ids", "must name a project", rule="required"))
    return boundary.organization_id, tuple(dict.fromkeys(boundary.project_ids))


def scopes_from_wire(scopes: Any, field: str) -> tuple[str, ...]:
    """Return the scopes that rights are lowered to."""
    if len(scopes) > _MAX_SCOPES:
        raise Invalid(Violation(field, f"must be at most {_MAX_SCOPES}", rule="length"))
    return tuple(_text(scope, field, str(at)) for at, scope in enumerate(scopes))


def context_from_wire(message: decision_pb2.CheckContext, field: str) -> engine.Context:
    """Return the circumstances of an act; whether a second factor was shown stands beside them."""
    # Before anything is read: the instant must be one, and texts must be texts.
    attributes = _attributes_from_wire(message.attributes, f"{field}.attributes")
    require_valid_part(message, _CONTEXT, field)
    address = canonical_address(message.ip) if message.ip else ""
    if message.ip and not address:
        raise Invalid(Violation(f"{field}.ip", "must be an IP address", rule="format"))
    return engine.Context(
        ip=address,
        time=instant_from_wire(message.time) if message.HasField("time") else None,
        user_agent=message.user_agent[:_MAX_AGENT],
        attributes=attributes,
    )


def _text(value: str, field: str, name: str, most: int = _MAX_NAME) -> str:
    if len(value) > most:
        raise Invalid(Violation(_at(field, name), f"must have at most {most} characters", rule="length"))
    if "\0" in value:
        raise Invalid(Violation(_at(field, name), "must not hold the character U+0000", rule="characters"))
    return value


def _at(field: str, name: str) -> str:
    return f"{field}[{name}]" if name.isdigit() else f"{field}.{name}"


def _ids(values: Any, field: str) -> list[str]:
    if len(values) > _MAX_PLACES:
        raise Invalid(Violation(field, f"must be at most {_MAX_PLACES}", rule="length"))
    return [_text(value, field, str(at)) for at, value in enumerate(values)]


def _texts_by_name(values: Mapping[str, str], field: str) -> dict[str, str]:
    _require_few(values, field)
    texts: dict[str, str] = {}
    for name in values:
        _require_name(name, field)
        texts[name] = _text(values[name], field, name, _MAX_ATTRIBUTE_TEXT)
    return texts


def _attributes_from_wire(struct: Any, field: str) -> dict[str, str]:
    _require_few(struct.fields, field)
    attributes: dict[str, str] = {}
    for name, value in struct.fields.items():
        _require_name(name, field)
        attributes[name] = _scalar_text(value, field, name)
    return attributes


def _require_few(values: Any, field: str) -> None:
    if len(values) > _MAX_ATTRIBUTES:
        raise Invalid(Violation(field, f"must be at most {_MAX_ATTRIBUTES}", rule="length"))


def _require_name(name: str, field: str) -> None:
    if not 1 <= len(name) <= _MAX_ATTRIBUTE_NAME or "\0" in name:
        raise Invalid(Violation(field, f"names have 1 to {_MAX_ATTRIBUTE_NAME} characters", rule="length"))


def _scalar_text(value: Any, field: str, name: str) -> str:
    match value.WhichOneof("kind"):
        case "string_value":
            return _text(value.string_value, field, name, _MAX_ATTRIBUTE_TEXT)
        case "number_value":
            number = float(value.number_value)
            return str(int(number)) if math.isfinite(number) and number == int(number) else repr(number)
        case "bool_value":
            return "true" if value.bool_value else "false"
    raise Invalid(Violation(_at(field, name), "must be a text, a number or a truth value", rule="constraint"))
