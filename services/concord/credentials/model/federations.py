"""Federations and certificates as values, with what their texts must be."""

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.hashes import SHA256

from concord.kernel.errors import Invalid, Violation
from concord.kernel.ids import CertificateId, FederationId, OrganizationId

MAX_ENTITY_ID: Final = 1024
MAX_URL: Final = 2048
MAX_CONTENT: Final = 16_384
MAX_CERTIFICATES: Final = 20
# What the reader raises for bytes that somebody has made up: an odd version, or names of kinds that no name has.
_UNREADABLE: Final = (ValueError, TypeError, KeyError, x509.InvalidVersion, UnsupportedAlgorithm)
_BEGIN: Final = "-----BEGIN CERTIFICATE-----"


class FederationKind(StrEnum):
    """By which protocol the two sides speak."""

    SAML = "saml"


class FederationStatus(StrEnum):
    """Whether the settings are complete; if not, the first thing that is missing."""

    VALID = "valid"
    MISSING_CERTIFICATE = "missing_certificate"
    MISSING_ENTITY_ID = "missing_entity_id"
    MISSING_SINGLE_SIGN_ON_URL = "missing_single_sign_on_url"


class CertificateType(StrEnum):
    """What a certificate is for."""

    SIGNING = "signing"
    ENCRYPTION = "encryption"


class CertificateOrigin(StrEnum):
    """Whose a certificate is."""

    SERVICE = "service"
    IDENTITY_PROVIDER = "identity_provider"


@dataclass(frozen=True, slots=True)
class Federation:
    """An organization's settings for login through another identity provider."""

    id: FederationId
    organization_id: OrganizationId
    version: int
    create_time: datetime
    update_time: datetime
    kind: FederationKind = FederationKind.SAML
    entity_id: str = ""
    single_sign_on_url: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)

    @property
    def etag(self) -> str:
        """The version as text."""
        return str(self.version)


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate of one side of a federation."""

    id: CertificateId
    organization_id: OrganizationId
    federation_id: FederationId
    type: CertificateType
    origin: CertificateOrigin
    content: str
    expire_time: datetime
    fingerprint: str
    subject: str
    create_time: datetime


@dataclass(frozen=True, slots=True)
class FederationAt:
    """A federation and whether it is complete, which its certificates decide."""

    federation: Federation
    status: FederationStatus


@dataclass(frozen=True, slots=True)
class ReadCertificate:
    """What a text says that holds a certificate."""

    expire_time: datetime
    fingerprint: str
    subject: str


def status_of(federation: Federation, certificates: Sequence[Certificate], now: datetime) -> FederationStatus:
    """Tell what is missing first: what comes later does not count before."""
    provider, signing = CertificateOrigin.IDENTITY_PROVIDER, CertificateType.SIGNING
    if not any(each.origin is provider and each.type is signing and now < each.expire_time for each in certificates):
        return FederationStatus.MISSING_CERTIFICATE
    if not federation.entity_id:
        return FederationStatus.MISSING_ENTITY_ID
    if not federation.single_sign_on_url:
        return FederationStatus.MISSING_SINGLE_SIGN_ON_URL
    return FederationStatus.VALID


def read_certificate(content: str, path: str) -> ReadCertificate:
    """Read one certificate in PEM, or raise Invalid. The text itself is never repeated."""
    if len(content) > MAX_CONTENT:
        raise Invalid(Violation(path, f"must have at most {MAX_CONTENT} characters", rule="length"))
    if content.count(_BEGIN) != 1 or "PRIVATE KEY" in content or "\x00" in content:
        raise Invalid(Violation(path, "must be exactly one certificate in PEM, and nothing else", rule="format"))
    try:
        read = x509.load_pem_x509_certificate(content.encode())
        subject = read.subject.rfc4514_string()
        return ReadCertificate(read.not_valid_after_utc, read.fingerprint(SHA256()).hex(), subject[:1024])
    except _UNREADABLE:
        raise Invalid(Violation(path, "is no certificate", rule="format")) from None


def check_url(url: str, path: str) -> list[Violation]:
    """Return what is wrong with a URL that people are sent to."""
    if not url:
        return []
    if len(url) > MAX_URL or not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        return [Violation(path, f"must be at most {MAX_URL} printable ASCII characters without spaces", rule="pattern")]
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return [Violation(path, "is no URL", rule="format")]
    if not host or parts.username is not None or parts.password is not None or parts.fragment:
        return [Violation(path, "must have a host, and neither a user nor a fragment", rule="format")]
    if parts.scheme != "https" and not (parts.scheme == "http" and _is_loopback(host)):
        return [Violation(path, "must begin with https://", rule="pattern")]
    return []


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
