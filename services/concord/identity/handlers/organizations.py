"""Serves organizations."""

from typing import Any

from concord.identity import wire
from concord.identity.drafts import ALL_LOGIN_METHODS, ALL_ORGANIZATION_FIELDS
from concord.identity.handlers.unpack import searched
from concord.identity.model import DirectoryKind
from concord.identity.operations import organizations, security_settings
from concord.identity.store import IdentityStore
from concord.identity.v1.organization_pb2 import Organization
from concord.identity.v1.organization_service_pb2 import (
    CreateOrganizationRequest,
    GetOrganizationRequest,
    GetSecuritySettingsRequest,
    SetOrganizationAliasRequest,
    UpdateLoginMethodsRequest,
    UpdateOrganizationRequest,
    UpdateSecuritySettingsRequest,
)
from concord.identity.v1.organization_service_pb2_grpc import OrganizationServiceServicer
from concord.identity.v1.security_settings_pb2 import SecuritySettings
from concord.kernel import ids
from concord.kernel.errors import NotFound
from concord.kernel.ids import OrganizationId
from concord.kernel.rpc.call import Call
from concord.kernel.units import Units


class OrganizationServicer(OrganizationServiceServicer):
    """Organizations and their settings over their units of work."""

    def __init__(self, units: Units[IdentityStore]) -> None:
        self._units = units

    async def CreateOrganization(self, request: CreateOrganizationRequest, context: Any) -> Organization:
        """Create an organization."""
        return await self._units.write(
            request,
            lambda unit: organizations.create_organization(
                unit,
                wire.organization_draft(request.organization),
                wire.user_draft(request.owner),
                tuple(request.catalogues),
            ),
            wire.organization_to_wire,
            organization_id=_born_id(request.request_id),
        )

    async def GetOrganization(self, request: GetOrganizationRequest, context: Any) -> Organization:
        """Return the caller's organization."""
        own, asked = Call.current().organization_id, _asked(request)
        # By a name it takes two statements: whose name it is, and the organization.
        read = self._units.read if isinstance(asked, tuple) else self._units.look
        found = await read(lambda store: organizations.get_organization(store, own, asked))
        return wire.organization_to_wire(found)

    async def UpdateOrganization(self, request: UpdateOrganizationRequest, context: Any) -> Organization:
        """Change the caller's organization."""
        message = request.organization
        _require_own(message.id, "organization.id")
        fields = wire.chosen_fields(message, request.update_mask, ALL_ORGANIZATION_FIELDS)
        return await self._units.write(
            request,
            lambda unit: organizations.update_organization(
                unit, wire.organization_draft(message), fields, message.etag
            ),
            wire.organization_to_wire,
        )

    async def SetOrganizationAlias(self, request: SetOrganizationAliasRequest, context: Any) -> Organization:
        """Give the caller's organization its alias."""
        _require_own(request.organization_id, "organization_id")
        return await self._units.write(
            request,
            lambda unit: organizations.set_organization_alias(unit, request.alias, request.etag),
            wire.organization_to_wire,
        )

    async def UpdateLoginMethods(self, request: UpdateLoginMethodsRequest, context: Any) -> Organization:
        """Open and close ways to log in."""
        _require_own(request.organization_id, "organization_id")
        fields = wire.chosen_fields(request, request.update_mask, ALL_LOGIN_METHODS)
        draft = wire.login_methods_draft(request)
        return await self._units.write(
            request,
            lambda unit: security_settings.update_login_methods(unit, draft, fields, request.etag),
            wire.organization_to_wire,
        )

    async def GetSecuritySettings(self, request: GetSecuritySettingsRequest, context: Any) -> SecuritySettings:
        """Return what the caller's organization demands."""
        _require_own(request.organization_id, "organization_id")
        call = Call.current()
        own, reach = call.organization_id, call.reach
        found = await self._units.look(lambda store: security_settings.get_security_settings(store, own, reach))
        return wire.security_settings_to_wire(found)

    async def UpdateSecuritySettings(self, request: UpdateSecuritySettingsRequest, context: Any) -> SecuritySettings:
        """Change what the caller's organization demands."""
        message = request.security_settings
        _require_own(message.id, "security_settings.id")
        fields = wire.chosen_settings(message, request.update_mask)
        draft = wire.security_settings_draft(message)
        return await self._units.write(
            request,
            lambda unit: security_settings.update_security_settings(unit, draft, fields, message.etag),
            wire.security_settings_to_wire,
        )


def _require_own(requested: str, field: str) -> None:
    """Refuse another organization as unknown; none means the caller's."""
    if requested and ids.parse(OrganizationId, requested, field) != Call.current().organization_id:
        raise NotFound("organization", requested)


def _born_id(request_id: str) -> OrganizationId:
    """Return the id of an organization to be born.

    A repeated request must find its first answer, which is kept under the organization:
    so one request always makes one and the same.
    """
    if not request_id:
        return OrganizationId(ids.new(OrganizationId))
    principal = Call.current().require_passport().principal
    return OrganizationId(
        ids.derive(OrganizationId, "organization", principal.kind.value, principal.id, request_id.lower())
    )


def _asked(request: GetOrganizationRequest) -> tuple[DirectoryKind, str] | OrganizationId | None:
    match request.WhichOneof("locator"):
        case "id":
            return OrganizationId(ids.parse(OrganizationId, request.id, "id"))
        case "number":
            return DirectoryKind.NUMBER, str(request.number)
        case "slug":
            return DirectoryKind.SLUG, searched(request.slug, "slug")
        case "alias":
            return DirectoryKind.ALIAS, searched(request.alias, "alias")
    return None
