"""Subjects, boundaries and statements, both ways side by side."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Final

from google.protobuf.json_format import MessageToDict

from concord.common.v1 import boundary_pb2
from concord.kernel import ids
from concord.kernel.errors import Invalid, Violation
from concord.kernel.ids import ProjectId, StatementId
from concord.kernel.principal import PrincipalKind, PrincipalRef
from concord.kernel.rpc.wire import principal_from_wire, principal_to_wire
from concord.policy.model import (
    NOBODY,
    Boundary,
    BoundaryKind,
    Effect,
    Endpoint,
    Statement,
    Subject,
    SubjectKind,
)
from concord.policy.operations.role_names import boundary_kind_of
from concord.policy.v1 import (
    statement_pb2,
    subject_pb2,
)

BOUNDARY_KINDS: Final = {
    BoundaryKind.ORGANIZATION: boundary_pb2.BOUNDARY_KIND_ORGANIZATION,
    BoundaryKind.PROJECTS: boundary_pb2.BOUNDARY_KIND_PROJECTS,
    BoundaryKind.GROUP_SUBTREE: boundary_pb2.BOUNDARY_KIND_GROUP_SUBTREE,
    BoundaryKind.OWN_DIVISIONS: boundary_pb2.BOUNDARY_KIND_OWN_DIVISIONS,
    BoundaryKind.OWNER_ACCOUNT: boundary_pb2.BOUNDARY_KIND_OWNER_ACCOUNT,
}
BOUNDARY_KINDS_BACK: Final = {number: kind for kind, number in BOUNDARY_KINDS.items()}
SUBJECT_KINDS: Final = {
    SubjectKind.USER: subject_pb2.SUBJECT_KIND_USER,
    SubjectKind.APPLICATION: subject_pb2.SUBJECT_KIND_APPLICATION,
    SubjectKind.DEVICE: subject_pb2.SUBJECT_KIND_DEVICE,
    SubjectKind.GROUP: subject_pb2.SUBJECT_KIND_GROUP,
    SubjectKind.EVERYONE: subject_pb2.SUBJECT_KIND_EVERYONE,
    SubjectKind.NONE: subject_pb2.SUBJECT_KIND_NONE,
}
SUBJECT_KINDS_BACK: Final = {number: kind for kind, number in SUBJECT_KINDS.items()}


def subject_to_wire(subject: Subject) -> subject_pb2.PolicySubject:
    """Return the message for a subject."""
    message = subject_pb2.PolicySubject()
    principal = subject.principal
    if principal is not None:
        message.principal.CopyFrom(principal_to_wire(principal))
    elif subject.kind is SubjectKind.GROUP:
        message.group_id = subject.id
    elif subject.kind is SubjectKind.EVERYONE:
        message.everyone.SetInParent()
    else:
        message.none.SetInParent()
    return message


def subject_from_wire(message: subject_pb2.PolicySubject, field: str) -> Subject:
    """Return the subject of a message; one without any arm is nobody."""
    match message.WhichOneof("holder"):
        case "principal":
            return Subject.of(principal_of(message.principal, f"{field}.principal"))
        case "group_id":
            return Subject(SubjectKind.GROUP, ids.parse(ids.GroupId, message.group_id, f"{field}.group_id"))
        case "everyone":
            return Subject(SubjectKind.EVERYONE)
    return NOBODY


def principal_of(message: Any, field: str) -> PrincipalRef:
    """Return the principal that a message names, or raise Invalid where it names none that can hold rights."""
    principal = principal_from_wire(message)
    if principal is None:
        raise Invalid(Violation(f"{field}.id", "must be a UUID", rule="uuid"))
    if principal.kind is PrincipalKind.SERVICE:
        raise Invalid(Violation(f"{field}.kind", "must be a user, an application or a device", rule="constraint"))
    return PrincipalRef(principal.kind, ids.parse(str, principal.id, f"{field}.id"))


def boundary_to_wire(boundary: Boundary) -> boundary_pb2.Boundary:
    """Return the message for a boundary."""
    return boundary_pb2.Boundary(
        kind=BOUNDARY_KINDS[boundary.kind],
        organization_id=boundary.organization_id,
        project_ids=boundary.project_ids,
        group_id=boundary.group_id,
        owner_user_id=boundary.owner_user_id,
    )


def boundary_from_wire(message: boundary_pb2.Boundary, field: str) -> Boundary:
    """Return the boundary of a message. The kind may be left out where a member tells it."""
    kind = BOUNDARY_KINDS_BACK.get(message.kind) or _implied_kind(message)
    if kind is None:
        raise Invalid(Violation(f"{field}.kind", "must be given", rule="required"))
    projects = tuple(
        ids.parse(ProjectId, each, f"{field}.project_ids[{at}]") for at, each in enumerate(message.project_ids)
    )
    return Boundary(
        kind=kind,
        organization_id=_id_or_empty(message.organization_id, f"{field}.organization_id"),
        project_ids=projects,
        group_id=_id_or_empty(message.group_id, f"{field}.group_id"),
        owner_user_id=_id_or_empty(message.owner_user_id, f"{field}.owner_user_id"),
    )


def statement_to_wire(statement: Statement) -> statement_pb2.Statement:
    """Return the message for a statement."""
    shared = boundary_kind_of(statement.role_names)
    message = statement_pb2.Statement(
        id=statement.id,
        effect=statement_pb2.EFFECT_DENY if statement.effect is Effect.DENY else statement_pb2.EFFECT_ALLOW,
        permissions=statement.permissions,
        operations=statement.operations,
        endpoints=[_endpoint_to_wire(each) for each in statement.endpoints],
        denied_endpoints=[_endpoint_to_wire(each) for each in statement.denied_endpoints],
        source_network=statement.source_network,
        role_names=statement.role_names,
        boundary=None if statement.boundary is None else boundary_to_wire(statement.boundary),
        condition=statement.condition,
        role_boundary_kind=None if shared is None else BOUNDARY_KINDS[shared],
    )
    if statement.parameters:
        message.parameters.update(dict(statement.parameters))
    return message


def statement_from_wire(message: statement_pb2.Statement, field: str) -> Statement:
    """Return the statement of a message; its id is not taken."""
    return Statement(
        id=StatementId(""),
        effect=Effect.DENY if message.effect == statement_pb2.EFFECT_DENY else Effect.ALLOW,
        permissions=tuple(message.permissions),
        operations=tuple(message.operations),
        endpoints=tuple(_endpoint_from_wire(each) for each in message.endpoints),
        denied_endpoints=tuple(_endpoint_from_wire(each) for each in message.denied_endpoints),
        source_network=message.source_network,
        parameters=MessageToDict(message.parameters) if message.HasField("parameters") else {},
        role_names=tuple(message.role_names),
        boundary=boundary_from_wire(message.boundary, f"{field}.boundary") if message.HasField("boundary") else None,
        condition=message.condition,
    )


def statements_from_wire(messages: Iterable[statement_pb2.Statement]) -> tuple[Statement, ...]:
    """Return the statements of messages."""
    return tuple(statement_from_wire(each, f"statements[{at}]") for at, each in enumerate(messages))


def kept_statement_from_wire(message: statement_pb2.Statement) -> Statement:
    """Return the statement of a message that this service made, id and all."""
    return replace(statement_from_wire(message, "statements"), id=StatementId(message.id))


def _implied_kind(message: boundary_pb2.Boundary) -> BoundaryKind | None:
    if message.project_ids:
        return BoundaryKind.PROJECTS
    if message.organization_id:
        return BoundaryKind.ORGANIZATION
    if message.group_id:
        return BoundaryKind.GROUP_SUBTREE
    return BoundaryKind.OWNER_ACCOUNT if message.owner_user_id else None


def _id_or_empty(text: str, field: str) -> str:
    return str(ids.parse(str, text, field)) if text else ""


def _endpoint_to_wire(endpoint: Endpoint) -> statement_pb2.Endpoint:
    return statement_pb2.Endpoint(
        base_path=endpoint.base_path, path_pattern=endpoint.path_pattern, method=endpoint.method
    )


def _endpoint_from_wire(message: statement_pb2.Endpoint) -> Endpoint:
    return Endpoint(message.base_path, message.path_pattern, message.method)
