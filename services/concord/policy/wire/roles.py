"""Roles, what is asked of them, and which are listed."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from concord.common.v1 import localized_text_pb2
from concord.kernel import ids
from concord.kernel.errors import Invalid, Violation
from concord.kernel.rpc.wire import instant_from_wire, instant_to_wire
from concord.policy.model import BoundaryKind, LocalizedText, Role, RoleFilter, RoleKind, RoleRelation
from concord.policy.operations.roles import RoleDraft, RolePatch
from concord.policy.v1 import role_pb2, role_service_pb2
from concord.policy.wire.statements import (
    BOUNDARY_KINDS,
    BOUNDARY_KINDS_BACK,
    kept_statement_from_wire,
    statement_to_wire,
)

_KINDS: Final = {
    RoleKind.BASIC: role_pb2.ROLE_KIND_BASIC,
    RoleKind.NARROWED: role_pb2.ROLE_KIND_NARROWED,
    RoleKind.COMPOSED: role_pb2.ROLE_KIND_COMPOSED,
}
_KINDS_BACK: Final = {number: kind for kind, number in _KINDS.items()}
_RELATIONS_BACK: Final = {role_service_pb2.ROLE_RELATION_GRANTS: RoleRelation.GRANTS}
_TEXTS: Final = ("name", "description")


def role_to_wire(role: Role, organization_id: str) -> role_pb2.Role:
    """Return the message for a role, as an organization sees it."""
    return role_pb2.Role(
        id=role.id,
        organization_id=role.organization_id or organization_id,
        version=role.version,
        etag=role.etag,
        create_time=None if role.create_time is None else instant_to_wire(role.create_time),
        update_time=None if role.update_time is None else instant_to_wire(role.update_time),
        catalogue=role.catalogue,
        managed=role.managed,
        editable=not role.managed,
        deletable=not role.managed,
        attributes=role.attributes,
        handle=role.handle,
        name=_localized_to_wire(role.name),
        description=_localized_to_wire(role.description),
        kind=_KINDS[role.kind],
        language=role.language,
        document=role.document,
        statements=[statement_to_wire(each) for each in role.statements],
        included_role_ids=role.included_role_ids,
        resource_type_id=role.resource_type_id,
        permissions=role.permissions,
        boundary_kind=BOUNDARY_KINDS[role.boundary_kind],
        categories=role.categories,
    )


def role_from_wire(message: role_pb2.Role) -> Role:
    """Return the role of a message that this service made; one that people made."""
    return Role(
        id=ids.RoleId(message.id),
        organization_id=ids.OrganizationId(message.organization_id),
        version=message.version,
        create_time=instant_from_wire(message.create_time),
        update_time=instant_from_wire(message.update_time),
        catalogue=message.catalogue,
        attributes=dict(message.attributes),
        handle=message.handle,
        name=_localized_from_wire(message.name),
        description=_localized_from_wire(message.description),
        kind=_KINDS_BACK[message.kind],
        language=message.language,
        document=message.document,
        statements=tuple(kept_statement_from_wire(each) for each in message.statements),
        included_role_ids=tuple(ids.RoleId(each) for each in message.included_role_ids),
        resource_type_id=message.resource_type_id,
        permissions=tuple(message.permissions),
        boundary_kind=BOUNDARY_KINDS_BACK[message.boundary_kind],
        categories=tuple(message.categories),
    )


def role_draft_from_wire(message: role_pb2.Role) -> RoleDraft:
    """Return what somebody wants made."""
    return RoleDraft(
        handle=message.handle,
        name=_localized_from_wire(message.name),
        description=_localized_from_wire(message.description),
        attributes=dict(message.attributes),
        kind=_KINDS_BACK.get(message.kind, RoleKind.BASIC),
        language=message.language,
        document=message.document,
        included=tuple(message.included_role_ids),
        resource_type_id=message.resource_type_id,
        permissions=tuple(message.permissions),
        boundary_kind=BOUNDARY_KINDS_BACK.get(message.boundary_kind),
        categories=tuple(message.categories),
    )


_CHANGEABLE: Final[dict[str, Callable[[role_pb2.Role], Any]]] = {
    "name": lambda message: _localized_from_wire(message.name),
    "description": lambda message: _localized_from_wire(message.description),
    "attributes": lambda message: dict(message.attributes),
    "document": lambda message: message.document,
    "permissions": lambda message: tuple(message.permissions),
    "included_role_ids": lambda message: tuple(message.included_role_ids),
    "resource_type_id": lambda message: message.resource_type_id,
    "boundary_kind": lambda message: _boundary_kind(message.boundary_kind),
    "categories": lambda message: tuple(message.categories),
}


def role_patch_from_wire(message: role_pb2.Role, paths: Sequence[str]) -> RolePatch:
    """Return what the paths of a mask change, or raise Invalid for a path that cannot be changed."""
    fields: dict[str, Any] = {}
    parts: dict[tuple[str, str], Any] = {}
    for path in paths:
        name, _, part = path.partition(".")
        if not part and name in _CHANGEABLE:
            fields[name] = _CHANGEABLE[name](message)
        elif name in _TEXTS and part == "text":
            parts[name, part] = getattr(message, name).text
        elif name in _TEXTS and part == "translations":
            parts[name, part] = dict(getattr(message, name).translations)
        elif path != "etag":
            raise Invalid(Violation("update_mask", f"`{path[:64]}` cannot be changed here", rule="unknown_path"))
    return RolePatch(fields, parts)


def role_relations_from_wire(numbers: Iterable[int]) -> frozenset[RoleRelation]:
    """Return the relations that forbid a deletion."""
    found = [_RELATIONS_BACK.get(number) for number in numbers]  # type: ignore[call-overload]  # any number may come
    for at, relation in enumerate(found):
        if relation is None:
            raise Invalid(Violation(f"refuse_if[{at}]", "must be said", rule="required"))
    return frozenset(relation for relation in found if relation is not None)


def role_filter_from_wire(request: role_service_pb2.ListRolesRequest) -> RoleFilter:
    """Return which roles a list shall show."""
    return RoleFilter(
        ids=tuple(each.lower() for each in request.ids) or None,
        handles=tuple(request.handles) or None,
        catalogues=tuple(request.catalogues) or None,
        kinds=tuple(_KINDS_BACK[each] for each in request.kinds if each) or None,
        boundary_kinds=tuple(BOUNDARY_KINDS_BACK[each] for each in request.boundary_kinds if each) or None,
        language=request.language or None,
        name=request.name or None,
    )


def _boundary_kind(number: Any) -> BoundaryKind:
    kind = BOUNDARY_KINDS_BACK.get(number)
    if kind is None:
        raise Invalid(Violation("role.boundary_kind", "must be given", rule="required"))
    return kind


def _localized_to_wire(text: LocalizedText) -> localized_text_pb2.LocalizedText:
    return localized_text_pb2.LocalizedText(text=text.text, translations=text.translations)


def _localized_from_wire(message: localized_text_pb2.LocalizedText) -> LocalizedText:
    return LocalizedText(message.text, dict(message.translations))
