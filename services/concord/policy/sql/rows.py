"""Rows ↔ domain objects."""

from collections.abc import Mapping
from typing import Any

from concord.kernel.ids import OrganizationId, PolicyId, ProjectId, StatementId
from concord.policy.model import Boundary, BoundaryKind, Effect, Endpoint, Policy, Statement, Subject, SubjectKind


def policy_row(policy: Policy) -> dict[str, Any]:
    """Return the row of a policy."""
    return {
        "organization_id": policy.organization_id,
        "id": policy.id,
        "version": policy.version,
        "create_time": policy.create_time,
        "update_time": policy.update_time,
        "name": policy.name,
        "name_folded": policy.name.casefold(),
        "description": policy.description,
        "tags": list(policy.tags),
        "attributes": dict(policy.attributes),
        "subject_kind": policy.subject.kind.value,
        "subject_id": policy.subject.id,
        "inline": policy.inline,
        "language": policy.language,
        "document": policy.document,
        "statement_count": policy.statement_count,
        "boundary_count": policy.boundary_count,
        "role_count": policy.role_count,
        "catalogue": policy.catalogue,
        "editable": policy.editable,
        "deletable": policy.deletable,
    }


def row_policy(row: Any, statements: tuple[Statement, ...] | None) -> Policy:
    """Return the policy of a row."""
    return Policy(
        id=PolicyId(row.id),
        organization_id=OrganizationId(row.organization_id),
        version=row.version,
        create_time=row.create_time,
        update_time=row.update_time,
        name=row.name,
        description=row.description,
        tags=tuple(row.tags),
        attributes=row.attributes,
        subject=Subject(SubjectKind(row.subject_kind), row.subject_id),
        inline=row.inline,
        language=row.language,
        document=row.document,
        statements=statements,
        statement_count=row.statement_count,
        boundary_count=row.boundary_count,
        role_count=row.role_count,
        catalogue=row.catalogue,
        editable=row.editable,
        deletable=row.deletable,
    )


def statement_body(statement: Statement) -> dict[str, Any]:
    """Return a statement as the JSON value that is stored; what is empty is left out."""
    body: dict[str, Any] = {
        "effect": statement.effect.value,
        "permissions": list(statement.permissions),
        "operations": list(statement.operations),
        "endpoints": [_endpoint_body(each) for each in statement.endpoints],
        "denied_endpoints": [_endpoint_body(each) for each in statement.denied_endpoints],
        "source_network": statement.source_network,
        "parameters": dict(statement.parameters),
        "role_names": list(statement.role_names),
        "boundary": None if statement.boundary is None else _boundary_body(statement.boundary),
        "condition": statement.condition,
    }
    return {key: value for key, value in body.items() if value not in ([], {}, "", None)}


def body_statement(statement_id: str, body: Mapping[str, Any]) -> Statement:
    """Return the statement of a stored JSON value."""
    boundary = body.get("boundary")
    return Statement(
        id=StatementId(statement_id),
        effect=Effect(body["effect"]),
        permissions=tuple(body.get("permissions", ())),
        operations=tuple(body.get("operations", ())),
        endpoints=tuple(Endpoint(**each) for each in body.get("endpoints", ())),
        denied_endpoints=tuple(Endpoint(**each) for each in body.get("denied_endpoints", ())),
        source_network=body.get("source_network", ""),
        parameters=body.get("parameters", {}),
        role_names=tuple(body.get("role_names", ())),
        boundary=None if boundary is None else _body_boundary(boundary),
        condition=body.get("condition", ""),
    )


def _endpoint_body(endpoint: Endpoint) -> dict[str, str]:
    return {"base_path": endpoint.base_path, "path_pattern": endpoint.path_pattern, "method": endpoint.method}


def _boundary_body(boundary: Boundary) -> dict[str, Any]:
    return {
        "kind": boundary.kind.value,
        "organization_id": boundary.organization_id,
        "project_ids": list(boundary.project_ids),
        "group_id": boundary.group_id,
        "owner_user_id": boundary.owner_user_id,
    }


def _body_boundary(body: Mapping[str, Any]) -> Boundary:
    return Boundary(
        kind=BoundaryKind(body["kind"]),
        organization_id=body["organization_id"],
        project_ids=tuple(ProjectId(each) for each in body["project_ids"]),
        group_id=body["group_id"],
        owner_user_id=body["owner_user_id"],
    )
