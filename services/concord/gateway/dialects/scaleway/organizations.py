"""The organization itself."""

from typing import Annotated

import msgspec

from concord.gateway.call import Call
from concord.gateway.dialects.scaleway.fields import canonical
from concord.gateway.shapes import text_rule
from concord.identity.v1 import organization_pb2, organization_service_pb2

# No field of this resource is unsupported.
UNSUPPORTED: dict[str, str] = {}


class Organization(msgspec.Struct, frozen=True):
    """The organization as it is answered."""

    id: str
    name: str
    alias: str
    login_password_enabled: bool
    login_magic_code_enabled: bool
    login_oauth2_enabled: bool
    login_saml_enabled: bool


Alias = Annotated[
    str,
    text_rule(
        at_least=2, at_most=32, pattern=r"[a-z0-9]+", help_message="must hold only lower case letters and digits"
    ).meta(),
]


class SetOrganizationAliasRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A second name of the organization, for good."""

    alias: Alias


class UpdateOrganizationLoginMethodsRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Which ways to log in there are to be; null is no change."""

    login_password_enabled: bool | None = None
    login_oauth2_enabled: bool | None = None
    login_magic_code_enabled: bool | None = None
    login_saml_enabled: bool | None = None


_LOGIN_METHODS = {
    "login_password_enabled": "login_password_enabled",
    "login_oauth2_enabled": "login_oauth_enabled",
    "login_magic_code_enabled": "login_magic_code_enabled",
    "login_saml_enabled": "login_federation_enabled",
}


def to_organization(source: organization_pb2.Organization) -> Organization:
    """Translate an answer."""
    return Organization(
        id=source.id,
        name=source.name,
        alias=source.alias,
        login_password_enabled=source.login_password_enabled,
        login_magic_code_enabled=source.login_magic_code_enabled,
        login_oauth2_enabled=source.login_oauth_enabled,
        login_saml_enabled=source.login_federation_enabled,
    )


def from_login_methods(
    organization_id: str, body: UpdateOrganizationLoginMethodsRequest
) -> organization_service_pb2.UpdateLoginMethodsRequest:
    """Translate a change of login methods."""
    request = organization_service_pb2.UpdateLoginMethodsRequest(organization_id=canonical(organization_id))
    for name, field in _LOGIN_METHODS.items():
        if (value := getattr(body, name)) is not None:
            setattr(request, field, value)
            request.update_mask.paths.append(field)
    return request


async def get_organization(call: Call) -> Organization:
    """GET /organizations/{organization_id}."""
    request = organization_service_pb2.GetOrganizationRequest(id=canonical(call.path["organization_id"]))
    return to_organization(await call.ask(call.core.organizations.GetOrganization, request))


async def set_alias(call: Call) -> Organization:
    """PUT /organizations/{organization_id}/alias. Once."""
    request = organization_service_pb2.SetOrganizationAliasRequest(
        organization_id=canonical(call.path["organization_id"]), alias=call.body.alias
    )
    return to_organization(await call.ask(call.core.organizations.SetOrganizationAlias, request))


async def update_login_methods(call: Call) -> Organization:
    """PATCH /organizations/{organization_id}/login-methods. A change of nothing is a reading."""
    request = from_login_methods(call.path["organization_id"], call.body)
    if not request.update_mask.paths:
        return await get_organization(call)
    return to_organization(await call.ask(call.core.organizations.UpdateLoginMethods, request))
