"""Asking what the caller may do. Nothing is decided here."""

import re
from typing import Annotated, Literal

import msgspec

from concord.common.v1 import boundary_pb2
from concord.gateway.call import Call
from concord.gateway.dialects.scaleway.fields import Uuid, canonical
from concord.gateway.shapes import list_rule, text_rule
from concord.kernel.errors import Invalid, Violation
from concord.policy.v1 import decision_pb2, decision_service_pb2

# No field of this resource is unsupported.
UNSUPPORTED: dict[str, str] = {}

_PART = re.compile(r"[a-z][a-z0-9_]{0,62}")
Part = Annotated[str, text_rule(at_most=128, pattern=r"[^\x00]*").meta()]


class Permission(msgspec.Struct, frozen=True, kw_only=True):
    """One question."""

    service: Part | None = None
    name: Part | None = None
    action: Part | None = None
    project_id: Uuid | None = None
    organization_id: Uuid | None = None


class CheckPermissionsRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Questions about the caller itself."""

    permissions: Annotated[list[Permission], list_rule(at_most=1000).meta()] | None = None


class CheckResponse(msgspec.Struct, frozen=True):
    """One answer."""

    decision: Literal["deny", "allow"]


class CheckPermissionsResponse(msgspec.Struct, frozen=True):
    """An answer to each question, in their order."""

    responses: list[CheckResponse]


def from_permission(permission: Permission) -> decision_pb2.Check | None:
    """Translate a question; None for one that no permission could be the answer to."""
    asked = (permission.service, permission.name, permission.action)
    parts = [(part or "").replace("-", "_").lower() for part in asked]
    if not all(_PART.fullmatch(part) for part in parts):
        return None
    if permission.organization_id is not None:
        boundary = boundary_pb2.Boundary(
            kind=boundary_pb2.BOUNDARY_KIND_ORGANIZATION, organization_id=canonical(permission.organization_id)
        )
    else:
        boundary = boundary_pb2.Boundary(
            kind=boundary_pb2.BOUNDARY_KIND_PROJECTS, project_ids=[canonical(permission.project_id)]
        )
    return decision_pb2.Check(permission=".".join(parts), boundary=boundary)


async def check_permissions(call: Call) -> CheckPermissionsResponse:
    """POST /check-permissions. What cannot exist is denied, not refused."""
    permissions = list(call.body.permissions or ())
    _require_scopes(permissions)
    checks = [from_permission(permission) for permission in permissions]
    asked = [check for check in checks if check is not None]
    # Asked also where there is no question left: the core knows whether the caller's credential has ended.
    request = decision_service_pb2.BatchCheckRequest(checks=asked)
    answers = iter((await call.ask(call.core.decisions.BatchCheck, request)).decisions)
    return CheckPermissionsResponse(
        [CheckResponse("allow" if check is not None and next(answers).allowed is True else "deny") for check in checks]
    )


def _require_scopes(permissions: list[Permission]) -> None:
    violations = [
        Violation(f"permissions.{index}.{name}", "exactly one of project_id, organization_id must be set", rule)
        for index, permission in enumerate(permissions)
        if (permission.project_id is None) == (permission.organization_id is None)
        for rule in ("required" if permission.project_id is None else "one_of",)
        for name in ("project_id", "organization_id")
    ]
    if violations:
        raise Invalid(*violations)
