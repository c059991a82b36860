"""The life of federations and their certificates."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from concord.credentials.model.checks import check_attributes, check_text, refuse
from concord.credentials.model.federations import (
    MAX_CERTIFICATES,
    MAX_ENTITY_ID,
    Certificate,
    CertificateOrigin,
    CertificateType,
    Federation,
    FederationAt,
    FederationKind,
    check_url,
    read_certificate,
    status_of,
)
from concord.credentials.store import CredentialStore
from concord.kernel import ids
from concord.kernel.errors import AlreadyExists, Conflict, NotFound, Precondition, Reason
from concord.kernel.ids import CertificateId, FederationId, OrganizationId
from concord.kernel.units import Change, Unit

MUTABLE: Final = frozenset({"entity_id", "single_sign_on_url", "attributes"})

Federations = Unit[CredentialStore]


@dataclass(frozen=True, slots=True)
class FederationDraft:
    """What a caller says about a federation; on a change only what is named counts."""

    named: frozenset[str] = MUTABLE
    kind: FederationKind = FederationKind.SAML
    entity_id: str = ""
    single_sign_on_url: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NewCertificate:
    """What a caller says about a certificate to be added."""

    content: str
    type: CertificateType = CertificateType.SIGNING
    origin: CertificateOrigin = CertificateOrigin.IDENTITY_PROVIDER


def create_federation(unit: Federations, wanted: FederationDraft) -> FederationAt:
    """Make the organization's federation."""
    _check(wanted)
    known = unit.store.find_federation(unit.organization_id)
    if known is not None:
        raise AlreadyExists("federation", known.id)
    federation = Federation(
        id=ids.new(FederationId),
        organization_id=unit.organization_id,
        version=1,
        create_time=unit.now,
        update_time=unit.now,
        kind=wanted.kind,
        entity_id=wanted.entity_id,
        single_sign_on_url=wanted.single_sign_on_url,
        attributes=wanted.attributes,
    )
    unit.store.put_federation(federation)
    made = _at(unit, federation)
    unit.record(Change("federation.created", "federation", federation.id, after=made))
    return made


def get_federation(store: CredentialStore, organization_id: OrganizationId, federation_id: str = "") -> Federation:
    """Return the organization's federation; an id that is not its is unknown."""
    wanted = ids.parse(FederationId, federation_id, "id") if federation_id else ""
    federation = store.find_federation(organization_id)
    if federation is None or (wanted and wanted != federation.id):
        raise NotFound("federation", wanted or organization_id)
    return federation


def show_federation(
    store: CredentialStore, organization_id: OrganizationId, federation_id: str, now: datetime
) -> FederationAt:
    """Return the organization's federation and whether it is complete now."""
    federation = get_federation(store, organization_id, federation_id)
    return FederationAt(federation, status_of(federation, store.certificates_of(organization_id), now))


def update_federation(unit: Federations, federation_id: str, wanted: FederationDraft, etag: str = "") -> FederationAt:
    """Change the named settings."""
    _check(wanted)
    before = _own(unit, federation_id, etag)
    federation = replace(
        before,
        version=before.version + 1,
        update_time=unit.now,
        **{name: getattr(wanted, name) for name in wanted.named},
    )
    unit.store.put_federation(federation)
    earlier, later = _at(unit, before), _at(unit, federation)
    # Whoever sends people elsewhere to log in decides who comes back.
    unit.record(
        Change("federation.updated", "federation", before.id, before=earlier, after=later, security_relevant=True)
    )
    return later


def delete_federation(unit: Federations, federation_id: str, etag: str = "") -> None:
    """Delete the federation and its certificates."""
    federation = _own(unit, federation_id, etag)
    before = _at(unit, federation)
    unit.store.remove_federation(unit.organization_id)
    unit.record(Change("federation.deleted", "federation", federation.id, before=before, security_relevant=True))


def add_certificate(unit: Federations, federation_id: str, wanted: NewCertificate) -> Certificate:
    """Add a certificate to a federation."""
    read = read_certificate(wanted.content, "certificate.content")
    federation = get_federation(unit.store, unit.organization_id, federation_id)
    present = unit.store.certificates_of(unit.organization_id)
    for each in present:
        if (each.fingerprint, each.type, each.origin) == (read.fingerprint, wanted.type, wanted.origin):
            raise AlreadyExists("federation_certificate", read.fingerprint, "content")
    if len(present) >= MAX_CERTIFICATES:
        text = f"a federation has at most {MAX_CERTIFICATES} certificates"
        raise Precondition(Reason.INVALID_STATE, text, "federation", federation.id)
    certificate = Certificate(
        id=ids.new(CertificateId),
        organization_id=unit.organization_id,
        federation_id=federation.id,
        type=wanted.type,
        origin=wanted.origin,
        content=wanted.content,
        expire_time=read.expire_time,
        fingerprint=read.fingerprint,
        subject=read.subject,
        create_time=unit.now,
    )
    unit.store.add_certificate(certificate)
    unit.record(
        Change(
            "federation_certificate.added",
            "federation_certificate",
            certificate.id,
            after=certificate,
            security_relevant=True,
        )
    )
    return certificate


def get_certificate(store: CredentialStore, organization_id: OrganizationId, certificate_id: str) -> Certificate:
    """Return a certificate."""
    certificate = store.find_certificate(organization_id, ids.parse(CertificateId, certificate_id, "id"))
    if certificate is None:
        raise NotFound("federation_certificate", certificate_id)
    return certificate


def list_certificates(
    store: CredentialStore, organization_id: OrganizationId, federation_id: str
) -> Sequence[Certificate]:
    """Return all certificates of a federation."""
    get_federation(store, organization_id, federation_id)
    return store.certificates_of(organization_id)


def delete_certificate(unit: Federations, certificate_id: str) -> None:
    """Delete a certificate."""
    certificate = get_certificate(unit.store, unit.organization_id, certificate_id)
    unit.store.remove_certificate(unit.organization_id, certificate.id)
    unit.record(
        Change(
            "federation_certificate.deleted",
            "federation_certificate",
            certificate.id,
            before=certificate,
            security_relevant=True,
        )
    )


def _own(unit: Federations, federation_id: str, etag: str) -> Federation:
    federation = get_federation(unit.store, unit.organization_id, federation_id)
    if etag and etag != federation.etag:
        raise Conflict("federation", federation.id)
    return federation


def _at(unit: Federations, federation: Federation) -> FederationAt:
    return FederationAt(federation, status_of(federation, unit.store.certificates_of(unit.organization_id), unit.now))


def _check(wanted: FederationDraft) -> None:
    refuse(
        [
            *check_text(wanted.entity_id, "federation.entity_id", MAX_ENTITY_ID),
            *check_url(wanted.single_sign_on_url, "federation.single_sign_on_url"),
            *check_attributes(wanted.attributes, "federation.attributes"),
        ]
    )
