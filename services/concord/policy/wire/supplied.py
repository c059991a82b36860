"""Roles and limits."""

from datetime import datetime
from typing import Any

from concord.common.v1 import localized_text_pb2
from concord.kernel.rpc.wire import instant_to_wire
from concord.policy.model import (
    Quota,
    Role,
    RoleFilter,
)
from concord.policy.v1 import (
    quota_pb2,
    role_pb2,
    role_service_pb2,
)
from concord.policy.wire.statements import BOUNDARY_KINDS, BOUNDARY_KINDS_BACK


def role_to_wire(role: Role, organization_id: str) -> role_pb2.Role:
    """Return the message for a role, as an organization sees it."""
    return role_pb2.Role(
        id=role.id,
        organization_id=organization_id,
        version=1,
        etag="1",
        catalogue=role.catalogue,
        managed=True,
        editable=False,
        deletable=False,
        handle=role.handle,
        name=localized_text_pb2.LocalizedText(text=role.name),
        description=localized_text_pb2.LocalizedText(text=role.description),
        kind=role_pb2.ROLE_KIND_BASIC,
        language=role.language,
        permissions=role.permissions,
        boundary_kind=BOUNDARY_KINDS[role.boundary_kind],
        categories=role.categories,
    )


def role_filter_from_wire(request: role_service_pb2.ListRolesRequest) -> RoleFilter | None:
    """Return which roles a list shall show, or None where none can pass."""
    if request.kinds and role_pb2.ROLE_KIND_BASIC not in request.kinds:
        return None
    return RoleFilter(
        ids=tuple(each.lower() for each in request.ids) or None,
        handles=tuple(request.handles) or None,
        catalogues=tuple(request.catalogues) or None,
        boundary_kinds=tuple(BOUNDARY_KINDS_BACK[each] for each in request.boundary_kinds if each) or None,
        language=request.language or None,
        name=request.name or None,
    )


def quota_to_wire(quota: Quota) -> quota_pb2.Quota:
    """Return the message for a limit."""
    return quota_pb2.Quota(
        name=quota.name,
        organization_id=quota.organization_id,
        version=quota.version,
        etag=quota.etag,
        create_time=_time(quota.create_time),
        update_time=_time(quota.update_time),
        display_name=quota.display_name,
        unit=quota.unit,
        description=quota.description,
        locality=quota_pb2.QUOTA_LOCALITY_GLOBAL,
        limit=quota.limit,
        unlimited=quota.unlimited,
        limits=[
            quota_pb2.QuotaLimit(locality=quota_pb2.QUOTA_LOCALITY_GLOBAL, limit=quota.limit, unlimited=quota.unlimited)
        ],
    )


def _time(instant: datetime | None) -> Any:
    return None if instant is None else instant_to_wire(instant)
