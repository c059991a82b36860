"""Federations and certificates in SQL."""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import and_, bindparam, delete, select
from sqlalchemy import insert as insert_into

from concord.credentials.model.federations import (
    Certificate,
    CertificateOrigin,
    CertificateType,
    Federation,
    FederationKind,
)
from concord.credentials.sql.rows import SqlPart
from concord.credentials.sql.tables import federation, federation_certificate
from concord.kernel.database.upserts import upserts
from concord.kernel.ids import CertificateId, OrganizationId

_FEDERATION = federation.c
_CERTIFICATE = federation_certificate.c
_FIND: Final = select(*_FEDERATION).where(_FEDERATION.organization_id == bindparam("org"))
_PUT: Final = upserts(federation)
_REMOVE: Final = [
    delete(table).where(table.c.organization_id == bindparam("org")) for table in (federation, federation_certificate)
]
_MINE: Final = _CERTIFICATE.organization_id == bindparam("org")
_THIS: Final = and_(_MINE, _CERTIFICATE.id == bindparam("which"))
_ADD: Final = insert_into(federation_certificate)
_FIND_ONE: Final = select(*_CERTIFICATE).where(_THIS)
_ALL: Final = select(*_CERTIFICATE).where(_MINE).order_by(_CERTIFICATE.create_time, _CERTIFICATE.id)
_REMOVE_ONE: Final = delete(federation_certificate).where(_THIS)


class SqlFederations(SqlPart):
    """The `Federations` part of the store."""

    def find_federation(self, organization_id: OrganizationId) -> Federation | None:
        row = self._connection.execute(_FIND, {"org": organization_id}).first()
        if row is None:
            return None
        return Federation(
            id=row.id,
            organization_id=row.organization_id,
            version=row.version,
            create_time=row.create_time,
            update_time=row.update_time,
            kind=FederationKind(row.kind),
            entity_id=row.entity_id,
            single_sign_on_url=row.single_sign_on_url,
            attributes=row.attributes,
        )

    def put_federation(self, federation: Federation) -> None:
        row = {
            "organization_id": federation.organization_id,
            "id": federation.id,
            "version": federation.version,
            "kind": federation.kind.value,
            "entity_id": federation.entity_id,
            "single_sign_on_url": federation.single_sign_on_url,
            "attributes": dict(federation.attributes),
            "create_time": federation.create_time,
            "update_time": federation.update_time,
        }
        self._connection.execute(_PUT[self._connection.dialect], row)

    def remove_federation(self, organization_id: OrganizationId) -> None:
        for statement in _REMOVE:
            self._connection.execute(statement, {"org": organization_id})

    def add_certificate(self, certificate: Certificate) -> None:
        row = {
            "organization_id": certificate.organization_id,
            "id": certificate.id,
            "federation_id": certificate.federation_id,
            "type": certificate.type.value,
            "origin": certificate.origin.value,
            "content": certificate.content,
            "expire_time": certificate.expire_time,
            "fingerprint": certificate.fingerprint,
            "subject": certificate.subject,
            "create_time": certificate.create_time,
        }
        self._connection.execute(_ADD, row)

    def find_certificate(self, organization_id: OrganizationId, certificate_id: CertificateId) -> Certificate | None:
        row = self._connection.execute(_FIND_ONE, {"org": organization_id, "which": certificate_id}).first()
        return None if row is None else _certificate(row)

    def certificates_of(self, organization_id: OrganizationId) -> Sequence[Certificate]:
        return [_certificate(row) for row in self._connection.execute(_ALL, {"org": organization_id})]

    def remove_certificate(self, organization_id: OrganizationId, certificate_id: CertificateId) -> None:
        self._connection.execute(_REMOVE_ONE, {"org": organization_id, "which": certificate_id})


def _certificate(row: Any) -> Certificate:
    return Certificate(
        id=row.id,
        organization_id=row.organization_id,
        federation_id=row.federation_id,
        type=CertificateType(row.type),
        origin=CertificateOrigin(row.origin),
        content=row.content,
        expire_time=row.expire_time,
        fingerprint=row.fingerprint,
        subject=row.subject,
        create_time=row.create_time,
    )
