"""What is asked of the storage of federations."""

from collections.abc import Sequence
from typing import Protocol

from concord.credentials.model.federations import Certificate, Federation
from concord.kernel.ids import CertificateId, OrganizationId


class Federations(Protocol):
    """The federations of organizations and their certificates."""

    def find_federation(self, organization_id: OrganizationId) -> Federation | None:
        """Return the organization's federation."""

    def put_federation(self, federation: Federation) -> None:
        """Store a federation in place of what was known of the organization's."""

    def remove_federation(self, organization_id: OrganizationId) -> None:
        """Forget the organization's federation and its certificates."""

    def add_certificate(self, certificate: Certificate) -> None:
        """Store a new certificate."""

    def find_certificate(self, organization_id: OrganizationId, certificate_id: CertificateId) -> Certificate | None:
        """Return a certificate."""

    def certificates_of(self, organization_id: OrganizationId) -> Sequence[Certificate]:
        """Return the certificates of the organization's federation, oldest first."""

    def remove_certificate(self, organization_id: OrganizationId, certificate_id: CertificateId) -> None:
        """Forget a certificate; an unknown one is ignored."""
