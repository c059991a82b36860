"""SAML: an organization's settings for login through its own identity provider, and the certificates of it."""

from typing import Annotated, Literal

import msgspec

from concord.credentials.v1 import federation_pb2, federation_service_pb2
from concord.gateway.call import Call
from concord.gateway.dialects.scaleway.fields import Instant, canonical, echoed_instant
from concord.gateway.shapes import text_rule
from concord.kernel.errors import NotFound

# No field of this resource is unsupported.
UNSUPPORTED: dict[str, str] = {}

Status = Literal[
    "unknown_saml_status", "valid", "missing_certificate", "missing_entity_id", "missing_single_sign_on_url"
]
CertificateType = Literal["unknown_certificate_type", "signing", "encryption"]
CertificateOrigin = Literal["unknown_certificate_origin", "scaleway", "identity_provider"]
_STATUSES: dict[int, Status] = {
    federation_pb2.FEDERATION_STATUS_VALID: "valid",
    federation_pb2.FEDERATION_STATUS_MISSING_CERTIFICATE: "missing_certificate",
    federation_pb2.FEDERATION_STATUS_MISSING_ENTITY_ID: "missing_entity_id",
    federation_pb2.FEDERATION_STATUS_MISSING_SINGLE_SIGN_ON_URL: "missing_single_sign_on_url",
}
_TYPES: dict[int, CertificateType] = {
    federation_pb2.CERTIFICATE_TYPE_SIGNING: "signing",
    federation_pb2.CERTIFICATE_TYPE_ENCRYPTION: "encryption",
}
# Of a certificate whose purpose is not known the core makes one for signing.
_TYPES_BACK = {
    "unknown_certificate_type": federation_pb2.CERTIFICATE_TYPE_SIGNING,
    "signing": federation_pb2.CERTIFICATE_TYPE_SIGNING,
    "encryption": federation_pb2.CERTIFICATE_TYPE_ENCRYPTION,
}
_ORIGINS: dict[int, CertificateOrigin] = {
    federation_pb2.CERTIFICATE_ORIGIN_SERVICE: "scaleway",
    federation_pb2.CERTIFICATE_ORIGIN_IDENTITY_PROVIDER: "identity_provider",
}

EntityId = Annotated[str, text_rule(at_most=1024, pattern=r"[^\x00-\x1f\x7f-\x9f]*").meta()]
Url = Annotated[str, text_rule(at_most=2048, pattern=r"[^\x00-\x1f\x7f-\x9f]*").meta()]
Content = Annotated[str, text_rule(at_least=1, at_most=16384).meta()]


class ServiceProvider(msgspec.Struct, frozen=True):
    """What the identity provider has to know of this side."""

    entity_id: str
    assertion_consumer_service_url: str


class Saml(msgspec.Struct, frozen=True):
    """The settings as they are answered. The status tells the first thing that is missing."""

    id: str
    status: Status
    service_provider: ServiceProvider
    entity_id: str
    single_sign_on_url: str


class SamlCertificate(msgspec.Struct, frozen=True):
    """A certificate as it is answered, byte for byte."""

    id: str
    type: CertificateType
    origin: CertificateOrigin
    content: str
    expires_at: Instant | None


class ListSamlCertificatesResponse(msgspec.Struct, frozen=True):
    """All certificates of the settings."""

    certificates: list[SamlCertificate]


class UpdateSamlRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Changes of the settings; null is no change, an empty text clears."""

    entity_id: EntityId | None = None
    single_sign_on_url: Url | None = None


class AddSamlCertificateRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A new certificate of the identity provider."""

    # Needed, and its default told all the same: the description has both.
    type: Annotated[CertificateType, msgspec.Meta(extra_json_schema={"default": "unknown_certificate_type"})]
    content: Content


def to_saml(source: federation_pb2.Federation, base: str) -> Saml:
    """Translate an answer. Where the login is, the shim knows: the core was built before a port was found."""
    own = f"{base}/saml/{source.id}"
    return Saml(
        id=source.id,
        status=_STATUSES.get(source.status, "unknown_saml_status"),
        service_provider=ServiceProvider(
            entity_id=own,
            assertion_consumer_service_url=f"{own}/login",
        ),
        entity_id=source.entity_id,
        single_sign_on_url=source.single_sign_on_url,
    )


def to_certificate(source: federation_pb2.FederationCertificate) -> SamlCertificate:
    """Translate an answer."""
    return SamlCertificate(
        id=source.id,
        type=_TYPES.get(source.type, "unknown_certificate_type"),
        origin=_ORIGINS.get(source.origin, "unknown_certificate_origin"),
        content=source.content,
        expires_at=echoed_instant(source.expire_time) if source.HasField("expire_time") else None,
    )


def from_update(saml_id: str, body: UpdateSamlRequest) -> federation_service_pb2.UpdateFederationRequest:
    """Translate a change."""
    request = federation_service_pb2.UpdateFederationRequest(
        federation=federation_pb2.Federation(id=canonical(saml_id))
    )
    for name in ("entity_id", "single_sign_on_url"):
        if (value := getattr(body, name)) is not None:
            setattr(request.federation, name, value)
            request.update_mask.paths.append(name)
    return request


def from_certificate(
    saml_id: str, body: AddSamlCertificateRequest
) -> federation_service_pb2.AddFederationCertificateRequest:
    """Translate an addition."""
    return federation_service_pb2.AddFederationCertificateRequest(
        federation_id=canonical(saml_id),
        certificate=federation_pb2.FederationCertificate(
            type=_TYPES_BACK[body.type],
            origin=federation_pb2.CERTIFICATE_ORIGIN_IDENTITY_PROVIDER,
            content=body.content,
        ),
    )


async def get_organization_saml(call: Call) -> Saml:
    """GET /organizations/{organization_id}/saml. Off is not found, and so is another organization's."""
    organization_id = canonical(call.path["organization_id"])
    try:
        found = await call.ask(call.core.federations.GetFederation, federation_service_pb2.GetFederationRequest())
    except NotFound:
        raise NotFound("organization_saml", organization_id) from None
    if found.organization_id != organization_id:
        raise NotFound("organization_saml", organization_id)
    return to_saml(found, call.base)


async def enable_organization_saml(call: Call) -> Saml:
    """POST /organizations/{organization_id}/saml."""
    request = federation_service_pb2.CreateFederationRequest(organization_id=canonical(call.path["organization_id"]))
    return to_saml(await call.ask(call.core.federations.CreateFederation, request), call.base)


async def update_saml(call: Call) -> Saml:
    """PATCH /saml/{saml_id}. A change of nothing is a reading."""
    request = from_update(call.path["saml_id"], call.body)
    if request.update_mask.paths:
        return to_saml(await call.ask(call.core.federations.UpdateFederation, request), call.base)
    reading = federation_service_pb2.GetFederationRequest(id=request.federation.id)
    return to_saml(await call.ask(call.core.federations.GetFederation, reading), call.base)


async def delete_saml(call: Call) -> None:
    """DELETE /saml/{saml_id}."""
    request = federation_service_pb2.DeleteFederationRequest(id=canonical(call.path["saml_id"]))
    await call.ask(call.core.federations.DeleteFederation, request)


async def list_saml_certificates(call: Call) -> ListSamlCertificatesResponse:
    """GET /saml/{saml_id}/certificates."""
    request = federation_service_pb2.ListFederationCertificatesRequest(federation_id=canonical(call.path["saml_id"]))
    answer = await call.ask(call.core.federations.ListFederationCertificates, request)
    return ListSamlCertificatesResponse([to_certificate(each) for each in answer.certificates])


async def add_saml_certificate(call: Call) -> SamlCertificate:
    """POST /saml/{saml_id}/certificates."""
    request = from_certificate(call.path["saml_id"], call.body)
    return to_certificate(await call.ask(call.core.federations.AddFederationCertificate, request))


async def get_saml_certificate(call: Call) -> SamlCertificate:
    """GET /saml-certificates/{certificate_id}."""
    request = federation_service_pb2.GetFederationCertificateRequest(id=canonical(call.path["certificate_id"]))
    return to_certificate(await call.ask(call.core.federations.GetFederationCertificate, request))


async def delete_saml_certificate(call: Call) -> None:
    """DELETE /saml-certificates/{certificate_id}."""
    request = federation_service_pb2.DeleteFederationCertificateRequest(id=canonical(call.path["certificate_id"]))
    await call.ask(call.core.federations.DeleteFederationCertificate, request)
