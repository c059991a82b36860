"""Grants, their keys, and which are listed."""

from typing import Any

from concord.kernel import ids
from concord.kernel.errors import Invalid, Violation
from concord.kernel.ids import OrganizationId, RoleId
from concord.kernel.rpc.wire import instant_from_wire, instant_to_wire
from concord.policy.model import Boundary, BoundaryKind, Grant, GrantFilter, GrantId
from concord.policy.operations.documents import whole
from concord.policy.operations.grants import GrantKey
from concord.policy.v1 import grant_pb2, grant_service_pb2
from concord.policy.wire.statements import boundary_from_wire, boundary_to_wire, subject_from_wire, subject_to_wire


def grant_to_wire(grant: Grant) -> grant_pb2.Grant:
    """Return the message for a grant."""
    return grant_pb2.Grant(
        id=grant.id,
        organization_id=grant.organization_id,
        version=grant.version,
        etag=grant.etag,
        create_time=instant_to_wire(grant.create_time),
        update_time=instant_to_wire(grant.update_time),
        catalogue=grant.catalogue,
        subject=subject_to_wire(grant.subject),
        role_id=grant.role_id,
        boundary=boundary_to_wire(grant.boundary),
        inherited=grant.inherited,
        role_language=grant.role_language,
        role_catalogue=grant.role_catalogue,
    )


def grant_from_wire(message: grant_pb2.Grant) -> Grant:
    """Return the grant of a message that this service made."""
    return Grant(
        id=GrantId(message.id),
        organization_id=OrganizationId(message.organization_id),
        version=message.version,
        create_time=instant_from_wire(message.create_time),
        update_time=instant_from_wire(message.update_time),
        catalogue=message.catalogue,
        subject=subject_from_wire(message.subject, "subject"),
        role_id=RoleId(message.role_id),
        boundary=boundary_from_wire(message.boundary, "boundary"),
        inherited=message.inherited,
        role_language=message.role_language,
        role_catalogue=message.role_catalogue,
    )


def grant_key_from_wire(message: grant_pb2.Grant | grant_pb2.GrantKey, field: str) -> GrantKey:
    """Return what somebody wants a grant for."""
    if not message.role_id:
        raise Invalid(Violation(f"{field}.role_id", "must be given", rule="required"))
    return GrantKey(
        subject_from_wire(message.subject, f"{field}.subject"), message.role_id, place_from_wire(message, field)
    )


def place_from_wire(message: Any, field: str = "") -> Boundary | None:
    """Return the boundary that a message has, or None where it has none."""
    if not message.HasField("boundary"):
        return None
    return boundary_from_wire(message.boundary, f"{field}.boundary" if field else "boundary")


def grant_locator_from_wire(
    request: grant_service_pb2.GetGrantRequest | grant_service_pb2.DeleteGrantRequest,
) -> GrantId | GrantKey:
    """Return the one way in which a request names a grant."""
    if bool(request.id) == request.HasField("key"):
        raise Invalid(Violation("id", "must be given, or a key, and not both", rule="required"))
    if request.id:
        grant_id: GrantId = ids.parse(GrantId, request.id, "id")
        return grant_id
    return grant_key_from_wire(request.key, "key")


def grant_filter_from_wire(
    request: grant_service_pb2.ListGrantsRequest, organization_id: OrganizationId
) -> GrantFilter | None:
    """Return which grants a list shall show, or None where none can pass."""
    boundary = place_from_wire(request)
    if boundary is not None and boundary.kind is BoundaryKind.ORGANIZATION:
        # Another organization's boundary is held by nobody here.
        if boundary.organization_id not in ("", organization_id):
            return None
        boundary = whole(boundary, organization_id)
    return GrantFilter(
        ids=tuple(each.lower() for each in request.ids) or None,
        subjects=tuple(subject_from_wire(each, f"subjects[{at}]") for at, each in enumerate(request.subjects)) or None,
        role_ids=tuple(request.role_ids) or None,
        boundary_key=None if boundary is None else boundary.key,
        role_languages=tuple(request.role_languages) or None,
        role_catalogues=tuple(request.role_catalogues) or None,
    )
