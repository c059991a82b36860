"""The organization itself."""

import msgspec

from concord.gateway.call import Call
from concord.gateway.dialects.scaleway.fields import canonical
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


async def get_organization(call: Call) -> Organization:
    """GET /organizations/{organization_id}."""
    request = organization_service_pb2.GetOrganizationRequest(id=canonical(call.path["organization_id"]))
    return to_organization(await call.ask(call.core.organizations.GetOrganization, request))
