"""Rows ↔ domain objects."""

from collections.abc import Mapping
from typing import Any

from concord.kernel.ids import OrganizationId, PolicyId, ProjectId, RoleId, StatementId
from concord.policy.model import (
    Boundary,
    BoundaryKind,
    Effect,
    Endpoint,
    Grant,
    GrantId,
    LocalizedText,
    Policy,
    Role,
    RoleKind,
    Statement,
    Subject,
    SubjectKind,
)


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


def role_row(role: Role) -> dict[str, Any]:
    """Return the row of a role."""
    return {
        "organization_id": role.organization_id,
        "id": role.id,
        "version": role.version,
        "create_time": role.create_time,
        "update_time": role.update_time,
        "handle": role.handle or None,
        "name": role.name.text,
        "name_translations": dict(role.name.translations),
        "description": role.description.text,
        "description_translations": dict(role.description.translations),
        "attributes": dict(role.attributes),
        "kind": role.kind.value,
        "language": role.language,
        "document": role.document,
        "statements": [{"id": each.id, **statement_body(each)} for each in role.statements],
        "included_role_ids": list(role.included_role_ids),
        "resource_type_id": role.resource_type_id,
        "permissions": list(role.permissions),
        "boundary_kind": role.boundary_kind.value,
        "categories": list(role.categories),
    }


def row_role(row: Any) -> Role:
    """Return the role of a row; one that was read without document and statements has none."""
    return Role(
        id=RoleId(row.id),
        organization_id=OrganizationId(row.organization_id),
        version=row.version,
        create_time=row.create_time,
        update_time=row.update_time,
        handle=row.handle or "",
        name=LocalizedText(row.name, row.name_translations),
        description=LocalizedText(row.description, row.description_translations),
        attributes=row.attributes,
        kind=RoleKind(row.kind),
        language=row.language,
        document=getattr(row, "document", ""),
        statements=tuple(body_statement(each["id"], each) for each in getattr(row, "statements", ())),
        included_role_ids=tuple(RoleId(each) for each in row.included_role_ids),
        resource_type_id=row.resource_type_id,
        permissions=tuple(row.permissions),
        boundary_kind=BoundaryKind(row.boundary_kind),
        categories=tuple(row.categories),
    )


def grant_row(grant: Grant) -> dict[str, Any]:
    """Return the row of a grant."""
    return {
        "organization_id": grant.organization_id,
        "id": grant.id,
        "version": grant.version,
        "create_time": grant.create_time,
        "update_time": grant.update_time,
        "catalogue": grant.catalogue,
        "subject_kind": grant.subject.kind.value,
        "subject_id": grant.subject.id,
        "role_id": grant.role_id,
        "role_language": grant.role_language,
        "role_catalogue": grant.role_catalogue,
        "boundary_key": grant.boundary.key,
        "boundary_group_id": grant.boundary.group_id,
        "boundary": _boundary_body(grant.boundary),
    }


def row_grant(row: Any) -> Grant:
    """Return the grant of a row."""
    return Grant(
        id=GrantId(row.id),
        organization_id=OrganizationId(row.organization_id),
        version=row.version,
        create_time=row.create_time,
        update_time=row.update_time,
        catalogue=row.catalogue,
        subject=Subject(SubjectKind(row.subject_kind), row.subject_id),
        role_id=RoleId(row.role_id),
        role_language=row.role_language,
        role_catalogue=row.role_catalogue,
        boundary=_body_boundary(row.boundary),
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
