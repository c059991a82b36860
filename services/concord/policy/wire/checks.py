"""Questions about rights, and their answers."""

import math
from typing import Any, Final

from concord.common.v1 import boundary_pb2
from concord.kernel.errors import Invalid, Violation
from concord.kernel.rpc.wire import instant_from_wire
from concord.policy import engine
from concord.policy.checks import Check
from concord.policy.model import (
    BoundaryKind,
)
from concord.policy.v1 import (
    decision_pb2,
    statement_pb2,
)
from concord.policy.wire.statements import boundary_from_wire, principal_of

_MAX_ATTRIBUTES: Final = 64
_MAX_ATTRIBUTE_NAME: Final = 128
_MAX_ATTRIBUTE_TEXT: Final = 1024
_MAX_AGENT: Final = 255
_MAX_SCOPES: Final = 100
_MAX_NAME: Final = 256


def check_from_wire(message: decision_pb2.Check, field: str) -> Check:
    """Return the question of a message, or raise Invalid for what is malformed in it."""
    found: list[Violation] = []
    if not message.permission and not message.operation and not message.endpoint_path:
        found.append(Violation(f"{field}.permission", "must be given", rule="required"))
    for name in ("permission", "operation"):
        if len(getattr(message, name)) > _MAX_NAME:
            found.append(Violation(f"{field}.{name}", f"must have at most {_MAX_NAME} characters", rule="length"))
    if len(message.scopes) > _MAX_SCOPES or any(len(scope) > _MAX_NAME for scope in message.scopes):
        told = f"must be at most {_MAX_SCOPES}, each of at most {_MAX_NAME} characters"
        found.append(Violation(f"{field}.scopes", told, rule="length"))
    if found:
        raise Invalid(*found)
    boundary = boundary_from_wire(message.boundary, f"{field}.boundary") if message.HasField("boundary") else None
    if boundary is not None and boundary.kind not in (BoundaryKind.ORGANIZATION, BoundaryKind.PROJECTS):
        told = "must be the organization or projects"
        raise Invalid(Violation(f"{field}.boundary.kind", told, rule="constraint"))
    if boundary is not None and boundary.kind is BoundaryKind.PROJECTS and not boundary.project_ids:
        raise Invalid(Violation(f"{field}.boundary.project_ids", "must name a project", rule="required"))
    return Check(
        permission=message.permission,
        subject=principal_of(message.subject, f"{field}.subject") if message.HasField("subject") else None,
        operation=message.operation,
        organization_id="" if boundary is None else boundary.organization_id,
        project_ids=() if boundary is None else tuple(dict.fromkeys(boundary.project_ids)),
        resource=engine.Resource(
            message.resource.type, message.resource.id, message.resource.name, message.resource.locality
        ),
        scopes=tuple(message.scopes),
        context=_context_from_wire(message, f"{field}.context"),
    )


def decision_to_wire(decision: engine.Decision, revision: str) -> decision_pb2.Decision:
    """Return the message for a decision."""
    message = decision_pb2.Decision(
        effect=statement_pb2.EFFECT_ALLOW if decision.allowed else statement_pb2.EFFECT_DENY,
        allowed=decision.allowed,
        statement_ids=decision.statement_ids,
        revision=revision,
        failed_conditions=[
            decision_pb2.FailedCondition(statement_id=each.statement_id, cause="error" if each.error else "false")
            for each in decision.failed_conditions
        ],
    )
    if decision.allowed:
        message.reach.everything = decision.reach.everything
        if decision.reach.project_ids:
            message.reach.boundaries.append(
                boundary_pb2.Boundary(
                    kind=boundary_pb2.BOUNDARY_KIND_PROJECTS, project_ids=sorted(decision.reach.project_ids)
                )
            )
    return message


def _context_from_wire(message: decision_pb2.Check, field: str) -> engine.Context:
    context = message.context
    return engine.Context(
        ip=context.ip[:64],
        time=instant_from_wire(context.time) if context.HasField("time") else None,
        user_agent=context.user_agent[:_MAX_AGENT],
        mfa=context.mfa,
        method=message.endpoint_method[:32],
        path=message.endpoint_path[:2048],
        attributes=_attributes_from_wire(context.attributes, f"{field}.attributes"),
    )


def _attributes_from_wire(struct: Any, field: str) -> dict[str, str]:
    if len(struct.fields) > _MAX_ATTRIBUTES:
        raise Invalid(Violation(field, f"must be at most {_MAX_ATTRIBUTES}", rule="length"))
    attributes: dict[str, str] = {}
    for name, value in struct.fields.items():
        if not 1 <= len(name) <= _MAX_ATTRIBUTE_NAME:
            raise Invalid(Violation(field, f"names have 1 to {_MAX_ATTRIBUTE_NAME} characters", rule="length"))
        attributes[name] = _scalar_text(value, f"{field}.{name}")
    return attributes


def _scalar_text(value: Any, field: str) -> str:
    match value.WhichOneof("kind"):
        case "string_value":
            if len(value.string_value) > _MAX_ATTRIBUTE_TEXT:
                raise Invalid(Violation(field, f"must have at most {_MAX_ATTRIBUTE_TEXT} characters", rule="length"))
            return str(value.string_value)
        case "number_value":
            number = float(value.number_value)
            return str(int(number)) if math.isfinite(number) and number == int(number) else repr(number)
        case "bool_value":
            return "true" if value.bool_value else "false"
    raise Invalid(Violation(field, "must be a text, a number or a truth value", rule="constraint"))
