"""Federations and certificates."""

from collections.abc import Iterable
from typing import Final, TypeVar

from concord.credentials.model.federations import (
    Certificate,
    CertificateOrigin,
    CertificateType,
    Federation,
    FederationAt,
    FederationKind,
    FederationStatus,
)
from concord.credentials.operations.federations import MUTABLE, FederationDraft, NewCertificate
from concord.credentials.v1 import federation_pb2
from concord.credentials.wire.common import named_fields
from concord.kernel.errors import Invalid, Violation
from concord.kernel.ids import CertificateId, FederationId, OrganizationId
from concord.kernel.rpc.wire import instant_from_wire, instant_to_wire

T = TypeVar("T")

_KINDS: Final = {FederationKind.SAML: federation_pb2.FEDERATION_KIND_SAML}
_STATUSES: Final = {
    FederationStatus.VALID: federation_pb2.FEDERATION_STATUS_VALID,
    FederationStatus.MISSING_CERTIFICATE: federation_pb2.FEDERATION_STATUS_MISSING_CERTIFICATE,
    FederationStatus.MISSING_ENTITY_ID: federation_pb2.FEDERATION_STATUS_MISSING_ENTITY_ID,
    FederationStatus.MISSING_SINGLE_SIGN_ON_URL: federation_pb2.FEDERATION_STATUS_MISSING_SINGLE_SIGN_ON_URL,
}
_TYPES: Final = {
    CertificateType.SIGNING: federation_pb2.CERTIFICATE_TYPE_SIGNING,
    CertificateType.ENCRYPTION: federation_pb2.CERTIFICATE_TYPE_ENCRYPTION,
}
_ORIGINS: Final = {
    CertificateOrigin.SERVICE: federation_pb2.CERTIFICATE_ORIGIN_SERVICE,
    CertificateOrigin.IDENTITY_PROVIDER: federation_pb2.CERTIFICATE_ORIGIN_IDENTITY_PROVIDER,
}
# Enums are open: any number may come.
_KINDS_BACK: Final[dict[int, FederationKind]] = {0: FederationKind.SAML} | {n: k for k, n in _KINDS.items()}
_STATUSES_BACK: Final[dict[int, FederationStatus]] = {number: status for status, number in _STATUSES.items()}
_TYPES_BACK: Final[dict[int, CertificateType]] = {0: CertificateType.SIGNING} | {n: t for t, n in _TYPES.items()}
_ORIGINS_BACK: Final[dict[int, CertificateOrigin]] = {0: CertificateOrigin.IDENTITY_PROVIDER} | {
    number: origin for origin, number in _ORIGINS.items()
}


class FederationWire:
    """Makes messages of federations, which name addresses of this deployment."""

    def __init__(self, base: str) -> None:
        self._base = base.rstrip("/")

    def to_wire(self, at: FederationAt) -> federation_pb2.Federation:
        """Return the message for a federation."""
        federation = at.federation
        own = f"{self._base}/saml/{federation.id}"
        message = federation_to_wire(at)
        message.service_provider_entity_id = own
        message.assertion_consumer_url = f"{own}/login"
        return message


def federation_to_wire(at: FederationAt) -> federation_pb2.Federation:
    """Return the message for a federation as events tell it, without addresses of the deployment."""
    federation = at.federation
    return federation_pb2.Federation(
        id=federation.id,
        organization_id=federation.organization_id,
        version=federation.version,
        etag=federation.etag,
        create_time=instant_to_wire(federation.create_time),
        update_time=instant_to_wire(federation.update_time),
        attributes=federation.attributes,
        kind=_KINDS[federation.kind],
        entity_id=federation.entity_id,
        single_sign_on_url=federation.single_sign_on_url,
        status=_STATUSES[at.status],
    )


def federation_from_wire(message: federation_pb2.Federation) -> FederationAt:
    """Return the federation of a message that `federation_to_wire` made."""
    federation = Federation(
        id=FederationId(message.id),
        organization_id=OrganizationId(message.organization_id),
        version=message.version,
        create_time=instant_from_wire(message.create_time),
        update_time=instant_from_wire(message.update_time),
        kind=_KINDS_BACK[message.kind],
        entity_id=message.entity_id,
        single_sign_on_url=message.single_sign_on_url,
        attributes=dict(message.attributes),
    )
    return FederationAt(federation, _STATUSES_BACK[message.status])


def certificate_to_wire(certificate: Certificate) -> federation_pb2.FederationCertificate:
    """Return the message for a certificate."""
    return federation_pb2.FederationCertificate(
        id=certificate.id,
        organization_id=certificate.organization_id,
        version=1,
        etag="1",
        create_time=instant_to_wire(certificate.create_time),
        update_time=instant_to_wire(certificate.create_time),
        federation_id=certificate.federation_id,
        type=_TYPES[certificate.type],
        origin=_ORIGINS[certificate.origin],
        content=certificate.content,
        expire_time=instant_to_wire(certificate.expire_time),
        fingerprint=certificate.fingerprint,
        subject=certificate.subject,
    )


def certificate_from_wire(message: federation_pb2.FederationCertificate) -> Certificate:
    """Return the certificate of a message that `certificate_to_wire` made."""
    return Certificate(
        id=CertificateId(message.id),
        organization_id=OrganizationId(message.organization_id),
        federation_id=FederationId(message.federation_id),
        type=_TYPES_BACK[message.type],
        origin=_ORIGINS_BACK[message.origin],
        content=message.content,
        expire_time=instant_from_wire(message.expire_time),
        fingerprint=message.fingerprint,
        subject=message.subject,
        create_time=instant_from_wire(message.create_time),
    )


def draft_from_wire(message: federation_pb2.Federation, paths: Iterable[str] | None = None) -> FederationDraft:
    """Return what a caller says about a federation; with a mask, about some of its fields."""
    named = MUTABLE if paths is None else named_fields(paths, MUTABLE)
    return FederationDraft(
        named=named,
        kind=_known(_KINDS_BACK, message.kind, "federation.kind"),
        entity_id=message.entity_id,
        single_sign_on_url=message.single_sign_on_url,
        attributes=dict(message.attributes),
    )


def new_certificate_from_wire(message: federation_pb2.FederationCertificate) -> NewCertificate:
    """Return what a caller says about a certificate to be added."""
    return NewCertificate(
        content=message.content,
        type=_known(_TYPES_BACK, message.type, "certificate.type"),
        origin=_known(_ORIGINS_BACK, message.origin, "certificate.origin"),
    )


def _known(table: dict[int, T], number: int, path: str) -> T:
    if number not in table:
        raise Invalid(Violation(path, "is no known value", rule="enum"))
    return table[number]
